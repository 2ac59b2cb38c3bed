//! A cursor over a handshake message that never reads past its end.

pub(super) struct Read<'a>(pub(super) &'a [u8]);

impl<'a> Read<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// Bytes behind a length of one byte.
    pub(super) fn vec8(&mut self) -> Option<Read<'a>> {
        let n = self.u8()?;
        self.take(n.into()).map(Read)
    }

    /// Bytes behind a length of two bytes.
    pub(super) fn vec16(&mut self) -> Option<Read<'a>> {
        let n = self.u16()?;
        self.take(n.into()).map(Read)
    }

    pub(super) fn done(&self) -> bool {
        self.0.is_empty()
    }
}
