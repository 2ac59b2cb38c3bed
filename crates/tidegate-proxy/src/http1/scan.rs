//! Finds the end of a head without looking at any byte twice, and refuses line ends that parsers disagree about.

use super::Refusal;

/// Where the search for the end of a head stands.
#[derive(Default)]
pub(crate) struct Scan {
    looked: usize,
    line: usize,
}

impl Scan {
    /// Looks at what has come since. `Some(n)`: the head is the first `n` bytes, empty line included.
    ///
    /// # Errors
    /// LF without CR, CR without LF, NUL, or a line that begins with space or tab (obs-fold).
    pub(crate) fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(found) = memchr::memchr3(b'\n', b'\r', 0, bytes.get(self.looked..).unwrap_or_default()) {
            let at = self.looked + found;
            match bytes[at] {
                b'\r' if at + 1 == bytes.len() => {
                    self.looked = at;
                    return Ok(None);
                }
                b'\r' if bytes[at + 1] == b'\n' => {}
                b'\r' => return Err(Refusal::bad("a carriage return without a line feed")),
                b'\n' => return Err(Refusal::bad("a line feed without a carriage return")),
                _ => return Err(Refusal::bad("a NUL byte")),
            }
            let (line, end) = (self.line, at + 2);
            self.line = end;
            self.looked = end;
            if line == at && line > 0 {
                return Ok(Some(end));
            }
            if line > 0 && matches!(bytes[line], b' ' | b'\t') {
                return Err(Refusal::bad("a folded header line"));
            }
        }
        self.looked = bytes.len();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        Scan::default().look(bytes)
    }

    #[test]
    fn finds_the_end_byte_by_byte_as_at_once() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        assert_eq!(whole(head), Ok(Some(27)));
        let mut scan = Scan::default();
        for n in 0..27 {
            assert_eq!(scan.look(&head[..n]), Ok(None), "after {n} bytes");
        }
        assert_eq!(scan.look(&head[..27]), Ok(Some(27)));
    }

    #[test]
    fn refuses_line_ends_that_parsers_disagree_about() {
        for bad in [
            &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            b"GET /\0",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
        ] {
            assert!(whole(bad).is_err(), "{bad:?}");
        }
    }
}
