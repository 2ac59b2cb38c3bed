//! What stands between the clients and the servers, if anything: one policy, one implementation of [`Policy`].
//!
//! A policy is told what happens to calls and pushes verdicts about them. It keeps its own books: what it is not told of,
//! it does not know.

mod direct;
mod envoy_adaptive;
mod envoy_admission;
mod gate;
mod haproxy;
mod nginx_conn;
mod nginx_req;
mod pool;
mod spec;

pub use direct::Direct;
pub use envoy_adaptive::{EnvoyAdaptive, EnvoyAdaptiveKnobs};
pub use envoy_admission::EnvoyAdmission;
pub use gate::{Gate, Told, plan};
pub use haproxy::{Haproxy, HaproxyKnobs};
pub use nginx_conn::NginxConn;
pub use nginx_req::NginxReq;
pub use spec::{KINDS, PolicySpec};

use crate::engine::CallNo;
use tidegate_core::admission::{ClientKey, KindKey, OperationKey, Role, SessionKey};
use tidegate_core::time::{Nanos, Span};

/// A call as its client sends it.
#[derive(Clone, Copy, Debug)]
pub struct Arriving {
    /// Who calls.
    pub client: ClientKey,
    /// What kind of client that is.
    pub kind: KindKey,
    /// The operation.
    pub operation: OperationKey,
    /// What for.
    pub role: Role,
    /// The session that it carries.
    pub session: Option<SessionKey>,
    /// The server that made the session, as a cookie would tell.
    pub bound: Option<u16>,
    /// Whether its client is known to come back when it is told to.
    pub honours_retry_after: bool,
}

/// How a call that was sent to a server ended there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer.
    Answered {
        /// The session that the answer carries.
        opened: Option<SessionKey>,
        /// The answer says that the call's session is over.
        closed: bool,
    },
    /// With an answer that it is busy.
    Overload,
    /// It refused the connection: the call may be sent again.
    Refused,
    /// It broke the connection.
    Broken,
}

/// What a policy wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the call to this server.
    Send(CallNo, u16),
    /// Answer that there is no room, perhaps with a time to come back.
    TurnAway(CallNo, Option<Span>),
    /// Answer that the call's session is not known.
    NoSession(CallNo),
    /// Refuse the connection.
    Refuse(CallNo),
    /// Answer that the server did not; the server works on.
    Expire(CallNo),
}

/// What a policy shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Calls that it holds.
    pub held: u32,
    /// Its limit, where it has one.
    pub limit: u32,
}

/// What stands between the clients and the servers.
pub trait Policy {
    /// A call has arrived.
    fn arrive(&mut self, now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>);

    /// The client of a call has left. Unless it was `sent` to a server, nothing more will be heard of it.
    fn client_gone(&mut self, now: Nanos, call: CallNo, sent: bool, out: &mut Vec<Verdict>);

    /// A new connection to the server of a sent call stands.
    fn connected(&mut self, _now: Nanos, _call: CallNo, _out: &mut Vec<Verdict>) {}

    /// The server is done with a call. Ends that are not refusals are passed on to the client by themselves; what becomes
    /// of a refused call is for the policy to say.
    fn done(&mut self, now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>);

    /// When it wants to be woken.
    fn next_wake(&self) -> Option<Nanos> {
        None
    }

    /// The time that it named has come.
    fn wake(&mut self, _now: Nanos, _out: &mut Vec<Verdict>) {}

    /// It was restarted: of all calls it knows nothing any more.
    fn restart(&mut self, now: Nanos);

    /// Whether there is something to restart: a process between the clients and the servers.
    fn is_gate(&self) -> bool {
        true
    }

    /// What it shows now.
    fn gauges(&self) -> Gauges;

    /// Decisions made so far.
    fn decisions(&self) -> u64;
}
