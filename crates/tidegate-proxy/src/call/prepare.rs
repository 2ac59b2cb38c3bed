//! From a head in the buffer to what the machine and the server need of it.

use crate::connection::Conn;
use crate::explain::{ClientName, Label, Record};
use crate::http1::request::{Facts, FieldRoom, Outgoing, Request};
use crate::http1::{Refusal, fields};
use crate::protocol::{Call, Rewrite, Soap};
use crate::relay::exchange::hooks::Hooks;
use crate::setup::Setup;
use crate::wire::forwarded;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use tidegate_core::admission::{Arrival, CallId, ClientKey, KindKey, OperationKey, Role};
use tidegate_core::time::Nanos;

/// Bytes of a product's name that count.
const PRODUCT_MAX: usize = 64;

/// A call, ready to ask the machine about.
pub(super) struct Prepared {
    pub(super) facts: Facts,
    pub(super) arrival: Arrival,
    /// The head as the server gets it.
    pub(super) head: Vec<u8>,
    pub(super) client: ClientName,
    pub(super) operation: Label,
    /// What the call is stands in its body, of this Content-Type.
    pub(super) in_body: Option<Box<[u8]>>,
    /// The plan gives this client a role of its own.
    known_role: Option<Role>,
    /// For a fault that the client can read.
    pub(super) soap: Option<Soap>,
    /// The answer is to be looked at whole.
    pub(super) rewrite: Option<Rewrite>,
    /// What the broker wants of its exchange.
    pub(super) hooks: Option<Box<Hooks>>,
}

impl Prepared {
    /// The same call with this head, and with what the broker wants of its exchange.
    pub(super) fn with(&self, head: Vec<u8>, hooks: Hooks) -> Prepared {
        Prepared {
            facts: self.facts,
            arrival: self.arrival,
            head,
            client: self.client.clone(),
            operation: self.operation,
            in_body: None,
            known_role: self.known_role,
            soap: None,
            rewrite: None,
            hooks: Some(Box::new(hooks)),
        }
    }

    /// What is remembered of the call.
    pub(super) fn record(&self, call: Option<CallId>, at: Nanos) -> Record {
        Record::new(call, at, self.client.clone(), self.operation, self.arrival.role)
    }

    /// Takes in what the body told.
    pub(super) fn tell(
        &mut self,
        role: Role,
        (key, cost_milli): (OperationKey, u32),
        operation: Label,
        soap: Option<Soap>,
    ) {
        self.arrival.role = role_of(role, self.known_role);
        self.arrival.operation = key;
        self.arrival.cost_milli = cost_milli;
        self.operation = operation;
        self.soap = soap;
    }
}

/// A client's own role stands over the protocol's, except for probes, renewals and what opens a session.
fn role_of(role: Role, known: Option<Role>) -> Role {
    match (role, known) {
        (Role::Call | Role::Poll | Role::Bulk, Some(known)) => known,
        (role, _) => role,
    }
}

/// Parses `head` and classifies the call.
///
/// # Errors
/// The head is not one that may be forwarded.
pub(super) fn prepare(conn: &Conn, setup: &Setup, head: &[u8]) -> Result<Prepared, Refusal> {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let request = Request::parse(head, &mut room)?;
    let hop = conn.peer.ip().to_canonical();
    let trusted = setup.trusts(hop);
    let call = setup.protocol.classify(&request);
    let lines = request.headers.iter().filter(|h| fields::is(h.name, "x-forwarded-for")).map(|h| h.value);
    let address = if trusted { forwarded::client(hop, lines, &setup.plan.forwarded_from) } else { hop };
    let (key, client) = client(conn, setup, &call, address, trusted);
    let known = setup.identity(conn.subject.as_ref().map(|s| &s.identity), address, |name| request.header(name));
    let known_role = known.and_then(|k| k.role);
    let mut arrival = Arrival {
        client: key,
        kind: request.header("user-agent").map_or_else(KindKey::default, kind),
        role: role_of(call.role, known_role),
        operation: call.key,
        session: call.session.map(|token| setup.session(token)),
        server: conn.bound.as_ref().and_then(|bound| setup.id_of(bound.server())),
        cost_milli: call.cost_milli,
        deadline: None,
        token_expiry: None,
        honours_retry_after: known.is_some_and(|k| k.honours_retry_after),
        reserved: known.is_some_and(|k| k.reserved),
    };
    stand_alone(conn, setup, &mut arrival);
    let mut lead = conn.home.buffers.scratch();
    let plain = call.rewrite.is_some() || call.in_body && setup.protocol.may_rewrite();
    let outgoing = Outgoing { trusted, keep_expect: !call.in_body, plain };
    request.write_to(hop, outgoing, &mut lead);
    Ok(Prepared {
        facts: request.facts,
        arrival,
        head: lead,
        client,
        operation: call.operation,
        in_body: call.in_body.then(|| request.header("content-type").unwrap_or_default().into()),
        known_role,
        soap: None,
        rewrite: call.rewrite,
        hooks: None,
    })
}

/// Many clients log in to a vCenter from one place: before they have a session, each connection is a client of its own, and
/// none takes the other's place in line.
pub(super) fn stand_alone(conn: &Conn, setup: &Setup, arrival: &mut Arrival) {
    let nobody = conn.subject.is_none() && arrival.session.is_none();
    if (nobody || arrival.role == Role::Open) && setup.vcenter().is_some() {
        arrival.client = ClientKey(setup.hash(b'o', conn.peer.to_string().as_bytes()));
    }
}

/// Clients of one product wait equally long, whatever its version: the first token of User-Agent.
fn kind(agent: &[u8]) -> KindKey {
    let product = agent.split(|byte| matches!(byte, b'/' | b' ' | b'(' | b';')).next().unwrap_or_default();
    let product = product.get(..PRODUCT_MAX).unwrap_or(product);
    if product.is_empty() { KindKey::default() } else { KindKey::named(product) }
}

/// The identity: certificate subject, else session, else user (from trusted hops), else address.
fn client(conn: &Conn, setup: &Setup, call: &Call<'_>, address: IpAddr, trusted: bool) -> (ClientKey, ClientName) {
    if let Some(subject) = &conn.subject {
        return (ClientKey(setup.hash(b'c', subject.text.as_bytes())), ClientName::Text(subject.text.clone()));
    }
    let name = ClientName::Addr(address);
    if let Some(token) = call.session {
        return (ClientKey(setup.hash(b'S', token)), name);
    }
    if let Some(user) = call.user.filter(|_| trusted) {
        let text = String::from_utf8_lossy(user);
        return (ClientKey(setup.hash(b'u', user)), ClientName::Text(text.into()));
    }
    let key = match address {
        IpAddr::V4(v4) => setup.hash(b'4', &v4.octets()),
        IpAddr::V6(v6) => setup.hash(b'6', &v6.octets()),
    };
    (ClientKey(key), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_product_without_its_version() {
        assert_eq!(kind(b"gSOAP/2.8"), kind(b"gSOAP/2.9 (Linux)"));
        assert_ne!(kind(b"gSOAP/2.8"), kind(b"VMware-client/8.0"));
        assert_eq!(kind(b"/8.0"), KindKey::default());
        assert_eq!(kind(&[b'a'; 64]), kind(&[b'a'; 5000]));
    }
}
