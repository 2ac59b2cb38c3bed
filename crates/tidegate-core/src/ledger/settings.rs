//! Sources, ports and headroom, and what can be wrong with them.

use super::ranges::{PortRange, split};
use crate::time::Span;
use std::net::IpAddr;

/// Most sources of one ledger.
pub const SOURCES_MAX: usize = 64;

/// Twice the longest life of a segment as Linux takes it (TCP_TIMEWAIT_LEN, 60 s): so long a peer may hold a tuple.
const QUARANTINE: Span = Span::secs(60);

/// A port that a bind said is another's is tried again after this: three reconciliations, ten seconds apart.
pub const FOREIGN_REST: Span = Span::secs(30);

/// What the operator decided, and the shell found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of ours to connect from, at most [`SOURCES_MAX`]. None: the one that the route gives.
    pub sources: Vec<IpAddr>,
    /// The ports of every bucket, not overlapping.
    pub ports: Vec<PortRange>,
    /// So many of them, the highest, are for probes alone: at least 1, and fewer than there are.
    pub headroom: u16,
    /// How long a tuple rests that the peer may still hold.
    pub quarantine: Span,
    /// Where in its ports a new bucket begins, so that a process that comes after a crash begins elsewhere.
    pub seed: u64,
}

impl Settings {
    /// The usual quarantine over these.
    pub fn new(sources: Vec<IpAddr>, ports: Vec<PortRange>, headroom: u16, seed: u64) -> Settings {
        Settings { sources, ports, headroom, quarantine: QUARANTINE, seed }
    }

    /// Whether a ledger can work with this.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SettingsError> {
        let mut ports = self.ports.clone();
        ports.sort_unstable();
        for range in &ports {
            if range.first == 0 {
                return Err(SettingsError::PortZero { range: *range });
            } else if range.count() == 0 {
                return Err(SettingsError::Empty { range: *range });
            }
        }
        if let Some(pair) = ports.windows(2).find(|pair| pair[0].meets(pair[1])) {
            return Err(SettingsError::Overlap { low: pair[0], high: pair[1] });
        }
        let count: u32 = ports.iter().map(|range| range.count()).sum();
        if count == 0 {
            return Err(SettingsError::NoPorts);
        } else if self.headroom == 0 {
            return Err(SettingsError::NoHeadroom);
        } else if u32::from(self.headroom) >= count {
            return Err(SettingsError::Headroom { headroom: self.headroom, ports: count });
        } else if self.sources.len() > SOURCES_MAX {
            return Err(SettingsError::TooManySources { given: self.sources.len() });
        }
        let mut sources = self.sources.clone();
        sources.sort_unstable();
        let twice = sources.windows(2).find(|pair| pair[0] == pair[1]);
        twice.map_or(Ok(()), |pair| Err(SettingsError::SourceTwice { source_ip: pair[0] }))
    }

    /// The ports for traffic, and those for probes.
    pub(super) fn split(&self) -> [Vec<PortRange>; 2] {
        split(&self.ports, u32::from(self.headroom))
    }
}

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No range at all.
    #[error("no range of ports is given: give one, as in 20000-32767")]
    NoPorts,
    /// The lower port is not first.
    #[error("the range {range} is empty: the lower port goes first, as in 20000-32767")]
    Empty {
        /// Which.
        range: PortRange,
    },
    /// Port 0 is no port.
    #[error("the range {range} begins with port 0, which is no port: begin above 1023, better above 10000")]
    PortZero {
        /// Which.
        range: PortRange,
    },
    /// A port is given twice.
    #[error("the ranges {low} and {high} overlap: give each port once")]
    Overlap {
        /// The lower one.
        low: PortRange,
        /// The other one.
        high: PortRange,
    },
    /// Probes would have no port.
    #[error("no port is kept for probes, and without one a full gate cannot tell a dead server: keep 8 or more")]
    NoHeadroom,
    /// Traffic would have no port.
    #[error("{headroom} ports are kept for probes, and the range has {ports}: keep fewer, or give a larger range")]
    Headroom {
        /// Kept for probes.
        headroom: u16,
        /// In all ranges.
        ports: u32,
    },
    /// More sources than the ledger looks at.
    #[error("{given} sources are given: give at most {SOURCES_MAX}")]
    TooManySources {
        /// So many.
        given: usize,
    },
    /// A source is given twice.
    #[error("the source {source_ip} is given twice: its ports can be leased only once")]
    SourceTwice {
        /// Which.
        source_ip: IpAddr,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(ranges: &[(u16, u16)], headroom: u16, sources: &[&str]) -> String {
        let ports = ranges.iter().map(|(first, last)| PortRange { first: *first, last: *last }).collect();
        let sources = sources.iter().map(|source| source.parse().unwrap()).collect();
        Settings::new(sources, ports, headroom, 1).check().map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn each_mistake_has_its_sentence() {
        assert_eq!(wrong(&[(20_000, 20_099), (20_100, 20_199)], 199, &["::1", "127.0.0.1"]), "");
        assert!(wrong(&[], 8, &[]).starts_with("no range of ports is given"));
        assert!(wrong(&[(5, 4)], 8, &[]).starts_with("the range 5-4 is empty"));
        assert!(wrong(&[(0, 400)], 8, &[]).starts_with("the range 0-400 begins with port 0"));
        assert!(wrong(&[(30, 40), (10, 30)], 8, &[]).starts_with("the ranges 10-30 and 30-40 overlap"));
        assert!(wrong(&[(10, 40)], 0, &[]).starts_with("no port is kept for probes"));
        assert!(wrong(&[(10, 17)], 8, &[]).starts_with("8 ports are kept for probes, and the range has 8"));
        assert!(wrong(&[(10, 40)], 8, &["::1", "::2", "::1"]).starts_with("the source ::1 is given twice"));
        assert!(wrong(&[(10, 40)], 8, &["::1"; 65]).starts_with("65 sources are given"));
    }
}
