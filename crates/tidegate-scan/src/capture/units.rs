//! Units of time, as an interface of pcapng counts them.

use super::bytes::{Order, from, up_to};

/// Options of an interface, at most, in which the units are looked for.
const OPTIONS: usize = 100;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// What a time stamp counts, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    scale: Scale,
    /// Seconds since 1970 at 0.
    zero: i64,
}

/// Nanoseconds out of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Times(u64),
    Over(u64),
    /// So many binary places of a second.
    Binary(u32),
}

impl Units {
    /// Those that the options say (microseconds since 1970 if they do not).
    pub(super) fn of(options: &[u8], order: Order) -> Self {
        let mut units = Self { scale: Scale::Times(1000), zero: 0 };
        let mut rest = options;
        for _ in 0..OPTIONS {
            let (Some(code @ 1..), Some(length)) = (order.u16(rest, 0), order.u16(rest, 2)) else { break };
            let length = usize::from(length);
            let value = up_to(from(rest, 4), length);
            match (code, value) {
                (9, [resolution]) => units.scale = Scale::of(*resolution),
                (14, [_, _, _, _, _, _, _, _]) => units.zero = seconds(value, order),
                _ => {}
            }
            rest = from(rest, length.next_multiple_of(4).saturating_add(4));
        }
        units
    }

    /// Nanoseconds since 1970; what is before is 0, and what no clock shows is the end of time.
    pub(super) fn nanoseconds(self, units: u64) -> u64 {
        let count = match self.scale {
            Scale::Times(factor) => units.saturating_mul(factor),
            Scale::Over(divisor) => units.checked_div(divisor).unwrap_or(0),
            Scale::Binary(places) => {
                let all = u128::from(units).saturating_mul(u128::from(SECOND));
                u64::try_from(all.checked_shr(places).unwrap_or(0)).unwrap_or(u64::MAX)
            }
        };
        let zero = self.zero.unsigned_abs().saturating_mul(SECOND);
        if self.zero < 0 { count.saturating_sub(zero) } else { count.saturating_add(zero) }
    }
}

impl Scale {
    /// Places of a second: decimal ones, or binary ones when the highest bit is set.
    fn of(resolution: u8) -> Self {
        let places = u32::from(resolution & 0x7f);
        // Units that are smaller than any 64 bits can tell are divided by 0, which is none of them.
        let power = |places| 10_u64.checked_pow(places).unwrap_or(0);
        match places.checked_sub(9) {
            _ if resolution & 0x80 != 0 => Self::Binary(places),
            Some(more) => Self::Over(power(more)),
            None => Self::Times(power(9_u32.saturating_sub(places))),
        }
    }
}

fn seconds(value: &[u8], order: Order) -> i64 {
    let (first, second) = (order.u32(value, 0).unwrap_or(0), order.u32(value, 4).unwrap_or(0));
    let (high, low) = if order == Order::Big { (first, second) } else { (second, first) };
    (u64::from(high) << 32 | u64::from(low)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{Order, Units};

    fn at(options: &[u8], units: u64) -> u64 {
        Units::of(options, Order::Big).nanoseconds(units)
    }

    #[test]
    fn units_are_those_of_the_options() {
        assert_eq!(at(&[], 5), 5_000);
        assert_eq!(at(&[0, 9, 0, 1, 9, 0, 0, 0], 5), 5);
        assert_eq!(at(&[0, 2, 0, 3, 1, 2, 3, 0, 0, 9, 0, 1, 3, 0, 0, 0], 5), 5_000_000);
        assert_eq!(at(&[0, 9, 0, 1, 12, 0, 0, 0], 5_999), 5);
        assert_eq!(at(&[0, 9, 0, 1, 0x81, 0, 0, 0], 3), 1_500_000_000);
        assert_eq!(at(&[0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2], 1), 2_000_001_000);
        assert_eq!(at(&[0, 14, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255], 1_000_001), 1_000);
        // After the end of the options there are none.
        assert_eq!(at(&[0, 0, 0, 0, 0, 9, 0, 1, 9, 0, 0, 0], 5), 5_000);
    }

    #[test]
    fn no_unit_is_too_small_or_too_large() {
        for resolution in 0..=255 {
            let options = [0, 9, 0, 1, resolution, 0, 0, 0];
            assert!(at(&options, u64::MAX) >= at(&options, 1));
            assert_eq!(at(&options, 0), 0);
        }
        assert_eq!(at(&[0, 9, 0, 1, 0, 0, 0, 0], u64::MAX), u64::MAX);
        assert_eq!(at(&[0, 9, 0, 1, 0x7f, 0, 0, 0], u64::MAX), 0);
        assert_eq!(at(&[0, 14, 0, 8, 255, 255, 255, 255, 255, 255, 255, 0], 0), 0);
    }
}
