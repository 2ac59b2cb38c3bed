//! What nobody here reads: TLS that is not opened, and bytes of which nothing is known.
//!
//! Nothing of it can be shared, so what is left is bounds: on connections, on connects in progress, on silence (see
//! [`idle`]). Both kinds are relayed by the same [`flow`]. Of `tcp` only the establishment is admitted ([`opening`]).
//!
//! TLS that is not opened: connections are routed and admitted by their hello, and their calls by the turns that the
//! records show.
//!
//! A connection's life: the hello is read (bounded, strict) and its name checked; the *establishment*, from the hello to
//! the first answer, asks for admission like a call that opens a session; only then is the server connected to. Every
//! later turn ([`turns`](crate::wire::turns)) asks for admission before its first byte is forwarded, so that calls stay
//! under the limit that nobody here can read. Who is turned away is reset at once: a client that is kept waiting for its
//! handshake would report the very TRANSPORT_FAULT of KB 412434, and retry no sooner.
//!
//! To the machine a connection is a session: its turns follow in class `continuation` until it is settled, and go to its
//! server. A turn after a pause of a second or more (20 × `settle`) is taken for a poll.

mod dial;
mod flow;
mod half_open;
mod idle;
mod link;
mod opening;
mod peak;
mod seat;
mod shared;

use crate::clock;
use crate::connection::Conn;
use crate::explain::{ClientName, Label, Record};
use crate::plan::{OperationPlan, ProtocolPlan, TlsPlan};
use crate::service::{Decision, Ticket};
use crate::setup::Setup;
use crate::wire::hello::ClientHello;
use crate::wire::turns::{Settings, Tracker};
use dial::Dialled;
use flow::{Flow, Turns};
use link::Link;
use opening::Opening;
use seat::Seat;
pub(crate) use shared::Shared;
use std::future::poll_fn;
use std::net::IpAddr;
use std::task::{Context, Poll};
use tidegate_core::admission::{Arrival, CallId, ClientKey, Event, KindKey, OperationKey, Outcome, Role, SessionKey};
use tidegate_core::reason::{End, Reason, Step, Who};
use tidegate_core::time::{Nanos, Span};

/// Expected work, in thousandths of a session open, where the plan has no operation with that role.
const COST: u32 = 1000;
/// Turns after the establishment of which each is an operation of its own; all later ones are one.
const TURNS_TOLD_APART: u64 = 4;
/// How many times `settle` a silence must last to mean something, until the server's answer times are known.
const ANSWER_MAX: f64 = 40.0;
/// Of `tcp`: for how long a server must be silent for an establishment to be over (the default of passthrough).
const SETTLE: Span = Span::millis(50);
/// A fatal TLS alert: unrecognized_name (RFC 6066, 3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

const fn end(who: Who, step: Step) -> End {
    End { who, step }
}

/// What a connection's calls have in common.
pub(super) struct Caller {
    key: ClientKey,
    session: SessionKey,
    name: ClientName,
    honours_retry_after: bool,
    reserved: bool,
    costs: Costs,
}

/// Expected work by kind of turn.
#[derive(Clone, Copy)]
struct Costs {
    open: u32,
    call: u32,
    poll: u32,
}

impl Costs {
    fn of(plan: &ProtocolPlan) -> Costs {
        let ProtocolPlan::Vasa(vasa) = plan else { return Costs { open: COST, call: COST, poll: COST } };
        let most = |role| {
            let of_role = vasa.operations.values().filter(|operation| operation.role == role);
            of_role.map(|operation: &OperationPlan| operation.cost_milli).max()
        };
        let call = vasa.default.cost_milli;
        Costs { open: most(Role::Open).unwrap_or(COST), call, poll: most(Role::Poll).unwrap_or(call) }
    }
}

impl Caller {
    fn new(conn: &Conn, setup: &Setup) -> Caller {
        let address = conn.peer.ip().to_canonical();
        let known = setup.identity(None, address, |_| None);
        let session = conn.home.passthrough.number().to_be_bytes();
        Caller {
            key: key(setup, address),
            session: SessionKey(setup.hash(b'p', &session)),
            name: ClientName::Addr(address),
            honours_retry_after: known.is_some_and(|k| k.honours_retry_after),
            reserved: known.is_some_and(|k| k.reserved),
            costs: Costs::of(&setup.plan.protocol),
        }
    }

    /// The arrival of a turn, the establishment being the one with number 0.
    fn arrival(&self, role: Role, turn: u64) -> Arrival {
        let (session, cost_milli) = match role {
            Role::Open => (None, self.costs.open),
            Role::Poll => (Some(self.session), self.costs.poll),
            _ => (Some(self.session), self.costs.call),
        };
        Arrival {
            client: self.key,
            kind: KindKey::default(), // nothing that a client says of itself can be read
            role,
            operation: operation(role, turn),
            session,
            server: None,
            cost_milli,
            deadline: None,
            token_expiry: None,
            honours_retry_after: self.honours_retry_after,
            reserved: self.reserved,
        }
    }

    fn record(&self, arrival: &Arrival, operation: &str) -> impl FnOnce(CallId, Nanos) -> Record + use<> {
        let (client, role, operation) = (self.name.clone(), arrival.role, Label::new(&[operation.as_bytes()]));
        move |call, at| Record::new(Some(call), at, client, operation, role)
    }
}

/// What stands in for the name of an operation: the calls that follow an establishment come in the same order each time.
fn operation(role: Role, turn: u64) -> OperationKey {
    let name: &[&[u8]] = match role {
        Role::Open => &[b"(establish)"],
        Role::Poll => &[b"(poll)"],
        _ => &[b"(turn) ", &[turn.min(TURNS_TOLD_APART + 1) as u8]],
    };
    OperationKey::listed(name)
}

/// The same number as for a call in clear from this address.
fn key(setup: &Setup, address: IpAddr) -> ClientKey {
    ClientKey(match address {
        IpAddr::V4(v4) => setup.hash(b'4', &v4.octets()),
        IpAddr::V6(v6) => setup.hash(b'6', &v6.octets()),
    })
}

/// Whether `hello` asks for a name that is let through.
fn is_routed(setup: &Setup, hello: &ClientHello) -> bool {
    let TlsPlan::Passthrough { names, .. } = &setup.plan.tls else { return false };
    let asked = hello.server_name.as_deref();
    names.is_empty() || names.iter().any(|name| asked.is_some_and(|asked| name.eq_ignore_ascii_case(asked)))
}

fn settings(setup: &Setup) -> Settings {
    let settle = if let TlsPlan::Passthrough { settle, .. } = &setup.plan.tls { *settle } else { SETTLE };
    Settings { settle, answer_max: settle.mul_f64(ANSWER_MAX) }
}

/// Whether connections of this service are served here although nothing is read first.
pub(crate) fn is_opaque(setup: &Setup) -> bool {
    matches!(setup.plan.protocol, ProtocolPlan::Tcp {})
}

/// Serves one connection to its end. Where it is TLS its hello has been read and put back.
pub(crate) async fn serve(mut conn: Conn, hello: Option<ClientHello>) {
    let home = conn.home.clone();
    let setup = home.service.setup();
    let tcp = &setup.plan.tcp;
    let Some(_joined) = home.passthrough.join(conn.peer.ip().to_canonical(), tcp.connections_per_client_max) else {
        home.service.stats.refuse(Reason::ClientCap);
        conn.stream.reset();
        return;
    };
    let seat = Seat::new(&home, clock::now());
    conn.stream.give_up_after(clock::duration(setup.io.write_timeout));
    if hello.as_ref().is_some_and(|hello| !is_routed(&setup, hello)) {
        home.service.stats.refuse(Reason::Handshake);
        let _it_may_have_left = poll_fn(|cx| Poll::Ready(conn.stream.poll_write(cx, &UNRECOGNIZED_NAME))).await;
        return;
    }
    if tcp.lazy && !spoken(&mut conn, &seat).await {
        return;
    }
    let caller = Caller::new(&conn, &setup);
    let Some((ticket, link)) = establish(&mut conn, &setup, &caller).await else { return };
    let turns = match hello {
        Some(hello) => Turns::Tls(Box::new(Tracker::new(clock::now(), &hello, settings(&setup)))),
        None => Turns::Opaque(Opening::new(clock::now(), settings(&setup))),
    };
    drop(setup);
    let (service, session) = (conn.home.service.clone(), caller.session);
    let mut flow = Box::new(Flow::new(conn, link, turns, ticket, caller, seat));
    poll_fn(|cx| flow.poll(cx)).await;
    drop(flow);
    service.event(Event::SessionOver(session));
}

/// Waits for the client's first byte; false when it leaves, or is closed, without one.
async fn spoken(conn: &mut Conn, seat: &Seat) -> bool {
    poll_fn(|cx| {
        seat.rest(false, cx);
        if let Some(why) = seat.closed() {
            conn.home.service.stats.close(why);
            return Poll::Ready(false);
        }
        let left = conn.stream.poll_gone(cx).is_ready();
        let spoke = conn.stream.has_bytes();
        if left || spoke {
            seat.rest(true, cx);
            return Poll::Ready(spoke);
        }
        Poll::Pending
    })
    .await
}

/// Ready when the client has left. One whose protocol is unknown may have said all that it had to say, and wait.
fn poll_left(conn: &mut Conn, setup: &Setup, cx: &mut Context<'_>) -> Poll<()> {
    match conn.stream.poll_gone(cx) {
        Poll::Ready(()) if is_opaque(setup) && conn.stream.has_bytes() => Poll::Pending,
        left => left,
    }
}

/// Asks for admission and connects; `None`: the connection is over, and the machine knows.
async fn establish(conn: &mut Conn, setup: &Setup, caller: &Caller) -> Option<(Ticket, Link)> {
    let home = conn.home.clone();
    let place = home.passthrough.place(conn.peer.ip().to_canonical(), setup.plan.admission.held_per_client_max);
    let mut arrival = caller.arrival(Role::Open, 0);
    if is_opaque(setup) {
        (arrival.role, arrival.session) = (Role::Call, None); // no session follows: fair by client, not by seniority
    } else {
        arrival.client = ClientKey(caller.key.0.wrapping_add(u64::from(place.number)));
    }
    let record = caller.record(&arrival, "establish");
    let requests = &home.service.stats.open_requests;
    requests.add(1);
    let mut made = Some(record);
    let asked =
        poll_fn(|cx: &mut Context<'_>| Poll::Ready(made.take().map(|record| home.service.arrive(arrival, record, cx))));
    let (ticket, mut decision) = asked.await?;
    loop {
        match decision {
            Decision::Admit(server) => match dial::dial(conn, setup, &server).await {
                Dialled::Yes(link) => {
                    ticket.connected(None);
                    return Some((ticket, link));
                }
                Dialled::Failed(why) => decision = ticket.not_dialled(why),
                Dialled::ClientLeft => {
                    ticket.client_gone();
                    ticket.done(Outcome::Incomplete, end(Who::Client, Step::Connect), 0);
                    break;
                }
            },
            Decision::Hold => match held(conn, setup, &ticket).await {
                Some(next) => decision = next,
                None => {
                    ticket.client_gone();
                    ticket.close(end(Who::Client, Step::Queue), 0);
                    break;
                }
            },
            Decision::TurnAway { reason, .. } => {
                conn.stream.reset();
                ticket.close(end(who_turns_away(reason), Step::Queue), 0);
                break;
            }
            Decision::Expire => {
                conn.stream.reset();
                ticket.abandon(end(Who::Server, Step::Connect), 0);
                break;
            }
        }
    }
    requests.sub(1);
    None
}

fn who_turns_away(reason: Reason) -> Who {
    if matches!(reason, Reason::Draining | Reason::Maintenance) { Who::Operator } else { Who::Gate }
}

/// Waits for the machine's next word; `None` when the client leaves first.
async fn held(conn: &mut Conn, setup: &Setup, ticket: &Ticket) -> Option<Decision> {
    poll_fn(|cx| {
        if let Poll::Ready(decision) = ticket.poll_mail()
            && !matches!(decision, Decision::Hold)
        {
            return Poll::Ready(Some(decision));
        }
        poll_left(conn, setup, cx).map(|()| None)
    })
    .await
}
