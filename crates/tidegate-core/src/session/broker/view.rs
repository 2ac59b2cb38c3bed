//! What the broker tells about itself. Nothing here is a secret: no cookie, no token, no digest.

use super::event::Expiry;
use super::ids::{DownId, Kind, PrincipalKey, UpId};
use super::machine::Broker;
use super::table::{Down, Place, Up};
use crate::time::{Nanos, Span};
use serde::Serialize;
use std::collections::BTreeMap;

/// How an upstream session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// A call establishes it.
    Making,
    /// It is lent.
    Ready,
    /// It is lent no more, and ended when its calls are over.
    Retiring,
}

/// One upstream session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpView {
    /// Which.
    pub up: UpId,
    /// Whose.
    pub principal: PrincipalKey,
    /// What for.
    pub kind: Kind,
    /// How it stands.
    pub stand: Stand,
    /// Since it was established; zero before.
    #[serde(rename = "age_ns")]
    pub age: Span,
    /// Since a client's call used it; zero while one does.
    #[serde(rename = "idle_ns")]
    pub idle: Span,
    /// Downstream sessions that live on it now.
    pub clients: u32,
    /// Calls on it now.
    pub calls: u32,
    /// Objects that its client holds there (clones only).
    pub holds: u32,
}

/// One downstream session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DownView {
    /// Which.
    pub down: DownId,
    /// Whose.
    pub principal: PrincipalKey,
    /// Where it lives now; none when its principal has no shared session at the moment.
    pub up: Option<UpId>,
    /// Which kind of session that is.
    pub kind: Kind,
    /// Since its login.
    #[serde(rename = "age_ns")]
    pub age: Span,
    /// Since its last call; zero while it has one.
    #[serde(rename = "idle_ns")]
    pub idle: Span,
    /// Calls that are out, or wait.
    pub calls: u32,
    /// Objects that it holds on its clone.
    pub holds: u32,
    /// Whether it changed its clone itself, and so keeps it until it logs out.
    pub sticky: bool,
}

/// Counts since the start. `asked = opened + lent + refused (all reasons) + left + waiting`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls that asked for a session.
    #[serde(rename = "asked_total")]
    pub asked: u64,
    /// Logins that were answered with a session.
    #[serde(rename = "opened_total")]
    pub opened: u64,
    /// Calls that an upstream session was lent to.
    #[serde(rename = "lent_total")]
    pub lent: u64,
    /// Calls that were not served, by [`Refusal::name`](super::Refusal::name).
    #[serde(rename = "refused_total")]
    pub refused: BTreeMap<&'static str, u64>,
    /// Calls whose client left before.
    #[serde(rename = "left_total")]
    pub left: u64,
    /// Upstream logins begun: by clients' logins, and to make a session again.
    #[serde(rename = "upstream_logins_total")]
    pub upstream_logins: u64,
    /// Clones begun.
    #[serde(rename = "clones_total")]
    pub clones: u64,
    /// Upstream sessions that the gate ended.
    #[serde(rename = "ended_total")]
    pub ended: u64,
    /// Upstream sessions that vCenter ended.
    #[serde(rename = "dead_total")]
    pub dead: u64,
    /// Downstream sessions that are over without a logout, by reason.
    #[serde(rename = "expired_total")]
    pub expired: BTreeMap<Expiry, u64>,
}

/// The whole broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Upstream sessions, oldest first.
    pub ups: Vec<UpView>,
    /// Downstream sessions, oldest first.
    pub downs: Vec<DownView>,
    /// Principals that are known.
    pub principals: u32,
    /// Calls that wait, or verify …
    pub waiting: u32,
    /// … by principal, where there are any.
    #[serde(skip)]
    pub waiting_of: BTreeMap<PrincipalKey, u32>,
    /// Counts since the start.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Broker {
    /// Everything, for people.
    pub fn snapshot(&self, now: Nanos) -> Snapshot {
        let mut clients: BTreeMap<UpId, u32> = BTreeMap::new();
        for up in self.downs.keys().filter_map(|down| self.up_of(*down)) {
            *clients.entry(up).or_default() += 1;
        }
        let clients = |up: &UpId| clients.get(up).copied().unwrap_or(0);
        let mut waiting_of: BTreeMap<PrincipalKey, u32> = BTreeMap::new();
        for ask in self.asks.values().filter(|ask| ask.pending()) {
            *waiting_of.entry(ask.principal).or_default() += 1;
        }
        Snapshot {
            ups: self.ups.iter().map(|(id, up)| self.view_up(now, *id, up, clients(id))).collect(),
            downs: self.downs.iter().map(|(id, down)| self.view_down(now, *id, down)).collect(),
            principals: self.principals.len() as u32,
            waiting: waiting_of.values().sum(),
            waiting_of,
            tally: self.tally.clone(),
        }
    }

    /// One downstream session, while it lives.
    pub fn down(&self, now: Nanos, down: DownId) -> Option<DownView> {
        self.downs.get(&down).map(|session| self.view_down(now, down, session))
    }

    /// What this upstream session is for.
    pub fn kind_of(&self, up: UpId) -> Option<Kind> {
        self.ups.get(&up).map(|up| up.kind)
    }

    /// Where a downstream session lives now.
    pub fn up_of(&self, down: DownId) -> Option<UpId> {
        let down = self.downs.get(&down)?;
        match down.place {
            Place::Own(up) | Place::Clone(up) => Some(up),
            Place::Shared => self.principals.get(&down.principal)?.shared,
        }
    }

    fn view_up(&self, now: Nanos, id: UpId, up: &Up, clients: u32) -> UpView {
        UpView {
            up: id,
            principal: up.principal,
            kind: up.kind,
            stand: up.stand,
            age: if up.stand == Stand::Making { Span::ZERO } else { now.since(up.born) },
            idle: if up.calls > 0 { Span::ZERO } else { now.since(up.used) },
            clients,
            calls: up.calls,
            holds: up.holder.and_then(|down| self.downs.get(&down)).map_or(0, |down| down.holds),
        }
    }

    fn view_down(&self, now: Nanos, id: DownId, down: &Down) -> DownView {
        DownView {
            down: id,
            principal: down.principal,
            up: self.up_of(id),
            kind: match down.place {
                Place::Shared => Kind::Shared,
                Place::Clone(_) => Kind::Clone,
                Place::Own(_) => Kind::Own,
            },
            age: now.since(down.opened),
            idle: if down.busy() { Span::ZERO } else { now.since(down.used) },
            calls: down.calls + down.waiting.len() as u32,
            holds: down.holds,
            sticky: down.sticky,
        }
    }
}
