//! What is in a member, by its first bytes: text, which is searched, or the packets of a capture, which holds no lines.

use crate::capture::{self, Capture, Sink};
use crate::findings::Findings;
use crate::flows::{Flows, Options, Report};
use crate::plan::Plan;
use crate::source::Ended;
use crate::text::{Span, TextScan};
use std::sync::Arc;

/// Reads a member, whatever is in it.
pub(crate) struct Content {
    /// The first bytes, as long as they do not tell what it is.
    early: Option<Vec<u8>>,
    text: TextScan,
    packets: Option<Box<Packets>>,
}

/// Reads a capture.
struct Packets {
    capture: Capture,
    flows: Flows,
    bytes: u64,
}

impl Content {
    /// Nothing of it was read yet. `now`: nanoseconds since 1970, for years that logs leave out.
    pub fn new(plan: Arc<Plan>, now: i64) -> Content {
        Content { early: Some(Vec::new()), text: TextScan::new(plan, now), packets: None }
    }

    /// The next bytes. `path`: what a capture is called in its report.
    pub fn data(&mut self, block: &[u8], path: &str) {
        let Some(mut early) = self.early.take() else { return self.feed(block) };
        let missing = capture::HEAD.saturating_sub(early.len());
        let (first, others) = block.split_at(missing.min(block.len()));
        early.extend_from_slice(first);
        if early.len() < capture::HEAD {
            self.early = Some(early);
            return;
        }
        if capture::begins(&early) {
            let flows = Flows::new(&Options::default());
            self.packets = Some(Box::new(Packets { capture: Capture::new(0, path.to_owned()), flows, bytes: 0 }));
        }
        // As a rule the first block is a long one, which is read where it lies.
        if early.len() == first.len() {
            self.feed(block);
        } else {
            self.feed(&early);
            self.feed(others);
        }
    }

    fn feed(&mut self, block: &[u8]) {
        match &mut self.packets {
            None => self.text.data(block),
            Some(packets) => {
                let Packets { capture, flows, bytes } = packets.as_mut();
                *bytes += block.len() as u64;
                capture.data(block, |batch| flows.packets(batch));
            }
        }
    }

    /// There is no more, and this is how it ended: what was found in a text, what is known of it, what a capture holds.
    pub fn end(mut self, ended: &Ended) -> (Findings, Span, Option<Report>) {
        if let Some(early) = self.early.take() {
            self.feed(&early);
        }
        let (findings, span) = self.text.end();
        let Some(packets) = self.packets else { return (findings, span, None) };
        let Packets { capture, mut flows, bytes } = *packets;
        flows.end(capture.end(ended.clone()));
        let report = flows.finish();
        (findings, Span { bytes, lines: 0, ..Span::default() }, Some(report))
    }
}
