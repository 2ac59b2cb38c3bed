//! A call goes out on the session that it is lent.

use super::edits::Foreign;
use super::head::{self, Carrier};
use super::slot::Slot;
use super::{Call, end};
use crate::broker::table::Remains;
use crate::broker::upstream::AskFailed;
use crate::broker::{Ask, Word};
use crate::call::dispatch;
use crate::connection::Next;
use crate::relay::exchange::hooks::{Hooks, LongPoll};
use crate::tasks::TaskHold;
use crate::vcenter::answer::{self, Judged};
use crate::vcenter::table::{Makes, Manner, Sess};
use crate::vcenter::write::{self, Say};
use crate::vcenter::{Operation, edit, sessions};
use tidegate_core::reason::Reason;
use tidegate_core::session::broker::{DownId, Event, Holds, Make, Need, Refusal, UpId};
use tidegate_core::time::Span;
use zeroize::Zeroizing;

/// A call is sent at most so often: once more when its session turns out to be dead and it has done nothing.
const ATTEMPTS: usize = 2;
/// A call is lent a session at most so often: sessions may end while it waits for its slot.
const LENDS: usize = 8;

/// What became of an attempt.
pub(super) enum Tried {
    /// The call is over.
    Over(Next),
    /// Its session is dead, and nothing was executed.
    Dead,
    /// Its session ended before it was sent.
    Unsent,
}

/// A SOAP call on its way.
pub(super) struct Way<'o> {
    pub(super) op: &'o Operation,
    /// All of its body; `None`: it streams.
    pub(super) body: Option<&'o [u8]>,
    pub(super) session: Sess,
    pub(super) manner: Manner,
    /// It goes to vim25, not to a service beside it.
    pub(super) main: bool,
}

impl Way<'_> {
    /// Whether it makes a view that could not be made again elsewhere. `follows`: whether one by so long a request could.
    fn makes_unmovable_view(&self, follows: impl FnOnce(usize) -> bool) -> bool {
        self.manner.makes == Makes::View && !follows(self.body.map_or(0, <[u8]>::len))
    }
}

impl Call<'_> {
    pub(super) async fn send(
        &mut self,
        op: Operation,
        body: Option<Zeroizing<Vec<u8>>>,
        session: Sess,
        manner: Manner,
        main: bool,
    ) -> Next {
        let Some(down) = self.down else { return self.not_authenticated(&op).await };
        let way = Way { op: &op, body: body.as_ref().map(|body| &body[..]), session, manner, main };
        let manager = op.this.as_ref().is_some_and(|this| this.id == "SessionManager");
        let names = op.names_current_session || op.names_session_list || manager && way.body.is_none();
        if way.body.is_none() && (names || op.cookie.is_some() || !op.session_refs.is_empty()) {
            return self.say(413, "text/plain", b"more than 256 KiB of SOAP that names a session\n", "").await;
        }
        if names && op.name == "CreateFilter" {
            return self.fault(&Say::InvalidRequest).await; // updates stream, and would tell of the gate's own sessions
        }
        let service = self.conn.home.service.clone();
        let most = self.setup.long_polls_max();
        let _place = match way.manner.long_poll.then(|| LongPoll::begin(&service, most)) {
            Some(None) => return self.turn_away(Reason::QueueFull, "long-polls-max").await,
            place => place,
        };
        let need = match session {
            Sess::Own | Sess::Sticky | Sess::Local(_) => Need::Own,
            Sess::Paging if way.body.is_some() => {
                let page = |token: &String| self.broker.tables(|tables| tables.page_at(down, token));
                op.token.as_ref().and_then(page).map_or(Need::Shared, Need::Page)
            }
            _ if way.body.is_none() || op.max_objects => Need::Own, // pages belong to one reader
            _ if way.makes_unmovable_view(|length| self.broker.tables(|t| t.follows_view(down, length))) => Need::Own,
            _ => Need::Shared,
        };
        let broker = self.broker.clone();
        let mut sent = 0;
        for _ in 0..LENDS {
            let mut ask = broker.ask(|ask| Event::Use { ask, down, need });
            let kept = self.kept(&way);
            let (up, make) = match self.hear(&mut ask, kept).await {
                Some(Word::Lend { up, make }) => (up, make),
                Some(Word::Refuse(Refusal::NotAuthenticated | Refusal::InvalidLogin)) => {
                    return self.not_authenticated(&op).await;
                }
                Some(Word::Refuse(why)) => return self.later(why).await,
                _ => return Next::Close,
            };
            if way.manner.destroys
                && let Some(left) = op.this.as_ref().and_then(|this| self.left_elsewhere(down, up, &this.id))
            {
                self.broker.clean(left);
                ask.done(Holds::Unchanged);
                return self.reply(&write::void(&op.name), "").await;
            }
            match self.attempt(&mut ask, (down, up, make), &way).await {
                Tried::Over(next) => {
                    self.lease_told(&way);
                    let holds = end::holds(self.broker, (down, up), &way);
                    ask.done(holds);
                    return next;
                }
                Tried::Dead => {
                    ask.done(Holds::Unchanged);
                    sent += 1;
                    if sent == ATTEMPTS {
                        break;
                    }
                }
                Tried::Unsent => ask.done(Holds::Unchanged),
            }
        }
        self.not_authenticated(&op).await
    }

    /// Takes a view from its client that is on another session than the call: it is destroyed there.
    fn left_elsewhere(&self, down: DownId, up: UpId, name: &str) -> Option<Vec<Remains>> {
        self.broker.tables(|tables| {
            let view = tables.view(down, name).filter(|view| view.up != up)?.clone();
            tables.destroyed(down, name);
            let there = tables.ups.contains_key(&view.up);
            let left = Remains { up: view.up, collectors: Vec::new(), views: vec![view.there] };
            Some(if there { vec![left] } else { Vec::new() })
        })
    }

    /// How many bytes the call keeps while it waits, beside those that are paid already.
    fn kept(&self, way: &Way<'_>) -> usize {
        let body = way.body.filter(|_| self.charge.is_none());
        body.map_or(0, <[u8]>::len) + self.prepared.head.len()
    }

    async fn attempt(&mut self, ask: &mut Ask<'_>, lent: (DownId, UpId, Option<Make>), way: &Way<'_>) -> Tried {
        let (down, up, mut make) = lent;
        let kept = self.kept(way);
        self.lives_at(up);
        if way.manner.work.is_some()
            && let Some(make) = make.take()
        {
            // Others may wait for this session, so it does not wait for a task slot.
            let mut slot = match self.admitted(kept).await {
                Ok(slot) => slot,
                Err(next) => return Tried::Over(next),
            };
            if let Err(failed) = self.establish(ask, &mut slot, down, make).await {
                return self.not_made(slot, failed).await;
            }
            self.unused(slot);
        }
        let hold = match self.task_slot((down, up), kept, way).await {
            Ok(hold) => hold,
            Err(next) => return Tried::Over(next),
        };
        let mut slot = match self.admitted(kept).await {
            Ok(slot) => slot,
            Err(next) => return Tried::Over(next),
        };
        if let Some(make) = make
            && let Err(failed) = self.establish(ask, &mut slot, down, make).await
        {
            return self.not_made(slot, failed).await;
        }
        let Some((cookie, kind)) = self.broker.tables(|t| t.ups.get(&up).map(|up| (up.cookie.clone(), up.kind))) else {
            self.unused(slot);
            return Tried::Unsent; // it ended while the call waited for its slot
        };
        let edits = match self.edits(&mut slot, (down, up, kind), &cookie, way).await {
            Ok(edits) => edits,
            Err(Foreign::NotFound(object)) => {
                self.unused(slot);
                return Tried::Over(self.fault(&Say::ManagedObjectNotFound(object)).await);
            }
            Err(Foreign::Dead) => {
                self.unused(slot);
                self.broker.dead(up);
                return Tried::Unsent;
            }
            Err(Foreign::Failed(failed)) => {
                self.close(slot, Err(failed));
                return Tried::Over(self.no_answer(failed).await);
            }
        };
        let body = way.body.map(|body| Zeroizing::new(edit(body, &edits)));
        let carrier = way.main || way.op.cookie.is_none();
        let session = carrier.then_some((Carrier::Cookie, cookie.as_str()));
        let length = body.as_ref().map(|body| body.len());
        let Some(mut request) = head::with(&self.prepared.head, session, length) else {
            self.unused(slot);
            return Tried::Over(Next::Close);
        };
        request.reserve_exact(length.unwrap_or_default());
        body.iter().for_each(|body| request.extend_from_slice(body));
        drop(body);
        self.begun.iter().for_each(|begun| begun.write_to(&mut request));
        let long = self.charge.is_some() || self.begun.is_some();
        let _charge = long.then(|| self.conn.home.buffers.charge(request.len()));
        let lists = way.op.names_current_session || way.op.names_session_list;
        if way.body.is_some()
            && (way.manner.makes != Makes::Nothing
                || lists
                || way.manner.destroys
                || way.manner.work.is_some()
                || way.session == Sess::Sticky)
        {
            return self.whole(slot, &request, (down, up), (way, hold)).await;
        }
        self.stream(slot, request, (down, up), (way, hold)).await
    }

    /// Only the server where its session lives may have the call.
    pub(super) fn lives_at(&mut self, up: UpId) {
        let server = self.broker.tables(|tables| tables.ups.get(&up).map(|up| up.server.clone()));
        self.prepared.arrival.server = server.and_then(|server| self.setup.id_of(&server));
    }

    /// Passes the answer on as it comes, once its first bytes were seen.
    async fn stream(
        &mut self,
        mut slot: Slot,
        request: Vec<u8>,
        (down, up): (DownId, UpId),
        (way, mut hold): (&Way<'_>, Option<TaskHold>),
    ) -> Tried {
        let line = match self.line(&mut slot).await {
            Ok(line) => line,
            Err(failed) => {
                self.close(slot, Err(failed));
                return Tried::Over(self.no_answer(failed).await);
            }
        };
        let long_poll = way.manner.long_poll.then(|| self.long_poll(way));
        let mut hooks = Hooks::new(way.manner.peek, way.manner.replay && way.body.is_some(), long_poll);
        hooks.keep = hold.is_some(); // it names what was begun
        hooks.begun = self.begun.as_ref().map(|begun| begun.rest.clone());
        hooks.soap = true;
        let prepared = self.prepared.with(request, hooks);
        hold.iter_mut().for_each(TaskHold::sent);
        let (next, hooks) = dispatch::exchange(self.conn, self.setup, self.buf, prepared, slot.ticket, line).await;
        let Some(mut hooks) = hooks else { return Tried::Over(next) };
        if let (Some(hold), Some(first)) = (hold, hooks.first.take()) {
            hold.answered(&first);
        }
        if way.op.name.contains("RetrieveProperties") && hooks.judged == Judged::Fine {
            let next = hooks.next_page.as_deref();
            self.broker.tables(|tables| tables.paged(down, up, way.op.token.as_deref(), next));
        }
        self.judged(up, hooks.judged);
        if hooks.held { Tried::Dead } else { Tried::Over(next) }
    }

    /// Reads the answer whole: it makes something, ends something, or tells of sessions.
    async fn whole(
        &mut self,
        mut slot: Slot,
        request: &[u8],
        (down, up): (DownId, UpId),
        (way, mut hold): (&Way<'_>, Option<TaskHold>),
    ) -> Tried {
        hold.iter_mut().for_each(TaskHold::sent);
        let said = self.ask(&mut slot, request, way.manner.replay).await;
        if let (Some(hold), Ok(said)) = (hold, &said) {
            hold.answered(&said.body);
        }
        self.close(slot, said.as_ref().map_err(|failed| *failed));
        let mut said = match said {
            Ok(said) => said,
            Err(failed) => return Tried::Over(self.no_answer(failed).await),
        };
        let judged = answer::judge(said.status, &said.body);
        self.judged(up, judged);
        if way.manner.replay && matches!(judged, Judged::OwnSessionDead | Judged::EmptyInventory) {
            return Tried::Dead;
        }
        if said.status == 200 {
            end::note(self.broker, (down, up), way, &said.body);
            if let Some(told) = end::changed(self.broker, down, way, &said.body) {
                return Tried::Over(self.reply(&told, "").await);
            }
            if way.op.names_current_session || way.op.names_session_list {
                if answer::next_page(&said.body).is_some() {
                    return Tried::Over(self.fault(&Say::InvalidRequest).await); // so would the next pages
                }
                match self.told_sessions(down, &said.body) {
                    Some(body) => said.body = body,
                    None => return Tried::Over(self.no_answer(AskFailed::TooLong).await),
                }
            }
        }
        Tried::Over(self.say(said.status, &said.kind, &said.body, "").await)
    }

    fn told_sessions(&self, down: DownId, body: &[u8]) -> Option<Vec<u8>> {
        self.broker.tables(|tables| {
            let mine = tables.downs.get(&down)?;
            let mates = tables.downs.iter().filter(|(other, _)| tables.mates(**other, down));
            let listed: Vec<_> = mates.map(|(_, other)| other.session.clone()).collect();
            sessions::rewrite(body, &|key| tables.is_ours(key), &mine.session, &listed).ok()
        })
    }

    /// What an answer said of its session.
    pub(super) fn judged(&self, up: UpId, judged: Judged) {
        match judged {
            Judged::OwnSessionDead | Judged::EmptyInventory => self.broker.dead(up),
            Judged::StaleGateway => self.broker.event(Event::Stale { up }),
            Judged::Fine | Judged::Other => {}
        }
        self.conn.home.service.stats.judged(judged);
    }

    /// How long the server may keep a long poll.
    pub(super) fn long_poll(&self, way: &Way<'_>) -> Span {
        let Some(vcenter) = self.setup.vcenter() else { return Span::ZERO };
        let longest = vcenter.plan().long_poll_max;
        let life = vcenter.broker().map_or(longest, |broker| broker.life);
        way.op.max_wait_s.as_ref().map_or(life, |(_, wait)| Span::secs(*wait).min(longest))
    }
}
