//! Prometheus metrics, put together from the same snapshots as status at each scrape, so that they cannot disagree.
//!
//! Names are `tidegate_<area>_<noun>_<unit>[_total]`; labels come from closed lists, or are names of services and servers.

mod tasks;

use crate::gate::{Served, Shared};
use crate::stats::{Again, Connects, Reaped};
use crate::status;
use crate::stream::Ending;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_core::admission::{Class, Phase, ServerSnapshot};
use tidegate_core::ledger::{LedgerView, Use};
use tidegate_core::limit::{LimitCause, LimitMode};
use tidegate_core::session::broker::Kind;
use tidegate_core::time::Span;

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// Metrics of one scrape, registered as they are first set.
#[derive(Default)]
struct Scrape {
    counters: BTreeMap<&'static str, (&'static str, Counters)>,
    gauges: BTreeMap<&'static str, (&'static str, Gauges)>,
}

impl Scrape {
    fn count(&mut self, name: &'static str, help: &'static str, labels: &Labels, value: u64) {
        let family = &self.counters.entry(name).or_insert_with(|| (help, Family::default())).1;
        family.get_or_create(labels).inc_by(value);
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, labels: &Labels, value: f64) {
        let family = &self.gauges.entry(name).or_insert_with(|| (help, Family::default())).1;
        family.get_or_create(labels).set(value);
    }
}

/// The metrics as OpenMetrics text.
pub(crate) fn text(shared: &Shared) -> String {
    let mut scrape = Scrape::default();
    let none = Labels::new();
    scrape.gauge(
        "tidegate_gate_uptime_seconds",
        "Time since the gate started",
        &none,
        shared.started.elapsed().as_secs_f64(),
    );
    scrape.gauge(
        "tidegate_gate_loop_age_seconds",
        "Time since the I/O loop last turned",
        &none,
        shared.loop_age().as_secs_f64(),
    );
    ports(&mut scrape, shared.way.ports.view(), shared.way.ports.slow_collisions());
    for served in shared.served() {
        admission(&mut scrape, &served);
        connections(&mut scrape, &served);
        servers(&mut scrape, &served);
        sessions(&mut scrape, &served);
        tasks::tasks(&mut scrape, &served);
    }
    let mut registry = Registry::default();
    for (name, (help, family)) in scrape.counters {
        registry.register(name, help, family);
    }
    for (name, (help, family)) in scrape.gauges {
        registry.register(name, help, family);
    }
    let mut text = String::new();
    let _writing_to_a_string_cannot_fail = encode(&mut text, &registry);
    text
}

fn with(labels: &Labels, name: &'static str, value: impl ToString) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_string()));
    labels
}

fn of(service: &str) -> Labels {
    vec![("service", service.to_string())]
}

fn admission(scrape: &mut Scrape, served: &Served) {
    let service = &served.service;
    let snapshot = service.snapshot();
    let counters = &snapshot.counters;
    let labels = of(&service.name);
    let arrived = status::arrived(service, counters);
    scrape.count("tidegate_admission_arrived_calls", "Calls that arrived", &labels, arrived);
    for (name, help, value) in [
        ("tidegate_admission_admitted_calls", "Calls that reached a server", counters.admitted),
        ("tidegate_admission_client_gone_calls", "Calls whose client left while they were held", counters.client_gone),
        ("tidegate_admission_held_at_least_once_calls", "Calls that were held at least once", counters.held),
        ("tidegate_admission_orphaned_calls", "Calls whose client left after they were admitted", counters.orphaned),
        ("tidegate_admission_expired_calls", "Calls that the server did not answer in time", counters.expired),
        ("tidegate_admission_overload_answers", "Answers that said that the server cannot", counters.overload),
        (
            "tidegate_admission_broken_calls",
            "Calls whose connection broke, or whose answer was garbage",
            counters.broken,
        ),
        ("tidegate_admission_connect_failures", "Connects to servers that failed", counters.connect_failed),
        (
            "tidegate_admission_not_connected_calls",
            "Connects that our own side could not make, or that a server at its limit did not take",
            counters.not_connected,
        ),
        (
            "tidegate_admission_would_hold_calls",
            "In observe mode: calls that would have been held",
            counters.would_hold,
        ),
        (
            "tidegate_admission_would_turn_away_calls",
            "In observe mode: calls that would have been turned away",
            counters.would_turn_away,
        ),
        ("tidegate_admission_opened_sessions", "Sessions opened through the gate", counters.sessions_opened),
    ] {
        scrape.count(name, help, &labels, value);
    }
    for (reason, n) in status::turned_away(service, counters) {
        let labels = with(&labels, "reason", reason);
        scrape.count("tidegate_admission_turned_away_calls", "Calls turned away, by reason", &labels, n);
    }
    for class in Class::ALL {
        let held = f64::from(snapshot.held[*class as usize]);
        scrape.gauge("tidegate_admission_held_calls", "Calls held now, by class", &with(&labels, "class", class), held);
    }
    let rate = snapshot.rate_milli as f64 / 1000.0;
    scrape.gauge("tidegate_admission_rate_units_per_second", "Measured rate of completed work", &labels, rate);
    let oldest = snapshot.oldest.as_secs_f64();
    scrape.gauge("tidegate_admission_oldest_wait_seconds", "Longest wait of a call now held", &labels, oldest);
    if let Some(all_in) = snapshot.all_in.map(Span::as_secs_f64) {
        scrape.gauge("tidegate_admission_all_in_seconds", "Time until all that is held now is in", &labels, all_in);
    }
    let remaining = f64::from(snapshot.remaining);
    let help = "Clients that asked for a session and have none that is settled";
    scrape.gauge("tidegate_admission_remaining_clients", help, &labels, remaining);
    for (state, n) in [("unsettled", snapshot.sessions_unsettled), ("settled", snapshot.sessions_settled)] {
        scrape.gauge(
            "tidegate_admission_sessions",
            "Sessions now, by state",
            &with(&labels, "state", state),
            f64::from(n),
        );
    }
    for (switch, on) in
        [("maintenance", snapshot.maintenance), ("bypass", snapshot.bypass), ("draining", snapshot.draining)]
    {
        scrape.gauge(
            "tidegate_gate_switch",
            "Whether a switch is on",
            &with(&labels, "switch", switch),
            f64::from(u8::from(on)),
        );
    }
}

/// Most buckets that are told of: those with most leases.
const BUCKETS_MAX: usize = 20;

fn ports(scrape: &mut Scrape, mut view: LedgerView, slow_collisions: u64) {
    let none = Labels::new();
    let help = "Idle destinations whose ports were forgotten for others";
    scrape.count("tidegate_ports_evicted_buckets", help, &none, view.evicted_total);
    let help = "Connects whose SYN was sent again from a port used a short time before";
    scrape.count("tidegate_ports_slow_collisions", help, &none, slow_collisions);
    for (usage, n) in view.no_port_total {
        let labels = with(&none, "use", usage);
        scrape.count("tidegate_ports_refused_leases", "Leases refused because every port was taken", &labels, n);
    }
    view.buckets.sort_by_key(|bucket| Reverse(bucket.traffic + bucket.probes));
    for bucket in view.buckets.iter().take(BUCKETS_MAX) {
        let labels = with(&with(&none, "source", bucket.source), "destination", bucket.destination);
        let [traffic, probe] = Use::ALL else { continue };
        for (usage, leased, free) in [
            (traffic, bucket.traffic, bucket.free - bucket.free_headroom),
            (probe, bucket.probes, bucket.free_headroom),
        ] {
            let labels = with(&labels, "use", usage);
            scrape.gauge("tidegate_ports_leased", "Source ports leased now, by use", &labels, f64::from(leased));
            scrape.gauge("tidegate_ports_free", "Source ports free now, by use", &labels, f64::from(free));
            let ever = bucket.leased_total.get(usage).copied().unwrap_or_default();
            scrape.count("tidegate_ports_leases", "Source ports leased ever, by use", &labels, ever);
        }
        for (name, help, value) in [
            (
                "tidegate_ports_quarantined",
                "Source ports that rest because the server may hold them",
                bucket.quarantined,
            ),
            ("tidegate_ports_foreign", "Source ports that other programs use", bucket.foreign),
            ("tidegate_ports_high_water", "Most source ports leased at one time", bucket.high_water),
        ] {
            scrape.gauge(name, help, &labels, f64::from(value));
        }
        let used = f64::from(bucket.used_milli) / 1000.0;
        scrape.gauge("tidegate_ports_used_ratio", "How full the source ports for traffic are", &labels, used);
        if let Some(left) = bucket.forecast {
            let help = "When the last source port for traffic will be gone";
            scrape.gauge("tidegate_ports_exhausted_in_seconds", help, &labels, left.as_secs_f64());
        }
    }
}

fn connections(scrape: &mut Scrape, served: &Served) {
    let service = &served.service;
    let stats = &service.stats;
    let labels = of(&service.name);
    for (name, help, value) in [
        ("tidegate_client_accepted_connections", "Client connections accepted", stats.accepted.get()),
        (
            "tidegate_client_dropped_connections",
            "Client connections closed for lack of room",
            stats.connections_dropped.get(),
        ),
        ("tidegate_client_silent_connections", "Client connections that said nothing in time", stats.silent.get()),
        ("tidegate_gate_panics", "Connections ended by a defect of the gate", stats.panics.get()),
        (
            "tidegate_relay_retries_refused_requests",
            "Requests not sent again because too many were already",
            stats.retries_refused.get(),
        ),
    ] {
        scrape.count(name, help, &labels, value);
    }
    for why in Again::ALL {
        let help = "Requests sent again, by why that was safe";
        scrape.count("tidegate_relay_retried_requests", help, &with(&labels, "cause", why), stats.retries(*why));
    }
    for why in Reaped::ALL {
        let help = "Connections closed by the gate that cannot be shared, by reason";
        let labels = with(&labels, "reason", why.word());
        scrape.count("tidegate_client_closed_connections", help, &labels, stats.closed(why));
    }
    for (direction, bytes) in [("to-server", stats.bytes_in.get()), ("to-client", stats.bytes_out.get())] {
        scrape.count(
            "tidegate_relay_bytes",
            "Bytes relayed, by direction",
            &with(&labels, "direction", direction),
            bytes,
        );
    }
    for (name, help, value) in [
        ("tidegate_client_open_connections", "Client connections open now", stats.open_conns.get()),
        ("tidegate_client_open_requests", "Requests being handled now, held ones included", stats.open_requests.get()),
        ("tidegate_gate_buffers_bytes", "Buffers lent now", stats.buffer_bytes.get()),
    ] {
        scrape.gauge(name, help, &labels, value as f64);
    }
}

/// A vCenter's sessions.
fn sessions(scrape: &mut Scrape, served: &Served) {
    let service = &served.service;
    if service.setup().vcenter().is_none() {
        return;
    }
    let labels = of(&service.name);
    for (shape, n) in service.stats.not_authenticated() {
        let help = "Answers of a vCenter by which something was not authenticated, by shape";
        scrape.count("tidegate_broker_not_authenticated_answers", help, &with(&labels, "shape", shape), n);
    }
    let raised = f64::from(u8::from(service.stats.stale_gateway_alert()));
    let help = "Whether a gateway behind the vCenter refused 11 calls or more within five minutes";
    scrape.gauge("tidegate_broker_stale_gateway_alert", help, &labels, raised);
    let Some(broker) = service.broker() else { return };
    let snapshot = broker.snapshot();
    for kind in [Kind::Shared, Kind::Clone, Kind::Own] {
        let n = snapshot.ups.iter().filter(|up| up.kind == kind).count() as f64;
        let word = match kind {
            Kind::Shared => "shared",
            Kind::Clone => "clone",
            Kind::Own => "own",
        };
        let help = "Sessions at the vCenter that the gate holds, by kind";
        scrape.gauge("tidegate_broker_sessions", help, &with(&labels, "kind", word), n);
    }
    for (name, help, value) in [
        ("tidegate_broker_downstream_sessions", "Sessions of clients at the gate", snapshot.downs.len() as u64),
        ("tidegate_broker_waiting_calls", "Calls that wait for a session", u64::from(snapshot.waiting)),
        ("tidegate_broker_long_polls", "Long polls that wait at the vCenter", service.stats.long_polls.get()),
    ] {
        scrape.gauge(name, help, &labels, value as f64);
    }
    let tally = &snapshot.tally;
    for (name, help, value) in [
        ("tidegate_broker_upstream_logins", "Logins at the vCenter", tally.upstream_logins),
        (
            "tidegate_broker_answered_logins",
            "Logins that the gate answered itself",
            broker.answered_logins.load(Ordering::Relaxed),
        ),
        ("tidegate_broker_asked_calls", "Calls that asked for a session", tally.asked),
        ("tidegate_broker_lent_calls", "Calls that a session at the vCenter was lent to", tally.lent),
        ("tidegate_broker_left_calls", "Calls whose client left before they got a session", tally.left),
        ("tidegate_broker_opened_sessions", "Logins that were answered with a session", tally.opened),
        ("tidegate_broker_clones", "Sessions cloned at the vCenter", tally.clones),
        ("tidegate_broker_dead_sessions", "Sessions that the vCenter ended", tally.dead),
        ("tidegate_broker_dropped_jobs", "Things to clean up that did not fit in their queue", broker.jobs_dropped()),
    ] {
        scrape.count(name, help, &labels, value);
    }
    for (reason, n) in &tally.refused {
        let help = "Calls that got no session, by reason";
        scrape.count("tidegate_broker_refused_calls", help, &with(&labels, "reason", reason), *n);
    }
}

fn servers(scrape: &mut Scrape, served: &Served) {
    let service = &served.service;
    let snapshot = service.snapshot();
    for (index, server) in service.setup().servers.iter().enumerate() {
        let labels = with(&of(&service.name), "server", &server.name);
        let stats = &server.stats;
        for (name, help, value) in [
            (
                "tidegate_server_dropped_connections",
                "Connections that broke or could not be made",
                stats.connections_dropped.get(),
            ),
            ("tidegate_server_connects", "Connections made", stats.connects.get()),
            (
                "tidegate_server_reused_requests",
                "Requests answered over a connection that had served before",
                stats.reuses.get(),
            ),
            (
                "tidegate_server_unasked_connections",
                "Idle connections closed because the server spoke unasked",
                stats.unasked.get(),
            ),
        ] {
            scrape.count(name, help, &labels, value);
        }
        for why in Connects::ALL {
            let help = "Connections made for a request, by why none was reused";
            scrape.count("tidegate_server_fresh_requests", help, &with(&labels, "cause", why), stats.connected(*why));
        }
        for ending in Ending::ALL {
            let help = "Connections that are over, by how they ended";
            let value = stats.ended(*ending);
            scrape.count("tidegate_server_ended_connections", help, &with(&labels, "ending", ending), value);
        }
        let open = stats.open_conns.get() as f64;
        scrape.gauge("tidegate_server_open_connections", "Connections open now, idle ones included", &labels, open);
        let kept = server.idle_conns() as f64;
        scrape.gauge("tidegate_server_idle_connections", "Connections that wait for the next call", &labels, kept);
        let idle = server.keeps_idle().as_secs_f64();
        scrape.gauge("tidegate_server_idle_seconds", "How long an idle connection is kept", &labels, idle);
        let Some(seen) = snapshot.servers.get(index) else { continue };
        limits(scrape, seen, &labels);
        for (name, help, value) in [
            ("tidegate_server_limit_calls", "How many calls may be in flight", seen.limit),
            ("tidegate_server_in_flight_calls", "Calls in flight", seen.in_flight),
            ("tidegate_server_orphan_calls", "Calls in flight whose client has left", seen.orphans),
        ] {
            scrape.gauge(name, help, &labels, f64::from(value));
        }
        for phase in Phase::ALL {
            let is = f64::from(u8::from(*phase == seen.phase));
            scrape.gauge(
                "tidegate_server_phase",
                "Whether the server is in this phase",
                &with(&labels, "phase", phase),
                is,
            );
        }
    }
}

/// How the limit of a server came to be what it is, and how far its recovery is.
fn limits(scrape: &mut Scrape, seen: &ServerSnapshot, labels: &Labels) {
    let why = &seen.why;
    for mode in LimitMode::ALL {
        let is = f64::from(u8::from(*mode == why.mode));
        scrape.gauge("tidegate_server_limit_mode", "How the limit is found", &with(labels, "mode", mode), is);
    }
    for cause in LimitCause::ALL {
        let is = f64::from(u8::from(*cause == why.cause));
        let help = "What changed the limit last";
        scrape.gauge("tidegate_server_limit_cause", help, &with(labels, "cause", cause), is);
    }
    for (name, help, value) in [
        ("tidegate_server_limit_best_calls", "Limit with which the server got most done", why.best.map(f64::from)),
        (
            "tidegate_server_limit_base_seconds",
            "Time per unit of work on the unsaturated server",
            why.base.map(Span::as_secs_f64),
        ),
        ("tidegate_server_limit_unit_seconds", "Time per unit of work now", why.unit.map(Span::as_secs_f64)),
        (
            "tidegate_server_recovery_batch",
            "Number of the batch of clients that is being let in",
            seen.recovery.as_ref().map(|recovery| f64::from(recovery.batch)),
        ),
        (
            "tidegate_server_recovery_begun_clients",
            "Clients let in with the batch so far",
            seen.recovery.as_ref().map(|recovery| f64::from(recovery.begun)),
        ),
        (
            "tidegate_server_recovery_complete_clients",
            "Of these, clients whose sessions are complete",
            seen.recovery.as_ref().map(|recovery| f64::from(recovery.complete)),
        ),
    ] {
        value.into_iter().for_each(|value| scrape.gauge(name, help, labels, value));
    }
}
