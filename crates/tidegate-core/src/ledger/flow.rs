//! How fast the ports of a bucket go, and when the last one will be gone.

use crate::time::{Nanos, Span};

/// The last ten seconds count: long enough to see over a burst, short enough to warn before a storm is over.
const MEMORY: f64 = 10.0;
/// Nothing is foretold beyond an hour: by then the rate is another.
const HORIZON: Span = Span::secs(3600);

/// A rate of events that forgets exponentially.
#[derive(Clone, Copy, Debug, Default)]
struct Decaying {
    per_second: f64,
    at: Nanos,
}

impl Decaying {
    fn at(&self, now: Nanos) -> f64 {
        self.per_second * (-now.since(self.at).as_secs_f64() / MEMORY).exp()
    }

    fn add(&mut self, now: Nanos) {
        *self = Decaying { per_second: self.at(now) + 1.0 / MEMORY, at: now.max(self.at) };
    }
}

/// Free ports that went and that came back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    gone: Decaying,
    back: Decaying,
}

impl Flow {
    pub fn gone(&mut self, now: Nanos) {
        self.gone.add(now);
    }

    pub fn back(&mut self, now: Nanos) {
        self.back.add(now);
    }

    /// Ports per second that went, and that came back.
    pub fn rates(&self, now: Nanos) -> [f64; 2] {
        [self.gone.at(now), self.back.at(now)]
    }

    /// When `free` ports are gone, if it goes on like this and they are gone within the hour.
    pub fn forecast(&self, now: Nanos, free: u32) -> Option<Span> {
        if free == 0 {
            return Some(Span::ZERO);
        }
        let [gone, back] = self.rates(now);
        let left = Span::from_secs_f64(f64::from(free) / (gone - back).max(0.0));
        (left <= HORIZON).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_net_rate_is_extrapolated() {
        let mut flow = Flow::default();
        for tick in 0..600u64 {
            let now = Nanos(tick * 100_000_000);
            flow.gone(now);
            flow.gone(now);
            flow.back(now);
        }
        let left = flow.forecast(Nanos(59_900_000_000), 410).unwrap().as_secs_f64();
        assert!((38.0..=44.0).contains(&left), "10 ports a second net, 410 free: {left}");
    }

    #[test]
    fn nothing_is_foretold_when_ports_come_back_or_rest() {
        let mut flow = Flow::default();
        assert_eq!(flow.forecast(Nanos(0), 5), None);
        assert_eq!(flow.forecast(Nanos(0), 0), Some(Span::ZERO));
        flow.gone(Nanos(0));
        assert!(flow.forecast(Nanos(1), 5).is_some());
        flow.back(Nanos(1));
        assert_eq!(flow.forecast(Nanos(2), 5), None);
        flow.gone(Nanos(2));
        assert_eq!(flow.forecast(Nanos(0) + Span::secs(600), 5), None);
    }
}
