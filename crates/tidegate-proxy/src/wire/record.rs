//! Headers of TLS records (RFC 8446, 5.1; RFC 5246, 6.2.1): five bytes in clear in front of everything.

/// Bytes of a header.
pub const HEADER: usize = 5;

/// Longest content of a record: 2^14 bytes and 2048 of expansion (RFC 5246, 6.2.3; TLS 1.3 allows fewer).
pub const CONTENT_MAX: usize = 16_384 + 2048;

/// Content types, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// 20
    ChangeCipherSpec,
    /// 21; TLS 1.3 hides alerts in application records.
    Alert,
    /// 22; in TLS 1.3 only the hellos.
    Handshake,
    /// 23; in TLS 1.3 everything that is encrypted.
    Application,
    /// 24 (RFC 6520)
    Heartbeat,
}

/// The header of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is in it.
    pub content: Content,
    /// Bytes that follow the header, 0..=[`CONTENT_MAX`].
    pub length: usize,
}

/// These bytes are not TLS records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a TLS record")]
pub struct NotTls;

impl Record {
    /// Reads a header. `None`: fewer than [`HEADER`] bytes, and none of them wrong.
    ///
    /// # Errors
    /// An unknown content type, a version other than 3.x, or a length beyond [`CONTENT_MAX`].
    pub fn read(bytes: &[u8]) -> Result<Option<Record>, NotTls> {
        let Some(first) = bytes.first() else { return Ok(None) };
        let content = match first {
            20 => Content::ChangeCipherSpec,
            21 => Content::Alert,
            22 => Content::Handshake,
            23 => Content::Application,
            24 => Content::Heartbeat,
            _ => return Err(NotTls),
        };
        if bytes.get(1).is_some_and(|major| *major != 3) {
            return Err(NotTls);
        }
        let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length > CONTENT_MAX { Err(NotTls) } else { Ok(Some(Record { content, length })) }
    }
}

/// Finds the headers in one direction of a connection, in whatever pieces it comes.
#[derive(Clone, Debug, Default)]
pub struct Records {
    header: [u8; HEADER],
    have: usize,
    skip: usize,
}

impl Records {
    /// Takes the next piece and calls `each` with every header that is complete by then.
    ///
    /// # Errors
    /// At the first byte that cannot belong to a header; nothing may be fed after that.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Record)) -> Result<(), NotTls> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let Some((byte, rest)) = bytes.split_first().filter(|_| self.skip == 0) else { continue };
            self.header[self.have] = *byte;
            self.have += 1;
            bytes = rest;
            if let Some(record) = Record::read(&self.header[..self.have])? {
                self.have = 0;
                self.skip = record.length;
                each(record);
            }
        }
        Ok(())
    }
}
