//! When a principal may begin.

use super::settings::{Outside, PrincipalPlan};
use crate::time::{Nanos, Span};

/// The time of day, as it was last told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hours {
    told: Option<(Nanos, i64)>,
}

impl Hours {
    /// It is `unix_s` now.
    pub fn told(&mut self, now: Nanos, unix_s: i64) {
        self.told = Some((now, unix_s));
    }

    /// Whether the principal may begin now. One with windows may not while the time is not known.
    pub fn open(&self, now: Nanos, plan: &PrincipalPlan) -> bool {
        let Some(unix) = self.unix(now) else { return plan.windows.is_empty() };
        let mut hours = plan.windows.iter().flat_map(|window| &window.open);
        plan.windows.is_empty() || hours.any(|(from, to)| (*from..*to).contains(&unix))
    }

    /// When it may again, as far as the plan says.
    pub fn opens(&self, now: Nanos, plan: &PrincipalPlan) -> Option<Nanos> {
        let (told, unix) = self.told?;
        let today = self.unix(now)?;
        let hours = plan.windows.iter().flat_map(|window| &window.open);
        let next = hours.filter(|(from, to)| *from > today && to > from).map(|(from, _)| *from).min()?;
        Some(told + Span::secs(next.saturating_sub(unix).unsigned_abs()))
    }

    /// Whether its calls are to come back later, while it may not.
    pub fn turns_away(&self, plan: &PrincipalPlan) -> bool {
        self.told.is_some() && plan.windows.iter().all(|window| window.outside == Outside::TurnAway)
    }

    fn unix(&self, now: Nanos) -> Option<i64> {
        let (at, unix) = self.told?;
        Some(unix.saturating_add_unsigned(now.since(at).0 / 1_000_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Window;
    use super::*;

    fn plan(windows: &[(&[(i64, i64)], Outside)]) -> PrincipalPlan {
        let windows = windows.iter().map(|(open, outside)| Window { open: open.to_vec(), outside: *outside });
        PrincipalPlan { windows: windows.collect(), ..PrincipalPlan::default() }
    }

    #[test]
    fn one_of_several_windows_is_enough() {
        let plan = plan(&[(&[(100, 200), (500, 600)], Outside::Hold), (&[(150, 250)], Outside::TurnAway)]);
        let mut hours = Hours::default();
        assert!(!hours.open(Nanos(0), &plan), "the time is not known");
        assert!(hours.open(Nanos(0), &PrincipalPlan::default()));
        hours.told(Nanos(0), 90);
        for (second, open) in
            [(9, false), (10, true), (159, true), (160, false), (410, true), (509, true), (510, false)]
        {
            assert_eq!(hours.open(Nanos(0) + Span::secs(second), &plan), open, "{second}");
        }
        assert_eq!(hours.opens(Nanos(0), &plan), Some(Nanos(0) + Span::secs(10)));
        assert_eq!(hours.opens(Nanos(0) + Span::secs(200), &plan), Some(Nanos(0) + Span::secs(410)));
        assert_eq!(hours.opens(Nanos(0) + Span::secs(600), &plan), None, "the plan ends here");
        assert!(!hours.turns_away(&plan), "one of them says hold");
    }

    #[test]
    fn hours_that_end_before_they_begin_are_never() {
        let plan = plan(&[(&[(200, 100), (i64::MAX, i64::MIN)], Outside::TurnAway)]);
        let mut hours = Hours::default();
        assert!(!hours.turns_away(&plan), "nobody is turned away by a time that is not known");
        hours.told(Nanos(0), i64::MIN);
        assert!(!hours.open(Nanos(0), &plan) && hours.turns_away(&plan));
        assert_eq!(hours.opens(Nanos::NEVER, &plan), None);
    }
}
