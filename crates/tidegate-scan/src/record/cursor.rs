//! A place in a line, for the parsers of this folder. Every step looks before it goes.

/// A line and how far it is read. Copied to try something, and assigned back when it went well.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    line: &'a [u8],
    /// Bytes that are read.
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(line: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { line, at }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    pub fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    /// Reads `text`, if it is next.
    pub fn eat(&mut self, text: &[u8]) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    /// Reads bytes while they are of a kind; returns them.
    pub fn take(&mut self, most: usize, kind: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().take(most).position(|byte| !kind(*byte)).unwrap_or(rest.len().min(most));
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub fn spaces(&mut self) -> usize {
        self.take(usize::MAX, |byte| byte == b' ' || byte == b'\t').len()
    }

    /// A word without white space.
    pub fn word(&mut self) -> &'a [u8] {
        self.take(usize::MAX, |byte| !byte.is_ascii_whitespace())
    }

    /// Exactly `digits` decimal digits.
    pub fn fixed(&mut self, digits: usize) -> Option<u32> {
        let mut value = 0;
        for byte in self.line.get(self.at..self.at + digits)? {
            value = value * 10 + u32::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
        }
        self.at += digits;
        Some(value)
    }

    /// One to `most` (≤ 9) decimal digits, and how many.
    pub fn number(&mut self, most: usize) -> Option<(u32, usize)> {
        let digits = self.take(most, |byte| byte.is_ascii_digit());
        let value = digits.iter().fold(0, |value: u32, digit| value * 10 + u32::from(digit - b'0'));
        (!digits.is_empty()).then_some((value, digits.len()))
    }
}
