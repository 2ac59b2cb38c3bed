//! What the ledger tells about itself: one view per bucket, in the order of destination and source.

use super::bucket::Bucket;
use super::words::{Ending, Use, Watermark};
use crate::time::{Nanos, Span};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// One bucket. `traffic + probes + free + quarantined + foreign = capacity + outside`, always.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketView {
    /// Our address.
    pub source: IpAddr,
    /// The server's.
    pub destination: SocketAddr,
    /// Ports in all, headroom included.
    pub capacity: u32,
    /// Those for probes alone.
    pub headroom: u32,
    /// Leased for traffic.
    pub traffic: u32,
    /// Leased for probes.
    pub probes: u32,
    /// Leased and not connected yet: part of those two.
    pub connecting: u32,
    /// Leased, and no longer among the configured ports: part of those two.
    pub outside: u32,
    /// Free ones, headroom included.
    pub free: u32,
    /// Free ones of the headroom.
    pub free_headroom: u32,
    /// At rest, because the peer may still hold the tuple.
    pub quarantined: u32,
    /// Used by other processes.
    pub foreign: u32,
    /// Most leases at one time.
    pub high_water: u32,
    /// How full the traffic ports are, in thousandths.
    pub used_milli: u32,
    /// The same as a word.
    pub watermark: Watermark,
    /// Free ports that go, per second, over about ten seconds.
    pub gone_per_second: f64,
    /// Free ports that come back.
    pub back_per_second: f64,
    /// When the last traffic port will be gone, if it goes on like this.
    #[serde(rename = "exhausted_in_s", serialize_with = "seconds")]
    pub forecast: Option<Span>,
    /// Leases ever, by use.
    pub leased_total: BTreeMap<Use, u64>,
    /// Leases that ended, by ending.
    pub ended_total: BTreeMap<Ending, u64>,
}

impl BucketView {
    pub(super) fn of(now: Nanos, source: IpAddr, destination: SocketAddr, bucket: &Bucket) -> BucketView {
        let [traffic, probe] = &bucket.pools;
        let used = traffic.capacity() - traffic.free();
        let [gone_per_second, back_per_second] = bucket.flow.rates(now);
        let named = |usage: &Use| (*usage, bucket.totals.leased[*usage as usize]);
        let ended = |ending: &Ending| (*ending, bucket.totals.ended[*ending as usize]);
        BucketView {
            source,
            destination,
            capacity: bucket.sum(|pool| pool.capacity()),
            headroom: probe.capacity(),
            traffic: bucket.leased[Use::Traffic as usize],
            probes: bucket.leased[Use::Probe as usize],
            connecting: bucket.connecting,
            outside: bucket.outside(),
            free: bucket.sum(|pool| pool.free()),
            free_headroom: probe.free(),
            quarantined: bucket.sum(|pool| pool.resting()),
            foreign: bucket.sum(|pool| pool.foreign()),
            high_water: bucket.high_water,
            used_milli: (u64::from(used) * 1000 / u64::from(traffic.capacity().max(1))) as u32,
            watermark: Watermark::of(used, traffic.capacity()),
            gone_per_second,
            back_per_second,
            forecast: bucket.flow.forecast(now, traffic.free()),
            leased_total: Use::ALL.iter().map(named).collect(),
            ended_total: Ending::ALL.iter().map(ended).collect(),
        }
    }
}

fn seconds<S: Serializer>(span: &Option<Span>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(Span::as_secs_f64).serialize(serializer)
}

/// The whole ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerView {
    /// Of the process: one more than that of the process whose ledger it was handed.
    pub generation: u64,
    /// By destination, then source.
    pub buckets: Vec<BucketView>,
    /// Idle buckets that were forgotten for others.
    pub evicted_total: u64,
    /// Leases that were refused because no port was left, by use.
    pub no_port_total: BTreeMap<Use, u64>,
}
