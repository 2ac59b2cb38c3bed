//! From a head in the buffer to what the machine and the server need of it.

use crate::connection::Conn;
use crate::explain::{ClientName, Label};
use crate::http1::request::{Facts, FieldRoom, Request};
use crate::http1::{Refusal, fields};
use crate::protocol::Call;
use crate::setup::Setup;
use crate::wire::forwarded;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use tidegate_core::admission::{Arrival, ClientKey, Role};

/// A call, ready to ask the machine about.
pub(super) struct Prepared {
    pub(super) facts: Facts,
    pub(super) arrival: Arrival,
    /// The head as the server gets it.
    pub(super) head: Vec<u8>,
    pub(super) client: ClientName,
    pub(super) operation: Label,
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
    let known = setup.identity(conn.subject.as_deref(), address, |name| request.header(name));
    let role = match (call.role, known.and_then(|k| k.role)) {
        (Role::Call | Role::Poll, Some(role)) => role,
        (role, _) => role,
    };
    let arrival = Arrival {
        client: key,
        role,
        session: call.session.map(|token| setup.session(token)),
        cost_milli: call.cost_milli,
        deadline: None,
        token_expiry: None,
        honours_retry_after: known.is_some_and(|k| k.honours_retry_after),
        reserved: known.is_some_and(|k| k.reserved),
    };
    let mut lead = conn.home.buffers.scratch();
    request.write_to(hop, trusted, &mut lead);
    Ok(Prepared { facts: request.facts, arrival, head: lead, client, operation: call.operation })
}

/// The identity: certificate subject, else session, else user (from trusted hops), else address.
fn client(conn: &Conn, setup: &Setup, call: &Call<'_>, address: IpAddr, trusted: bool) -> (ClientKey, ClientName) {
    if let Some(subject) = &conn.subject {
        return (ClientKey(setup.hash(b'c', subject.as_bytes())), ClientName::Text(subject.clone()));
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
