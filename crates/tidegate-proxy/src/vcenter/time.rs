//! `xsd:dateTime` and seconds since 1970.

const DAY: i64 = 86_400;

/// Seconds since 1970 of a time such as `2026-11-25T18:00:00.123Z` or `…+02:00`, fractions cut off. `None` without a time
/// zone, or for what is no time of the years 1970 to 9999.
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let at = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(at);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let offset = match zone.as_bytes().first()? {
        b'Z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
            let east = (hours <= 14 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if *sign == b'+' { east } else { -east }
        }
        _ => return None,
    };
    let fine = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 24
        && minute < 60
        && second <= 60
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset)
}

/// Seconds since 1970 (of the years 1970 to 9999; others become the nearest) as vCenter writes a time.
pub fn write(unix_s: i64) -> String {
    let unix_s = unix_s.clamp(0, 253_402_300_799);
    let (day, second) = (unix_s / DAY, unix_s % DAY);
    // 400 years have 146 097 days; counted from 0000-03-01, so that a leap day is the last of its year.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// Numbers of so many digits each, with something between them.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut pieces = text.split(between);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let piece = pieces.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
        *number = piece.parse().ok()?;
    }
    pieces.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_times() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-25T18:11:30.273Z", 1_795_630_290),
            ("2026-11-25T20:11:30+02:00", 1_795_630_290),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2000-03-01T00:00:00-00:00", 951_868_800),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        assert_eq!(write(1_795_630_290), "2026-11-25T18:11:30Z");
        for text in [
            "",
            "2026-11-25",
            "2026-11-25T18:11:30",
            "2026-13-25T18:11:30Z",
            "26-11-25T18:11:30Z",
            "2026-11-25T18:11:30.Z",
            "2026-11-25T18:11:30Zx",
            "2026-11-25T18:11:30+99:00",
            "2026-11-25T+8:11:30Z",
            "éT1Z",
            "2026-11-25T18:11:30+é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0..253_402_300_800_i64) {
            prop_assert_eq!(parse(&write(seconds)), Some(seconds));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
