//! Every ten seconds the ledger meets the kernel's list of sockets: what others use of its buckets is foreign.

use super::Ports;
use super::sockets::{self, Connection};
use crate::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Between two looks: soon enough for ports that others took, rare enough for a machine with a hundred thousand sockets.
const EVERY: Duration = Duration::from_secs(10);

/// Reconciles until it is dropped. Runs on the admin's thread: a long list must not stop bytes from moving.
pub(crate) async fn watch(ports: Arc<Ports>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        ports.reconcile();
    }
}

impl Ports {
    /// One look. Without any list nothing changes: what others use is then learned from binds that fail.
    pub(super) fn reconcile(&self) {
        let known = self.ledger().known();
        let asked = clock::now();
        let to: BTreeSet<u16> = known.iter().map(|(_, destination)| destination.port()).collect();
        let Some((listed_by, connections)) = sockets::connections(&to) else { return };
        *self.listed_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(listed_by);
        let used = by_bucket(connections);
        for (source, destination) in known {
            let ports = used.get(&(source, destination.ip(), destination.port())).map_or(&[][..], Vec::as_slice);
            self.ledger().reconcile(clock::now(), asked, source, destination, ports);
        }
    }
}

/// Scope ids are left out: the kernel's list has none.
fn by_bucket(connections: Vec<Connection>) -> BTreeMap<(IpAddr, IpAddr, u16), Vec<u16>> {
    let mut used: BTreeMap<_, Vec<u16>> = BTreeMap::new();
    for Connection { from, to } in connections {
        let (from, to): (SocketAddr, SocketAddr) = (from, to);
        used.entry((from.ip(), to.ip(), to.port())).or_default().push(from.port());
    }
    used
}
