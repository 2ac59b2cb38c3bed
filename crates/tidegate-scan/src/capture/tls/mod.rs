//! How a conversation in TLS begins, as far as a capture kept it: heads of records, the two hellos, alerts in clear.
//!
//! A capture cuts packets short, and a hello with post-quantum keys fills two of them. So what is read here says how far it
//! went, where the reader of the gate (which has all bytes, or waits for them) wants a hello whole. What contradicts itself is
//! no TLS: nothing is told of it.

mod alert;
mod hello;

use super::bytes::{be16, from, up_to};
pub use alert::Alert;
pub use hello::{ClientHello, Hello, ServerHello, version};

/// Bytes before the content of a record (RFC 8446 §5.1).
const HEAD: usize = 5;
/// Longest content of a record: 2^14 bytes and 2048 of expansion (RFC 5246 §6.2.3; TLS 1.3 allows fewer).
const CONTENT_MAX: u16 = 16_384 + 2_048;

/// What a record carries, as its head says. TLS 1.3 calls everything that is encrypted [`Content::Application`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// 20
    ChangeCipherSpec,
    /// 21
    Alert,
    /// 22
    Handshake,
    /// 23
    Application,
    /// 24 (RFC 6520)
    Heartbeat,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it carries.
    pub content: Content,
    /// Bytes of it behind its head.
    pub length: u16,
    /// As many of them as are there.
    pub kept: &'a [u8],
}

/// The records of a segment that begins with one. Ends at the first bytes that are none, or that were not kept.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a>(&'a [u8]);

/// The records in the data of a segment.
pub fn records(data: &[u8]) -> Records<'_> {
    Records(data)
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let [content, 3, 0..=4, ..] = *self.0 else { return None };
        let content = match content {
            20 => Content::ChangeCipherSpec,
            21 => Content::Alert,
            22 => Content::Handshake,
            23 => Content::Application,
            24 => Content::Heartbeat,
            _ => return None,
        };
        // None but records of data may be empty (RFC 8446 §5.1).
        let length = be16(self.0, 3).filter(|length| *length <= CONTENT_MAX)?;
        if length == 0 && content != Content::Application {
            return None;
        }
        let behind = from(self.0, HEAD);
        self.0 = from(behind, usize::from(length));
        Some(Record { content, length, kept: up_to(behind, usize::from(length)) })
    }
}

impl<'a> Record<'a> {
    /// The hello that begins in it.
    pub fn hello(&self) -> Option<Hello<'a>> {
        if self.content == Content::Handshake { hello::read(self.kept) } else { None }
    }

    /// The alert in it, if it is in clear and of a kind that has a name.
    pub fn alert(&self) -> Option<Alert> {
        match (self.content, self.length, self.kept) {
            (Content::Alert, 2, [level @ 1..=2, description]) => {
                Some(Alert { fatal: *level == 2, description: *description }).filter(|alert| alert.words().is_some())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
