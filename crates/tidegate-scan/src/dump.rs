//! Members that are handed out whole, because they begin in a known way: outputs of commands.

use crate::plan::Plan;
use std::sync::Arc;

/// By which a member is known.
const HEAD: usize = 4 << 10;
/// One dump has at most this many bytes.
pub const ONE: usize = 32 << 20;
/// All dumps together.
pub const ALL: usize = 128 << 20;

/// The dumps of one member.
pub struct Dumps {
    plan: Arc<Plan>,
    text: Vec<u8>,
    /// The dumps that it is; none before its begin is seen.
    numbers: Option<Vec<usize>>,
    /// Dumps of which a part was left out.
    pub cut: u64,
}

impl Dumps {
    /// Nothing is seen yet.
    pub fn new(plan: Arc<Plan>) -> Dumps {
        let numbers = plan.dumps.is_empty().then(Vec::new);
        Dumps { plan, text: Vec::new(), numbers, cut: 0 }
    }

    /// The next bytes.
    pub fn data(&mut self, block: &[u8]) {
        let mut block = block;
        if self.numbers.is_none() {
            let (head, rest) = block.split_at(block.len().min(HEAD - self.text.len()));
            self.text.extend_from_slice(head);
            if self.text.len() == HEAD {
                self.sniff();
            }
            block = rest;
        }
        if self.numbers.as_ref().is_some_and(|numbers| !numbers.is_empty()) {
            let room = block.len().min(ONE - self.text.len());
            self.text.extend_from_slice(block.get(..room).unwrap_or_default());
            if room < block.len() {
                self.cut = 1;
            }
        }
    }

    fn sniff(&mut self) {
        let head = String::from_utf8_lossy(&self.text);
        let dumps = self.plan.dumps.iter().enumerate();
        let numbers: Vec<usize> =
            dumps.filter(|(_, dump)| dump.sniff.is_match(&head)).map(|(number, _)| number).collect();
        if numbers.is_empty() {
            self.text = Vec::new();
        }
        self.numbers = Some(numbers);
    }

    /// There is no more.
    pub fn end(&mut self) {
        if self.numbers.is_none() {
            self.sniff();
        }
    }

    /// Takes the text out, if it is one, and which dumps it is.
    pub fn take(&mut self) -> Option<(Vec<usize>, Vec<u8>)> {
        let numbers = self.numbers.take().filter(|numbers| !numbers.is_empty())?;
        Some((numbers, std::mem::take(&mut self.text)))
    }
}
