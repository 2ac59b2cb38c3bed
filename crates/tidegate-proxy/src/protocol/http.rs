//! Protocol `http`: rules by method and path, sessions by cookie, 503 or 429 with Retry-After.

use super::{Call, Refused};
use crate::explain::Label;
use crate::http1::fields::is;
use crate::http1::reply::{seconds, turned_away_json};
use crate::http1::request::Request;
use crate::plan::{HttpPlan, HttpRule};
use crate::vasa::cookie::{self, SetSession};
use std::borrow::Cow;
use tidegate_core::admission::{OperationKey, Role};
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
            key: rule.map_or_else(|| unlisted(request), listed),
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

/// What matches one rule is one operation.
fn listed(rule: &HttpRule) -> OperationKey {
    let method = rule.method.as_deref().unwrap_or("*");
    OperationKey::listed(&[method.as_bytes(), b" ", rule.path.as_bytes()])
}

/// What no rule matches is told apart by its method and the first part of its path.
pub(super) fn unlisted(request: &Request<'_, '_>) -> OperationKey {
    let path = request.path().as_bytes();
    let first = path.split_inclusive(|byte| *byte == b'/').take(2);
    let first = first.map(<[u8]>::len).sum::<usize>();
    OperationKey::unlisted(&[request.method.as_bytes(), b" ", path.get(..first).unwrap_or_default()])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::request::FieldRoom;
    use std::mem::MaybeUninit;

    fn key(line: &str) -> OperationKey {
        let plan = HttpPlan {
            rules: vec![HttpRule { method: None, path: "/vms/".into(), role: Role::Call, cost_milli: 5 }],
            session_cookie: None,
            user_header: None,
            status: 503,
            probe_paths: Vec::new(),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
        let request = Request::parse(head.as_bytes(), &mut room).unwrap();
        Http::new(&plan).classify(&request).key
    }

    #[test]
    fn an_operation_is_a_rule_or_a_method_and_the_first_part_of_a_path() {
        assert_eq!(key("GET /vms/1"), key("POST /vms/2?all"), "one rule");
        assert_eq!(key("GET /tasks/1"), key("GET /tasks/2?all"), "one folder");
        assert_ne!(key("GET /tasks/1"), key("POST /tasks/1"));
        assert_ne!(key("GET /tasks/1"), key("GET /hosts/1"));
    }
}
