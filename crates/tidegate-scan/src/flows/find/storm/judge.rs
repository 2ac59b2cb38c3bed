//! Where a storm begins and ends.

use super::{CAME, FAILED, WINDOW};
use crate::flows::series::Series;

/// Windows before one that it is compared with: a minute.
const BEFORE: usize = 6;
/// New connections of a window that can be a storm.
const MANY: u64 = 100;
/// So many times the average before.
const TIMES: f64 = 4.0;
/// So many standard deviations above it.
const DEVIATIONS: f64 = 6.0;

/// A storm, from its first window to its last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    /// Milliseconds since the first packet.
    pub begins: u64,
    pub ends: u64,
    pub came: u64,
    pub failed: u64,
    /// The most in a window, and how wide that is in seconds.
    pub most: u64,
    pub seconds: f64,
    /// The average of windows before it, how many those are, and how improbable the first window is.
    pub before: f64,
    pub windows_before: usize,
    pub z: Option<f64>,
    /// Of all windows: when, and how many came.
    pub line: Vec<(u64, u64)>,
}

impl Judged {
    /// It came out of a calm of half a minute at least.
    pub fn sudden(&self) -> bool {
        self.windows_before >= BEFORE / 2 && self.z.is_some_and(|z| z >= DEVIATIONS)
    }
}

/// The first storm of a server port, if there is one. `end`: of the capture. `answers`: failures can be seen.
pub(super) fn judge(windows: &Series<2, WINDOW, 1024>, end: u32, answers: bool) -> Option<Judged> {
    let many = MANY.saturating_mul(windows.wider());
    let positive = |sum: i32| u64::try_from(sum).unwrap_or(0);
    let at = |number: u64| windows.at(number).map(positive);
    let z = |number: u64, came: u64| {
        let (before, count) = average(windows, number);
        let deviation = (before.max(1.0) * (1.0 + 1.0 / count as f64)).sqrt();
        (before, count, (count > 0).then(|| (came as f64 - before) / deviation))
    };
    let begins = windows.windows().find_map(|(number, lanes)| {
        let [came, failed] = lanes.map(positive);
        let (before, count, z) = z(number, came);
        let sudden = z.is_some_and(|z| z >= DEVIATIONS && came as f64 >= TIMES * before);
        let fails = answers && failed.saturating_mul(2) >= came;
        (came >= many && (sudden || fails)).then_some((number, came, before, count, z))
    });
    let (first, came, before, windows_before, z) = begins?;
    let last = windows.number(end);
    let goes_on = |number: &u64| at(*number).first().is_some_and(|more| more.saturating_mul(2) >= came);
    let storm = || (first..=last).take_while(goes_on).map(|number| (number, at(number)));
    let sum = |lane: usize| storm().filter_map(|(_, lanes)| lanes.get(lane).copied()).fold(0, u64::saturating_add);
    let final_one = storm().last().map_or(first, |(number, _)| number);
    Some(Judged {
        begins: windows.begins(first),
        ends: windows.begins(final_one.saturating_add(1)),
        came: sum(CAME),
        failed: sum(FAILED),
        most: storm().filter_map(|(_, lanes)| lanes.first().copied()).max().unwrap_or(came),
        seconds: windows.width() as f64 / 1000.0,
        before,
        windows_before,
        z,
        line: windows.windows().map(|(number, [came, _])| (windows.begins(number), positive(came))).collect(),
    })
}

/// What the minute before a window had on average per window, and of how many windows that is.
fn average(windows: &Series<2, WINDOW, 1024>, number: u64) -> (f64, usize) {
    let first = number.saturating_sub(BEFORE as u64);
    let count = number.saturating_sub(first);
    let all =
        (first..number).map(|number| u64::try_from(windows.at(number)[CAME]).unwrap_or(0)).fold(0, u64::saturating_add);
    (all as f64 / count.max(1) as f64, count as usize)
}
