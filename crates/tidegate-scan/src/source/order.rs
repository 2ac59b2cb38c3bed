//! The order of files in a folder: numbers by value, and the rotations of a log from the newest to the oldest.

use std::cmp::Ordering;

/// `hostd.log`, `hostd.0.gz`, … `hostd.9.gz`, `hostd.10.gz`; then other names, numbers in them by value.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let ((base, turn), (other_base, other_turn)) = (rotation(one), rotation(other));
    let turns = || match (turn, other_turn) {
        (Some(one), Some(other)) => number(one.as_bytes(), other.as_bytes()),
        (one, other) => one.is_some().cmp(&other.is_some()),
    };
    natural(base, other_base).then_with(turns).then_with(|| natural(one, other)).then_with(|| one.cmp(other))
}

/// The log that a file belongs to, and which rotation it is.
fn rotation(name: &str) -> (&str, Option<&str>) {
    let (mut base, mut turn) = (name, None);
    while let Some((before, last)) = base.rsplit_once('.') {
        if !before.is_empty() && turn.is_none() && !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
            turn = Some(last);
        } else if before.is_empty() || !matches!(last, "gz" | "log") {
            break;
        }
        base = before;
    }
    (base, turn)
}

/// Runs of digits by their value, everything else by its bytes.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        let (digits, other_digits) = (digits(one), digits(other));
        let order = if digits > 0 && other_digits > 0 {
            let order = number(&one[..digits], &other[..other_digits]);
            (one, other) = (&one[digits..], &other[other_digits..]);
            order
        } else {
            let order = one.first().cmp(&other.first());
            if one.is_empty() || other.is_empty() {
                return order;
            }
            (one, other) = (&one[1..], &other[1..]);
            order
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn number(one: &[u8], other: &[u8]) -> Ordering {
    let value = |digits: &'_ [u8]| digits.iter().take_while(|&&digit| digit == b'0').count();
    let (one, other) = (&one[value(one)..], &other[value(other)..]);
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn rotations_come_from_the_newest_to_the_oldest() {
        let wanted = [
            "commands",
            "hostd.log",
            "hostd.0.gz",
            "hostd.1.gz",
            "hostd.2.gz",
            "hostd.9.gz",
            "hostd.10.gz",
            "hostd-probe.log",
            "syslog",
            "syslog.1",
            "syslog.2.gz",
            "syslog.10.gz",
            "vmkernel-zdump.1.FRAG-00009",
            "vmkernel-zdump.1.FRAG-00010",
            "vmware.log",
            "vmware-2.log",
            "vmware-10.log",
            "vpxd.log",
            "vpxd-1.log.gz",
            "vpxd-12.log.gz",
        ];
        let mut names = wanted;
        names.reverse();
        names.sort_by(|one, other| compare(one, other));
        assert_eq!(names, wanted);
    }

    #[test]
    fn it_is_an_order() {
        let names = [
            "", ".", "..", "0", "00", ".1", "a", "a.", "a.1", "a.01", "a.log", "a.log.1", "a.1.log", "1.gz", ".gz",
            "ä.2",
        ];
        for one in names {
            assert!(compare(one, one).is_eq());
            for two in names {
                assert_eq!(compare(one, two), compare(two, one).reverse());
                for three in names {
                    if compare(one, two).is_le() && compare(two, three).is_le() {
                        assert!(compare(one, three).is_le(), "{one} {two} {three}");
                    }
                }
            }
        }
    }
}
