//! What is no SOAP: REST and VI/JSON by their header, everything else with the cookie mapped.
//!
//! REST keeps no state in a session, so all clients of a principal share one. A login by VI/JSON makes a session that is
//! its client's alone, as one by token does.

use super::Call;
use super::head::{self, Carrier};
use super::login::{Entered, Opened};
use super::make::NotMade;
use super::send::Tried;
use super::slot::Slot;
use crate::broker::Word;
use crate::broker::table::Up;
use crate::broker::upstream;
use crate::call::dispatch;
use crate::connection::Next;
use crate::http1::Framing;
use crate::relay::exchange::hooks::Hooks;
use crate::vcenter::rest::{self, Api, Meaning};
use crate::vcenter::table::{self, Sess};
use crate::vcenter::{Login, Operation, answer};
use tidegate_core::session::broker::{DownId, Event, Holds, Kind, Need, Refusal, UpId};
use zeroize::Zeroizing;

/// What REST says to somebody who is not logged in.
const UNAUTHENTICATED: &[u8] = b"{\"error_type\":\"UNAUTHENTICATED\",\"messages\":[{\"args\":[],\"default_message\":\
    \"Authentication required.\",\"id\":\"com.vmware.vapi.endpoint.method.authentication.required\"}]}";
const JSON: &str = "application/json";
/// What VI/JSON cannot do on a session that clients share.
const ELSEWHERE: &[u8] = b"this needs a session of its own: log in by VI/JSON's SessionManager, or by SOAP\n";

/// How many bytes a login may have, other than by SOAP.
const LOGIN_MAX: u64 = 8 << 10;

impl Call<'_> {
    pub(super) async fn other(&mut self) -> Next {
        let Some((method, target)) = head::line(&self.prepared.head) else { return Next::Close };
        let authorization = head::field(&self.prepared.head, "authorization").map(Zeroizing::new);
        if authorization.is_some() {
            self.buf.iter_mut().for_each(|block| block.keep_secret(true));
        }
        let meaning = rest::read(&method, &target, authorization.as_deref().map(|value| value.as_bytes()));
        self.yields(self.is_bulk());
        if target == "/api" {
            return self.plain(None).await; // JSON-RPC of vCenter's own SDK: its sessions stand in bodies, and pass as they are
        }
        match meaning {
            Meaning::SessionCreate { user, password, api } => {
                self.create(api, &Login { user, password, locale: None }).await
            }
            Meaning::SessionCreateOther(api) => self.create_own(Some(api), "(REST login)").await,
            Meaning::SessionDelete(api) => match self.down {
                Some(down) => {
                    self.broker.log_out(down);
                    let (status, body): (u16, &[u8]) = if api == Api::New { (204, b"") } else { (200, b"{}") };
                    self.say(status, JSON, body, "").await
                }
                None => self.unauthenticated().await,
            },
            Meaning::SessionGet(_) | Meaning::Call(_) if self.down.is_none() => self.unauthenticated().await,
            Meaning::SessionGet(_) | Meaning::Call(_) => {
                let replay = method == "GET" && self.prepared.facts.framing == Framing::None;
                self.through(Carrier::Header, replay).await
            }
            Meaning::ViJson { operation, id, .. } => self.vi_json(&operation, &id).await,
            Meaning::Elsewhere if rest::is_near_soap(super::path(&target)) => match method.as_str() {
                "GET" | "HEAD" if self.prepared.facts.framing == Framing::None => self.plain(None).await,
                _ => self.refuse("a path beside those of SOAP").await,
            },
            Meaning::Elsewhere if self.down.is_none() => self.plain(None).await,
            Meaning::Elsewhere => self.through(Carrier::Cookie, false).await,
        }
    }

    async fn vi_json(&mut self, operation: &str, id: &str) -> Next {
        let manner = table::manner("urn:vim25", operation);
        let kind = self.down.and_then(|down| self.broker.kind_of(down));
        match (manner.session, kind) {
            (Sess::Local(table::Local::Login) | Sess::Unshared, _) => self.create_own(None, "(VI/JSON login)").await,
            (Sess::Anonymous, None) => self.plain(None).await,
            _ if self.down.is_none() => self.unauthenticated().await,
            (Sess::Local(table::Local::Logout), _) => {
                self.down.into_iter().for_each(|down| self.broker.log_out(down));
                self.say(204, JSON, b"", "").await
            }
            (Sess::Local(table::Local::Terminate), _) => self.say(501, "text/plain", ELSEWHERE, "").await,
            (_, Some(Kind::Shared | Kind::Clone)) if id.starts_with("session") => {
                self.say(404, JSON, b"{}", "").await // an object of a session, which may be another client's
            }
            (_, Some(Kind::Own)) | (Sess::Anonymous | Sess::Shared, _) => {
                self.through(Carrier::Header, manner.replay && self.prepared.facts.framing == Framing::None).await
            }
            _ => self.say(501, "text/plain", ELSEWHERE, "").await,
        }
    }

    async fn unauthenticated(&mut self) -> Next {
        self.say(401, JSON, UNAUTHENTICATED, "").await
    }

    /// A login by REST with user and password.
    async fn create(&mut self, api: Api, login: &Login) -> Next {
        match self.enter(login).await {
            Entered::In(Opened { token, .. }) => {
                let status = if api == Api::New { 201 } else { 200 };
                let line = format!("vmware-api-session-id: {token}\r\n");
                self.say(status, JSON, rest::created(api, &token).as_bytes(), &line).await
            }
            Entered::Out(Refusal::InvalidLogin, _) => self.unauthenticated().await,
            Entered::Out(why, _) => self.later(why).await,
            Entered::Over(next) => next,
        }
    }

    /// Another login: it passes, and the session that it makes is this client's alone.
    async fn create_own(&mut self, api: Option<Api>, user: &str) -> Next {
        let body = match self.take_body().await {
            Ok(body) => body,
            Err(next) => return next,
        };
        let Some(head) = head::with(&self.prepared.head, None, Some(body.len())) else { return Next::Close };
        let request = Zeroizing::new([&head[..], &body].concat());
        let subject = self.conn.subject.as_ref().map(|subject| subject.text.clone());
        let principal = self.broker.keys.principal(user, None, subject.as_deref());
        let broker = self.broker.clone();
        let mut ask = broker.ask(|ask| Event::LoginOwn { ask, principal });
        match self.hear(&mut ask, request.len()).await {
            Some(Word::Verify { .. }) => {}
            Some(Word::Refuse(why)) => return self.later(why).await,
            _ => return Next::Close,
        }
        let mut slot = match self.admitted(request.len()).await {
            Ok(slot) => slot,
            Err(next) => return next,
        };
        let said = self.ask(&mut slot, &request, false).await;
        let server = slot.server.clone();
        self.close(slot, said.as_ref().map_err(|failed| *failed));
        let said = match said {
            Ok(said) => said,
            Err(failed) => return self.no_answer(failed).await,
        };
        let named = api.and_then(|api| rest::token(api, &said.body)).map(Zeroizing::new);
        let Some(token) = named.or_else(|| said.token.clone()).filter(|_| said.status < 300) else {
            ask.made(|up| Event::Denied { up });
            return self.say(said.status, &said.kind, &said.body, "").await;
        };
        let session = answer::user_session(&said.body).unwrap_or_default();
        ask.made(|up| {
            let known = Up::new(Kind::Own, principal, token.clone(), session, server);
            let kept = Up { api: Some(token), ..known };
            broker.tables(|tables| tables.stands(up, kept, user, None));
            Event::Verified { up }
        });
        let opened = match self.hear(&mut ask, 0).await {
            Some(Word::Open { down, up }) => self.open(down, up, principal, user),
            Some(Word::Refuse(why)) => return self.later(why).await,
            _ => return Next::Close,
        };
        let Some(opened) = opened else { return self.later(Refusal::Upstream).await };
        let line = format!("vmware-api-session-id: {}\r\n", opened.token);
        let body = api.map_or(said.body, |api| rest::created(api, &opened.token).into_bytes());
        self.say(said.status, &said.kind, &body, &line).await
    }

    /// Takes a short body out of the buffer.
    async fn take_body(&mut self) -> Result<Zeroizing<Vec<u8>>, Next> {
        let facts = self.prepared.facts;
        let fits = match facts.framing {
            Framing::None => true,
            Framing::Length(n) => n <= LOGIN_MAX,
            Framing::Chunked | Framing::UntilClose => false,
        };
        if !fits || facts.expects_continue {
            return Err(self
                .say(413, "text/plain", b"a login must be at most 8 KiB, with a Content-Length\n", "")
                .await);
        }
        let Framing::Length(length) = facts.framing else { return Ok(Zeroizing::new(Vec::new())) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.buf.iter_mut().for_each(|block| block.keep_secret(true));
        self.conn.deadline(self.setup.io.body_rate_timeout).await;
        loop {
            let Some(block) = self.buf.as_mut() else { return Err(Next::Close) };
            if let Some(here) = block.filled_mut().get_mut(..length) {
                let body = Zeroizing::new(here.to_vec());
                block.consume(length);
                self.prepared.facts.framing = Framing::None;
                return Ok(body);
            }
            super::super::body::more(self.conn, block).await?;
        }
    }

    /// Passes on without a session. `body`: all of it, if it was taken out of the buffer.
    pub(super) async fn plain(&mut self, body: Option<&[u8]>) -> Next {
        let Some(mut request) = head::with(&self.prepared.head, None, body.map(<[u8]>::len)) else {
            return Next::Close;
        };
        request.extend_from_slice(body.unwrap_or_default());
        let mut hooks = Hooks::new(false, false, None);
        hooks.soap = self.soap;
        let prepared = self.prepared.with(request, hooks);
        dispatch::admit(self.conn, self.setup, self.buf, prepared).await
    }

    /// A SOAP call of somebody who is not logged in.
    pub(super) async fn nameless(&mut self, op: Operation, body: Option<Zeroizing<Vec<u8>>>) -> Next {
        drop(op);
        self.plain(body.as_ref().map(|body| &body[..])).await
    }

    /// Passes on with the session that the client is lent.
    async fn through(&mut self, carrier: Carrier, replay: bool) -> Next {
        let Some(down) = self.down else { return self.unauthenticated().await };
        let broker = self.broker.clone();
        for _ in 0..2 {
            let mut ask = broker.ask(|ask| Event::Use { ask, down, need: Need::Shared });
            let (up, make) = match self.hear(&mut ask, self.prepared.head.len()).await {
                Some(Word::Lend { up, make }) => (up, make),
                Some(Word::Refuse(Refusal::NotAuthenticated | Refusal::InvalidLogin)) => break,
                Some(Word::Refuse(why)) => return self.later(why).await,
                _ => return Next::Close,
            };
            self.lives_at(up);
            let mut slot = match self.admitted(self.prepared.head.len()).await {
                Ok(slot) => slot,
                Err(next) => return next,
            };
            if let Some(make) = make
                && let Err(failed) = self.establish(&mut ask, &mut slot, down, make).await
            {
                match self.not_made(slot, failed).await {
                    Tried::Over(next) => return next,
                    Tried::Dead | Tried::Unsent => continue, // with the next word of the broker
                }
            }
            match self.carried(slot, (down, up), carrier, replay).await {
                Tried::Over(next) => {
                    ask.done(Holds::Unchanged);
                    return next;
                }
                Tried::Dead | Tried::Unsent => ask.done(Holds::Unchanged),
            }
        }
        self.unauthenticated().await
    }

    async fn carried(&mut self, mut slot: Slot, lent: (DownId, UpId), carrier: Carrier, replay: bool) -> Tried {
        let (_, up) = lent;
        let token = match carrier {
            Carrier::Cookie => self.broker.tables(|t| Some(t.ups.get(&up)?.cookie.clone())).ok_or(NotMade::Dead),
            Carrier::Header => self.api_token(&mut slot, up).await,
        };
        let token = match token {
            Ok(token) => token,
            Err(NotMade::Said(said)) if said.status == 401 => {
                self.close(slot, Ok(&said));
                return Tried::Over(self.unauthenticated().await);
            }
            Err(failed) => return self.not_made(slot, failed).await,
        };
        let Some(request) = head::with(&self.prepared.head, Some((carrier, token.as_str())), None) else {
            self.unused(slot);
            return Tried::Over(Next::Close);
        };
        let line = match self.line(&mut slot).await {
            Ok(line) => line,
            Err(failed) => {
                self.close(slot, Err(failed));
                return Tried::Over(self.no_answer(failed).await);
            }
        };
        let mut hooks = Hooks::new(false, replay, None);
        hooks.unauthorized = carrier == Carrier::Header;
        let prepared = self.prepared.with(request, hooks);
        let (next, hooks) = dispatch::exchange(self.conn, self.setup, self.buf, prepared, slot.ticket, line).await;
        let Some(hooks) = hooks else { return Tried::Over(next) };
        if hooks.unauthorized_came {
            self.api_died(up, &token);
        }
        if hooks.held { Tried::Dead } else { Tried::Over(next) }
    }

    /// The session of REST with this token is dead. Another one can be made, but not of one that is a client's own.
    fn api_died(&self, id: UpId, token: &str) {
        let own = self.broker.tables(|tables| {
            let up = tables.ups.get_mut(&id)?;
            up.api.take_if(|api| api.as_str() == token)?;
            Some(up.kind == Kind::Own)
        });
        if own == Some(true) {
            self.broker.dead(id);
        }
    }

    /// The session of REST that belongs to this one; made if there is none yet and the password is still known.
    async fn api_token(&mut self, slot: &mut Slot, up: UpId) -> Result<Zeroizing<String>, NotMade> {
        let turn = self.broker.tables(|t| Some(t.ups.get(&up)?.turn.clone())).ok_or(NotMade::Dead)?;
        let _mine = turn.lock().await;
        let known = self.broker.tables(|tables| {
            let up = tables.ups.get(&up)?;
            if let Some(api) = &up.api {
                return Some((Some(api.clone()), Zeroizing::new(String::new())));
            }
            let principal = tables.principals.get(&up.principal)?;
            let user = Some(&*principal.user).filter(|user| !user.contains(':'))?; // it would be taken for another
            Some((None, upstream::basic(user, principal.password.as_ref()?)))
        });
        let (api, basic) = known.ok_or(NotMade::Dead)?;
        if let Some(api) = api {
            return Ok(api);
        }
        let request = upstream::create_session(slot.server.host(), &basic);
        let said = self.ask(slot, &request, true).await.map_err(NotMade::Failed)?;
        let made = rest::token(Api::New, &said.body).filter(|_| said.status < 300).map(Zeroizing::new);
        let Some(made) = made else { return Err(NotMade::Said(said)) };
        self.broker.tables(|t| t.ups.get_mut(&up).into_iter().for_each(|up| up.api = Some(made.clone())));
        Ok(made)
    }
}
