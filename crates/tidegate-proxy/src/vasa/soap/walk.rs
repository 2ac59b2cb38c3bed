//! An envelope as far as its operation, and the host in a `setContext`.

use super::{NAME_MAX, Operation, Prefix, is_name};
use crate::soap::walk::{self, Element, End, Part, Step, Verdict, Visit, Walked};
use std::ops::Range;

/// What is known so far.
#[derive(Default)]
struct Reader {
    operation: Option<Operation>,
    /// In the body.
    in_body: bool,
    /// The text of `hostGuid`, while within it, and its depth.
    guid: Option<(usize, String)>,
}

/// Walks a document, or the beginning of one. `last`: nothing more will come.
pub(super) fn document(bytes: &[u8], last: bool) -> Prefix {
    let mut reader = Reader::default();
    match walk::document(bytes, &mut reader) {
        Walked::Stopped(Verdict::Found(operation)) => Prefix::Operation(operation),
        Walked::Stopped(Verdict::NotSoap) | Walked::Over(End::Broken) => Prefix::NotSoap,
        Walked::Stopped(Verdict::Refused(why)) => Prefix::Refused(why),
        // The bytes behind cannot be text, or there are none: what is known is all that will be known.
        Walked::Over(end) if last || end == End::NotText => reader.operation.map_or(Prefix::NotSoap, Prefix::Operation),
        Walked::Over(_) => Prefix::NeedMore,
    }
}

impl<'b> Visit<'b> for Reader {
    type Found = Operation;

    fn open(&mut self, element: &Element<'_, 'b>) -> Step<Operation> {
        let Element { depth, part, version, namespace, name, .. } = *element;
        self.in_body |= depth == 2 && name == "Body";
        if depth == 3 && part == Part::Body {
            if !is_name(name) {
                return Step::Stop(Verdict::Refused("an operation with an impossible name"));
            }
            let (namespace, named) = (namespace.to_owned(), name.to_owned());
            let operation = Operation { name: named, version, namespace, host_guid: None };
            if name != "setContext" {
                return Step::Stop(Verdict::Found(operation));
            }
            self.operation = Some(operation); // goes on, for its hostGuid
        } else if name == "hostGuid" && self.operation.is_some() {
            self.guid = Some((depth, String::new()));
        }
        Step::Go
    }

    fn close(&mut self, depth: usize, _at: Range<usize>) -> Step<Operation> {
        if let Some((_, text)) = self.guid.take_if(|(of, _)| *of == depth) {
            return self.found(&text);
        }
        match depth {
            3 if self.operation.is_some() => self.found(""),
            2 if self.in_body => Step::Stop(Verdict::NotSoap), // an empty body calls nothing
            1 => Step::Stop(Verdict::NotSoap),
            _ => Step::Go,
        }
    }

    fn text(&mut self, _depth: usize, text: &str) -> Step<Operation> {
        if let Some((_, guid)) = self.guid.as_mut().filter(|(_, guid)| guid.len() <= NAME_MAX) {
            guid.push_str(text);
        }
        Step::Go
    }

    fn character(&mut self, depth: usize, _character: char) -> Step<Operation> {
        self.text(depth, "\0") // no GUID has such characters: one that does is not taken
    }
}

impl Reader {
    /// The walk is over: the operation, with the text of its hostGuid when that is one.
    fn found(&mut self, text: &str) -> Step<Operation> {
        let guid = text.trim();
        let fine = !guid.is_empty() && guid.len() <= NAME_MAX && guid.bytes().all(|b| b.is_ascii_graphic());
        Step::Stop(match self.operation.take() {
            Some(operation) => Verdict::Found(Operation { host_guid: fine.then(|| guid.to_owned()), ..operation }),
            None => Verdict::NotSoap,
        })
    }
}
