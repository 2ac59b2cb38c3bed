//! A SOAP request: which operation, on what, with which references, and where they stand so that they can be replaced.

mod read;
#[cfg(test)]
mod tests;

use super::leaves::{Leaves, Open, Opened, Watch};
use crate::soap::SoapVersion;
use crate::soap::walk::{self, Step};
use std::borrow::Cow;
use std::ops::Range;
use zeroize::Zeroizing;

pub use read::read;

/// Most bytes of a body that are looked at when there is more of it, and so the longest body of a `Login`.
pub const PREFIX_MAX: usize = crate::soap::PREFIX_MAX;
/// Longest body that is read whole. Scripts ask for the properties of hundreds of objects by name, with 80 to 100 bytes for
/// each: this is 2600 of them. Longer ones stream.
pub const BODY_MAX: usize = 256 << 10;
/// What is said of a `Login` that is longer than [`PREFIX_MAX`].
pub const LONG_LOGIN: &str = "a Login of more than 16 KiB";
/// Most references to objects of a session in a body. More are refused.
pub const SESSION_REFS_MAX: usize = 256;
/// How many of the objects that a body names are told: the first ones.
pub const NAMED_MAX: usize = 16;
/// Most texts that are taken out of a body.
pub const TEXTS_MAX: usize = 65;

/// What a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// It may be SOAP; more of the body is needed. Never said of a whole body or of [`PREFIX_MAX`] bytes.
    NeedMore,
    /// It is not SOAP.
    NotSoap,
    /// It has something that SOAP does not allow, or that parsers disagree on. The words say what.
    Refused(&'static str),
    /// It is SOAP and calls this.
    Operation(Box<Operation>),
}

/// What a request calls, and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Local name of the first element in the body; passes [`crate::vasa::soap::is_name`].
    pub name: String,
    /// Which SOAP the client speaks. vCenter answers 1.1 in any case.
    pub version: SoapVersion,
    /// The namespace of the operation, such as `urn:vim25`; empty when it has none.
    pub namespace: String,
    /// Everything of the body was seen. If not, only what stood in the first [`PREFIX_MAX`] bytes is told here.
    pub whole: bool,
    /// The object that it is called on.
    pub this: Option<Ref>,
    /// Every text that begins with `session[`: objects that live in one session. At most [`SESSION_REFS_MAX`]; `this`
    /// is among them if it is such an object.
    pub session_refs: Vec<Ref>,
    /// The session in the header `vcSessionCookie`, without quotes, and where its text stands.
    pub cookie: Option<(Range<usize>, String)>,
    /// Which page is asked for or given up, for `ContinueRetrievePropertiesEx` and `CancelRetrievePropertiesEx`.
    pub token: Option<String>,
    /// `maxObjects` is said: the answer may come in pages.
    pub max_objects: bool,
    /// `maxWaitSeconds`, and where its text stands.
    pub max_wait_s: Option<(Range<usize>, u64)>,
    /// Who logs in, for `Login`.
    pub login: Option<Login>,
    /// The first [`NAMED_MAX`] objects that are named in the body, `this` aside.
    pub named: Vec<Ref>,
    /// It asks for the property `currentSession`, or a part of it.
    pub names_current_session: bool,
    /// It asks for the property `sessionList`, or a part of it.
    pub names_session_list: bool,
    /// When the security token in the header ends, in seconds since 1970: the first of `Timestamp` and `Conditions`.
    pub expires: Option<i64>,
    /// The header says an `operationID`.
    pub has_operation_id: bool,
    /// Where the header can be given an `operationID`.
    pub(crate) header: HeaderSpot,
}

/// A reference to a managed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Its type, such as `VirtualMachine`; empty when none is said.
    pub kind: String,
    /// Its id, such as `vm-42` or `session[…]…`.
    pub id: String,
    /// Where the text of its id stands in the body.
    pub at: Range<usize>,
}

impl Ref {
    /// One that stands nowhere.
    pub fn new(kind: &str, id: &str) -> Ref {
        Ref { kind: kind.to_owned(), id: id.to_owned(), at: 0..0 }
    }
}

/// Who logs in. Its Debug form does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// As it was written.
    pub user: String,
    /// Overwritten with zeros when dropped.
    pub password: Zeroizing<String>,
    /// Which language its messages are in.
    pub locale: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("locale", &self.locale).finish_non_exhaustive()
    }
}

/// Where an `operationID` can be put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeaderSpot {
    /// Behind the tag of the header, or that of the envelope; or an empty header, which is replaced.
    at: Range<usize>,
    /// The prefix of the envelope with its colon, to open a header there; `None`: one is open.
    open: Option<String>,
}

impl Operation {
    /// The edit that gives the request this `operationID` (only if it has none: see `has_operation_id`).
    pub fn with_operation_id(&self, id: &str) -> Edit<'static> {
        // No namespace of its own: this is how govmomi writes it.
        let id = format!("<operationID>{}</operationID>", quick_xml::escape::escape(id));
        let xml = match &self.header.open {
            None => id,
            Some(prefix) => format!("<{prefix}Header>{id}</{prefix}Header>"),
        };
        Edit { at: self.header.at.clone(), xml: Cow::Owned(xml) }
    }
}

/// Texts of a body's elements by their name.
struct Texts<'n> {
    name: &'n str,
    found: Vec<String>,
}

impl<'b> Watch<'b> for Texts<'_> {
    type Found = ();

    fn opened(&mut self, _: &[Open<'b>], _: &Opened<'_>) -> Step<()> {
        Step::Go
    }

    fn leaf(&mut self, path: &[Open<'b>], text: &str, _: Range<usize>) -> Step<()> {
        let wanted =
            matches!(path, [_, part, _, .., leaf] if part.name == "Body" && leaf.name.eq_ignore_ascii_case(self.name));
        if wanted && self.found.len() < TEXTS_MAX {
            self.found.push(text.trim().to_owned());
        }
        Step::Go
    }
}

/// The texts of the elements called `name` in the body of an envelope that was read before, as the vCenter will read them;
/// at most [`TEXTS_MAX`].
pub fn texts(body: &[u8], name: &str) -> Vec<String> {
    let mut leaves = Leaves::new(body, Texts { name, found: Vec::new() });
    let _was_read_before = walk::document(body, &mut leaves);
    leaves.watch.found
}

/// Something of a body to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// What is taken out; empty for an insertion.
    pub at: Range<usize>,
    /// What is put there, as XML.
    pub xml: Cow<'a, str>,
}

impl<'a> Edit<'a> {
    /// Puts text there, escaped.
    pub fn text(at: Range<usize>, text: &'a str) -> Edit<'a> {
        Edit { at, xml: quick_xml::escape::escape(text) }
    }
}

/// The body with `edits` made, in any order. One that overlaps another before it, or is out of range, is left out.
pub fn edit(body: &[u8], edits: &[Edit<'_>]) -> Vec<u8> {
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort_by_key(|edit| edit.at.start);
    let mut edited = Vec::with_capacity(body.len() + edits.iter().map(|edit| edit.xml.len()).sum::<usize>());
    let mut copied = 0;
    for Edit { at, xml } in ordered {
        let Some(before) = body.get(copied..at.start).filter(|_| at.start <= at.end && at.end <= body.len()) else {
            continue;
        };
        edited.extend_from_slice(before);
        edited.extend_from_slice(xml.as_bytes());
        copied = at.end;
    }
    edited.extend_from_slice(body.get(copied..).unwrap_or_default());
    edited
}
