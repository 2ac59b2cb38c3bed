//! Elements with where they stand, and the text of those that have nothing but text: what vim25 is made of.

use crate::soap::SoapVersion;
use crate::soap::walk::{Element, Part, Step, Verdict, Visit};
use quick_xml::name::{Namespace, ResolveResult};
use std::ops::Range;
use zeroize::Zeroizing;

const XSI: Namespace<'static> = Namespace("http://www.w3.org/2001/XMLSchema-instance");

/// Most attributes of an element. To tell equal ones takes the square of their number; clients have about ten.
const ATTRIBUTES_MAX: usize = 64;

/// An element that is open.
pub(super) struct Open<'b> {
    /// Its local name.
    pub(super) name: &'b str,
    /// Its attribute `type`: what a reference refers to.
    pub(super) kind: Option<&'b str>,
    /// Its attribute `xsi:type`, without a prefix.
    pub(super) xsi: Option<&'b str>,
    /// Where it begins.
    pub(super) from: usize,
    /// Where its content begins.
    content: usize,
    parent: bool,
}

/// An element that just opened, the last one of the path.
pub(super) struct Opened<'e> {
    pub(super) version: SoapVersion,
    pub(super) namespace: &'e str,
    /// The prefix of its name with the colon, or nothing.
    pub(super) prefix: &'e str,
    /// Where its tag stands.
    pub(super) at: Range<usize>,
    pub(super) empty: bool,
    attributes: &'e [(&'e str, &'e str)],
}

impl<'e> Opened<'e> {
    /// An attribute by its local name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'e str> {
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

/// Who wants to know of the elements. A path begins with the envelope and ends with the element itself.
pub(super) trait Watch<'b> {
    type Found;
    fn opened(&mut self, path: &[Open<'b>], opened: &Opened<'_>) -> Step<Self::Found>;
    /// An element without children is over. Its text stands at `at`; references are resolved.
    fn leaf(&mut self, path: &[Open<'b>], text: &str, at: Range<usize>) -> Step<Self::Found>;
    /// An element is over, with its content at `content` and the end of its closing tag at `end`.
    fn closed(&mut self, path: &[Open<'b>], content: Range<usize>, end: usize) -> Step<Self::Found> {
        let _ = (path, content, end);
        Step::Go
    }
}

/// Makes leaves of what a walk sees.
pub(super) struct Leaves<'b, W> {
    pub(super) watch: W,
    body: &'b [u8],
    path: Vec<Open<'b>>,
    /// May be a password. Never grows beyond what it was made with, so all of it is overwritten in the end.
    text: Zeroizing<String>,
}

impl<'b, W: Watch<'b>> Leaves<'b, W> {
    pub(super) fn new(body: &'b [u8], watch: W) -> Self {
        let text = Zeroizing::new(String::with_capacity(body.len()));
        Leaves { watch, body, path: Vec::with_capacity(16), text }
    }

    /// Text beside elements: vim25 has none, and parsers may take it for this or for that.
    fn mixed(&self) -> bool {
        self.in_body() && !self.text.trim().is_empty()
    }

    fn in_body(&self) -> bool {
        self.path.get(1).is_some_and(|second| second.name == "Body")
    }

    fn slice(&self, part: &str) -> Option<&'b str> {
        // Tags borrow from the body, but do not say so in their types.
        let from = (part.as_ptr() as usize).checked_sub(self.body.as_ptr() as usize)?;
        std::str::from_utf8(self.body.get(from..from + part.len())?).ok()
    }
}

impl<'b, W: Watch<'b>> Visit<'b> for Leaves<'b, W> {
    type Found = W::Found;

    fn open(&mut self, element: &Element<'_, 'b>) -> Step<W::Found> {
        if self.mixed() {
            return Step::Stop(Verdict::Refused(MIXED));
        }
        self.text.clear();
        if let Some(parent) = self.path.last_mut() {
            parent.parent = true;
        }
        let (mut kind, mut xsi, mut attributes) = (None, None, Vec::new());
        for (number, attribute) in element.tag.attributes().enumerate() {
            if number == ATTRIBUTES_MAX {
                return Step::Stop(Verdict::Refused(CROWDED));
            }
            let Ok(attribute) = attribute else { return Step::Stop(Verdict::Refused("bad attributes")) };
            let (key, value) = (attribute.key, self.slice(&attribute.value));
            if key.as_namespace_binding().is_some() {
                continue;
            }
            let local = key.local_name();
            if local.as_ref() == "type" && element.part == Part::Body {
                if value.is_none_or(|value| value.contains('&')) {
                    return Step::Stop(Verdict::Refused("a type with a reference in it"));
                }
                if key.prefix().is_none() {
                    kind = value;
                } else if element.resolver.resolve_attribute(key).0 == ResolveResult::Bound(XSI) {
                    xsi = value.map(|value| value.rsplit(':').next().unwrap_or(value));
                }
            }
            attributes.extend(self.slice(local.as_ref()).zip(value));
        }
        let (from, content) = (element.at.start, element.at.end);
        self.path.push(Open { name: element.name, kind, xsi, from, content, parent: false });
        let full = element.tag.name();
        let prefix = full.as_ref().strip_suffix(element.name).unwrap_or_default();
        let opened = Opened {
            version: element.version,
            namespace: element.namespace,
            prefix,
            at: element.at.clone(),
            empty: element.empty,
            attributes: &attributes,
        };
        self.watch.opened(&self.path, &opened)
    }

    fn close(&mut self, _depth: usize, at: Range<usize>) -> Step<W::Found> {
        let Some(last) = self.path.last() else { return Step::Go };
        let content = last.content..at.start;
        let step = if !last.parent {
            self.watch.leaf(&self.path, &self.text, content.clone())
        } else if self.mixed() {
            Step::Stop(Verdict::Refused(MIXED))
        } else {
            Step::Go
        };
        self.text.clear();
        let step = if matches!(step, Step::Go) { self.watch.closed(&self.path, content, at.end) } else { step };
        self.path.pop();
        step
    }

    fn text(&mut self, _depth: usize, text: &str) -> Step<W::Found> {
        if text.bytes().any(|b| b < b' ' && !matches!(b, b'\t' | b'\r' | b'\n')) {
            return Step::Stop(Verdict::Refused("a control character"));
        }
        if self.text.len() + text.len() <= self.text.capacity() {
            self.text.push_str(text);
        }
        Step::Go
    }
}

const MIXED: &str = "text beside elements";
const CROWDED: &str = "too many attributes";
