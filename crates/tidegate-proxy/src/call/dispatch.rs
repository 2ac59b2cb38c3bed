//! One call: ask the machine, wait if held, get a connection, relay, and tell the machine how it ended.

use super::body;
use super::brokered;
use super::connect::{self, Connected};
use super::prepare::{Prepared, prepare};
use super::refuse;
use super::retry;
use super::waiting;
use crate::buffer::Buf;
use crate::connection::{Conn, Next};
use crate::http1::request::{Facts, Method};
use crate::plan::PoolScope;
use crate::pool::{Server, ServerConn};
use crate::protocol::Soap;
use crate::relay::exchange::again::{Never, Verdict};
use crate::relay::exchange::hooks::Hooks;
use crate::relay::exchange::{After, ClientFault, Ended, Exchange};
use crate::relay::tunnel;
use crate::service::{Decision, Ticket};
use crate::setup::Setup;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::admission::Outcome;
use tidegate_core::reason::{End, Reason, Step, Who};
use tidegate_core::time::Span;

pub(super) const fn end(who: Who, step: Step) -> End {
    End { who, step }
}

/// Handles the call whose head is the first `head_end` bytes of `buf`.
pub(super) async fn call(conn: &mut Conn, buf: &mut Option<Buf>, head_end: usize) -> Next {
    let setup = conn.home.service.setup();
    let Some(block) = buf.as_mut() else { return Next::Close };
    let prepared = match prepare(conn, &setup, &block.filled()[..head_end]) {
        Ok(prepared) => prepared,
        Err(refusal) => return Box::pin(refuse::bad_request(conn, refusal)).await,
    };
    block.consume(head_end);
    if let Some(broker) = conn.home.service.broker() {
        return Box::pin(brokered::call(conn, &setup, broker, buf, prepared)).await;
    }
    let prepared = match prepared.in_body {
        Some(_) => match body::look(conn, &setup, buf, prepared).await {
            Ok(prepared) => prepared,
            Err(next) => return next,
        },
        None => prepared,
    };
    // By value: what was borrowed once keeps its place in a call's state, beside the one that it is moved to.
    let prepared = if body::is_short_and_unfinished(prepared.facts, buf.as_ref()) {
        match Box::pin(body::gather(conn, &setup, buf, prepared)).await {
            Ok(prepared) => prepared,
            Err(next) => return next,
        }
    } else {
        prepared
    };
    conn.home.service.stats.open_requests.add(1);
    let home = conn.home.clone();
    let next = admit(conn, &setup, buf, prepared).await;
    home.service.stats.open_requests.sub(1);
    next
}

/// Asks the machine.
async fn arrive(conn: &Conn, prepared: &Prepared) -> (Ticket, Decision) {
    let record = |call, at| prepared.record(Some(call), at);
    poll_fn(|cx| Poll::Ready(conn.home.service.arrive(prepared.arrival, record, cx))).await
}

pub(super) async fn admit(conn: &mut Conn, setup: &Setup, buf: &mut Option<Buf>, mut prepared: Prepared) -> Next {
    let (ticket, decision) = arrive(conn, &prepared).await;
    let known = (prepared.facts, prepared.soap.as_ref());
    match obey(conn, setup, buf, &mut prepared.head, known, ticket, decision).await {
        Ok((ticket, server)) => exchange(conn, setup, buf, prepared, ticket, server).await.0,
        Err(next) => next,
    }
}

/// Does what the machine says until there is a connection to a server. `Err`: the call is over.
pub(super) async fn obey(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    head: &mut Vec<u8>,
    (facts, soap): (Facts, Option<&Soap>),
    ticket: Ticket,
    mut decision: Decision,
) -> Result<(Ticket, ServerConn), Next> {
    loop {
        match decision {
            Decision::Admit(server) => {
                let repeatable = connect::repeatable(&facts, buf.as_ref());
                match reach(conn, setup, &server, &ticket, repeatable).await {
                    Connected::Yes(server_conn) => return Ok((ticket, server_conn)),
                    Connected::Failed(why) => decision = ticket.not_dialled(why),
                    Connected::ClientLeft => {
                        ticket.client_gone();
                        ticket.done(Outcome::Incomplete, end(Who::Client, Step::Connect), 0);
                        return Err(Next::Close);
                    }
                }
            }
            Decision::Hold => match held(conn, buf, head, &ticket).await {
                Some(next) => decision = next,
                None => {
                    ticket.leave(end(Who::Client, Step::Queue));
                    return Err(Next::Close);
                }
            },
            Decision::TurnAway { reason, retry_after } => {
                let refusing = refuse::turn_away(conn, setup, &facts, buf, (reason, retry_after), soap);
                let (status, next) = Box::pin(refusing).await;
                let who =
                    if matches!(reason, Reason::Draining | Reason::Maintenance) { Who::Operator } else { Who::Gate };
                ticket.close(end(who, Step::Queue), status);
                return Err(next);
            }
            Decision::Expire => {
                let why = (Reason::Deadline, Span::secs(1));
                let (status, next) = Box::pin(refuse::turn_away(conn, setup, &facts, buf, why, soap)).await;
                ticket.abandon(end(Who::Server, Step::Connect), status);
                return Err(next);
            }
        }
    }
}

/// Waits for the machine's next word; `None` when the client leaves first.
async fn held(conn: &mut Conn, buf: &mut Option<Buf>, head: &mut Vec<u8>, ticket: &Ticket) -> Option<Decision> {
    head.shrink_to_fit();
    waiting::wait(conn, buf, head.len(), |_| match ticket.poll_mail() {
        Poll::Ready(Decision::Hold) => Poll::Pending,
        said => said,
    })
    .await
}

pub(super) async fn reach(
    conn: &mut Conn,
    setup: &Setup,
    server: &Arc<Server>,
    ticket: &Ticket,
    repeatable: bool,
) -> Connected {
    let now = conn.home.timers.now();
    if let Some(bound) = conn.bound.take().and_then(|bound| bound.resume(server, now)) {
        return Connected::Yes(bound);
    }
    let why = match connect::idle(conn, setup, server, repeatable) {
        Ok(idle) => return Connected::Yes(idle),
        Err(why) => why,
    };
    let connected = connect::fresh(conn, setup, server, why).await;
    if matches!(connected, Connected::Yes(_)) {
        ticket.connected(Some(why));
    }
    connected
}

pub(super) async fn exchange(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    prepared: Prepared,
    mut ticket: Ticket,
    mut server: ServerConn,
) -> (Next, Option<Box<Hooks>>) {
    let home = Rc::clone(&conn.home);
    if buf.as_ref().is_some_and(Buf::is_empty) {
        *buf = None;
    }
    let facts = prepared.facts;
    home.retries.borrow_mut().sent();
    let replay = server.reused.then(|| home.buffers.charge(prepared.head.len()));
    let mut state = Exchange::new(&home, setup, facts, prepared.head, prepared.rewrite);
    state.hooks = prepared.hooks;
    if let Some(rest) = state.hooks.as_mut().and_then(|hooks| hooks.begun.take()) {
        state.resume(rest);
    }
    if server.reused && facts.method != Method::Other {
        state.keep_request();
    }
    let mut risk = server.risky.then(|| home.risk());
    let mut permit = None;
    let ended = loop {
        let ended = poll_fn(|cx| state.poll(cx, (&ticket, conn.slot), &mut conn.stream, buf, &mut server)).await;
        let Ended::NoAnswer(verdict) = ended else { break ended };
        if server.reused && state.lost_at_once() {
            server.server().lost(home.timers.now(), server.idled);
        }
        let Verdict::Again(why) = verdict else { break ended };
        drop(risk.take());
        permit = Box::pin(retry::permit(conn, &home, setup)).await;
        if permit.is_none() {
            home.service.stats.retries_refused.add(1);
            break Ended::NoAnswer(Verdict::Never(Never::Budget));
        }
        home.service.stats.retry(why);
        let again = server.server().clone();
        drop(server);
        let known = (facts, prepared.soap.as_ref());
        match Box::pin(retry::connect(conn, setup, buf, (&mut state, known), ticket, &again)).await {
            Ok((kept, fresh)) => (ticket, server) = (kept, fresh),
            Err(next) => {
                let hooks = state.hooks.take();
                state.finish();
                return (next, hooks);
            }
        }
        state.rewind();
    };
    drop((risk, permit, replay));
    state.up.release(buf);
    home.service.stats.bytes_in.add(state.up.written);
    home.service.stats.bytes_out.add(state.sent_down());
    let status = state.answer.map_or(0, |answer| answer.status);
    if let Some(idle) = state.answer.and_then(|answer| answer.idle) {
        server.server().announces_idle(home.timers.now(), idle);
    }
    let told = state.told;
    let (opened, closed) = state.session;
    if state.spoke_on {
        server.server().distrust(home.timers.now());
    }
    let rest = state.take_rest();
    let parked = state.is_parked();
    let hooks = state.hooks.take();
    server.bound |= state.binds();
    state.finish();
    let answered =
        if told.overload { Outcome::Overload } else { Outcome::Answered { opened, closed: closed || told.closed } };
    let broken = |conn: &ServerConn| conn.server().stats.connections_dropped.add(1);
    server.server().stats.reuses.add(u64::from(server.reused && status > 0));
    let next = match ended {
        Ended::Whole { server: after, keep_client } => {
            match (after, server.bound) {
                (After::Again, false) if setup.plan.pool_scope == PoolScope::Service && !parked => {
                    server.give_back(home.timers.now());
                }
                (After::Again, true) if keep_client => conn.bound = Some(Box::new(server.rest(home.timers.now()))),
                (After::Again | After::Done, _) => server.close(),
                (After::Amid, _) => drop(server),
            }
            ticket.done(answered, end(Who::Server, Step::Done), status);
            if keep_client { Next::Idle } else { Next::Linger }
        }
        Ended::Held(after) => {
            match after {
                After::Again if setup.plan.pool_scope == PoolScope::Service => server.give_back(home.timers.now()),
                After::Again | After::Done => server.close(),
                After::Amid => drop(server),
            }
            ticket.done(answered, end(Who::Server, Step::Done), status);
            Next::Idle
        }
        Ended::Switched => {
            ticket.done(answered, end(Who::Server, Step::Done), status);
            server.leave_place();
            if let Some(stream) = server.stream() {
                let both = ((&mut conn.stream, buf.take()), (stream, rest));
                let run = tunnel::run(&home, conn.slot, setup.io.idle_timeout, both.0, both.1);
                let (up, down) = Box::pin(run).await;
                home.service.stats.bytes_in.add(up);
                home.service.stats.bytes_out.add(down);
            }
            Next::Close
        }
        Ended::Client(fault) => {
            drop(server);
            let next = client_fault(conn, fault, status).await;
            ticket.done(Outcome::Incomplete, end(Who::Client, Step::Request), status);
            next
        }
        Ended::NoAnswer(_) | Ended::Garbage => {
            broken(&server);
            drop(server);
            let why = match ended {
                Ended::NoAnswer(Verdict::Never(never)) => never.text(),
                _ => "the server gave no answer that can be passed on",
            };
            no_answer(conn, &facts, ticket, (why, speaks_soap(&hooks))).await
        }
        Ended::Cut => {
            broken(&server);
            ticket.done(Outcome::Broken, end(Who::Server, Step::Response), status);
            Next::Close
        }
        Ended::Stalled => {
            broken(&server);
            ticket.abandon(end(Who::Server, Step::Response), status);
            Next::Close
        }
        Ended::Expired => {
            broken(&server);
            drop(server);
            if speaks_soap(&hooks) {
                refuse::fault(conn).await;
            } else {
                let head_only = facts.method == Method::Head;
                refuse::say(conn, 504, "the server did not answer in time", true, head_only).await;
            }
            ticket.abandon(end(Who::Server, Step::Wait), 504);
            Next::Linger
        }
        Ended::Memory => {
            drop(server);
            if status == 0 {
                refuse::say(conn, 503, Reason::Memory.word(), true, facts.method == Method::Head).await;
            }
            ticket.done(Outcome::Broken, end(Who::Gate, Step::Response), 503);
            Next::Linger
        }
    };
    (next, hooks)
}

async fn no_answer(conn: &mut Conn, facts: &Facts, ticket: Ticket, (why, soap): (&str, bool)) -> Next {
    ticket.done(Outcome::Broken, end(Who::Server, Step::Wait), 502);
    if soap {
        refuse::fault(conn).await;
    } else {
        refuse::say(conn, 502, why, true, facts.method == Method::Head).await;
    }
    Next::Linger
}

fn speaks_soap(hooks: &Option<Box<Hooks>>) -> bool {
    hooks.as_ref().is_some_and(|hooks| hooks.soap)
}

async fn client_fault(conn: &mut Conn, fault: ClientFault, status: u16) -> Next {
    let (code, why) = match fault {
        ClientFault::Left => return Next::Close,
        ClientFault::Silent => (408, "a body that did not end in time"),
        ClientFault::Garbage => (400, "a body that breaks its framing"),
    };
    if status == 0 {
        refuse::say(conn, code, why, true, false).await;
    }
    Next::Linger
}
