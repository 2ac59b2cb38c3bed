//! What the broker tells about itself: who holds what. No token, no cookie, no password.

use super::Handle;
use crate::clock;
use crate::plan::VcenterPlan;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use tidegate_core::session::broker::{DownView, Kind, PrincipalKey, Snapshot, Stand, UpView};
use tidegate_core::time::Span;

/// Most principals that are told of.
const PRINCIPALS_MAX: usize = 1000;

impl Handle {
    /// The broker's own numbers.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.inner().broker.snapshot(clock::now())
    }

    /// What could not be done in the background for lack of room.
    pub(crate) fn jobs_dropped(&self) -> u64 {
        self.inner().jobs.dropped
    }

    /// The key `broker` of a service in status.
    pub(crate) fn told(&self) -> Value {
        let snapshot = self.snapshot();
        let kinds = [Kind::Shared, Kind::Clone, Kind::Own];
        let [shared, clones, own] = kinds.map(|kind| snapshot.ups.iter().filter(|up| up.kind == kind).count());
        json!({
            "clients": snapshot.downs.len(),
            "principals": snapshot.principals,
            "shared": shared,
            "clones": clones,
            "own": own,
            "waiting": snapshot.waiting,
            "logins": snapshot.tally.upstream_logins,
            "answered_logins": self.answered_logins.load(Ordering::Relaxed),
            "refused": snapshot.tally.refused,
        })
    }

    /// Who holds what.
    pub(crate) fn sessions(&self, service: &str, plan: &VcenterPlan) -> Value {
        let inner = self.inner();
        let snapshot = inner.broker.snapshot(clock::now());
        let mut by: BTreeMap<PrincipalKey, (Vec<&DownView>, Vec<&UpView>)> = BTreeMap::new();
        for principal in snapshot.waiting_of.keys() {
            by.entry(*principal).or_default();
        }
        snapshot.downs.iter().for_each(|down| by.entry(down.principal).or_default().0.push(down));
        snapshot.ups.iter().for_each(|up| by.entry(up.principal).or_default().1.push(up));
        let more = by.len().saturating_sub(PRINCIPALS_MAX);
        let now = clock::now();
        let principals: Vec<Value> = by
            .iter()
            .take(PRINCIPALS_MAX)
            .map(|(key, (downs, ups))| {
                let known = inner.tables.principals.get(key);
                let user = known.map(|known| &*known.user);
                let place = user.map_or(0, |user| usize::from(plan.principal(user)));
                let name = place.checked_sub(1).and_then(|at| plan.principals.get(at)).map(|plan| plan.name.as_str());
                let upstream: Vec<Value> = ups
                    .iter()
                    .map(|up| {
                        let holder = downs.iter().find(|down| down.up == Some(up.up) && up.clients == 1);
                        let peer = holder.and_then(|down| inner.tables.downs.get(&down.down)).map(|down| down.peer);
                        json!({
                            "kind": up.kind,
                            "state": match up.stand {
                                Stand::Making => "making",
                                Stand::Ready => "live",
                                Stand::Retiring => "stale",
                            },
                            "age_s": up.age.as_secs_f64(),
                            "idle_s": up.idle.as_secs_f64(),
                            "lent_to": peer.map(|peer| peer.to_string()),
                            "held": up.holds,
                        })
                    })
                    .collect();
                json!({
                    "principal": name,
                    "user": user,
                    "downstream": downs.len(),
                    "upstream": upstream,
                    "waiting": snapshot.waiting_of.get(key).copied().unwrap_or(0),
                    "last_verified_s": known.map(|known| Span::as_secs_f64(now.since(known.verified))),
                })
            })
            .collect();
        json!({ "service": service, "principals": principals, "more": more, "waiting": snapshot.waiting })
    }
}
