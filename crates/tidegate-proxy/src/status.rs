//! Status and explanations as JSON, with stable keys.

use crate::explain::{ExplainQuery, KEPT, Record, tell};
use crate::gate::{Served, Shared};
use crate::monitor::told;
use crate::plan::{FORMAT, ProtocolPlan, ServicePlan, TlsPlan};
use crate::stats::{Again, Reaped};
use crate::{clock, service::Service, why};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_core::admission::{Class, Counters, Mode};
use tidegate_core::health::PoolView;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// Calls told when the query does not say how many.
const EXPLAIN_DEFAULT: usize = 50;

/// A hint to share connections is given above so many clients …
const HINT_CLIENTS: u64 = 100;
/// … when so many times fewer connections would do: the most that were in use at once within the last minute.
const HINT_RATIO: u64 = 4;

/// The state of everything.
pub(crate) fn status(shared: &Shared) -> Value {
    let served = shared.served();
    let health = shared.way.health.view();
    let services: Vec<Value> = served.iter().map(|served| service(served, &health)).collect();
    let draining = served.iter().all(|s| s.service.stopping());
    let observe = served.iter().all(|s| s.service.setup().plan.admission.mode == Mode::Observe);
    json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": shared.started.elapsed().as_secs_f64(),
        "ready": !served.is_empty() && !draining,
        "mode": if observe { "observe" } else { "enforce" },
        "monitors_held": health.held,
        "services": services,
        "warnings": shared.way.ports.warnings(),
    })
}

/// Who holds which sessions at vCenters, by service.
pub(crate) fn sessions(shared: &Shared) -> Value {
    let served = shared.served();
    let told = served.iter().filter_map(|served| {
        let (broker, setup) = (served.service.broker()?, served.service.setup());
        Some(broker.sessions(&served.service.name, setup.vcenter()?.plan()))
    });
    json!({ "format": FORMAT, "services": told.collect::<Vec<_>>() })
}

/// Turned-away calls by reason, those that the machine never saw included.
pub(crate) fn turned_away(service: &Service, counters: &Counters) -> impl Iterator<Item = (Reason, u64)> {
    let machine = counters.turned_away;
    let shell: Vec<u64> = Reason::ALL.iter().map(|r| service.stats.refused(*r)).collect();
    Reason::ALL.iter().map(move |r| (*r, machine[*r as usize] + shell[*r as usize]))
}

/// All calls that arrived, those refused before the machine saw them included.
pub(crate) fn arrived(service: &Service, counters: &Counters) -> u64 {
    counters.arrived + Reason::ALL.iter().map(|r| service.stats.refused(*r)).sum::<u64>()
}

fn service(served: &Served, health: &PoolView) -> Value {
    let service = &served.service;
    let setup = service.setup();
    let plan = &setup.plan;
    let snapshot = service.snapshot();
    let held: Map<String, Value> =
        Class::ALL.iter().map(|c| (c.word().to_string(), snapshot.held[*c as usize].into())).collect();
    let servers: Vec<Value> = setup
        .servers
        .iter()
        .enumerate()
        .map(|(index, server)| {
            let stats = &server.stats;
            let seen = snapshot.servers.get(index);
            json!({
                "name": &*server.name,
                "address": &*server.address,
                "phase": seen.map(|s| s.phase.word()),
                "limit": seen.map(|s| s.limit),
                "why": seen.map(why::data),
                "monitor": server.watched().and_then(|at| health.servers.get(at)).map(|(_, view)| told::data(view)),
                "recovery": seen.and_then(|s| s.recovery.as_ref()).map(why::recovery),
                "in_flight": seen.map(|s| s.in_flight),
                "in_flight_max": seen.map(|s| s.in_flight_max),
                "orphans": seen.map(|s| s.orphans),
                "open_conns": stats.open_conns.get(),
                "open_requests": stats.open_requests.get(),
                "connections_dropped": stats.connections_dropped.get(),
                "connects": stats.connects.get(),
                "reuses": stats.reuses.get(),
                "idle_conns": server.idle_conns(),
                "shared_conns": stats.places.get(),
                "shared_conns_max": stats.places_max.get(),
                "idle_s": server.keeps_idle().as_secs_f64(),
                "idle_source": server.knows_idle().word(),
                "tls": server.tls.as_ref().map(|tls| if tls.unverified { "unverified" } else { "verified" }),
            })
        })
        .collect();
    json!({
        "name": &*service.name,
        "listen": served.address.to_string(),
        "mode": if plan.admission.mode == Mode::Observe { "observe" } else { "enforce" },
        "protocol": plan.protocol.word(),
        "tls": plan.tls.word(),
        "switches": {
            "maintenance": snapshot.maintenance,
            "bypass": snapshot.bypass,
            "draining": snapshot.draining,
        },
        "counters": counters(service, &snapshot.counters),
        "held": held,
        "held_total": snapshot.held.iter().sum::<u32>(),
        "pending": snapshot.pending,
        "oldest_wait_s": snapshot.oldest.as_secs_f64(),
        "rate": snapshot.rate_milli as f64 / 1000.0,
        "all_in_s": snapshot.all_in.map(Span::as_secs_f64),
        "remaining": snapshot.remaining,
        "sessions": { "unsettled": snapshot.sessions_unsettled, "settled": snapshot.sessions_settled },
        "open_conns": service.stats.open_conns.get(),
        "open_requests": service.stats.open_requests.get(),
        "connections_dropped": service.stats.connections_dropped.get(),
        "buffer_bytes": service.stats.buffer_bytes.get(),
        "broker": service.broker().map(|broker| broker.told()),
        "tasks": service.tasks().map(|tasks| tasks.told()),
        "not_authenticated": setup.vcenter().map(|_| service.stats.not_authenticated().collect::<BTreeMap<_, _>>()),
        "long_polls": setup.vcenter().map(|_| service.stats.long_polls.get()),
        "stale_gateway_alert": setup.vcenter().map(|_| service.stats.stale_gateway_alert()),
        "connections_silent": service.stats.silent.get(),
        "connections_closed": Reaped::ALL.map(|why| (why.word(), service.stats.closed(why))).into_iter().collect::<BTreeMap<_, _>>(),
        "estimated": unread(plan),
        "hint": hint(service, plan),
        "servers": servers,
    })
}

/// Whether connections of this service are relayed unread, so that none can be shared.
fn unread(plan: &ServicePlan) -> bool {
    matches!(plan.tls, TlsPlan::Passthrough { .. }) || matches!(plan.protocol, ProtocolPlan::Tcp {})
}

/// How many connections to the servers would do if the gate could read what passes; `None` where it would gain little.
fn hint(service: &Service, plan: &ServicePlan) -> Value {
    let clients = service.stats.open_conns.get();
    let connections: u64 = service.setup().servers.iter().map(|server| server.stats.open_conns.get()).sum();
    let enough = service.stats.in_use_max.get().max(1);
    if !unread(plan) || clients <= HINT_CLIENTS || connections < enough * HINT_RATIO {
        return Value::Null;
    }
    let how = match plan.protocol {
        ProtocolPlan::Tcp {} => "if this is HTTP, protocol = \"http\" here would carry them on about",
        _ => "terminating TLS here would carry them on about",
    };
    json!({
        "clients": clients,
        "connections": connections,
        "enough": enough,
        "text": format!("{clients} clients hold {connections} connections; {how} {enough}"),
    })
}

fn counters(service: &Service, counters: &Counters) -> Value {
    let mut all = match serde_json::to_value(counters) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let away: Map<String, Value> =
        turned_away(service, counters).map(|(reason, n)| (reason.word().to_string(), n.into())).collect();
    all.insert("arrived".into(), arrived(service, counters).into());
    all.insert("turned_away".into(), away.into());
    all.insert("turned_away_total".into(), turned_away(service, counters).map(|(_, n)| n).sum::<u64>().into());
    all.insert("panics".into(), service.stats.panics.get().into());
    all.insert("retries".into(), Again::ALL.iter().map(|why| service.stats.retries(*why)).sum::<u64>().into());
    all.insert("retries_refused".into(), service.stats.retries_refused.get().into());
    Value::Object(all)
}

/// Why calls met their fates: those that wait now, then the others, each newest first.
pub(crate) fn explain(shared: &Shared, query: &ExplainQuery) -> Value {
    let limit = query.limit.unwrap_or(EXPLAIN_DEFAULT).min(2 * KEPT);
    let now = clock::now();
    let mut told = Vec::new();
    let mut limits = Vec::new();
    let health = shared.way.health.view();
    let mut monitors = Vec::new();
    for served in shared.served().iter() {
        let service = &served.service;
        if query.service.as_ref().is_some_and(|name| **name != *service.name) {
            continue;
        }
        limits.extend(
            service.snapshot().servers.iter().map(
                |server| json!({ "service": &*service.name, "server": server.name, "text": why::sentence(server) }),
            ),
        );
        let watched = service.setup();
        let views = watched.servers.iter().filter_map(|server| Some((server, health.servers.get(server.watched()?)?)));
        monitors.extend(views.map(
            |(server, (_, view))| json!({ "service": &*service.name, "server": &*server.name, "text": told::sentence(view) }),
        ));
        let mut note = |record: &Record| {
            if query.wants(record) {
                told.push((
                    record.decided.is_some() || record.end.is_some(),
                    record.at,
                    serde_json::to_value(tell(&service.name, record, now)).unwrap_or_default(),
                ));
            }
        };
        service.lobby.records(KEPT).iter().for_each(&mut note);
        service.records(note);
    }
    told.sort_by_key(|(over, at, _)| (*over, std::cmp::Reverse(*at)));
    let calls: Vec<Value> = told.into_iter().take(limit).map(|(.., value)| value).collect();
    json!({ "format": FORMAT, "calls": calls, "limits": limits, "monitors": monitors, "monitors_held": health.held })
}
