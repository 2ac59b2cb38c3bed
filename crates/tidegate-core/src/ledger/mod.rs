//! Which source ports are leased: per bucket (source IP, destination IP, destination port), in constant time.
//!
//! A TCP port is unique only within its bucket, so that is what is counted. Every port rests as long as possible before
//! it is used again; a tuple that the peer may still hold rests in quarantine; some ports of every bucket, the headroom,
//! are for probes alone. What other processes use of a bucket is foreign, told by a failed bind or by the kernel's list.
//!
//! - [`Ledger`]: lease, release, reconcile, apply. Start there.
//! - [`Settings`]: sources, ports, headroom, and what is wrong with them.
//! - [`BucketView`]: what a bucket looks like, with its [`Watermark`] and forecast.
//! - [`Carried`]: what a process hands to the next.

mod book;
mod bucket;
mod carry;
mod flow;

mod list;
mod pool;
mod ranges;
mod settings;
mod slot;
mod view;
mod words;

pub use book::{BUCKETS_MAX, Ledger};
pub use carry::{CARRIED_FORMAT, Carried, CarriedBucket, CarriedError, CarriedPort};
pub use ranges::{PortRange, Ports};
pub use settings::{FOREIGN_REST, SOURCES_MAX, Settings, SettingsError};
pub use view::{BucketView, LedgerView};
pub use words::{Ending, Lease, NoPort, Use, Watermark};
