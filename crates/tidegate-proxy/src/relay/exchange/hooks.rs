//! What a broker wants of an exchange: its sessions stay its own, answers are judged before any of them is passed on, and
//! long polls give their slot back.

use super::{After, Exchange};
use crate::http1::Framing;
use crate::http1::body::Decoder;
use crate::http1::request::FieldRoom;
use crate::http1::response::Response;
use crate::pool::ServerConn;
use crate::service::{Service, Ticket};
use crate::vcenter::answer::{self, Judged};
use std::mem::MaybeUninit;
use std::sync::Arc;
use tidegate_core::time::{Nanos, Span};

/// A long poll that was not answered within this waits for something to happen: its slot is given back.
const PARK_AFTER: Span = Span::millis(500);

/// A long poll that waits. Dropped, it waits no more.
pub(crate) struct LongPoll(Arc<Service>);

impl LongPoll {
    /// One more, unless there are as many as there may be.
    pub(crate) fn begin(service: &Arc<Service>, max: u32) -> Option<LongPoll> {
        if service.stats.long_polls.get() >= u64::from(max) {
            return None;
        }
        service.stats.long_polls.add(1);
        Some(LongPoll(service.clone()))
    }
}

impl Drop for LongPoll {
    fn drop(&mut self) {
        self.0.stats.long_polls.sub(1);
    }
}

/// What is wanted, and what came of it.
pub(crate) struct Hooks {
    /// What is said of sessions in the answer's head is the gate's affair.
    pub(crate) private: bool,
    /// Its place among the long polls.
    _place: Option<LongPoll>,
    /// The first bytes of a good answer are looked at, not only those of a fault.
    pub(crate) peek: bool,
    /// An answer that says that the session is dead is held back: the call will be sent again.
    pub(crate) replay: bool,
    /// It is a long poll; the server is told to wait no longer than this.
    pub(crate) long_poll: Option<Span>,
    /// What the answer says of the session.
    pub(crate) judged: Judged,
    /// The token of the next page, if there is one.
    pub(crate) next_page: Option<String>,
    /// The head has the first part of the body already; how the rest is to be read.
    pub(crate) begun: Option<Decoder>,
    /// The answer was held back.
    pub(crate) held: bool,
    /// Its client reads SOAP: that there is no answer is told by a fault.
    pub(crate) soap: bool,
    /// A session of REST or VI/JSON is told from the answer to be dead.
    pub(crate) unauthorized: bool,
    /// It came.
    pub(crate) unauthorized_came: bool,
    /// What was looked at of the answer is kept.
    pub(crate) keep: bool,
    /// This is it.
    pub(crate) first: Option<Vec<u8>>,
    /// The slot was given back.
    parked: bool,
}

impl Hooks {
    pub(crate) fn new(peek: bool, replay: bool, long_poll: Option<Span>) -> Hooks {
        Hooks {
            private: true,
            _place: None,
            peek,
            replay,
            long_poll,
            judged: Judged::Other,
            next_page: None,
            begun: None,
            held: false,
            soap: false,
            unauthorized: false,
            unauthorized_came: false,
            keep: false,
            first: None,
            parked: false,
        }
    }

    /// Of a long poll whose session passes as it is.
    pub(crate) fn waiting(place: LongPoll, wait: Span) -> Hooks {
        Hooks { private: false, _place: Some(place), ..Hooks::new(false, false, Some(wait)) }
    }
}

/// What a look at an answer says.
pub(super) enum Look {
    /// More of it is needed.
    More,
    /// It may pass.
    Pass,
    /// It is held back; what is left to do on its connection.
    Hold(After),
}

impl Exchange<'_> {
    /// Looks at the answer whose head is the first `end` bytes of what came.
    pub(super) fn look(&mut self, end: usize) -> Look {
        let (Some(hooks), Some(buf)) = (&mut self.hooks, &self.sbuf) else { return Look::Pass };
        let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
        let Ok(answer) = Response::parse(&buf.filled()[..end], &mut room, self.request.method) else {
            return Look::Pass; // it is refused where it is read for good
        };
        let facts = answer.facts;
        if !hooks.private {
            return Look::Pass;
        }
        if facts.status < 400 && !(facts.status == 200 && hooks.peek) {
            return Look::Pass;
        }
        let mut decoder = Decoder::new(facts.framing);
        let mut body = self.home.buffers.scratch();
        body.extend_from_slice(&buf.filled()[end..]);
        let raw = body.len();
        let decoded = decoder.decode(&mut body).ok();
        let enough = decoder.is_done() || buf.is_full() || facts.framing == Framing::UntilClose;
        let look = match decoded {
            None => Look::Pass,
            Some(_) if !enough => Look::More,
            Some(decoded) => {
                let first = &body[..decoded.data];
                hooks.judged = answer::judge(facts.status, first);
                hooks.first = hooks.keep.then(|| first.to_vec());
                hooks.next_page = Some(first).filter(|_| facts.status == 200).and_then(answer::next_page);
                hooks.unauthorized_came = hooks.unauthorized && hooks.judged == Judged::OwnSessionDead;
                let dead = matches!(hooks.judged, Judged::OwnSessionDead | Judged::EmptyInventory);
                hooks.held = hooks.replay && dead;
                let whole = decoder.is_done() && decoded.used == raw && self.up_over && !self.up_broken;
                match (hooks.held, whole, facts.keep_alive) {
                    (false, ..) => Look::Pass,
                    (true, true, true) => Look::Hold(After::Again),
                    (true, true, false) => Look::Hold(After::Done),
                    (true, false, _) => Look::Hold(After::Amid),
                }
            }
        };
        self.home.buffers.unscratch(body);
        look
    }

    /// When a long poll must be looked at next; parks it when its time has come. `None`: it is over.
    pub(super) fn park(&mut self, ticket: &Ticket) -> Option<Nanos> {
        let Some((hooks, wait)) = self.hooks.as_mut().and_then(|hooks| hooks.long_poll.map(|wait| (hooks, wait)))
        else {
            return Some(Nanos::NEVER);
        };
        if self.answer.is_some() || !self.up_over {
            return Some(Nanos::NEVER);
        }
        let now = self.home.timers.now();
        if !hooks.parked && now >= self.begun + PARK_AFTER {
            hooks.parked = true;
            ticket.park();
        }
        if !hooks.parked {
            return Some(self.begun + PARK_AFTER);
        }
        let over = self.begun + wait + self.setup.plan.admission.upstream_timeout;
        (now < over).then_some(over)
    }

    /// Whether its session is the gate's.
    pub(super) fn is_private(&self) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| hooks.private)
    }

    /// Whether its slot was given back.
    pub(crate) fn is_parked(&self) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| hooks.parked)
    }

    /// A connection that waits for something to happen takes no place among those that calls share.
    pub(super) fn place(&self, conn: &mut ServerConn) {
        if self.is_parked() {
            conn.leave_place();
        }
    }
}
