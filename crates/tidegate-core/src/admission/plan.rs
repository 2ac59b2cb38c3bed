//! What the operator decided, checked by Python and handed over whole: limits, bounds, guarantees and every constant of
//! time that the machine uses.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Whether the gate acts on its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Decide and tell, let everything pass.
    Observe,
    /// Decide and do.
    Enforce,
}

/// How many calls may be in flight at a server. In JSON: `22`, or `{"most": 256}`, or `{"most": 256, "first": 8}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum LimitPlan {
    /// So many, 1..=65_536.
    Static(u32),
    /// What the server turns out to serve best.
    Adaptive {
        /// Never more than this, 1..=65_536 (default 256).
        most: u32,
        /// Where the search begins while nothing is known of the server, 1..=65_536 (default 1: one call alone cannot be
        /// too many, and shows what it takes unhindered). More only of a kind of server that is known to serve so many.
        #[serde(default = "one")]
        first: u32,
    },
}

fn one() -> u32 {
    1
}

impl LimitPlan {
    /// Where it begins while nothing is known.
    pub fn first(self) -> u32 {
        match self {
            LimitPlan::Static(limit) => limit,
            LimitPlan::Adaptive { first, .. } => first,
        }
    }

    /// The most that it can ever be.
    pub fn most(self) -> u32 {
        match self {
            LimitPlan::Static(limit) | LimitPlan::Adaptive { most: limit, .. } => limit,
        }
    }
}

/// One server as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerPlan {
    /// Its name, unique in the service.
    pub name: String,
    /// How many calls may be in flight there. Probes have one more.
    pub limit: LimitPlan,
    /// It is used only while no other server of the pool can be reached.
    #[serde(default)]
    pub standby: bool,
}

/// Least share of completed work per class while it has calls waiting, in thousandths. The sum is at most 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantees {
    /// `continuation`; default 500.
    pub continuation: u32,
    /// `new-session`; default 250.
    pub new_session: u32,
    /// `steady`; default 100: polls are cheap, and a poll that starves looks like a dead session to its client.
    pub steady: u32,
    /// `bulk`; default 100.
    pub bulk: u32,
}

/// The whole plan of one machine. Spans are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Observe or enforce.
    pub mode: Mode,
    /// The pool, at least one; order gives the [`ServerId`](super::ServerId).
    pub servers: Vec<ServerPlan>,
    /// Least shares.
    pub guarantees: Guarantees,
    /// Seed of the only randomness (stagger, spread of Retry-After, jitter of retries).
    pub seed: u64,

    /// Most calls held at once, 1..=1_000_000 (default 20 000).
    pub held_max: u32,
    /// Most calls held per client (default 8).
    pub held_per_client_max: u32,
    /// Places in the queue that only reserved clients may take, beyond `held_max` (default 8).
    pub reserved_places: u32,
    /// Most bulk calls in flight per client, as a floor under limit/8 (default 2).
    pub bulk_per_client_min: u32,
    /// Clients whose seniority is remembered (default 50 000, least recently seen goes first).
    pub clients_max: u32,
    /// Sessions that are remembered (default 65 536, least recently used goes first).
    pub sessions_max: u32,

    /// How long a client waits for an answer when it does not say (default 30 s).
    #[serde(rename = "client_timeout_ns")]
    pub client_timeout: Span,
    /// Safety margin before a deadline (default 2 s).
    #[serde(rename = "margin_ns")]
    pub margin: Span,
    /// How long to wait for a server's answer (default 60 s = 2 × client timeout).
    #[serde(rename = "upstream_timeout_ns")]
    pub upstream_timeout: Span,
    /// How long a slot stays taken after that when the server never says that it is done (default 10 s).
    #[serde(rename = "quarantine_ns")]
    pub quarantine: Span,
    /// How long seniority outlives a client's last call (default 10 min).
    #[serde(rename = "seniority_ns")]
    pub seniority: Span,
    /// A session is settled at its first poll, or at its first call this long after it opened (default 30 s). One that is
    /// not heard of by then is expected to bring no more work.
    #[serde(rename = "settle_after_ns")]
    pub settle_after: Span,
    /// … or after this many calls (default 16).
    pub settle_calls: u32,
    /// A session idle for longer is dead at the server; `None`: not known, never assume it.
    #[serde(rename = "session_idle_ns")]
    pub session_idle: Option<Span>,
    /// Expected follow-up work per session in thousandths of a unit, until learned (default 1000).
    pub follow_ups_milli: u32,
    /// Between two tries of a server that is down, ± 20 % (default 1 s).
    #[serde(rename = "retry_server_ns")]
    pub retry_server: Span,
    /// A renewal ranks before new sessions when its token expires within this (default 30 s).
    #[serde(rename = "renew_within_ns")]
    pub renew_within: Span,
    /// Shortest Retry-After (default 1 s).
    #[serde(rename = "retry_after_min_ns")]
    pub retry_after_min: Span,
    /// Longest Retry-After (default 30 s).
    #[serde(rename = "retry_after_max_ns")]
    pub retry_after_max: Span,
    /// The window over which the rate of completed work is measured (default 2 s).
    #[serde(rename = "rate_window_ns")]
    pub rate_window: Span,
    /// Least length of a window over which an adaptive limit is judged once it is steady (default 1 s); a tenth of it while
    /// it is searched for.
    #[serde(rename = "limit_window_ns")]
    pub limit_window: Span,
    /// A server that has calls in flight and answers none of them for this long is suspect (default 5 s).
    #[serde(rename = "silence_ns")]
    pub silence: Span,
}

/// Why a plan was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A service needs at least one server, and at most 1024.
    #[error("a service needs 1 to 1024 servers, not {0}")]
    Servers(usize),
    /// Two servers have one name.
    #[error("two servers are called \"{0}\"")]
    Twice(String),
    /// There is nobody to stand by for.
    #[error("every server is a standby: a service needs one that is not")]
    Standbys,
    /// A number is out of its range.
    #[error("{field} must be {range}, not {value}")]
    Range {
        /// Which field.
        field: &'static str,
        /// The range in words.
        range: &'static str,
        /// What it was.
        value: u64,
    },
}

impl Plan {
    /// The documented defaults, for this pool.
    pub fn with_defaults(servers: Vec<ServerPlan>) -> Plan {
        Plan {
            mode: Mode::Enforce,
            servers,
            guarantees: Guarantees { continuation: 500, new_session: 250, steady: 100, bulk: 100 },
            seed: 0,
            held_max: 20_000,
            held_per_client_max: 8,
            reserved_places: 8,
            bulk_per_client_min: 2,
            clients_max: 50_000,
            sessions_max: 65_536,
            client_timeout: Span::secs(30),
            margin: Span::secs(2),
            upstream_timeout: Span::secs(60),
            quarantine: Span::secs(10),
            seniority: Span::secs(600),
            settle_after: Span::secs(30),
            settle_calls: 16,
            session_idle: None,
            follow_ups_milli: 1000,
            retry_server: Span::secs(1),
            renew_within: Span::secs(30),
            retry_after_min: Span::secs(1),
            retry_after_max: Span::secs(30),
            rate_window: Span::secs(2),
            limit_window: Span::secs(1),
            silence: Span::secs(5),
        }
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.servers.is_empty() || self.servers.len() > 1024 {
            return Err(PlanError::Servers(self.servers.len()));
        }
        for (index, server) in self.servers.iter().enumerate() {
            if self.servers[..index].iter().any(|other| other.name == server.name) {
                return Err(PlanError::Twice(server.name.clone()));
            }
            within("limit", "1 to 65536", u64::from(server.limit.most()), 1, 65_536)?;
            within("limit.first", "1 to 65536", u64::from(server.limit.first()), 1, 65_536)?;
        }
        if self.servers.iter().all(|server| server.standby) {
            return Err(PlanError::Standbys);
        }
        let shares = &self.guarantees;
        let sum = [shares.continuation, shares.new_session, shares.steady, shares.bulk].map(u64::from).iter().sum();
        within("guarantees (their sum)", "at most 1000", sum, 0, 1000)?;
        within("held_max", "1 to 1000000", u64::from(self.held_max), 1, 1_000_000)?;
        within("held_per_client_max", "at least 1", u64::from(self.held_per_client_max), 1, u64::MAX)?;
        within("reserved_places", "at most 1000000", u64::from(self.reserved_places), 0, 1_000_000)?;
        within("bulk_per_client_min", "at least 1", u64::from(self.bulk_per_client_min), 1, u64::MAX)?;
        within("clients_max", "1 to 10000000", u64::from(self.clients_max), 1, 10_000_000)?;
        within("sessions_max", "1 to 10000000", u64::from(self.sessions_max), 1, 10_000_000)?;
        let (low, high) = (self.retry_after_min.0, self.retry_after_max.0);
        within("retry_after_min", "at most retry_after_max", low, 0, high)?;
        within(
            "client_timeout",
            "more than the margin",
            self.client_timeout.0,
            self.margin.0.saturating_add(1),
            u64::MAX,
        )?;
        within("upstream_timeout", "more than 0", self.upstream_timeout.0, 1, u64::MAX)?;
        within("retry_server", "at least 1 ms", self.retry_server.0, 1_000_000, u64::MAX)?;
        within("limit_window", "at least 10 ms", self.limit_window.0, 10_000_000, u64::MAX)?;
        within("silence", "at least 10 ms", self.silence.0, 10_000_000, u64::MAX)?;
        // At the end of each window every held call is looked at again.
        within("rate_window", "at least 10 ms", self.rate_window.0, 10_000_000, u64::MAX)
    }
}

fn within(field: &'static str, range: &'static str, value: u64, low: u64, high: u64) -> Result<(), PlanError> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(PlanError::Range { field, range, value }) }
}
