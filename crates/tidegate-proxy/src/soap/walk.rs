//! One pass over the elements of an envelope, without building a tree.
//!
//! A document type definition, an entity or a processing instruction has no place in SOAP and is refused, and so is deep
//! nesting: parsers disagree on the first three, and fall over the last.

use super::SoapVersion;
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;
use std::ops::Range;

const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Elements within elements. A setContext has 7, a deep property filter of vSphere 16.
pub(crate) const DEPTH_MAX: usize = 32;

/// What to do after an element or a text.
pub(crate) enum Step<F> {
    Go,
    Stop(Verdict<F>),
}

/// How a walk ended that was stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<F> {
    Found(F),
    NotSoap,
    Refused(&'static str),
}

/// How a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Walked<F> {
    Stopped(Verdict<F>),
    /// The bytes are over.
    Over(End),
}

/// What the bytes ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A whole document.
    Complete,
    /// Not a whole document, but it can become one when more comes.
    Early,
    /// Something that is no UTF-8.
    NotText,
    /// Something that is no XML, whatever comes behind it.
    Broken,
}

/// Below which child of the envelope an element stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is the envelope, or this child itself, or stands below one that SOAP does not know.
    #[default]
    Neither,
    Header,
    Body,
}

/// An element that opens.
pub(crate) struct Element<'e, 'b> {
    /// 1 for the envelope.
    pub(crate) depth: usize,
    pub(crate) part: Part,
    pub(crate) version: SoapVersion,
    /// Empty when it has none.
    pub(crate) namespace: &'e str,
    /// Its local name.
    pub(crate) name: &'b str,
    pub(crate) tag: &'e BytesStart<'b>,
    pub(crate) resolver: &'e NamespaceResolver,
    /// Where its tag stands.
    pub(crate) at: Range<usize>,
    /// The tag closes it too.
    pub(crate) empty: bool,
}

/// Who wants to know what stands in an envelope.
pub(crate) trait Visit<'b> {
    type Found;
    fn open(&mut self, element: &Element<'_, 'b>) -> Step<Self::Found>;
    /// The element at `depth` is over; its closing tag stands at `at` (which is empty for one closed as it opened).
    fn close(&mut self, depth: usize, at: Range<usize>) -> Step<Self::Found>;
    /// Text in the element at `depth`, in pieces.
    fn text(&mut self, depth: usize, text: &str) -> Step<Self::Found>;
    /// A character that was written as a reference, such as `&amp;`.
    fn character(&mut self, depth: usize, character: char) -> Step<Self::Found> {
        self.text(depth, character.encode_utf8(&mut [0; 4]))
    }
}

/// Walks a document, or the beginning of one. Ranges count from the beginning of `bytes`.
pub(crate) fn document<'b, V: Visit<'b>>(bytes: &'b [u8], visitor: &mut V) -> Walked<V::Found> {
    let base = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let bytes = &bytes[base..];
    let (text, cut) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => {
            let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            (valid, error.error_len().is_some())
        }
    };
    if text.trim_start().chars().next().is_some_and(|c| c != '<') {
        return Walked::Stopped(Verdict::NotSoap);
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut walk = Walk { visitor, base, text, depth: 0, version: None, part: Part::Neither, over: false };
    loop {
        let from = position(&reader);
        let step = match reader.read_event() {
            Ok(Event::Eof) => {
                let end = if walk.over { End::Complete } else { End::Early };
                return Walked::Over(if cut { End::NotText } else { end });
            }
            Ok(event) => walk.event(&event, from..position(&reader), reader.resolver()),
            Err(error) => match broken(&error) {
                Ok(End::Early) if cut => return Walked::Over(End::NotText),
                Ok(end) => return Walked::Over(end),
                Err(why) => Step::Stop(Verdict::Refused(why)),
            },
        };
        if let Step::Stop(verdict) = step {
            return Walked::Stopped(verdict);
        }
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// A reader's error at the end of a prefix mostly means that a tag is cut in two.
fn broken(error: &quick_xml::Error) -> Result<End, &'static str> {
    match error {
        quick_xml::Error::Syntax(SyntaxError::UnclosedDoctype)
        | quick_xml::Error::IllFormed(IllFormedError::MissingDoctypeName) => Err(DTD),
        quick_xml::Error::Syntax(_) => Ok(End::Early),
        quick_xml::Error::IllFormed(IllFormedError::UnclosedReference) => Ok(End::Early),
        quick_xml::Error::Namespace(_) => Err("bad namespace declarations"),
        _ => Ok(End::Broken),
    }
}

const DTD: &str = "a document type definition in SOAP";

struct Walk<'v, 'b, V> {
    visitor: &'v mut V,
    base: usize,
    text: &'b str,
    depth: usize,
    version: Option<SoapVersion>,
    part: Part,
    /// The envelope has ended.
    over: bool,
}

impl<'b, V: Visit<'b>> Walk<'_, 'b, V> {
    fn event(&mut self, event: &Event<'b>, at: Range<usize>, resolver: &NamespaceResolver) -> Step<V::Found> {
        match event {
            Event::Start(tag) => self.start(tag, at, resolver, false),
            Event::Empty(tag) => self.start(tag, at, resolver, true),
            Event::End(_) => self.end(self.moved(&at)),
            Event::Text(text) => self.words(&text.borrow().into_inner()),
            Event::CData(text) => self.words(&text.borrow().into_inner()),
            Event::GeneralRef(reference) => self.reference(reference),
            Event::Comment(_) | Event::Eof => Step::Go,
            Event::Decl(declaration) if at.start == 0 => encoding(declaration),
            Event::Decl(_) | Event::PI(_) => refused("a processing instruction in SOAP"),
            Event::DocType(_) => refused(DTD),
        }
    }

    fn moved(&self, at: &Range<usize>) -> Range<usize> {
        self.base + at.start..self.base + at.end
    }

    fn start(
        &mut self,
        tag: &BytesStart<'b>,
        at: Range<usize>,
        resolver: &NamespaceResolver,
        empty: bool,
    ) -> Step<V::Found> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return refused("elements nested too deeply");
        }
        let (namespace, local) = resolver.resolve_element(tag.name());
        let namespace = match &namespace {
            ResolveResult::Bound(namespace) => namespace.0,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        // The name again, as a part of the document: it outlives the tag.
        let end = at.start + 1 + tag.name().as_ref().len();
        let name = self.text.get(end - local.as_ref().len()..end).unwrap_or_default();
        if self.depth == 1 {
            self.version = match namespace {
                SOAP_11 => Some(SoapVersion::V11),
                SOAP_12 => Some(SoapVersion::V12),
                _ => None,
            };
            if name != "Envelope" || self.over {
                return Step::Stop(Verdict::NotSoap);
            }
        }
        let Some(version) = self.version else { return Step::Stop(Verdict::NotSoap) };
        let (depth, part, at) = (self.depth, self.part, self.moved(&at));
        let closed = at.end..at.end;
        let step = self.visitor.open(&Element { depth, part, version, namespace, name, tag, resolver, at, empty });
        if depth == 2 {
            self.part = match name {
                "Header" => Part::Header,
                "Body" => Part::Body,
                _ => Part::Neither,
            };
        }
        if empty && matches!(step, Step::Go) { self.end(closed) } else { step }
    }

    fn end(&mut self, at: Range<usize>) -> Step<V::Found> {
        let depth = self.depth;
        self.depth = depth.saturating_sub(1);
        if depth == 2 {
            self.part = Part::Neither;
        }
        self.over |= depth == 1;
        self.visitor.close(depth, at)
    }

    fn words(&mut self, text: &str) -> Step<V::Found> {
        match self.depth {
            0 if text.trim().is_empty() => Step::Go,
            0 => Step::Stop(Verdict::NotSoap),
            depth => self.visitor.text(depth, text),
        }
    }

    /// `&amp;` and its like, or a character by number; anything else would have to be declared.
    fn reference(&mut self, reference: &BytesRef) -> Step<V::Found> {
        let character = match &*reference.borrow().into_inner() {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        match character {
            None => refused("an entity in SOAP"),
            Some(_) if self.depth == 0 => Step::Stop(Verdict::NotSoap),
            Some(character) => self.visitor.character(self.depth, character),
        }
    }
}

fn refused<F>(why: &'static str) -> Step<F> {
    Step::Stop(Verdict::Refused(why))
}

/// Only encodings in which the bytes mean what they look like.
fn encoding<F>(declaration: &BytesDecl) -> Step<F> {
    match declaration.encoding() {
        None => Step::Go,
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => Step::Go,
        Some(_) => refused("an encoding other than UTF-8"),
    }
}
