//! The ledger: who leases which port of which bucket.

use super::bucket::Bucket;
use super::ranges::PortRange;
use super::settings::{Settings, SettingsError};
use super::view::{BucketView, LedgerView};
use super::words::{Ending, Lease, NoPort, Use, Watermark};
use crate::rng::Rng;
use crate::time::Nanos;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Most buckets; at 8 bytes for every port that was used, and usually a few of them.
pub const BUCKETS_MAX: usize = 4096;

/// A bucket, ordered by destination so that those of one destination are beside each other.
pub(super) type Key = (SocketAddr, IpAddr);

/// All leases of one process. Time is passed in and must not go back.
#[derive(Debug)]
pub struct Ledger {
    pub(super) settings: Settings,
    pub(super) split: [Vec<PortRange>; 2],
    pub(super) rng: Rng,
    pub(super) buckets: BTreeMap<Key, Bucket>,
    pub(super) most: usize,
    pub(super) generation: u64,
    evicted: u64,
    no_port: [u64; 2],
}

impl Ledger {
    /// A ledger of generation 1 in which every port is free.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Ledger, SettingsError> {
        settings.check()?;
        Ok(Ledger {
            split: settings.split(),
            rng: Rng::new(settings.seed),
            settings,
            buckets: BTreeMap::new(),
            most: BUCKETS_MAX,
            generation: 1,
            evicted: 0,
            no_port: [0; 2],
        })
    }

    /// What it works with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Other settings from now on. Leases live on, also those of sources and ports that are gone; quarantines and history
    /// of ports that stay are kept. The seed is that of the first settings.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub fn apply(&mut self, now: Nanos, settings: Settings) -> Result<(), SettingsError> {
        settings.check()?;
        let split = settings.split();
        let other = split != self.split;
        self.settings = settings;
        self.split = split;
        self.buckets.retain(|(_, source), bucket| bucket.busy() || Self::lends(&self.settings, *source));
        for bucket in self.buckets.values_mut() {
            bucket.pass(now, self.settings.quarantine);
            if other {
                let known = bucket.known();
                bucket.rebuild(&self.split, known, &mut self.rng);
            }
        }
        Ok(())
    }

    /// A port to connect to `destination` from, of the source that has most free ones. `route` is the source that the
    /// route gives, for when none of that family is configured. A probe gets a port that is still in quarantine rather
    /// than none: [`last_use`](Ledger::last_use) tells.
    ///
    /// # Errors
    /// Why there is none.
    pub fn lease(
        &mut self,
        now: Nanos,
        destination: SocketAddr,
        route: Option<IpAddr>,
        usage: Use,
    ) -> Result<Lease, NoPort> {
        let destination = canonical(destination);
        let sources = self.sources(destination, route);
        self.lease_of(now, destination, &sources, usage)
    }

    /// The same from this source and no other. Where sources of its family are configured it must be one of them.
    ///
    /// # Errors
    /// Why there is none.
    pub fn lease_from(
        &mut self,
        now: Nanos,
        destination: SocketAddr,
        source: IpAddr,
        usage: Use,
    ) -> Result<Lease, NoPort> {
        let destination = canonical(destination);
        let mut sources = self.sources(destination, Some(source));
        sources.retain(|ours| *ours == source);
        self.lease_of(now, destination, &sources, usage)
    }

    /// A configured source from which `destination` may be reached, and that is none of `tried`.
    pub fn other_source(&self, destination: SocketAddr, tried: &[IpAddr]) -> Option<IpAddr> {
        self.sources(canonical(destination), None).into_iter().find(|source| !tried.contains(source))
    }

    fn lease_of(
        &mut self,
        now: Nanos,
        destination: SocketAddr,
        sources: &[IpAddr],
        usage: Use,
    ) -> Result<Lease, NoPort> {
        let mut best: Option<((u32, u32), Reverse<usize>)> = None;
        for (place, source) in sources.iter().enumerate() {
            let available = match self.passed(now, (destination, *source)) {
                Some(bucket) => bucket.available(usage),
                None => (self.split[usage as usize].iter().map(|range| range.count()).sum(), 0),
            };
            best = best.max(Some((available, Reverse(place))));
        }
        let Some((available, Reverse(place))) = best else { return Err(NoPort::NoSource { destination }) };
        if available == (0, 0) {
            self.no_port[usage as usize] += 1;
            return Err(self.exhausted(now, destination, sources, usage));
        }
        let source = sources[place];
        let bucket = self.bucket(now, (destination, source))?;
        match bucket.take(now, usage) {
            Some((port, serial)) => Ok(Lease { source, port, destination, usage, serial }),
            None => Err(self.exhausted(now, destination, sources, usage)),
        }
    }

    /// The connection of a lease is established.
    pub fn connected(&mut self, lease: &Lease) {
        if let Some(bucket) = self.buckets.get_mut(&(lease.destination, lease.source)) {
            bucket.connected(lease);
        }
    }

    /// Ends a lease. A second release of the same one does nothing.
    pub fn release(&mut self, now: Nanos, lease: &Lease, ending: Ending) {
        let key = (lease.destination, lease.source);
        let Some(bucket) = self.buckets.get_mut(&key) else { return };
        bucket.pass(now, self.settings.quarantine);
        if bucket.release(now, lease, ending) && !bucket.busy() && !Self::lends(&self.settings, lease.source) {
            self.buckets.remove(&key);
        }
    }

    /// How the use of exactly this tuple before this lease ended, and when: evidence for or against a collision.
    pub fn last_use(&self, lease: &Lease) -> Option<(Nanos, Ending)> {
        self.buckets.get(&(lease.destination, lease.source))?.slot(lease)?.history()
    }

    /// How full the traffic ports to `destination` are, over all sources.
    pub fn pressure(&mut self, now: Nanos, destination: SocketAddr) -> Watermark {
        let destination = canonical(destination);
        let each: u32 = self.split[Use::Traffic as usize].iter().map(|range| range.count()).sum();
        let mut sources = self.sources(destination, None);
        if sources.is_empty() {
            sources = self.known_sources(destination);
        }
        let free: u32 = sources
            .iter()
            .map(|source| self.passed(now, (destination, *source)).map_or(each, |b| b.available(Use::Traffic).0))
            .sum();
        let capacity = each * sources.len() as u32;
        Watermark::of(capacity - free, capacity)
    }

    /// How full the traffic ports to the fullest destination are.
    pub fn fullest(&mut self, now: Nanos) -> Watermark {
        let mut destinations: Vec<SocketAddr> = self.buckets.keys().map(|(destination, _)| *destination).collect();
        destinations.dedup(); // those of one are beside each other
        let each = destinations.into_iter().map(|destination| self.pressure(now, destination));
        each.max().unwrap_or(Watermark::Calm)
    }

    /// The kernel's own list for a bucket that the ledger knows: ports with connections, asked for at `asked`. What the
    /// ledger leases, holds in quarantine, or had released only since then is ours; the rest of them is others'.
    pub fn reconcile(&mut self, now: Nanos, asked: Nanos, source: IpAddr, destination: SocketAddr, used: &[u16]) {
        if let Some(bucket) = self.passed(now, (canonical(destination), source)) {
            bucket.reconcile(now, asked, used);
        }
    }

    /// Every bucket that [`reconcile`](Ledger::reconcile) can be asked for.
    pub fn known(&self) -> Vec<(IpAddr, SocketAddr)> {
        self.buckets.keys().map(|(destination, source)| (*source, *destination)).collect()
    }

    /// Every bucket.
    pub fn view(&mut self, now: Nanos) -> LedgerView {
        self.buckets.values_mut().for_each(|bucket| bucket.pass(now, self.settings.quarantine));
        let view =
            |((destination, source), bucket): (&Key, &Bucket)| BucketView::of(now, *source, *destination, bucket);
        LedgerView {
            generation: self.generation,
            buckets: self.buckets.iter().map(view).collect(),
            evicted_total: self.evicted,
            no_port_total: Use::ALL.iter().map(|usage| (*usage, self.no_port[*usage as usize])).collect(),
        }
    }

    /// Whether new leases of a source may be given.
    pub(super) fn lends(settings: &Settings, source: IpAddr) -> bool {
        let mut family = settings.sources.iter().filter(|ours| ours.is_ipv4() == source.is_ipv4()).peekable();
        family.peek().is_none() || family.any(|ours| *ours == source)
    }

    /// Configured sources of the destination's family, else what the route gives.
    fn sources(&self, destination: SocketAddr, route: Option<IpAddr>) -> Vec<IpAddr> {
        let family = |source: &&IpAddr| source.is_ipv4() == destination.is_ipv4();
        let sources: Vec<IpAddr> = self.settings.sources.iter().filter(family).copied().collect();
        if sources.is_empty() { route.iter().filter(family).copied().collect() } else { sources }
    }

    fn known_sources(&self, destination: SocketAddr) -> Vec<IpAddr> {
        let from = (destination, IpAddr::from([0u8; 4]));
        let same = self.buckets.range(from..).map(|(key, _)| *key);
        same.take_while(|key| key.0 == destination).map(|key| key.1).collect()
    }

    /// A bucket that is known, with what has rested long enough freed.
    fn passed(&mut self, now: Nanos, key: Key) -> Option<&mut Bucket> {
        let bucket = self.buckets.get_mut(&key)?;
        bucket.pass(now, self.settings.quarantine);
        Some(bucket)
    }

    /// A bucket that may be new; then the idle one that was not used for the longest time goes if there are too many.
    pub(super) fn bucket(&mut self, now: Nanos, key: Key) -> Result<&mut Bucket, NoPort> {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.most {
            let idle = self.buckets.iter().filter(|(_, bucket)| !bucket.busy());
            let least = idle.min_by_key(|(key, bucket)| (bucket.used, **key)).map(|(key, _)| *key);
            self.buckets.remove(&least.ok_or(NoPort::TooManyBuckets { most: self.most })?);
            self.evicted += 1;
        }
        Ok(self.buckets.entry(key).or_insert_with(|| Bucket::new(now, &self.split, &mut self.rng)))
    }

    fn exhausted(&self, now: Nanos, destination: SocketAddr, sources: &[IpAddr], usage: Use) -> NoPort {
        let pools: Vec<_> = sources
            .iter()
            .filter_map(|source| self.buckets.get(&(destination, *source)))
            .map(|bucket| &bucket.pools[usage as usize])
            .collect();
        let next = pools.iter().filter_map(|pool| pool.next(self.settings.quarantine)).min();
        NoPort::Exhausted {
            destination,
            usage,
            leased: pools.iter().map(|pool| pool.leased()).sum(),
            quarantined: pools.iter().map(|pool| pool.resting()).sum(),
            foreign: pools.iter().map(|pool| pool.foreign()).sum(),
            next: next.map(|due| due.since(now)),
        }
    }
}

/// One destination has one name: IPv4 in IPv6 is IPv4, and a flow label is no part of a tuple.
pub(super) fn canonical(destination: SocketAddr) -> SocketAddr {
    match (destination.ip().to_canonical(), destination) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) => SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into(),
        (ip, _) => SocketAddr::new(ip, destination.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn ledger(most: usize) -> Ledger {
        let settings = Settings::new(vec!["127.0.0.9".parse().unwrap()], vec![(100..=109).into()], 2, 7);
        Ledger { most, ..Ledger::new(settings).unwrap() }
    }

    fn to(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 80).into()
    }

    #[test]
    fn the_idle_bucket_that_was_longest_unused_makes_room() {
        let mut ledger = ledger(2);
        let kept = ledger.lease(Nanos(1), to(1), None, Use::Traffic).unwrap();
        let idle = ledger.lease(Nanos(2), to(2), None, Use::Traffic).unwrap();
        assert_eq!(ledger.lease(Nanos(3), to(3), None, Use::Probe), Err(NoPort::TooManyBuckets { most: 2 }));
        ledger.release(Nanos(4), &idle, Ending::Clean);
        assert!(ledger.lease(Nanos(5), to(3), None, Use::Probe).is_ok());
        let view = ledger.view(Nanos(6));
        assert_eq!((view.buckets.len(), view.evicted_total), (2, 1));
        ledger.release(Nanos(7), &idle, Ending::Clean);
        assert_eq!(ledger.view(Nanos(7)).buckets[0].traffic, 1, "{kept:?}");
    }

    #[test]
    fn what_was_released_since_the_kernel_was_asked_is_ours() {
        let mut ledger = ledger(9);
        let lease = ledger.lease(Nanos(0), to(1), None, Use::Traffic).unwrap();
        let [asked, now] = [1, 2].map(|seconds| Nanos(0) + Span::secs(seconds));
        ledger.release(now, &lease, Ending::Reset);
        ledger.reconcile(now, asked, lease.source, to(1), &[lease.port]);
        assert_eq!(ledger.view(now).buckets[0].foreign, 0);
        ledger.reconcile(now, now + Span::secs(1), lease.source, to(1), &[lease.port]);
        assert_eq!(ledger.view(now).buckets[0].foreign, 1);
        assert_eq!(ledger.known(), [(lease.source, to(1))]);
    }

    #[test]
    fn one_destination_has_one_bucket() {
        let mut ledger = ledger(9);
        for text in ["127.0.0.1:80", "[::ffff:127.0.0.1]:80"] {
            ledger.lease(Nanos(1), text.parse().unwrap(), None, Use::Traffic).unwrap();
        }
        assert_eq!(ledger.view(Nanos(1)).buckets[0].traffic, 2);
        let v6 = "[::1]:80".parse().unwrap();
        assert_eq!(ledger.lease(Nanos(1), v6, None, Use::Probe), Err(NoPort::NoSource { destination: v6 }));
        assert!(ledger.lease(Nanos(1), v6, Some("::1".parse().unwrap()), Use::Probe).is_ok());
    }

    #[test]
    fn a_full_destination_says_how_and_until_when() {
        let mut ledger = ledger(9);
        let leases: Vec<Lease> = (0..8).map(|_| ledger.lease(Nanos(0), to(1), None, Use::Traffic).unwrap()).collect();
        ledger.release(Nanos(0), &leases[0], Ending::Refused);
        ledger.release(Nanos(0), &leases[1], Ending::Foreign);
        let error = ledger.lease(Nanos(0) + Span::secs(20), to(1), None, Use::Traffic).unwrap_err();
        let NoPort::Exhausted { leased: 6, quarantined: 1, foreign: 1, next: Some(next), .. } = error else {
            panic!("{error}");
        };
        assert!((10.0..10.1).contains(&next.as_secs_f64()), "the foreign one is tried again first: {next:?}");
        assert_eq!(ledger.pressure(Nanos(0) + Span::secs(20), to(1)), Watermark::Full);
        assert_eq!(ledger.pressure(Nanos(0) + Span::secs(20), to(2)), Watermark::Calm);
        assert_eq!(ledger.fullest(Nanos(0) + Span::secs(20)), Watermark::Full);
        assert!(ledger.lease(Nanos(0) + Span::secs(31), to(1), None, Use::Traffic).is_ok());
        assert!(ledger.lease(Nanos(0) + Span::secs(31), to(1), None, Use::Probe).is_ok());
    }
}
