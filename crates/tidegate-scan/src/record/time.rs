//! Times as logs write them: RFC 3339 and its relatives, `Mmm dd hh:mm:ss`, `dd/Mmm/yyyy:hh:mm:ss`.

use super::cursor::Cursor;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
/// Years whose nanoseconds fit.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=2261;

/// How a time says where it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// `Z`, `UTC`.
    Utc,
    /// `-06:00`.
    Offset,
    /// Nothing: read as if it were UTC.
    None,
}

impl Zone {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Zone::Utc => "utc",
            Zone::Offset => "offset",
            Zone::None => "none",
        }
    }
}

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970.
    pub ns: i64,
    /// Where it holds.
    pub zone: Zone,
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 719_469
}

fn year_of(ns: i64) -> i64 {
    // Near enough to begin with; the candidates beside it are tried too.
    1970 + ns.div_euclid(SECOND * DAY) * 400 / 146_097
}

#[derive(Clone, Copy)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    fn checked(year: u32, month: u32, day: u32) -> Option<Date> {
        let date = Date { year: year.into(), month: month.into(), day: day.into() };
        let sound = YEARS.contains(&date.year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        sound.then_some(date)
    }

    fn at(self, clock: i64, offset_s: i64, zone: Zone) -> Stamp {
        Stamp { ns: (days(self.year, self.month, self.day) * DAY - offset_s) * SECOND + clock, zone }
    }
}

/// `hh:mm:ss` and a fraction after `.`, `,` or `:`, in nanoseconds of the day. A leap second is the next minute's first.
fn clock(cursor: &mut Cursor<'_>) -> Option<i64> {
    let hours = cursor.fixed(2)?;
    let minutes = cursor.eat(b":").then(|| cursor.fixed(2))??;
    let seconds = cursor.eat(b":").then(|| cursor.fixed(2))??;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let mut nanos = 0;
    let mut after = *cursor;
    let fraction = after.eat(b".") || after.eat(b",") || after.eat(b":");
    if fraction && let Some((value, digits)) = after.number(9) {
        nanos = i64::from(value) * 10_i64.pow(9 - digits as u32);
        after.take(usize::MAX, |byte| byte.is_ascii_digit());
        *cursor = after;
    }
    Some((i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds)) * SECOND + nanos)
}

/// `Z`, `+hh:mm`, `+hhmm`, or nothing; in seconds.
fn zone(cursor: &mut Cursor<'_>) -> (i64, Zone) {
    if cursor.eat(b"Z") {
        return (0, Zone::Utc);
    }
    let mut after = *cursor;
    let sign = if after.eat(b"+") {
        1
    } else if after.eat(b"-") {
        -1
    } else {
        return (0, Zone::None);
    };
    let Some(hours) = after.fixed(2) else { return (0, Zone::None) };
    after.eat(b":");
    let Some(minutes) = after.fixed(2) else { return (0, Zone::None) };
    if hours > 14 || minutes > 59 {
        return (0, Zone::None);
    }
    *cursor = after;
    (sign * i64::from(hours * 3600 + minutes * 60), Zone::Offset)
}

/// `2025-08-08T12:17:14.610Z` and its relatives: a blank for the `T`, `/` for `-`, no zone, `02:47:11 AM UTC`.
pub fn date_time(cursor: &mut Cursor<'_>) -> Option<Stamp> {
    let mut here = *cursor;
    let date = date(&mut here)?;
    if !(here.eat(b"T") || here.eat(b" ")) {
        return None;
    }
    let mut time = clock(&mut here)?;
    let (mut offset, mut zone) = zone(&mut here);
    if zone == Zone::None {
        let afternoon = here.eat(b" PM");
        let noon = time >= 12 * 3600 * SECOND;
        if afternoon && !noon {
            time += 12 * 3600 * SECOND;
        } else if here.eat(b" AM") && noon {
            time -= 12 * 3600 * SECOND;
        }
        let mut after = here;
        if after.eat(b" ") {
            let (seconds, found) = self::zone(&mut after);
            if found == Zone::Offset {
                (offset, zone, here) = (seconds, found, after);
            } else if after.eat(b"UTC") || after.eat(b"GMT") {
                (zone, here) = (Zone::Utc, after);
            }
        }
    }
    *cursor = here;
    Some(date.at(time, offset, zone))
}

/// `2022-06-02`.
fn date(cursor: &mut Cursor<'_>) -> Option<Date> {
    let year = cursor.fixed(4)?;
    let separator = cursor.peek().filter(|byte| matches!(byte, b'-' | b'/'))?;
    let month = cursor.eat(&[separator]).then(|| cursor.fixed(2))??;
    let day = cursor.eat(&[separator]).then(|| cursor.fixed(2))??;
    Date::checked(year, month, day)
}

/// A date with its time of day further on, as in `2022-06-02 In(14) hostprofile[1]: 05:34:23.666 …`.
pub fn split(cursor: &mut Cursor<'_>, later: impl Fn(&mut Cursor<'_>) -> Option<()>) -> Option<Stamp> {
    let mut here = *cursor;
    let date = date(&mut here)?;
    let rest = here;
    later(&mut here)?;
    let time = clock(&mut here)?;
    *cursor = rest;
    Some(date.at(time, 0, Zone::None))
}

fn month(cursor: &mut Cursor<'_>) -> Option<u32> {
    const NAMES: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let number = NAMES.iter().position(|name| cursor.rest().starts_with(name))?;
    cursor.at += 3;
    Some(number as u32 + 1)
}

/// `Aug  8 12:00:00` and `Aug  8 2025 12:00:00`; a year that is left out is the one that is nearest to `now`.
pub fn month_day(cursor: &mut Cursor<'_>, now: i64) -> Option<Stamp> {
    let mut here = *cursor;
    let month = month(&mut here)?;
    if here.spaces() == 0 {
        return None;
    }
    let (day, _) = here.number(2)?;
    if here.spaces() == 0 {
        return None;
    }
    let mut with_year = here;
    let year = with_year.fixed(4).filter(|_| with_year.spaces() > 0);
    if year.is_some() {
        here = with_year;
    }
    let time = clock(&mut here)?;
    let (offset, zone) = zone(&mut here);
    let in_year = |year: i64| Some(Date::checked(u32::try_from(year).ok()?, month, day)?.at(time, offset, zone));
    let stamp = match year {
        Some(year) => in_year(year.into())?,
        None => {
            let near = year_of(now);
            let years = (near - 1..=near + 2).filter_map(in_year);
            years.min_by_key(|stamp| stamp.ns.abs_diff(now))?
        }
    };
    *cursor = here;
    Some(stamp)
}

/// `10/Oct/2025:13:55:36 -0700`, `08/Aug/2025:12:00:00.123`.
pub fn common_log(cursor: &mut Cursor<'_>) -> Option<Stamp> {
    let mut here = *cursor;
    let day = here.fixed(2)?;
    let month = here.eat(b"/").then(|| month(&mut here))??;
    let year = here.eat(b"/").then(|| here.fixed(4))??;
    let time = here.eat(b":").then(|| clock(&mut here))??;
    here.eat(b" ");
    let (offset, zone) = zone(&mut here);
    *cursor = here;
    Some(Date::checked(year, month, day)?.at(time, offset, zone))
}
