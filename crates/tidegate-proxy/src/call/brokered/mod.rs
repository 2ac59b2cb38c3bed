//! A call to a vCenter whose sessions the gate keeps: which session it goes out on, and what of it the gate answers itself.
//!
//! read → who asks, by the token of a session of the gate's own → what the operation needs → the broker lends a session,
//! or the call waits → admission, as for any call → what was lent is established, if need be → the exchange.
//!
//! | what the call needs | where it goes |
//! | --- | --- |
//! | nothing (`Anonymous`) | on, with the client's session if it has one |
//! | any session | on the shared one, with a collector of the client's own; foreign objects are not found |
//! | its own (`Own`, `Sticky`) | on a clone, where the views of the client are made again when they are named |
//! | `Login`, `Logout`, … | answered here |
//! | a login without a password | on, and the session that it makes is this client's alone |

mod edits;
mod end;
mod head;
mod local;
mod login;
mod make;
mod other;
mod read;
mod send;
mod slot;
mod work;

use super::prepare::{Prepared, stand_alone};
use super::refuse;
use super::waiting;
use crate::broker::secret::token_digest;
use crate::broker::{Ask, Handle, Word, agent};
use crate::buffer::{Buf, Charge};
use crate::clock;
use crate::connection::{Conn, Next};
use crate::explain::Past;
use crate::http1::reply::Reply;
use crate::http1::request::Method;
use crate::lobby::{Awaits, Stay};
use crate::setup::Setup;
use crate::vcenter::table::{self, Local, Sess};
use crate::vcenter::write::{self, Answer, Say};
use crate::vcenter::{Operation, Ref, rest};
use read::{Begun, Long, Soap};
use std::sync::Arc;
use tidegate_core::admission::{ClientKey, Role};
use tidegate_core::reason::Reason;
use tidegate_core::session::broker::{Cap, DownId, Refusal};
use tidegate_core::time::Span;
use zeroize::Zeroize;

/// When a client that met a bound of the broker's is told to come back.
const COME_BACK: Span = Span::secs(5);

/// What is said of a path that the server may read in another way than the gate does.
const DISGUISED: &str = "a path that may be taken for another one";

/// A call, and all that it goes by.
pub(super) struct Call<'a> {
    conn: &'a mut Conn,
    setup: &'a Setup,
    broker: &'a Arc<Handle>,
    buf: &'a mut Option<Buf>,
    prepared: Prepared,
    /// What `explain` tells of it.
    past: Past,
    /// The client's session, if its token is one of ours.
    down: Option<DownId>,
    /// It said a token, be it ours or not.
    claims: bool,
    /// What its body costs that is longer than a block.
    charge: Option<Charge>,
    /// The first part of a body that is longer still.
    begun: Option<Begun>,
    /// It reads SOAP.
    soap: bool,
}

/// Handles the call whose head was prepared, and whose body begins in `buf`.
pub(super) async fn call(
    conn: &mut Conn,
    setup: &Setup,
    broker: Arc<Handle>,
    buf: &mut Option<Buf>,
    prepared: Prepared,
) -> Next {
    agent::ensure(&conn.home, &broker);
    let home = conn.home.clone();
    home.service.stats.open_requests.add(1);
    let past = Past::default();
    let mut call = Call {
        conn,
        setup,
        broker: &broker,
        buf,
        prepared,
        past,
        down: None,
        claims: false,
        charge: None,
        begun: None,
        soap: false,
    };
    let token = head::session(&call.prepared.head);
    call.claim(token.as_deref());
    let next = match (call.is_disguised(), call.prepared.in_body.take()) {
        (true, _) => call.refuse(DISGUISED).await,
        (false, Some(_)) => call.soap().await,
        (false, None) => call.other().await,
    };
    call.prepared.head.zeroize(); // of a login by REST the password stands in it
    home.service.stats.open_requests.sub(1);
    next
}

impl Call<'_> {
    /// Whose session this token is.
    fn claim(&mut self, token: Option<&[u8]>) {
        self.claims = token.is_some();
        self.down = token.and_then(token_digest).and_then(|digest| self.broker.tables(|t| t.down_of(&digest)));
        if let Some(down) = self.down {
            self.past.user = self.broker.tables(|tables| tables.user_of(down));
        }
        if let (Some(_), Some(token)) = (self.down, token) {
            self.prepared.arrival.session = Some(self.setup.session(token));
            if self.conn.subject.is_none() {
                self.prepared.arrival.client = ClientKey(self.setup.hash(b'S', token));
            }
        } else {
            self.prepared.arrival.session = None;
        }
    }

    fn is_disguised(&self) -> bool {
        head::line(&self.prepared.head).is_none_or(|(_, target)| rest::is_disguised(path(&target)))
    }

    /// Refuses what cannot be passed on safely, and closes.
    async fn refuse(&mut self, why: &'static str) -> Next {
        Box::pin(refuse::bad_request(self.conn, crate::http1::Refusal::bad(why))).await
    }

    async fn soap(&mut self) -> Next {
        let Soap { mut op, mut body } =
            match read::soap(self.conn, self.setup, self.buf, &mut self.prepared.facts).await {
                Ok(soap) => soap,
                Err(next) => return next,
            };
        let main = head::line(&self.prepared.head).is_some_and(|(_, target)| target.starts_with("/sdk"));
        if let Some((_, token)) = &op.cookie {
            let (token, other) = (token.clone(), head::session(&self.prepared.head));
            self.claim(Some(token.as_bytes()));
            if other.is_some_and(|other| other != token.as_bytes()) {
                return self.not_authenticated(&op).await; // which is meant would be a guess
            }
        }
        if body.is_none() && self.down.is_some() && read::fits(self.prepared.facts.framing) {
            match read::long(self.conn, self.setup, self.buf, &mut self.prepared.facts).await {
                Ok(Long::Whole(soap, charge)) => (op, body, self.charge) = (soap.op, soap.body, charge),
                Ok(Long::Begun(begun)) => self.begun = Some(begun),
                Err(next) => return next,
            }
        }
        self.soap = true;
        self.classify(&op);
        let manner = table::manner(&op.namespace, &op.name);
        let session = match (main, self.claims) {
            (true, _) => manner.session,
            (false, true) => Sess::Shared,
            (false, false) => Sess::Anonymous,
        };
        match session {
            Sess::Local(Local::Login) => self.login(op).await,
            Sess::Local(Local::Logout) => self.logout(&op).await,
            Sess::Local(Local::SessionIsActive) => self.is_active(&op, body.as_deref()).await,
            Sess::Local(Local::Terminate) => self.terminate(op, body).await,
            // Whoever waits does that on a clone: there is nothing to end.
            Sess::Own if op.name == "CancelWaitForUpdates" && self.is_on_shared() => {
                self.reply(&write::void(&op.name), "").await
            }
            Sess::Unshared => self.login_own(&op, body).await,
            Sess::Anonymous if self.down.is_none() => self.nameless(op, body).await,
            Sess::Shared if self.down.is_none() && (!self.claims || is_public(&op)) => self.nameless(op, body).await,
            _ if self.down.is_none() => self.not_authenticated(&op).await,
            session => self.send(op, body, session, manner, main).await,
        }
    }

    /// What a SOAP call is for, and what it may cost. One that goes through a view, or names many objects, reads hundreds where
    /// others of its name read one, and bulk principals are not like others: what they cost is learned apart.
    fn classify(&mut self, op: &Operation) {
        let bulk = self.is_bulk();
        let many = !op.session_refs.is_empty() || self.charge.is_some() || self.begun.is_some();
        let kind: &'static [u8] = match (many, bulk) {
            (false, false) => b"",
            (true, false) => b" (many)",
            (false, true) => b" (bulk)",
            (true, true) => b" (bulk, many)",
        };
        if let Some(vcenter) = self.setup.vcenter() {
            let known = vcenter.known_as(&op.name, kind);
            self.prepared.tell(known.plan.role, (known.key, known.plan.cost_milli), known.label, None);
        }
        self.yields(bulk);
    }

    /// What bulk principals do gives way to what others do; who is not logged in is a client by connection.
    fn yields(&mut self, bulk: bool) {
        let arrival = &mut self.prepared.arrival;
        if bulk && matches!(arrival.role, Role::Call | Role::Poll) {
            arrival.role = Role::Bulk;
        }
        stand_alone(self.conn, self.setup, arrival);
    }

    /// Which of the plan's principals its client is: its place among them, from 1 on; 0: none of them.
    fn principal(&self) -> u16 {
        let Some(vcenter) = self.setup.vcenter() else { return 0 };
        let user = self.broker.tables(|tables| {
            let principal = tables.downs.get(&self.down?)?.principal;
            tables.principals.get(&principal).map(|known| known.user.clone())
        });
        user.map_or(0, |user| vcenter.plan().principal(&user))
    }

    /// Whether the plan calls its principal bulk.
    fn is_bulk(&self) -> bool {
        let place = usize::from(self.principal()).checked_sub(1);
        let plan = self.setup.vcenter().map(|vcenter| vcenter.plan());
        plan.zip(place).and_then(|(plan, at)| plan.principals.get(at)).is_some_and(|principal| principal.bulk)
    }

    fn is_on_shared(&self) -> bool {
        use tidegate_core::session::broker::Kind;
        self.down.is_some_and(|down| self.broker.kind_of(down).is_none_or(|kind| kind == Kind::Shared))
    }

    /// Waits for the broker's next word; `None` when the client leaves first.
    async fn hear(&mut self, ask: &mut Ask<'_>, kept: usize) -> Option<Word> {
        let mut stay = Stay::new(self.conn.home.service.clone(), Awaits::Session);
        let (prepared, past) = (&self.prepared, &self.past);
        let word = waiting::wait(self.conn, self.buf, kept, |cx| {
            let word = ask.poll(cx);
            if word.is_pending() {
                stay.begin(|at| past.of(prepared.record(None, at)));
            }
            word
        })
        .await;
        let waited = stay.end();
        if waited > Span::ZERO {
            self.past.before.session = self.past.before.session + waited;
        }
        word
    }

    /// Answers in the vCenter's place. `lines`: more of the head.
    async fn reply(&mut self, answer: &Answer, lines: &str) -> Next {
        self.say(answer.status, answer.content_type, &answer.body, lines).await
    }

    async fn say(&mut self, status: u16, kind: &str, body: &[u8], lines: &str) -> Next {
        let facts = self.prepared.facts;
        let close = refuse::closes(self.conn, &facts);
        let head_only = facts.method == Method::Head;
        let reply = Reply { status, kind, body, retry_after: None, lines, close, head_only };
        if !refuse::send(self.conn, &reply).await {
            return Next::Close;
        }
        if close { Next::Linger } else { refuse::skip_body(self.conn, self.setup, &facts, self.buf).await }
    }

    async fn not_authenticated(&mut self, op: &Operation) -> Next {
        let nobody = Ref { kind: "ServiceInstance".into(), id: "ServiceInstance".into(), at: 0..0 };
        let object = op.this.clone().unwrap_or(nobody);
        let say = Say::NotAuthenticated { object, privilege: "System.View".into() };
        self.fault(&say).await
    }

    async fn fault(&mut self, say: &Say) -> Next {
        self.reply(&write::fault(say, None), "").await
    }

    /// "Later", as a plain 503; pyVmomi takes nothing else for it.
    async fn later(&mut self, why: Refusal) -> Next {
        let reason = match why {
            Refusal::Late => Reason::Deadline,
            Refusal::Draining => Reason::Draining,
            Refusal::TooMany(Cap::SessionsPerPrincipal) => Reason::ClientCap,
            Refusal::Upstream => Reason::ServerDown,
            _ => Reason::QueueFull,
        };
        self.turn_away(reason, why.name()).await
    }

    async fn turn_away(&mut self, reason: Reason, detail: &'static str) -> Next {
        self.conn.home.service.stats.refuse(reason);
        let facts = self.prepared.facts;
        let refusing = refuse::turn_away(self.conn, self.setup, &facts, self.buf, (reason, COME_BACK), None);
        let (status, next) = refusing.await;
        refuse::remember(
            self.conn,
            self.past.of(self.prepared.record(None, clock::now())),
            (reason, Some(detail), COME_BACK),
            status,
        );
        next
    }
}

/// A target without its query.
fn path(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// Whether it asks only about what a vCenter tells everybody: what it is, and whether somebody is logged in.
fn is_public(op: &Operation) -> bool {
    let public = |object: &Ref| matches!(object.id.as_str(), "ServiceInstance" | "SessionManager");
    let collects = |object: &Ref| object.id == "propertyCollector";
    let asked = op.this.iter().filter(|this| !collects(this)).chain(&op.named);
    op.names_current_session || asked.clone().next().is_some() && asked.clone().all(public)
}
