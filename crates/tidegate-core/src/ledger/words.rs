//! What callers of the ledger give and get: leases, their use, their ending, how full a bucket is.

use crate::reason::words;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

words! {
    /// What a port is for. Each use has ports of its own in every bucket.
    Use {
        /// Connections that carry what clients send.
        Traffic = "traffic",
        /// Probes, which lease from the headroom alone.
        Probe = "probe",
    }
}

words! {
    /// How the use of a port ended, as far as the gate knows: it decides how long the tuple rests.
    Ending {
        /// FIN both ways: the peer closed as well. Free at once: an explicit bind takes over our own TIME_WAIT.
        Clean = "clean",
        /// We sent RST, so that the peer holds nothing. Free at once.
        Reset = "reset",
        /// The peer may hold the tuple: quarantine.
        Unknown = "unknown",
        /// RST in the handshake, by the server or by something before it that holds the tuple: quarantine.
        Refused = "refused",
        /// The peer was seen to hold the tuple: quarantine.
        Collision = "collision",
        /// bind said EADDRINUSE, or connect EADDRNOTAVAIL: another process uses it.
        Foreign = "foreign",
        /// Nothing was sent from it: it is the next to be leased, with the history that it had.
        Never = "never",
    }
}

words! {
    /// How full the traffic ports of a bucket are: leased, resting and foreign ones, in per cent of all.
    Watermark {
        /// Below 50 %.
        Calm = "calm",
        /// From 50 %: prefer reuse, reap what is long idle, warn.
        Warn = "warn",
        /// From 75 %: shorter idle times, the next source.
        Reap = "reap",
        /// From 90 %: new connections wait.
        Hold = "hold",
        /// From 97 %: new connections are turned away.
        Full = "full",
    }
}

impl Watermark {
    /// In per cent: where each watermark begins.
    pub const PER_CENT: [(u32, Watermark); 4] =
        [(97, Watermark::Full), (90, Watermark::Hold), (75, Watermark::Reap), (50, Watermark::Warn)];

    /// The watermark of `used` ports out of `capacity`.
    pub fn of(used: u32, capacity: u32) -> Watermark {
        let (used, capacity) = (u64::from(used), u64::from(capacity));
        let reached = |per_cent: &u32| used > 0 && used * 100 >= capacity * u64::from(*per_cent);
        Self::PER_CENT.iter().find(|(per_cent, _)| reached(per_cent)).map_or(Watermark::Calm, |(_, mark)| *mark)
    }
}

/// A port that is leased. Plain data: nothing happens when it is dropped, [`Ledger::release`](super::Ledger::release) it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Bind to this address,
    pub source: IpAddr,
    /// and this port,
    pub port: u16,
    /// and connect to this.
    pub destination: SocketAddr,
    /// What for.
    pub usage: Use,
    /// Tells this lease from later ones of the same port, so that a second release of it does no harm.
    pub(super) serial: u16,
}

/// Why there is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPort {
    /// No source of this family is configured and the route gave none.
    #[error("no source address of ours can reach {destination}: give one in [gate.ports] sources")]
    NoSource {
        /// What was to be reached.
        destination: SocketAddr,
    },
    /// Every port of every bucket is taken. Says nothing about the server.
    #[error(
        "all source ports for {usage} to {destination} are taken: {leased} leased, {quarantined} resting, {foreign} used by \
         others. More sources or a larger range in [gate.ports] help"
    )]
    Exhausted {
        /// What was to be reached.
        destination: SocketAddr,
        /// What for.
        usage: Use,
        /// Leased by us, over all sources.
        leased: u32,
        /// In quarantine.
        quarantined: u32,
        /// Used by others.
        foreign: u32,
        /// When the first of those that rest is free again.
        next: Option<Span>,
    },
    /// The ledger knows so many destinations that are all in use that it takes no other.
    #[error("connections to {most} destinations are open, and the ledger holds no more")]
    TooManyBuckets {
        /// [`BUCKETS_MAX`](super::BUCKETS_MAX), or what a test set.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_begin_where_they_say() {
        let of = |used| Watermark::of(used, 1000);
        assert_eq!(
            [of(0), of(499), of(500), of(749)],
            [Watermark::Calm, Watermark::Calm, Watermark::Warn, Watermark::Warn]
        );
        assert_eq!(
            [of(750), of(899), of(900), of(969)],
            [Watermark::Reap, Watermark::Reap, Watermark::Hold, Watermark::Hold]
        );
        assert_eq!([of(970), of(1000), Watermark::of(0, 0)], [Watermark::Full, Watermark::Full, Watermark::Calm]);
    }
}
