//! One host on the wire: its own source address, one connection for all its calls, a new one after a failure.

use super::tally::Standing;
use super::{Stage, Storm};
use crate::LabError;
use crate::dial::{Line, dial, source};
use crate::spec::StormSpec;
use crate::tls::ClientTls;
use std::io;
use std::rc::Rc;
use tidegate_sim::host::{Call, Host, HostScript, Next, Outcome};
use tidegate_sim::retry::Retry;
use tidegate_sim::rng::SplitMix64;
use tidegate_sim::time::{Nanos, Span};
use tokio::time::{sleep_until, timeout_at};

/// How a greedy host retries.
const GREEDY: Retry = Retry::Greedy { wait: Span::millis(500) };

/// The life of host `index`, until the storm is over.
pub async fn live(index: u32, storm: Rc<Storm>, tls: Option<ClientTls>) {
    let (mut stage, mut cuts) = (storm.stage.subscribe(), storm.network.cuts());
    let (mut host, spread) = (model(index, &storm.spec), Span::from_secs_f64(storm.spec.spread_s));
    let mut next = host.start(Nanos(0), spread);
    let (mut line, mut session) = (None, None);
    loop {
        tokio::select! {
            () = sleep_until(storm.clock.wall(next.at)) => {}
            _ = cuts.changed() => {
                line = None;
                continue;
            }
            _ = stage.wait_for(|&stage| stage != Stage::Blowing) => return,
        }
        if next.reconnect {
            line = None;
        }
        storm.tally.begin(next.call);
        if host.connected_at().is_none() {
            storm.tally.stand(index, Standing::Connecting);
        }
        let outcome = tokio::select! {
            ended = timeout_at(storm.clock.wall(next.deadline), call(index, &storm, tls.as_ref(), next, &mut line, &mut session)) => {
                ended.map_or(Outcome::TimedOut, |ended| ended.unwrap_or(Outcome::Broken))
            }
            _ = cuts.changed() => Outcome::Broken,
            _ = stage.wait_for(|&stage| stage == Stage::Over) => return,
        };
        storm.tally.end(next.call, outcome);
        next = host.ended(storm.clock.now(), outcome);
        match host.connected_at() {
            Some(at) => storm.tally.stand(index, Standing::Connected(at)),
            None if host.failures() > 0 => storm.tally.stand(index, Standing::Waiting),
            None => {}
        }
    }
}

fn model(index: u32, spec: &StormSpec) -> Host {
    let mut rng = SplitMix64::stream(spec.seed, u64::from(index));
    let retry = if rng.unit() < spec.greedy_share { GREEDY } else { spec.retry.policy() };
    let script = HostScript {
        follow_ups: spec.follow_ups,
        poll: Span::from_secs_f64(spec.poll_s),
        timeout: Span::from_secs_f64(spec.timeout_s),
    };
    Host::new(script, retry, rng)
}

/// Makes one call, over the connection that there is if it still stands.
async fn call(
    index: u32,
    storm: &Storm,
    tls: Option<&ClientTls>,
    next: Next,
    line: &mut Option<Line>,
    session: &mut Option<String>,
) -> io::Result<Outcome> {
    if next.call == Call::SetContext {
        *session = None;
    }
    // Taken out, so that a connection on which something went wrong is dropped.
    let standing = match line.take() {
        Some(line) => line.still_open().await,
        None => None,
    };
    let mut open = match standing {
        Some(open) => open,
        None if storm.network.is_cut(storm.clock.now()) => return Err(io::ErrorKind::NetworkUnreachable.into()),
        None => dial(storm.spec.target, source(index, &storm.spec.source_prefix)?, tls).await?,
    };
    let (authority, protocol) = (storm.spec.target.to_string(), storm.spec.protocol);
    let response = open.ask(&protocol.request(next.call, index, session.as_deref(), &authority)).await?;
    if response.headers.keep_alive() {
        *line = Some(open);
    }
    if next.call == Call::SetContext {
        *session = protocol.opened(&response);
    }
    Ok(protocol.outcome(&response, |wall_s| storm.clock.world_span(wall_s)))
}

/// Refuses a prefix that makes no loopback address.
pub fn check_source(spec: &StormSpec) -> Result<(), LabError> {
    match source(0, &spec.source_prefix) {
        Ok(address) if address.is_loopback() => Ok(()),
        _ => Err(LabError(format!("source_prefix is {:?}: give two bytes of loopback, as 127.1", spec.source_prefix))),
    }
}
