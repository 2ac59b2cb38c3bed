//! Protocol `vcenter`: operations by the first element of the SOAP body, by VI/JSON's method, or by method and path.

use super::{Call, InBody, Told};
use crate::broker::lines;
use crate::explain::Label;
use crate::http1::Framing;
use crate::http1::request::Request;
use crate::plan::{BrokerPlan, VcenterOperation, VcenterPlan};
use crate::soap::Seen;
use crate::vasa::cookie::SetSession;
use crate::vcenter::answer::{self, Judged};
use crate::vcenter::rest::{self, Meaning};
use crate::vcenter::{self, Spoken, cookie, table};
use tidegate_core::admission::OperationKey;
use tidegate_core::time::Span;

/// How long the server may keep a long poll that names no end.
const POLL_MAX: Span = Span::secs(86_400);

/// The plan, compiled.
pub(crate) struct Vcenter {
    plan: VcenterPlan,
}

/// What an operation is for, what it costs, and how it is called here.
pub(crate) struct Known {
    pub(crate) plan: VcenterOperation,
    pub(crate) key: OperationKey,
    pub(crate) label: Label,
}

impl Vcenter {
    pub(crate) fn new(plan: &VcenterPlan) -> Vcenter {
        Vcenter { plan: plan.clone() }
    }

    /// How sessions are shared, if they are.
    pub(crate) fn broker(&self) -> Option<&BrokerPlan> {
        self.plan.broker.as_ref()
    }

    pub(crate) fn plan(&self) -> &VcenterPlan {
        &self.plan
    }

    /// What the plan says of the operation called `name`.
    pub(crate) fn known(&self, name: &str) -> Known {
        self.known_as(name, b"")
    }

    /// The same of calls that `kind` tells apart from others of this name: what they cost is learned by itself.
    pub(crate) fn known_as(&self, name: &str, kind: &'static [u8]) -> Known {
        let (plan, label) = (self.plan.operation(name), Label::new(&[name.as_bytes()]));
        let parts: [&[u8]; 2] = [name.as_bytes(), kind];
        let listed = self.plan.operations.contains_key(name);
        let key = if listed { OperationKey::listed(&parts) } else { OperationKey::unlisted(&parts) };
        Known { plan, key, label }
    }

    pub(crate) fn classify<'b>(&self, request: &Request<'_, 'b>) -> Call<'b> {
        let path = request.path();
        let known = match rest::read(request.method, request.target, None) {
            Meaning::ViJson { operation, .. } => self.known(&operation),
            _ => {
                let name = format!("{} {path}", request.method);
                let known = self.known(&name);
                let listed = self.plan.operations.contains_key(&name);
                Known { key: if listed { known.key } else { super::http::unlisted(request) }, ..known }
            }
        };
        Call {
            role: known.plan.role,
            cost_milli: known.plan.cost_milli,
            session: lines::asked(request.headers),
            user: None,
            operation: known.label,
            key: known.key,
            in_body: request.method == "POST" && request.facts.framing != Framing::None && speaks_soap(path),
            rewrite: None,
        }
    }

    pub(crate) fn look(&self, body: &[u8], seen: Seen) -> InBody {
        let (name, long_poll) = match vcenter::read(body, seen) {
            Spoken::NeedMore => return InBody::NeedMore,
            Spoken::Refused(why) => return InBody::Refused(why),
            Spoken::NotSoap => ("(not SOAP)".to_string(), None),
            Spoken::Operation(operation) => {
                let wait = operation.max_wait_s.as_ref().map_or(POLL_MAX, |(_, wait)| Span::secs(*wait));
                let polls = table::manner(&operation.namespace, &operation.name).long_poll;
                (operation.name, polls.then_some(wait.min(POLL_MAX)))
            }
        };
        let Known { plan, key, label } = self.known(&name);
        InBody::Told {
            role: plan.role,
            cost_milli: plan.cost_milli,
            operation: label,
            key,
            soap: None, // "later" is a plain 503: pyVmomi takes nothing else for it
            rewrite: None,
            long_poll,
        }
    }

    pub(crate) fn session<'b>(&self, headers: &[httparse::Header<'b>]) -> Option<SetSession<'b>> {
        if self.broker().is_some() {
            return None; // it is not the client's
        }
        let set = headers.iter().filter(|h| crate::http1::fields::is(h.name, "set-cookie")).map(|h| h.value);
        cookie::set_soap(set)
    }
}

/// Where SOAP is spoken.
pub(crate) fn speaks_soap(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    matches!(
        path,
        "/sdk" | "/sdk/vimService" | "/sdk/vpxd" | "/sms/sdk" | "/pbm" | "/pbm/sdk" | "/vslm/sdk" | "/vsanHealth"
    )
}

/// What an answer with this status, and these first bytes of its body, says.
pub(super) fn told(status: u16, first: &[u8]) -> Told {
    let busy = status == 503 || status == 429;
    let named = memchr::memmem::find(first, b"NotAuthenticated").is_some();
    let judged = if named { answer::judge(status, first) } else { Judged::Fine };
    Told { overload: busy, closed: judged == Judged::OwnSessionDead, judged: named.then_some(judged) }
}
