//! How much is read of what strangers send: absolute numbers, because an honest log packs 294 to 1 and more.

/// Budgets of one run. When one is used up, what was read is kept, and a trouble `budget` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all: read from the inputs, and unpacked, in every layer. Default 512 GiB.
    pub total_bytes: u64,
    /// Bytes of text in one member. Default 64 GiB.
    pub member_bytes: u64,
    /// Entries of archives and folders, whatever they are. Default 200 000.
    pub members: usize,
    /// Archives in archives: `.zip` of `.tgz` of `.gz` is 3. A tar directly inside a gzip is one with it. Default 3.
    pub depth: u32,
    /// Bytes of the name of an entry. Longer ones are cut. Default 4096, the longest path on Linux.
    pub name_bytes: usize,
    /// How many bytes one packed byte may become, once a stream is as long as below. Default 600: zeros pack 1029 to 1, the
    /// most that deflate can; the most repetitive honest log that was measured packs 294 to 1.
    pub ratio: u64,
    /// Unpacked bytes of a stream from which the ratio is looked at. Default 1 GiB.
    pub ratio_from: u64,
    /// The same for a stream inside another archive, where ratios multiply. Default 16 MiB.
    pub nested_ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_bytes: 512 << 30,
            member_bytes: 64 << 30,
            members: 200_000,
            depth: 3,
            name_bytes: 4096,
            ratio: 600,
            ratio_from: 1 << 30,
            nested_ratio_from: 16 << 20,
        }
    }
}
