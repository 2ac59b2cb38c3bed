//! Which address of ours a route takes: a connected UDP socket knows, and sends nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use tidegate_core::time::{Nanos, Span};

/// Routes change when an interface or an address does: a new look every few seconds is soon enough.
const KEPT: Span = Span::secs(5);
/// Most destinations; then all are looked at anew.
const DESTINATIONS_MAX: usize = 4096;

/// What was found, for a short while.
#[derive(Default)]
pub(super) struct Routes(BTreeMap<IpAddr, (Nanos, IpAddr)>);

impl Routes {
    /// Our address towards `destination`; `None` when there is no route.
    pub(super) fn source(&mut self, now: Nanos, destination: SocketAddr) -> Option<IpAddr> {
        let known = self.0.get(&destination.ip()).filter(|(found, _)| now.since(*found) < KEPT);
        if let Some((_, source)) = known {
            return Some(*source);
        }
        let source = look(destination)?;
        if self.0.len() >= DESTINATIONS_MAX {
            self.0.clear();
        }
        self.0.insert(destination.ip(), (now, source));
        Some(source)
    }
}

fn look(destination: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if destination.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(destination).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback() {
        let mut routes = Routes::default();
        for _ in 0..2 {
            let source = routes.source(Nanos(1), ([127, 0, 0, 3], 80).into());
            assert_eq!(source, Some([127, 0, 0, 1].into()));
        }
        assert_eq!(routes.0.len(), 1);
    }
}
