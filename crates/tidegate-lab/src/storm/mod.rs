//! The storm: hosts that reconnect, each in a task of its own (`host`), over one `network`, counted together (`tally`).

mod host;
mod network;
mod tally;

use crate::LabError;
use crate::clock::WorldClock;
use crate::process::{Command, Samples, SelfReport, SelfWatch, commands, say, unheard};
use crate::spec::StormSpec;
use crate::tls;
use network::Network;
use serde::Serialize;
use std::rc::Rc;
use std::time::Duration;
use tally::{Counts, Tally};
use tidegate_sim::time::{Nanos, Span};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// A lag of the event loop above this share of the hosts' timeout counts.
const LAG_SHARE: f64 = 0.002;
/// A timer is no finer than this.
const LAG_LEAST_S: f64 = 0.002;

/// How long a storm lingers when all are connected, in poll intervals: long enough for each host to have polled.
const LINGER_POLLS: f64 = 1.1;

/// Where a storm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Hosts do as they do.
    Blowing,
    /// No new calls; those that are out may end.
    Ebbing,
    /// Everything is dropped.
    Over,
}

/// What all hosts share.
struct Storm {
    spec: StormSpec,
    clock: WorldClock,
    tally: Tally,
    stage: watch::Sender<Stage>,
    network: Network,
}

#[derive(Serialize)]
struct Ready {
    kind: &'static str,
    pid: u32,
    hosts: u32,
}

#[derive(Serialize)]
struct Sample {
    kind: &'static str,
    t: f64,
    connected: u32,
    connecting: u32,
    waiting_retry: u32,
    failed_attempts: u64,
    timeouts: u64,
    turned_away: u64,
}

#[derive(Serialize)]
struct Final {
    kind: &'static str,
    hosts: u32,
    connected: u32,
    last_connected_s: Option<f64>,
    connected_s: Vec<Option<f64>>,
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    itself: SelfReport,
}

/// Runs a storm: waits for `go`, ends when all hosts have been connected for a while, when its window is over, or when it
/// is told to; talks on stdout, listens to stdin.
pub async fn run(spec: StormSpec) -> Result<(), LabError> {
    spec.check()?;
    host::check_source(&spec)?;
    let tls = match &spec.tls {
        Some(tls) => tls::clients(tls, spec.hosts)?,
        None => Vec::new(),
    };
    let mut commands = commands();
    say(&Ready { kind: "ready", pid: std::process::id(), hosts: spec.hosts });
    while let Some(command) = commands.recv().await {
        match command {
            Command::Go => break,
            Command::Stop => return Ok(()),
            other => unheard("storm that has not begun", other),
        }
    }
    let tolerated = Duration::from_secs_f64((LAG_SHARE * spec.timeout_s / spec.speed).max(LAG_LEAST_S));
    let watch = SelfWatch::begin(tolerated);
    let storm = Rc::new(Storm {
        clock: WorldClock::start(spec.speed),
        tally: Tally::new(spec.hosts),
        stage: watch::Sender::new(Stage::Blowing),
        network: Network::default(),
        spec,
    });
    let (mut hosts, mut tls) = (JoinSet::new(), tls.into_iter());
    for index in 0..storm.spec.hosts {
        hosts.spawn_local(host::live(index, Rc::clone(&storm), tls.next()));
    }
    let voice = Samples::begin();
    let calm = storm.blow(&mut commands, &voice).await;
    storm.stage.send_replace(if calm { Stage::Ebbing } else { Stage::Over });
    let all_home = async { while hosts.join_next().await.is_some() {} };
    // A host ends with its call, which its own timeout bounds.
    let _ = timeout(storm.wall(storm.spec.timeout_s), all_home).await;
    let last = storm.last_words(&watch);
    voice.end();
    say(&last);
    Ok(())
}

impl Storm {
    /// Until its end; true when that is because all are connected.
    async fn blow(&self, commands: &mut mpsc::Receiver<Command>, voice: &Samples) -> bool {
        let mut samples = interval(self.wall(self.spec.sample_s));
        samples.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let over = self.clock.wall(Nanos(0) + Span::from_secs_f64(self.spec.window_s));
        let linger = self.wall(self.spec.linger_s.unwrap_or(LINGER_POLLS * self.spec.poll_s));
        let mut calm_since: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = samples.tick() => voice.say(&self.sample()),
                () = self.tally.changed() => {
                    let all = self.tally.connected() == self.spec.hosts;
                    calm_since = all.then(|| calm_since.unwrap_or_else(Instant::now));
                }
                () = sleep_until(over) => return calm_since.is_some(),
                () = sleep_until(calm_since.unwrap_or(over) + linger), if calm_since.is_some() => return true,
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => return false,
                    Some(Command::Flap { for_s }) => {
                        self.network.cut(self.clock.now() + Span::from_secs_f64(for_s));
                    }
                    Some(other) => unheard("storm", other),
                },
            }
        }
    }

    fn wall(&self, seconds: f64) -> Duration {
        self.clock.wall_span(Span::from_secs_f64(seconds))
    }

    fn sample(&self) -> Sample {
        let (connected, waiting_retry) = (self.tally.connected(), self.tally.waiting());
        let counts = self.tally.counts();
        Sample {
            kind: "sample",
            t: self.clock.wall_s(),
            connected,
            connecting: self.spec.hosts - connected - waiting_retry,
            waiting_retry,
            failed_attempts: counts.failed_attempts,
            timeouts: counts.timeouts,
            turned_away: counts.turned_away,
        }
    }

    fn last_words(&self, watch: &SelfWatch) -> Final {
        let connected_s: Vec<_> =
            self.tally.connected_at().iter().map(|at| at.map(|at| self.clock.wall_s_at(at))).collect();
        let all: Option<Vec<f64>> = connected_s.iter().copied().collect();
        Final {
            kind: "final",
            hosts: self.spec.hosts,
            connected: self.tally.connected(),
            last_connected_s: all.and_then(|all| all.into_iter().max_by(f64::total_cmp)),
            connected_s,
            counts: self.tally.counts(),
            itself: watch.report(),
        }
    }
}
