//! Logins: answered by the gate where the password was believed a short time ago, else verified at the vCenter.

use super::Call;
use super::head;
use crate::broker::table::Up;
use crate::broker::upstream::{self, Said};
use crate::broker::{Ask, Word};
use crate::clock;
use crate::connection::Next;
use crate::vcenter::write::{self, Say, UserSession};
use crate::vcenter::{Login, Operation, answer, cookie};
use std::sync::atomic::Ordering;
use tidegate_core::session::broker::{DownId, Event, Kind, PrincipalKey, Refusal, UpId};
use zeroize::Zeroizing;

/// A client's new session.
pub(super) struct Opened {
    pub(super) token: String,
    pub(super) session: UserSession,
}

/// What came of asking the broker for a login.
pub(super) enum Entered {
    /// It is in.
    In(Opened),
    /// It is not; what the vCenter said, if it was asked.
    Out(Refusal, Option<Said>),
    /// The call is over.
    Over(Next),
}

impl Call<'_> {
    pub(super) async fn login(&mut self, op: Operation) -> Next {
        let Some(login) = op.login else { return self.fault(&Say::InvalidRequest).await };
        if self.down.is_some() {
            return self.fault(&Say::InvalidLogin).await; // as a vCenter does on a session that is logged in
        }
        match self.enter(&login).await {
            Entered::In(Opened { token, session }) => {
                let lines = format!("Set-Cookie: {}\r\n", cookie::set(&token, self.setup.tls.is_some()));
                self.reply(&write::session("Login", &session), &lines).await
            }
            Entered::Out(Refusal::InvalidLogin, _) => self.fault(&Say::InvalidLogin).await,
            Entered::Out(_, Some(said)) => self.say(said.status, &said.kind, &said.body, "").await,
            Entered::Out(why, None) => self.later(why).await,
            Entered::Over(next) => next,
        }
    }

    /// Asks the broker, and the vCenter if the broker says so.
    pub(super) async fn enter(&mut self, login: &Login) -> Entered {
        let subject = self.conn.subject.as_ref().map(|subject| subject.text.clone());
        let principal = self.broker.keys.principal(&login.user, login.locale.as_deref(), subject.as_deref());
        let secret = self.broker.keys.secret(principal, &login.password);
        let broker = self.broker.clone();
        let mut ask = broker.ask(|ask| Event::Login { ask, principal, secret });
        let mut verified = None;
        loop {
            match self.hear(&mut ask, 0).await {
                None => return Entered::Over(Next::Close),
                Some(Word::Verify { up }) => match self.verify(&mut ask, up, principal, login).await {
                    Ok(said) => verified = Some(said),
                    Err(over) => return over,
                },
                Some(Word::Open { down, up }) => {
                    if verified.is_none() {
                        broker.answered_logins.fetch_add(1, Ordering::Relaxed);
                    }
                    return match self.open(down, up, principal, &login.user) {
                        Some(opened) => Entered::In(opened),
                        None => Entered::Out(Refusal::Upstream, None),
                    };
                }
                Some(Word::Refuse(why)) => return Entered::Out(why, verified.filter(|said| said.status != 200)),
                Some(Word::Lend { .. }) => return Entered::Out(Refusal::Upstream, None), // never of a login
            }
        }
    }

    /// Logs in at the vCenter, on a slot as any call, and tells the broker how that went.
    async fn verify(
        &mut self,
        ask: &mut Ask<'_>,
        up: UpId,
        principal: PrincipalKey,
        login: &Login,
    ) -> Result<Said, Entered> {
        let mut slot = self.admitted(0).await.map_err(Entered::Over)?;
        let asked = write::login(&login.user, &login.password, login.locale.as_deref());
        let request = upstream::request(slot.server.host(), None, &asked);
        let said = self.ask(&mut slot, &request, true).await;
        let server = slot.server.clone();
        self.close(slot, said.as_ref().map_err(|failed| *failed));
        let said = match said {
            Ok(said) => said,
            Err(failed) => {
                ask.made(|up| Event::Failed { up });
                return Err(Entered::Over(self.no_answer(failed).await));
            }
        };
        let denied = answer::faulted(&said.body).is_some_and(|fault| fault.name == "InvalidLogin");
        match (said.token.clone(), answer::user_session(&said.body)) {
            (Some(cookie), Some(session)) if said.status == 200 => {
                let kept = Up::new(Kind::Shared, principal, cookie, session, server);
                let password = Some((login.password.clone(), login.locale.clone()));
                self.broker.tables(|tables| tables.stands(up, kept, &login.user, password));
                ask.made(|up| Event::Verified { up });
            }
            _ if denied => ask.made(|up| Event::Denied { up }),
            _ => ask.made(|up| Event::Failed { up }),
        }
        Ok(said)
    }

    /// Gives the client its session.
    pub(super) fn open(&mut self, down: DownId, up: UpId, principal: PrincipalKey, user: &str) -> Option<Opened> {
        let (token, key) = (self.broker.keys.token()?, self.broker.keys.key()?);
        let digest = crate::broker::secret::token_digest(token.as_bytes())?;
        let known = self.broker.tables(|t| t.ups.get(&up).map(|up| (up.kind, up.session.clone())));
        let (kind, like) =
            known.unwrap_or((Kind::Shared, UserSession { user_name: user.into(), ..UserSession::default() }));
        let now = write::date_time(clock::unix_seconds(clock::now()) as i64);
        let peer = self.conn.peer.ip().to_canonical();
        let agent = head::field(&self.prepared.head, "user-agent").unwrap_or_default();
        let session = match kind {
            Kind::Own => like, // nobody else is on it: the vCenter's own word
            Kind::Shared | Kind::Clone => UserSession {
                key,
                login_time: now.clone(),
                last_active_time: now,
                ip_address: peer.to_string(),
                user_agent: agent,
                call_count: 0,
                ..like
            },
        };
        self.broker.tables(|tables| tables.open(down, digest, principal, session.clone(), peer));
        Some(Opened { token, session })
    }

    /// A login without a password: it passes, and the session that it makes is this client's alone.
    pub(super) async fn login_own(&mut self, op: &Operation, body: Option<Zeroizing<Vec<u8>>>) -> Next {
        let Some(body) = body else {
            return self.say(413, "text/plain", b"a login of more than 16 KiB\n", "").await;
        };
        let Some(head) = head::with(&self.prepared.head, None, Some(body.len())) else { return Next::Close };
        let user = format!("({})", op.name);
        self.prepared.arrival.token_expiry = op.expires.map(clock::at_unix);
        let request = Zeroizing::new([&head[..], &body].concat());
        match self.enter_own(&user, &request).await {
            Ok((said, opened)) => {
                let set = opened.map(|opened| cookie::set(&opened.token, self.setup.tls.is_some()));
                let lines = set.map(|set| format!("Set-Cookie: {set}\r\n")).unwrap_or_default();
                self.say(said.status, &said.kind, &said.body, &lines).await
            }
            Err(next) => next,
        }
    }

    async fn enter_own(&mut self, user: &str, request: &[u8]) -> Result<(Said, Option<Opened>), Next> {
        let subject = self.conn.subject.as_ref().map(|subject| subject.text.clone());
        let principal = self.broker.keys.principal(user, None, subject.as_deref());
        let broker = self.broker.clone();
        let mut ask = broker.ask(|ask| Event::LoginOwn { ask, principal });
        let up = match self.hear(&mut ask, request.len()).await {
            Some(Word::Verify { up }) => up,
            Some(Word::Refuse(why)) => return Err(self.later(why).await),
            _ => return Err(Next::Close),
        };
        let mut slot = self.admitted(request.len()).await?;
        let said = self.ask(&mut slot, request, false).await;
        let server = slot.server.clone();
        self.close(slot, said.as_ref().map_err(|failed| *failed));
        let said = match said {
            Ok(said) => said,
            Err(failed) => return Err(self.no_answer(failed).await),
        };
        let session = answer::user_session(&said.body).filter(|_| said.status == 200);
        let (Some(cookie), Some(session)) = (said.token.clone(), session) else {
            ask.made(|up| Event::Denied { up });
            return Ok((said, None));
        };
        let kept = Up::new(Kind::Own, principal, cookie, session, server);
        self.broker.tables(|tables| tables.stands(up, kept, user, None));
        ask.made(|up| Event::Verified { up });
        match self.hear(&mut ask, 0).await {
            Some(Word::Open { down, up }) => Ok((said, self.open(down, up, principal, user))),
            Some(Word::Refuse(why)) => Err(self.later(why).await),
            _ => Err(Next::Close),
        }
    }
}
