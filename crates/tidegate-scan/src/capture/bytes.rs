//! Numbers out of bytes: what is not there is `None`.

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    /// Two bytes from `at` on.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Order::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// Four bytes from `at` on.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Order::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// Two bytes from `at` on, as networks write them.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Order::Big.u16(bytes, at)
}

/// Four bytes from `at` on, as networks write them.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Order::Big.u32(bytes, at)
}

/// All bytes from `at` on; none when there are fewer.
pub(super) fn from(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// The first `count` bytes, or as many as there are.
pub(super) fn up_to(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(..count).unwrap_or(bytes)
}
