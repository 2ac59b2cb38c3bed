//! A load client: `rate` offers requests at a constant rate, `idle` holds connections that say nothing.

mod histogram;
mod idle;
mod rate;

use crate::LabError;
use crate::dial::{Line, dial, source};
use crate::process::{Command, SelfWatch, commands, say};
use crate::spec::{LoadMode, LoadSpec};
use crate::tls::{self, ClientTls};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// A lag of the event loop above this counts.
const TOLERATED: Duration = Duration::from_millis(5);

#[derive(Serialize)]
struct Ready {
    kind: &'static str,
    pid: u32,
    connections: u32,
}

/// What all connections share.
struct Load {
    spec: LoadSpec,
    tls: Option<ClientTls>,
    request: Vec<u8>,
}

/// How requests ended: by HTTP status, or without one (`timeout`, `reset`).
#[derive(Clone, Debug, Default, Serialize)]
struct Ends {
    statuses: BTreeMap<u16, u64>,
    timeouts: u64,
    resets: u64,
}

/// Runs a load client: waits for `go`; talks on stdout, listens to stdin.
pub async fn run(spec: LoadSpec) -> Result<(), LabError> {
    spec.check()?;
    if !source(0, &spec.source_prefix).is_ok_and(|address| address.is_loopback()) {
        return Err(LabError("source_prefix is not loopback's: give two bytes, as 127.1".into()));
    }
    let tls = match &spec.tls {
        Some(tls) => tls::clients(tls, 1)?.pop(),
        None => None,
    };
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", spec.path, spec.target).into_bytes();
    let mut commands = commands();
    say(&Ready { kind: "ready", pid: std::process::id(), connections: spec.connections });
    while let Some(command) = commands.recv().await {
        match command {
            Command::Go => break,
            Command::Stop => return Ok(()),
            other => eprintln!("tidegate-lab: a load client has no {other:?}: use go or stop"),
        }
    }
    let (load, watch) = (Load { spec, tls, request }, SelfWatch::begin(TOLERATED));
    match load.spec.mode {
        LoadMode::Rate => rate::offer(load, watch, &mut commands).await,
        LoadMode::Idle => idle::hold(load, watch, &mut commands).await,
    }
    Ok(())
}

impl Load {
    async fn connect(&self, index: u32) -> io::Result<Line> {
        let address = source(index % self.spec.addresses, &self.spec.source_prefix)?;
        dial(self.spec.target, address, self.tls.as_ref()).await
    }

    /// Sends one request over the line, or over a new one; gives the status, and the line while it is of use.
    async fn ask(&self, index: u32, line: Option<Line>) -> io::Result<(u16, Option<Line>)> {
        let mut line = match line {
            Some(line) => line,
            None => self.connect(index).await?,
        };
        let response = line.ask(&self.request).await?;
        Ok((response.status, response.headers.keep_alive().then_some(line)))
    }

    /// The same within the timeout; its end is counted.
    async fn ask_counted(&self, index: u32, line: Option<Line>, ends: &mut Ends) -> Option<Line> {
        match timeout(Duration::from_secs_f64(self.spec.timeout_s), self.ask(index, line)).await {
            Ok(Ok((status, line))) => {
                *ends.statuses.entry(status).or_default() += 1;
                line
            }
            Ok(Err(_)) => {
                ends.resets += 1;
                None
            }
            Err(_) => {
                ends.timeouts += 1;
                None
            }
        }
    }
}
