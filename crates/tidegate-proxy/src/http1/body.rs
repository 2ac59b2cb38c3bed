//! Bodies: decoded strictly, whatever the framing, and framed anew for the other side.

use super::Framing;

/// Longest chunk-size line, extension included.
const SIZE_LINE_MAX: u16 = 256;
/// Most bytes of trailers; they are checked and dropped.
const TRAILERS_MAX: u16 = 8 * 1024;

/// A body that breaks its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Reads one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoder {
    /// All of it has been read.
    Done,
    /// So many bytes are still to come.
    Length(u64),
    /// Chunk by chunk.
    Chunked(Chunks),
    /// Until the connection ends.
    UntilClose,
}

/// What [`Decoder::decode`] found in the bytes that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// So many bytes of data, moved to the front.
    pub(crate) data: usize,
    /// So many bytes are used up.
    pub(crate) used: usize,
}

/// Where in a chunked body we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    state: State,
    left: u64,
    line: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Decoder {
        match framing {
            Framing::None | Framing::Length(0) => Decoder::Done,
            Framing::Length(n) => Decoder::Length(n),
            Framing::Chunked => Decoder::Chunked(Chunks { state: State::Size, left: 0, line: 0 }),
            Framing::UntilClose => Decoder::UntilClose,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        *self == Decoder::Done
    }

    /// Takes what it can from `raw`; the data is moved to its front.
    ///
    /// # Errors
    /// The framing is broken: nothing after this point can be trusted.
    pub(crate) fn decode(&mut self, raw: &mut [u8]) -> Result<Decoded, Broken> {
        match self {
            Decoder::Done => Ok(Decoded { data: 0, used: 0 }),
            Decoder::UntilClose => Ok(Decoded { data: raw.len(), used: raw.len() }),
            Decoder::Length(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(raw.len());
                *left -= n as u64;
                if *left == 0 {
                    *self = Decoder::Done;
                }
                Ok(Decoded { data: n, used: n })
            }
            Decoder::Chunked(chunks) => {
                let (decoded, done) = chunks.decode(raw)?;
                if done {
                    *self = Decoder::Done;
                }
                Ok(decoded)
            }
        }
    }
}

impl Chunks {
    fn decode(&mut self, raw: &mut [u8]) -> Result<(Decoded, bool), Broken> {
        let (mut data, mut at) = (0, 0);
        while at < raw.len() {
            if self.state == State::Data {
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(raw.len() - at);
                if data != at {
                    raw.copy_within(at..at + n, data);
                }
                data += n;
                at += n;
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            let byte = raw[at];
            at += 1;
            if self.step(byte)? {
                return Ok((Decoded { data, used: at }, true));
            }
        }
        Ok((Decoded { data, used: at }, false))
    }

    /// One byte outside of data; true when it was the last of the body.
    fn step(&mut self, byte: u8) -> Result<bool, Broken> {
        self.state = match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16).ok_or(Broken)?;
                self.line += 1;
                if self.line > 15 {
                    return Err(Broken);
                }
                self.left = self.left * 16 + u64::from(digit);
                State::Size
            }
            (State::Size, b';') if self.line > 0 => State::Extension,
            (State::Size | State::Extension, b'\r') if self.line > 0 => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) if self.line < SIZE_LINE_MAX => {
                self.line += 1;
                State::Extension
            }
            (State::SizeLf, b'\n') => {
                self.line = 0;
                if self.left > 0 { State::Data } else { State::TrailerStart }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::EndLf, b'\n') => return Ok(true),
            (State::TrailerStart | State::Trailer, b'!'..=b'~' | 0x80..) | (State::Trailer, b'\t' | b' ') => {
                self.line += 1;
                if self.line > TRAILERS_MAX {
                    return Err(Broken);
                }
                State::Trailer
            }
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            _ => return Err(Broken),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_in_steps(body: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Broken> {
        let mut decoder = Decoder::new(Framing::Chunked);
        let (mut data, mut used) = (Vec::new(), 0);
        for part in body.chunks(step) {
            if decoder.is_done() {
                break;
            }
            let mut raw = part.to_vec();
            let decoded = decoder.decode(&mut raw)?;
            data.extend_from_slice(&raw[..decoded.data]);
            used += decoded.used;
        }
        Ok((data, used, decoder.is_done()))
    }

    #[test]
    fn chunks_come_out_the_same_however_they_are_cut() {
        let body = b"5\r\nhello\r\n6;name=\"a b\"\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\nGET /";
        for step in 1..body.len() {
            assert_eq!(decode_in_steps(body, step), Ok((b"hello world".to_vec(), body.len() - 5, true)), "step {step}");
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for bad in [
            &b"\r\n"[..],
            b"5\nhello",
            b"x\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"5 \r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"1000000000000000\r\n",
            b"0\r\n\n",
            b"0\r\n a: b\r\n\r\n",
            b"5;a\nb\r\n",
            b"5\r\r\n",
            b"+5\r\n",
            b";a\r\n",
        ] {
            assert_eq!(decode_in_steps(bad, bad.len()), Err(Broken), "{bad:?}");
        }
    }

    #[test]
    fn a_length_takes_no_byte_more() {
        let mut decoder = Decoder::new(Framing::Length(3));
        assert_eq!(decoder.decode(&mut b"abcdef".to_vec()), Ok(Decoded { data: 3, used: 3 }));
        assert!(decoder.is_done());
    }
}
