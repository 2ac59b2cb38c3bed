//! What lab processes are told: JSON, unknown keys refused. All spans are seconds of world time.

use crate::LabError;
use crate::protocol::{POLL_UNITS, ProtocolKind, SESSION_UNITS};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use tidegate_core::time::Span;
use tidegate_sim::floor::{Work, floor_s};
use tidegate_sim::law::{Law, LawKind};
use tidegate_sim::retry::Retry;

/// Reads a spec: JSON text, or `@FILE`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, LabError> {
    let owned;
    let json = match text.strip_prefix('@') {
        None => text,
        Some(path) => {
            owned = std::fs::read_to_string(path).map_err(|error| LabError(format!("cannot read {path}: {error}")))?;
            &owned
        }
    };
    serde_json::from_str(json).map_err(|error| LabError(format!("the spec is not as expected: {error}")))
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSpec {
    /// Where it listens; port 0 takes a free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// How its throughput depends on its concurrency.
    #[serde(default = "usl")]
    pub law: LawKind,
    /// Its best concurrency, in jobs.
    #[serde(default = "knee")]
    pub knee: u32,
    /// How long one unit of work takes alone.
    #[serde(default = "unit_s")]
    pub unit_s: f64,
    /// Jobs that it runs at once.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Jobs that may wait for a thread.
    #[serde(default = "backlog")]
    pub backlog: usize,
    /// How long a session lives without a call.
    #[serde(default = "session_idle_s")]
    pub session_idle_s: f64,
    /// How much faster than the wall the world runs.
    #[serde(default = "speed")]
    pub speed: f64,
    /// Seed of the session numbers.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What it speaks.
    #[serde(default)]
    pub protocol: ProtocolKind,
    /// Time from one sample to the next.
    #[serde(default = "sample_s")]
    pub sample_s: f64,
    /// Refuse connections until `go`.
    #[serde(default)]
    pub start_down: bool,
    /// Crash when this many jobs are in flight.
    #[serde(default)]
    pub crash_at: Option<usize>,
    /// How long it is away after a crash.
    #[serde(default = "crash_down_s")]
    pub crash_down_s: f64,
    /// TLS with client certificates; null: cleartext.
    #[serde(default)]
    pub tls: Option<ProviderTls>,
    /// A session is of no use to another certificate than the one that opened it.
    #[serde(default)]
    pub bind_session_to_certificate: bool,
}

impl ProviderSpec {
    /// Its law, when the figures make sense.
    pub fn law(&self) -> Result<Law, LabError> {
        positive("speed", self.speed)?;
        positive("sample_s", self.sample_s)?;
        positive("session_idle_s", self.session_idle_s)?;
        if self.bind_session_to_certificate && self.tls.is_none() {
            return Err(LabError(
                "bind_session_to_certificate needs tls: there are no certificates in cleartext".into(),
            ));
        }
        law(self.law, self.knee, self.unit_s)
    }
}

/// A storm of hosts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormSpec {
    /// Where the hosts connect to.
    pub target: SocketAddr,
    /// How many there are.
    #[serde(default = "hosts")]
    pub hosts: u32,
    /// They all begin within this.
    #[serde(default = "spread_s")]
    pub spread_s: f64,
    /// How long they wait for the end of a call.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Time from one poll of a connected host to its next.
    #[serde(default = "poll_s")]
    pub poll_s: f64,
    /// Calls after setContext until a host is connected.
    #[serde(default = "follow_ups")]
    pub follow_ups: u32,
    /// What they do after a failure.
    #[serde(default)]
    pub retry: RetrySpec,
    /// The share of hosts (0 to 1) that retry every 0.5 s instead.
    #[serde(default)]
    pub greedy_share: f64,
    /// When it ends at the latest.
    #[serde(default = "window_s")]
    pub window_s: f64,
    /// How long all hosts must have been connected for it to end earlier; 1.1 poll intervals unless said.
    #[serde(default)]
    pub linger_s: Option<f64>,
    /// How much faster than the wall the world runs.
    #[serde(default = "speed")]
    pub speed: f64,
    /// Seed of all its randomness.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What the hosts speak.
    #[serde(default)]
    pub protocol: ProtocolKind,
    /// Time from one sample to the next.
    #[serde(default = "sample_s")]
    pub sample_s: f64,
    /// First two bytes of the hosts' source addresses, which must be loopback's: `"127.1"`.
    #[serde(default = "source_prefix")]
    pub source_prefix: String,
    /// TLS, each host with a certificate of its own; null: cleartext.
    #[serde(default)]
    pub tls: Option<StormTls>,
}

impl StormSpec {
    /// Refuses figures that make no sense.
    pub fn check(&self) -> Result<(), LabError> {
        for (key, value) in [
            ("speed", self.speed),
            ("sample_s", self.sample_s),
            ("timeout_s", self.timeout_s),
            ("poll_s", self.poll_s),
            ("window_s", self.window_s),
        ] {
            positive(key, value)?;
        }
        if self.hosts == 0 || self.hosts > 62_500 {
            return Err(LabError("hosts must be from 1 to 62500: each has a loopback address of its own".into()));
        }
        Ok(())
    }
}

/// A server that answers everything at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginSpec {
    /// Where it listens; port 0 takes a free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// The size of its answers' bodies.
    #[serde(default = "body_bytes")]
    pub body_bytes: usize,
}

/// What a load client does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// Offers requests at a constant rate.
    #[default]
    Rate,
    /// Sends one request per connection, then holds it.
    Idle,
}

/// A load client. Here seconds are the wall's: nothing is sped up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSpec {
    /// What it does.
    #[serde(default)]
    pub mode: LoadMode,
    /// Where it connects to.
    pub target: SocketAddr,
    /// Keep-alive connections.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Requests per second, all connections together (mode `rate`).
    #[serde(default = "rate")]
    pub rate: f64,
    /// How long it offers them (mode `rate`).
    #[serde(default = "duration_s")]
    pub duration_s: f64,
    /// How long it waits for an answer.
    #[serde(default = "answer_timeout_s")]
    pub timeout_s: f64,
    /// What it asks for, by GET.
    #[serde(default = "root")]
    pub path: String,
    /// Loopback addresses that its connections come from, in turn.
    #[serde(default = "addresses")]
    pub addresses: u32,
    /// First two bytes of those addresses.
    #[serde(default = "source_prefix")]
    pub source_prefix: String,
    /// TLS, as the first host; null: cleartext.
    #[serde(default)]
    pub tls: Option<StormTls>,
}

impl LoadSpec {
    /// Refuses figures that make no sense.
    pub fn check(&self) -> Result<(), LabError> {
        positive("rate", self.rate)?;
        positive("duration_s", self.duration_s)?;
        positive("timeout_s", self.timeout_s)?;
        if self.connections == 0 || self.addresses == 0 || self.addresses > 62_500 {
            return Err(LabError("give at least 1 connection, and from 1 to 62500 addresses".into()));
        }
        Ok(())
    }
}

/// How the server speaks TLS; files as `tidegate-lab certificates` writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderTls {
    /// Where the certificates are.
    pub dir: PathBuf,
    /// The versions that it offers.
    #[serde(default)]
    pub versions: Versions,
    /// Whether it hands out tickets.
    #[serde(default = "yes")]
    pub tickets: bool,
}

/// How the hosts speak TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormTls {
    /// Where the certificates are.
    pub dir: PathBuf,
    /// The name that they connect to (SNI) and check.
    #[serde(default = "server_name")]
    pub name: String,
    /// The versions that they offer.
    #[serde(default)]
    pub versions: Versions,
    /// Whether they come back with a ticket; if not, each reconnect is a full handshake.
    #[serde(default)]
    pub tickets: bool,
}

/// TLS versions: both unless said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Versions(pub Vec<Version>);

impl Default for Versions {
    fn default() -> Versions {
        Versions(vec![Version::Tls12, Version::Tls13])
    }
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// A retry policy; see [`Retry`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RetrySpec {
    /// Between `min_s` and `max_s`.
    Fixed {
        /// The shortest wait.
        min_s: f64,
        /// The longest.
        max_s: f64,
    },
    /// Always `s`.
    Greedy {
        /// The wait.
        s: f64,
    },
    /// Exponential with full jitter.
    Jittered {
        /// Bound after the first failure.
        base_s: f64,
        /// Highest bound.
        cap_s: f64,
    },
    /// As the server says (wall seconds), else as `fixed`.
    RetryAfter {
        /// The shortest wait of its own.
        #[serde(default = "retry_min_s")]
        min_s: f64,
        /// The longest.
        #[serde(default = "retry_max_s")]
        max_s: f64,
    },
}

impl Default for RetrySpec {
    fn default() -> RetrySpec {
        RetrySpec::Fixed { min_s: retry_min_s(), max_s: retry_max_s() }
    }
}

impl RetrySpec {
    /// The model's policy.
    pub fn policy(self) -> Retry {
        let s = Span::from_secs_f64;
        match self {
            RetrySpec::Fixed { min_s, max_s } => Retry::Fixed { min: s(min_s), max: s(max_s) },
            RetrySpec::Greedy { s: wait } => Retry::Greedy { wait: s(wait) },
            RetrySpec::Jittered { base_s, cap_s } => Retry::Jittered { base: s(base_s), cap: s(cap_s) },
            RetrySpec::RetryAfter { min_s, max_s } => Retry::RetryAfter { min: s(min_s), max: s(max_s) },
        }
    }
}

/// A storm and a server, of which the floor is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloorSpec {
    #[serde(default = "hosts")]
    hosts: u32,
    #[serde(default = "follow_ups")]
    follow_ups: u32,
    #[serde(default = "poll_s")]
    poll_s: f64,
    #[serde(default = "usl")]
    law: LawKind,
    #[serde(default = "knee")]
    knee: u32,
    #[serde(default = "unit_s")]
    unit_s: f64,
}

/// The answer, in world time.
#[derive(Clone, Debug, Serialize)]
pub struct FloorAnswer {
    /// Seconds until the last host is connected at best.
    pub floor_s: f64,
    /// The server's best rate, in units per second.
    pub best_rate: f64,
    /// Where it has it, in jobs.
    pub knee: u32,
}

impl FloorSpec {
    /// Works the floor out.
    pub fn answer(&self) -> Result<FloorAnswer, LabError> {
        positive("poll_s", self.poll_s)?;
        let law = law(self.law, self.knee, self.unit_s)?;
        let work = Work {
            hosts: self.hosts,
            session_units: SESSION_UNITS.0 + SESSION_UNITS.1 * f64::from(self.follow_ups),
            poll_units: POLL_UNITS,
            poll_s: self.poll_s,
        };
        let best_rate = law.best_rate();
        Ok(FloorAnswer { floor_s: floor_s(work, best_rate), best_rate, knee: law.knee() })
    }
}

fn law(kind: LawKind, knee: u32, unit_s: f64) -> Result<Law, LabError> {
    positive("unit_s", unit_s)?;
    Law::new(kind, knee, Span::from_secs_f64(unit_s)).map_err(|error| LabError(error.to_string()))
}

fn positive(key: &str, value: f64) -> Result<(), LabError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(LabError(format!("{key} is {value}: give more than 0")))
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn usl() -> LawKind {
    LawKind::Usl
}

fn knee() -> u32 {
    22
}

fn unit_s() -> f64 {
    0.5
}

fn threads() -> usize {
    200
}

fn backlog() -> usize {
    1024
}

fn session_idle_s() -> f64 {
    300.0
}

fn speed() -> f64 {
    5.0
}

fn seed() -> u64 {
    1
}

fn sample_s() -> f64 {
    0.25
}

fn crash_down_s() -> f64 {
    10.0
}

fn hosts() -> u32 {
    300
}

fn spread_s() -> f64 {
    2.0
}

fn timeout_s() -> f64 {
    30.0
}

fn poll_s() -> f64 {
    10.0
}

fn follow_ups() -> u32 {
    3
}

fn window_s() -> f64 {
    96.0
}

fn retry_min_s() -> f64 {
    10.0
}

fn retry_max_s() -> f64 {
    12.0
}

fn source_prefix() -> String {
    "127.1".to_owned()
}

fn yes() -> bool {
    true
}

fn server_name() -> String {
    crate::certificates::PROVIDER.to_owned()
}

fn body_bytes() -> usize {
    128
}

fn connections() -> u32 {
    50
}

fn rate() -> f64 {
    1000.0
}

fn duration_s() -> f64 {
    10.0
}

fn answer_timeout_s() -> f64 {
    10.0
}

fn root() -> String {
    "/".to_owned()
}

fn addresses() -> u32 {
    20
}
