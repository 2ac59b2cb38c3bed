//! One pass over the elements of an envelope, as far as its operation.

use super::{NAME_MAX, Operation, Prefix, SoapVersion, is_name};
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::{BytesDecl, BytesRef, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Elements within elements. A setContext has 7.
const DEPTH_MAX: usize = 32;

/// What to do after an event.
enum Step {
    Go,
    Stop(Prefix),
}

/// What the walk knows so far.
#[derive(Default)]
struct Walk {
    depth: usize,
    version: Option<SoapVersion>,
    /// Below `Body`, which stands at depth 2.
    in_body: bool,
    operation: Option<Operation>,
    /// The text of `hostGuid`, while within it, and its depth.
    guid: Option<(usize, String)>,
}

/// Walks a document, or the beginning of one. `last`: nothing more will come.
pub(super) fn document(bytes: &[u8], last: bool) -> Prefix {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, cut) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => {
            let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            (valid, error.error_len().is_some())
        }
    };
    if text.trim_start().chars().next().is_some_and(|c| c != '<') {
        return Prefix::NotSoap;
    }
    let mut reader = NsReader::from_str(text);
    let mut walk = Walk::default();
    let verdict = loop {
        let step = match reader.read_resolved_event() {
            Ok((namespace, event)) => walk.event(namespace, event),
            Err(error) => Step::Stop(broken(&error)),
        };
        if let Step::Stop(verdict) = step {
            break verdict;
        }
    };
    match verdict {
        // The bytes behind cannot be text, or there are none: what is known is all that will be known.
        Prefix::NeedMore if last || cut => walk.operation.map_or(Prefix::NotSoap, Prefix::Operation),
        verdict => verdict,
    }
}

/// A reader's error at the end of a prefix mostly means that a tag is cut in two.
fn broken(error: &quick_xml::Error) -> Prefix {
    match error {
        quick_xml::Error::Syntax(SyntaxError::UnclosedDoctype)
        | quick_xml::Error::IllFormed(IllFormedError::MissingDoctypeName) => Prefix::Refused(DTD),
        quick_xml::Error::Syntax(_) => Prefix::NeedMore,
        quick_xml::Error::IllFormed(IllFormedError::UnclosedReference) => Prefix::NeedMore,
        quick_xml::Error::Namespace(_) => Prefix::Refused("bad namespace declarations"),
        _ => Prefix::NotSoap,
    }
}

const DTD: &str = "a document type definition in SOAP";

impl Walk {
    fn event(&mut self, namespace: ResolveResult, event: Event) -> Step {
        match event {
            Event::Start(tag) => self.start(namespace, tag.local_name().as_ref(), false),
            Event::Empty(tag) => self.start(namespace, tag.local_name().as_ref(), true),
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.into_inner()),
            Event::CData(text) => self.text(&text.into_inner()),
            Event::GeneralRef(reference) => self.reference(&reference),
            Event::Comment(_) => Step::Go,
            Event::Decl(declaration) => encoding(&declaration),
            Event::PI(_) => Step::Stop(Prefix::Refused("a processing instruction in SOAP")),
            Event::DocType(_) => Step::Stop(Prefix::Refused(DTD)),
            Event::Eof => Step::Stop(Prefix::NeedMore),
        }
    }

    fn start(&mut self, namespace: ResolveResult, name: &str, empty: bool) -> Step {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Step::Stop(Prefix::Refused("elements nested too deeply"));
        }
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.0,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        let step = match self.depth {
            1 => self.envelope(namespace, name),
            2 => {
                self.in_body = name == "Body";
                Step::Go
            }
            3 if self.in_body => self.operation(namespace, name),
            _ => {
                if name == "hostGuid" && self.operation.is_some() {
                    self.guid = Some((self.depth, String::new()));
                }
                Step::Go
            }
        };
        if empty && matches!(step, Step::Go) { self.end() } else { step }
    }

    fn envelope(&mut self, namespace: &str, name: &str) -> Step {
        self.version = match namespace {
            SOAP_11 => Some(SoapVersion::V11),
            SOAP_12 => Some(SoapVersion::V12),
            _ => None,
        };
        if name == "Envelope" && self.version.is_some() { Step::Go } else { Step::Stop(Prefix::NotSoap) }
    }

    fn operation(&mut self, namespace: &str, name: &str) -> Step {
        let Some(version) = self.version else { return Step::Stop(Prefix::NotSoap) };
        if !is_name(name) {
            return Step::Stop(Prefix::Refused("an operation with an impossible name"));
        }
        let operation = Operation { name: name.to_owned(), version, namespace: namespace.to_owned(), host_guid: None };
        if name == "setContext" {
            self.operation = Some(operation); // goes on, for its hostGuid
            Step::Go
        } else {
            Step::Stop(Prefix::Operation(operation))
        }
    }

    fn end(&mut self) -> Step {
        if let Some((_, text)) = self.guid.take_if(|(depth, _)| *depth == self.depth) {
            return self.found(text);
        }
        self.depth = self.depth.saturating_sub(1);
        match self.depth {
            2 if self.operation.is_some() => self.found(String::new()),
            1 if self.in_body => Step::Stop(Prefix::NotSoap), // an empty body calls nothing
            0 => Step::Stop(Prefix::NotSoap),
            _ => Step::Go,
        }
    }

    /// The walk is over: the operation, with the text of its hostGuid when that is one.
    fn found(&mut self, text: String) -> Step {
        let guid = text.trim();
        let fine = !guid.is_empty() && guid.len() <= NAME_MAX && guid.bytes().all(|b| b.is_ascii_graphic());
        Step::Stop(match self.operation.take() {
            Some(operation) => Prefix::Operation(Operation { host_guid: fine.then(|| guid.to_owned()), ..operation }),
            None => Prefix::NotSoap,
        })
    }

    fn text(&mut self, text: &str) -> Step {
        if let Some((_, guid)) = &mut self.guid {
            if guid.len() <= NAME_MAX {
                guid.push_str(text);
            }
        } else if self.depth == 0 && !text.trim().is_empty() {
            return Step::Stop(Prefix::NotSoap);
        }
        Step::Go
    }

    /// `&amp;` and its like, or a character by number; anything else would have to be declared.
    fn reference(&mut self, reference: &BytesRef) -> Step {
        let predefined = matches!(&*reference.borrow().into_inner(), "amp" | "lt" | "gt" | "quot" | "apos");
        if predefined || matches!(reference.resolve_char_ref(), Ok(Some(_))) {
            self.text("\0") // no GUID has such characters: one that does is not taken
        } else {
            Step::Stop(Prefix::Refused("an entity in SOAP"))
        }
    }
}

/// Only encodings in which the bytes mean what they look like.
fn encoding(declaration: &BytesDecl) -> Step {
    match declaration.encoding() {
        None => Step::Go,
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => Step::Go,
        Some(_) => Step::Stop(Prefix::Refused("an encoding other than UTF-8")),
    }
}
