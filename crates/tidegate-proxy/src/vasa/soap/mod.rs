//! Which operation a SOAP request calls, from the first bytes of its body and without building a tree.
//!
//! The operation is the local name of the first element in `Body`; its namespace does not matter, for every version of
//! VASA has another. SOAP 1.1 and 1.2, bare or as the first part of an MTOM message ([`mtom`]). A document type
//! definition, an entity or a processing instruction has no place in SOAP and is refused, and so is deep nesting.

mod mtom;
mod walk;

pub use crate::soap::{NAME_MAX, PREFIX_MAX, SoapVersion, is_name};

/// What a request calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Local name of the first element in the body; passes [`is_name`].
    pub name: String,
    /// Which SOAP the client speaks.
    pub version: SoapVersion,
    /// The namespace of the operation, which is also that of its faults. Empty when it has none.
    pub namespace: String,
    /// `hostGuid` of the usage context of `setContext`, when it stands in the prefix: which ESXi host this is, in its
    /// own word. At most [`NAME_MAX`] bytes of printable ASCII.
    pub host_guid: Option<String>,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// It may be SOAP; more of the body is needed. Never said of a whole body or of [`PREFIX_MAX`] bytes.
    NeedMore,
    /// It is SOAP and calls this.
    Operation(Operation),
    /// It is not SOAP, or its operation does not stand within [`PREFIX_MAX`] bytes.
    NotSoap,
    /// It has something that SOAP does not allow and that parsers disagree on. The words say what.
    Refused(&'static str),
}

/// Looks at the first bytes of a body. `whole`: there is nothing after them.
///
/// `content_type` is the value of the header of that name, needed to tell MTOM from bare SOAP. The cost is one pass
/// over at most [`PREFIX_MAX`] bytes; a verdict other than [`Prefix::NeedMore`] does not change when more bytes come.
pub fn read_prefix(content_type: Option<&[u8]>, body: &[u8], whole: bool) -> Prefix {
    let last = whole || body.len() >= PREFIX_MAX;
    let body = &body[..body.len().min(PREFIX_MAX)];
    let verdict = match mtom::boundary(content_type.unwrap_or_default()) {
        mtom::Boundary::None => walk::document(body, last),
        mtom::Boundary::Bad => Prefix::Refused("a multipart content type without a proper boundary"),
        mtom::Boundary::Some(boundary) => match mtom::first_part(body, &boundary) {
            mtom::Part::NeedMore => Prefix::NeedMore,
            mtom::Part::Open(content) => walk::document(content, last),
            mtom::Part::Whole(content) => walk::document(content, true),
            mtom::Part::Bad(why) => Prefix::Refused(why),
        },
    };
    if last && verdict == Prefix::NeedMore { Prefix::NotSoap } else { verdict }
}

#[cfg(test)]
mod tests;
