//! Random segments that often fit: numbers close to where both ends begin, so that every state is reached.

use crate::talk::{IRS, ISS, O, R};
use proptest::prelude::*;
use tidegate_core::flow::flags::{ACK, FIN, PSH, RST, SYN};
use tidegate_core::flow::*;
use tidegate_core::time::Nanos;

/// Any number, or one close to where this end begins.
fn number(base: u32) -> impl Strategy<Value = u32> {
    prop_oneof![8 => (0..4u32).prop_map(move |step| base.wrapping_add(step)), 1 => 0..70_000u32, 1 => any::<u32>()]
}

fn kind() -> impl Strategy<Value = u8> {
    let likely = [SYN, SYN | ACK, ACK, ACK, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK];
    prop_oneof![12 => prop::sample::select(likely.to_vec()), 1 => any::<u8>()]
}

/// One segment, at a time that may lie before the one before it.
pub fn any_segment() -> impl Strategy<Value = Segment> {
    let len = prop_oneof![6 => Just(0u32), 3 => 1..3u32, 1 => 0..70_000u32];
    let at = prop_oneof![9 => 0..4_000u64, 1 => any::<u64>()];
    (any::<bool>(), kind(), number(ISS), number(IRS), len, any::<u16>(), prop::option::of(0..20u8), at).prop_map(
        |(low, flags, of_o, of_r, len, window, scale, at)| {
            let (from, seq, ack) = if low { (O, of_o, of_r) } else { (R, of_r, of_o) };
            let wscale = scale.filter(|_| flags & SYN != 0);
            Segment { from, flags, seq, ack, len, window, wscale, at: Nanos(at.saturating_mul(1_000_000)) }
        },
    )
}

/// A few dozen of them.
pub fn segments() -> impl Strategy<Value = Vec<Segment>> {
    prop::collection::vec(any_segment(), 1..60)
}

pub fn any_profile() -> impl Strategy<Value = Profile> {
    (prop::sample::select(profile::PROFILES.to_vec()), any::<bool>())
        .prop_map(|(profile, strict)| if strict { profile.in_path() } else { profile })
}
