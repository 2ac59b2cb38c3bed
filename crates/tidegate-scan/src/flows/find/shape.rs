//! The shape of retries: what the pauses between attempts say about who retries.

/// Pauses that differ by less are equal: timers of kernels tick in 4 or 10 ms, those of Windows in 15.6 ms, and the path adds
/// what it adds.
const SLACK_MS: u32 = 150;
/// Nor do pauses that differ by less than this share of the longer one: RFC 6298 wants timers no finer than that.
const SLACK_SHARE: u32 = 8;

/// How the pauses between attempts follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    /// Each is twice the one before (RFC 6298 §5.5): 1, 2, 4.
    Doubling,
    /// Equal ones, then doubling: 1, 1, 1, 1, 1, 2, 4.
    LinearDoubling,
    /// Equal ones only.
    Steady,
    /// None is shorter than the one before, but they do not double.
    Growing,
    /// None of these: jitter, or several causes at once.
    Irregular,
}

impl Shape {
    /// What pauses look like, in milliseconds. `None`: fewer than two.
    pub fn of(pauses: &[u32]) -> Option<Shape> {
        let pairs = || pauses.iter().zip(pauses.iter().skip(1));
        pairs().next()?;
        let equal = pairs().take_while(|(one, next)| near(**one, **next)).count();
        let then_doubling = pairs().skip(equal).all(|(one, next)| near(one.saturating_mul(2), *next));
        Some(match equal {
            _ if equal >= pairs().count() => Shape::Steady,
            0 if then_doubling => Shape::Doubling,
            _ if then_doubling => Shape::LinearDoubling,
            _ if pairs().all(|(one, next)| next >= one || near(*one, *next)) => Shape::Growing,
            _ => Shape::Irregular,
        })
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Doubling => "doubling",
            Shape::LinearDoubling => "linear, then doubling",
            Shape::Steady => "steady",
            Shape::Growing => "growing",
            Shape::Irregular => "irregular",
        }
    }

    /// Which kernels repeat a SYN like this, the first time after so many milliseconds.
    ///
    /// Linux waits five times 1 s before it doubles since 6.5 (`net.ipv4.tcp_syn_linear_timeouts`, 4 by default), and so do
    /// FreeBSD and macOS (`tcp_syn_backoff`). RFC 6298 §2.1: 1 s at first; RFC 1122 §4.2.3.1, before it: 3 s.
    pub fn kernel(self, first: u32) -> Option<&'static str> {
        match self {
            Shape::LinearDoubling | Shape::Steady if near(first, 1000) => Some("Linux from 6.5 on, FreeBSD or macOS"),
            Shape::Doubling if near(first, 1000) => Some("Linux before 6.5, or another that doubles (RFC 6298)"),
            Shape::Doubling if near(first, 3000) => Some("an old one that begins with 3 s (RFC 1122)"),
            _ => None,
        }
    }
}

fn near(one: u32, other: u32) -> bool {
    one.abs_diff(other) <= SLACK_MS.max(one.max(other) / SLACK_SHARE)
}

/// The pauses between times, in milliseconds. Times that follow within 100 ms are one attempt on several connections.
pub(crate) fn pauses(times: &[u32]) -> Vec<u32> {
    const ONE: u32 = 100;
    let mut pauses = Vec::new();
    let mut since = times.first().copied().unwrap_or_default();
    for time in times {
        let pause = time.saturating_sub(since);
        if pause > ONE {
            pauses.push(pause);
            since = *time;
        }
    }
    pauses
}

/// The first times of something, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times(Vec<u32>);

impl Times {
    /// Times that are kept: enough for 1, 1, 1, 1, 1, 2, 4.
    const MOST: usize = 8;

    /// One more, in milliseconds since the first packet, if it is among the first.
    pub fn add(&mut self, ms: u32) {
        let place = self.0.partition_point(|earlier| *earlier <= ms);
        if place < Self::MOST {
            self.0.insert(place, ms);
            self.0.truncate(Self::MOST);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of another part.
    pub fn absorb(&mut self, other: Self) {
        other.0.into_iter().for_each(|ms| self.add(ms));
    }

    /// The pauses between them.
    pub fn pauses(&self) -> Vec<u32> {
        pauses(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shapes_of_kernels_and_of_people() {
        let cases: [(&[u32], Option<Shape>); 11] = [
            (&[], None),
            (&[1000], None),
            (&[1008, 1024, 1023, 1024, 1024, 2047, 4096], Some(Shape::LinearDoubling)),
            (&[1000, 1000, 2000], Some(Shape::LinearDoubling)),
            (&[1013, 2016, 4063, 8190], Some(Shape::Doubling)),
            (&[3000, 6000], Some(Shape::Doubling)),
            (&[1010, 1024, 1020], Some(Shape::Steady)),
            (&[5000, 5300, 4900], Some(Shape::Steady)),
            (&[1000, 3000, 5000], Some(Shape::Growing)),
            (&[1000, 300, 5000], Some(Shape::Irregular)),
            (&[0, u32::MAX, u32::MAX], Some(Shape::Growing)),
        ];
        for (pauses, shape) in cases {
            assert_eq!(Shape::of(pauses), shape, "{pauses:?}");
        }
    }

    #[test]
    fn kernels() {
        assert!(Shape::Doubling.kernel(1013).unwrap().contains("before 6.5"));
        assert!(Shape::LinearDoubling.kernel(1008).unwrap().contains("6.5 on"));
        assert!(Shape::Doubling.kernel(3010).unwrap().contains("1122"));
        assert_eq!(Shape::Steady.kernel(5000), None);
    }

    #[test]
    fn parallel_connections_are_one_attempt() {
        assert_eq!(pauses(&[10, 12, 15, 1012, 1013, 3020]), [1002, 2008]);
        assert!(pauses(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn the_first_times_stay(times in prop::collection::vec(0u32..50, 0..40), at in 0usize..40) {
            let of = |part: &[u32]| part.iter().fold(Times::default(), |mut all, ms| { all.add(*ms); all });
            let (left, right) = times.split_at(at.min(times.len()));
            let mut both = of(right);
            both.absorb(of(left));
            let mut sorted = times.clone();
            sorted.sort_unstable();
            sorted.truncate(Times::MOST);
            prop_assert_eq!(both.0, sorted);
        }
    }
}
