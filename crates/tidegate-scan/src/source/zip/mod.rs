//! zip: by its directory when it is a file, forward when it is a stream or its directory is gone.
//!
//! Written here and not taken from the crate `zip` (which makes the archives of the tests): that one keeps the whole
//! directory in memory, whatever its length, and cannot read forward what says its length only after it, as vCenter's does.

mod content;
mod directory;
mod forward;

pub(super) use directory::Directory;
pub(super) use forward::Forward;

use super::walk::{Entry, Sort};

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";

/// What a header says about an entry, in the directory or before its content.
struct Header {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    name: String,
    modified: Option<i64>,
    /// File type and permissions, where they were written on Unix.
    mode: Option<u32>,
    /// Where the local header is.
    offset: u64,
    /// Sizes have eight bytes.
    large: bool,
}

impl Header {
    /// Its sizes and its sum follow the content.
    fn told_later(&self) -> bool {
        self.flags & 8 != 0
    }

    fn deflated(&self) -> bool {
        self.method == 8
    }

    fn entry(&self) -> Entry {
        // Encrypted, patched, strongly encrypted, masked.
        let sort = if self.flags & 0x2061 != 0 {
            Sort::Refused("encrypted", "It is encrypted, which is not read.".to_owned())
        } else if self.name.ends_with('/') {
            Sort::Folder
        } else {
            match self.mode.unwrap_or(0) & 0o170_000 {
                0o120_000 => Sort::Link,
                0o040_000 => Sort::Folder,
                0o010_000 | 0o020_000 | 0o060_000 | 0o140_000 => Sort::Device,
                _ if !matches!(self.method, 0 | 8) => {
                    let detail = format!("It is packed with method {} of zip, which is not read.", self.method);
                    Sort::Refused("packed", detail)
                }
                _ => Sort::File,
            }
        };
        let size = (!self.told_later() || self.size > 0).then_some(self.size);
        Entry { name: self.name.clone(), sort, size, modified: self.modified }
    }

    /// Takes what the extra fields say: sizes of eight bytes, and the time in UTC.
    fn extra(&mut self, mut fields: &[u8]) {
        while let [a, b, c, d, rest @ ..] = fields {
            let (id, length) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
            let Some((field, after)) = rest.split_at_checked(length) else { return };
            match (id, field) {
                (1, _) => {
                    self.large = true;
                    let mut numbers = field.chunks_exact(8);
                    for number in [&mut self.size, &mut self.packed, &mut self.offset] {
                        if *number == u64::from(u32::MAX) {
                            *number = numbers.next().map_or(*number, |eight| u64_at(eight, 0));
                        }
                    }
                }
                (0x5455, [flags, time @ ..]) if flags & 1 != 0 && time.len() >= 4 => {
                    self.modified = Some(i64::from(i32::from_le_bytes([time[0], time[1], time[2], time[3]])));
                }
                _ => {}
            }
            fields = after;
        }
    }
}

/// The 26 bytes that a local header and one of the directory have in common, without name and extra fields.
fn common(fixed: &[u8; 26]) -> Header {
    let modified = dos_time(u16_at(fixed, 8), u16_at(fixed, 6));
    Header {
        flags: u16_at(fixed, 2),
        method: u16_at(fixed, 4),
        crc: u32_at(fixed, 10),
        packed: u64::from(u32_at(fixed, 14)),
        size: u64::from(u32_at(fixed, 18)),
        name: String::new(),
        modified,
        mode: None,
        offset: 0,
        large: false,
    }
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Seconds since 1970 of a date and a time of DOS, as if they were UTC: the zone is not told.
fn dos_time(date: u16, time: u16) -> Option<i64> {
    let (year, month, day) = (i64::from(date >> 9) + 1980, i64::from(date >> 5 & 15), i64::from(date & 31));
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let (hour, minute, second) = (i64::from(time >> 11), i64::from(time >> 5 & 63), i64::from(time & 31) * 2);
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::dos_time;

    #[test]
    fn times() {
        let date = |year: u16, month: u16, day: u16| (year - 1980) << 9 | month << 5 | day;
        assert_eq!(dos_time(date(1980, 1, 1), 0), Some(315_532_800));
        assert_eq!(dos_time(date(2000, 2, 29), 0), Some(951_782_400));
        assert_eq!(dos_time(date(2025, 11, 25), 9 << 11 | 46 << 5 | 15), Some(1_764_063_990));
        assert_eq!(dos_time(0, 0), None);
    }
}
