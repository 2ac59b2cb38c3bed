//! The server: `desk` holds the model and its clock, `connection` speaks with one client, `door` listens, or not.

mod connection;
mod desk;
mod door;

use crate::LabError;
use crate::process::{Command, Samples, SelfReport, SelfWatch, commands, say, unheard};
use crate::spec::ProviderSpec;
use desk::Desk;
use door::Door;
use serde::Serialize;
use std::rc::Rc;
use std::time::Duration;
use tidegate_sim::time::Span;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// A lag of the event loop above this share of a unit's time counts.
const LAG_SHARE: f64 = 0.1;
/// A timer is no finer than this.
const LAG_LEAST_S: f64 = 0.002;

#[derive(Serialize)]
struct Ready {
    kind: &'static str,
    address: String,
    pid: u32,
    knee: u32,
    best_rate: f64,
}

#[derive(Serialize)]
struct Sample {
    kind: &'static str,
    t: f64,
    in_flight: usize,
    queued: usize,
    done_units: f64,
    wasted_units: f64,
    sessions: usize,
    connections: u64,
}

#[derive(Serialize)]
struct Final {
    kind: &'static str,
    max_in_flight: usize,
    done_units: f64,
    wasted_units: f64,
    wasted_work: f64,
    lost_units: f64,
    sessions_made: u64,
    connections: u64,
    handshakes: u64,
    handshakes_failed: u64,
    requests: u64,
    refused: u64,
    best_rate: f64,
    #[serde(flatten)]
    itself: SelfReport,
}

/// Runs a server until it is told to stop; talks on stdout, listens to stdin.
pub async fn run(spec: ProviderSpec) -> Result<(), LabError> {
    let law = spec.law()?;
    let mut door = Door::bind(spec.listen)?;
    if !spec.start_down {
        door.open()?;
    }
    let scheme = if spec.tls.is_some() { "https" } else { "http" };
    let desk = Rc::new(Desk::new(&spec, law, format!("{scheme}://{}", door.address()))?);
    tokio::task::spawn_local(Rc::clone(&desk).keep_time());
    let ready = Ready {
        kind: "ready",
        address: door.address().to_string(),
        pid: std::process::id(),
        knee: law.knee(),
        best_rate: law.best_rate(),
    };
    say(&ready);
    let tolerated = Duration::from_secs_f64((LAG_SHARE * spec.unit_s / spec.speed).max(LAG_LEAST_S));
    let mut watch = SelfWatch::begin(tolerated);
    let voice = Samples::begin();
    let (mut commands, mut began, mut reopen) = (commands(), None, None);
    let mut samples = interval(Duration::from_secs_f64(spec.sample_s / spec.speed));
    samples.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let mut down_s = None;
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Go) => {
                    began = Some(Instant::now());
                    watch = SelfWatch::begin(tolerated);
                    door.open()?;
                }
                Some(Command::Restart { down_s: seconds }) => down_s = Some(seconds),
                Some(Command::Crash) => down_s = Some(spec.crash_down_s),
                Some(Command::Expire) => desk.expire(),
                Some(other @ Command::Flap { .. }) => unheard("provider", other),
                Some(Command::Stop) | None => break,
            },
            () = desk.crashed() => down_s = Some(spec.crash_down_s),
            client = door.accept() => connection::welcome(client, &desk),
            () = at(reopen) => {
                reopen = None;
                door.open()?;
            }
            _ = samples.tick() => if let Some(began) = began { voice.say(&sample(&desk, began)) },
        }
        if let Some(seconds) = down_s {
            door.close()?;
            desk.fall()?;
            reopen = Some(Instant::now() + desk.wall_span(Span::from_secs_f64(seconds)));
        }
    }
    let last = last_words(&desk, law.best_rate(), &watch);
    voice.end();
    say(&last);
    Ok(())
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn sample(desk: &Desk, began: Instant) -> Sample {
    let state = desk.state();
    Sample {
        kind: "sample",
        t: began.elapsed().as_secs_f64(),
        in_flight: state.in_flight,
        queued: state.queued,
        done_units: state.tally.useful_units + state.tally.wasted_units,
        wasted_units: state.tally.wasted_units,
        sessions: state.sessions,
        connections: state.connections_open,
    }
}

fn last_words(desk: &Desk, best_rate: f64, watch: &SelfWatch) -> Final {
    let state = desk.state();
    Final {
        kind: "final",
        max_in_flight: state.tally.max_in_flight,
        done_units: state.tally.useful_units + state.tally.wasted_units,
        wasted_units: state.tally.wasted_units,
        wasted_work: state.tally.wasted_share(),
        lost_units: state.tally.lost_units,
        sessions_made: state.sessions_made,
        connections: state.connections,
        handshakes: state.handshakes,
        handshakes_failed: state.handshakes_failed,
        requests: state.tally.taken,
        refused: state.tally.refused,
        best_rate,
        itself: watch.report(),
    }
}
