//! Protocol `http`: rules by method and path, sessions by cookie, 503 or 429 with Retry-After.

use super::{Call, Refused};
use crate::explain::Label;
use crate::http1::fields::is;
use crate::http1::reply::{seconds, turned_away_json};
use crate::http1::request::Request;
use crate::plan::HttpPlan;
use crate::vasa::cookie::{self, SetSession};
use std::borrow::Cow;
use tidegate_core::admission::Role;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// Expected work of a call that no rule matches: as much as opening a session.
const COST_MILLI: u32 = 1000;

/// The plan, with its names in lower case.
pub(crate) struct Http {
    plan: HttpPlan,
}

impl Http {
    pub(crate) fn new(plan: &HttpPlan) -> Http {
        let mut plan = plan.clone();
        plan.user_header = plan.user_header.map(|name| name.to_ascii_lowercase());
        Http { plan }
    }

    pub(crate) fn classify<'b>(&self, request: &Request<'_, 'b>) -> Call<'b> {
        let path = request.path();
        let rule = self.plan.rules.iter().find(|rule| {
            path.starts_with(&rule.path) && rule.method.as_ref().is_none_or(|method| method == request.method)
        });
        let probe = self.plan.probe_paths.iter().any(|probe| probe == path);
        let (role, cost_milli) = rule.map_or((Role::Call, COST_MILLI), |rule| (rule.role, rule.cost_milli));
        Call {
            role: if probe { Role::Probe } else { role },
            cost_milli,
            session: self.plan.session_cookie.as_deref().and_then(|name| request_session(request, name)),
            user: self.plan.user_header.as_deref().and_then(|name| request.header(name)),
            operation: Label::new(&[request.method.as_bytes(), b" ", path.as_bytes()]),
            in_body: false,
            rewrite: None,
        }
    }

    pub(crate) fn session<'b>(&self, headers: &[httparse::Header<'b>]) -> Option<SetSession<'b>> {
        answer_session(headers, self.plan.session_cookie.as_deref()?)
    }

    pub(crate) fn refuse(&self, reason: Reason, retry_after: Span) -> Refused {
        refuse(self.plan.status, reason, retry_after)
    }
}

/// 429 for what one client did, else `status`; a small JSON body.
pub(super) fn refuse(status: u16, reason: Reason, retry_after: Span) -> Refused {
    let status = if reason == Reason::ClientCap { 429 } else { status };
    let body = Cow::Owned(turned_away_json(reason, retry_after).into_bytes());
    Refused { status, kind: "application/json", retry_after_s: Some(seconds(retry_after)), body }
}

/// The session in the Cookie fields of a request.
pub(super) fn request_session<'b>(request: &Request<'_, 'b>, name: &str) -> Option<&'b [u8]> {
    cookie::requested(request.headers.iter().filter(|h| is(h.name, "cookie")).map(|h| h.value), name)
}

/// What the Set-Cookie fields of an answer say about it.
pub(super) fn answer_session<'b>(headers: &[httparse::Header<'b>], name: &str) -> Option<SetSession<'b>> {
    cookie::set(headers.iter().filter(|h| is(h.name, "set-cookie")).map(|h| h.value), name)
}
