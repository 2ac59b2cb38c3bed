//! Protocol `http`: rules by method and path, sessions by cookie, 503 or 429 with Retry-After.

use super::{Call, Refused};
use crate::explain::Label;
use crate::http1::fields::{is, trim};
use crate::http1::reply::turned_away_json;
use crate::http1::request::Request;
use crate::plan::HttpPlan;
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
            session: self.plan.session_cookie.as_deref().and_then(|name| cookie(request, name)),
            user: self.plan.user_header.as_deref().and_then(|name| request.header(name)),
            operation: Label::new(&[request.method.as_bytes(), b" ", path.as_bytes()]),
        }
    }

    pub(crate) fn opened<'b>(&self, headers: &[httparse::Header<'b>]) -> Option<&'b [u8]> {
        let name = self.plan.session_cookie.as_deref()?;
        set_cookie(headers, name)
    }

    pub(crate) fn refuse(&self, reason: Reason, retry_after: Span) -> Refused {
        let status = if reason == Reason::ClientCap { 429 } else { self.plan.status };
        let body = Cow::Owned(turned_away_json(reason, retry_after).into_bytes());
        Refused { status, kind: "application/json", body }
    }
}

/// The value of cookie `name` in a request, if it is sent.
pub(crate) fn cookie<'b>(request: &Request<'_, 'b>, name: &str) -> Option<&'b [u8]> {
    let lines = request.headers.iter().filter(|h| is(h.name, "cookie"));
    lines.flat_map(|h| h.value.split(|b| *b == b';')).find_map(|pair| pair_of(pair, name))
}

/// The value that an answer sets cookie `name` to; none when it deletes it.
pub(crate) fn set_cookie<'b>(headers: &[httparse::Header<'b>], name: &str) -> Option<&'b [u8]> {
    let lines = headers.iter().filter(|h| is(h.name, "set-cookie"));
    lines.filter_map(|h| h.value.split(|b| *b == b';').next()).find_map(|pair| pair_of(pair, name))
}

fn pair_of<'b>(pair: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let pair = trim(pair);
    let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    (!value.is_empty()).then_some(value)
}
