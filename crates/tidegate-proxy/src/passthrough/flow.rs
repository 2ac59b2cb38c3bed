//! Bytes both ways between a client and its server, turn by turn.

mod down;
mod ending;
mod haul;
mod turn;
mod turns;
mod up;

use super::seat::Seat;
use super::{Caller, Link};
use crate::buffer::Buf;
use crate::clock;
use crate::connection::Conn;
use crate::home::Home;
use crate::service::Ticket;
use crate::stats::Reaped;
use haul::Haul;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tidegate_core::reason::{Reason, Who};
use tidegate_core::time::Nanos;
use tokio::time::Sleep;
pub(super) use turns::Turns;

/// Rounds of reading and writing before other connections get a turn.
const ROUNDS: usize = 16;

/// Whether something happened that may let something else happen.
enum Moved {
    Yes,
    No,
}

/// How a connection ends early.
enum Broken {
    /// Not TLS, from either side.
    NotTls(Who),
    /// The server reset, or does not take bytes.
    Server,
    /// The client does not take bytes.
    Client,
    /// No buffer is free.
    Memory,
    /// The machine said so.
    TurnedAway(Reason),
    Expired,
    /// Silent for too long between turns.
    Idle(Reaped),
    /// The gate drains.
    Drained,
}

/// The turn in progress, if any.
enum Turn {
    Between,
    /// Waits for admission; the client's bytes stay here.
    Asked(Ticket),
    Open(Ticket),
}

/// One connection, both sides of it.
pub(super) struct Flow {
    conn: Conn,
    home: Rc<Home>,
    link: Link,
    turns: Turns,
    seat: Seat,
    caller: Caller,
    turn: Turn,
    /// Turns that have begun after the establishment.
    begun: u64,
    /// No turn has been over yet.
    first: bool,
    /// The server has sent something in this turn.
    answered: bool,
    /// From the client; the first `allowed` bytes may go to the server.
    up: Option<Buf>,
    allowed: usize,
    up_haul: Haul,
    /// From the server.
    down: Option<Buf>,
    down_haul: Haul,
    client_ended: bool,
    /// Nothing can be sent to the client any more.
    client_lost: bool,
    server_ended: bool,
    /// The client knows that the server has ended (only where each side may end alone).
    client_told: bool,
    /// The server takes no more bytes; what it still sends is passed on.
    server_deaf: bool,
    /// The server knows that the client has ended.
    server_told: bool,
    last_turn: Nanos,
    last_answer: Nanos,
    last_byte: Nanos,
    /// Since when bytes wait for a side that does not take them.
    stalled: Option<Nanos>,
    /// For moments that the coarse timers are too coarse for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Flow {
    pub(super) fn new(conn: Conn, link: Link, turns: Turns, ticket: Ticket, caller: Caller, seat: Seat) -> Flow {
        let now = clock::now();
        let home = conn.home.clone();
        Flow {
            conn,
            home,
            link,
            turns,
            seat,
            caller,
            turn: Turn::Open(ticket),
            begun: 0,
            first: true,
            answered: false,
            up: None,
            allowed: 0,
            up_haul: Haul::default(),
            down: None,
            down_haul: Haul::default(),
            client_ended: false,
            client_lost: false,
            server_ended: false,
            client_told: false,
            server_deaf: false,
            server_told: false,
            last_turn: now,
            last_answer: now,
            last_byte: now,
            stalled: None,
            sleep: None,
        }
    }

    /// Moves bytes until the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            match self.round(cx) {
                Ok(Moved::Yes) => {}
                Ok(Moved::No) if self.is_over() => return self.close(cx),
                Ok(Moved::No) => match self.arm(cx) {
                    Some(broken) => return self.break_off(&broken),
                    None => return Poll::Pending,
                },
                Err(broken) => return self.break_off(&broken),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if let Some(why) = self.seat.closed() {
            return Err(Broken::Idle(why));
        }
        self.read_mail()?;
        let now = clock::now();
        let over = self.home.passthrough.with_learned(&self.link.server, |l| self.turns.wake(now, l));
        self.turn_over(over);
        let (up, down) = ([self.forward(cx)?, self.read_client(cx)?], [self.read_server(cx)?, self.answer(cx)?]);
        let steps = up.into_iter().chain(down).chain([self.tell(cx)?]);
        let moved = { steps }.any(|step| matches!(step, Moved::Yes));
        if moved {
            self.last_byte = clock::now();
            self.seat.touch(self.last_byte);
        }
        Ok(if moved { Moved::Yes } else { Moved::No })
    }
}
