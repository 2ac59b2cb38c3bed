//! `version.xml` with the gate's address in place of the provider's.
//!
//! vCenter reads this document when a provider is registered and keeps the `serviceLocation` that it finds: were it
//! passed on as it is, every host would go past the gate. Only scheme and authority change; a location without them
//! (`/vasa/services/…`) already leads to the gate.

use quick_xml::errors::{Error as XmlError, SyntaxError};
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesCData, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use std::borrow::Cow;

/// Longest document that is rewritten, in bytes.
pub const DOCUMENT_MAX: usize = 64 * 1024;

const LOCATION: &str = "serviceLocation";

/// Scheme and authority of the gate as its clients see it, such as `https://gate.example:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Why a document cannot be rewritten. It must not be passed on as it is, for then hosts would go past the gate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// More than [`DOCUMENT_MAX`].
    #[error("version.xml has more than {DOCUMENT_MAX} bytes")]
    TooLong,
    /// Not UTF-8, not XML, or with a document type definition.
    #[error("version.xml cannot be read: {0}")]
    Malformed(String),
    /// A location of which it is not clear where its authority ends.
    #[error("serviceLocation in version.xml is not a plain http or https URL")]
    Location,
    /// No `serviceLocation` anywhere.
    #[error("version.xml has no serviceLocation; check version_path")]
    NoLocation,
}

impl Origin {
    /// Takes `http://` or `https://`, a host and maybe a port; a slash at the end is dropped, a path is refused.
    pub fn parse(url: &str) -> Option<Origin> {
        let url = url.strip_suffix('/').unwrap_or(url);
        let (_, rest) = split(url)?;
        let authority = rest.is_empty().then(|| url.split_once("://")).flatten()?.1;
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        (authority.bytes().all(fine) && authority.len() <= 300).then(|| Origin(url.to_owned()))
    }

    /// From the `Host` header of a request, for a gate that was not told its public URL.
    pub fn from_host(scheme: &str, host: &[u8]) -> Option<Origin> {
        Origin::parse(&format!("{scheme}://{}", std::str::from_utf8(host).ok()?))
    }

    /// The origin as text, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Replaces scheme and authority of every `serviceLocation`, element or attribute, and leaves the rest as it is.
///
/// # Errors
/// When the document cannot be understood in full; see [`VersionError`].
pub fn rewrite(document: &[u8], origin: &Origin) -> Result<Vec<u8>, VersionError> {
    if document.len() > DOCUMENT_MAX {
        return Err(VersionError::TooLong);
    }
    let text = std::str::from_utf8(document).map_err(|e| VersionError::Malformed(e.to_string()))?;
    let mut reader = Reader::from_str(text);
    let mut rewriter = Rewriter {
        origin,
        writer: Writer::new(Vec::with_capacity(document.len() + 64)),
        found: 0,
        depth: 0,
        place: Place::Outside,
    };
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Eof if rewriter.depth > 0 => return Err(VersionError::Malformed("it is cut off".to_owned())),
            Event::Eof => break,
            event => rewriter.event(event)?,
        }
    }
    if rewriter.found == 0 {
        return Err(VersionError::NoLocation);
    }
    Ok(rewriter.writer.into_inner())
}

fn malformed(error: XmlError) -> VersionError {
    match error {
        XmlError::Syntax(SyntaxError::UnclosedDoctype) => VersionError::Malformed(DTD.to_owned()),
        error => VersionError::Malformed(error.to_string()),
    }
}

const DTD: &str = "it has a document type definition";

/// Where in the document the rewriter is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not in a location.
    Outside,
    /// In one, before its text.
    Before,
    /// In one, behind its authority: what comes is path and query.
    Behind,
    /// In one whose text ended with the authority: only the end of the element may come.
    AtEnd,
}

struct Rewriter<'a> {
    origin: &'a Origin,
    writer: Writer<Vec<u8>>,
    found: usize,
    depth: usize,
    place: Place,
}

impl Rewriter<'_> {
    fn event(&mut self, event: Event) -> Result<(), VersionError> {
        let event = match event {
            Event::Start(tag) => {
                self.depth += 1;
                if self.place != Place::Outside {
                    return Err(VersionError::Location);
                }
                if tag.local_name().as_ref() == LOCATION {
                    self.place = Place::Before;
                    self.found += 1;
                }
                Event::Start(self.attributes(tag)?)
            }
            Event::Empty(tag) if self.place == Place::Outside => Event::Empty(self.attributes(tag)?),
            Event::Empty(_) | Event::GeneralRef(_) if matches!(self.place, Place::Before | Place::AtEnd) => {
                return Err(VersionError::Location);
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                self.place = Place::Outside;
                Event::End(tag)
            }
            Event::Text(text) if self.place != Place::Outside => {
                Event::Text(BytesText::from_escaped(self.text(&text.into_inner())?))
            }
            Event::CData(text) if self.place != Place::Outside => {
                Event::CData(BytesCData::new(self.text(&text.into_inner())?))
            }
            Event::DocType(_) => return Err(VersionError::Malformed(DTD.to_owned())),
            other => other,
        };
        self.writer.write_event(event).map_err(|e| VersionError::Malformed(e.to_string()))
    }

    /// A piece of the text of a location.
    fn text(&mut self, text: &str) -> Result<String, VersionError> {
        let start = text.len() - text.trim_start().len();
        let (space, url) = text.split_at(start);
        match self.place {
            _ if url.is_empty() => return Ok(text.to_owned()),
            Place::Before => {}
            Place::Behind | Place::Outside => return Ok(text.to_owned()),
            Place::AtEnd => return Err(VersionError::Location),
        }
        let (new, rest) = self.location(url)?;
        self.place = if rest.trim_end().is_empty() { Place::AtEnd } else { Place::Behind };
        Ok(format!("{space}{new}"))
    }

    /// The location in the gate's words, and what of it stands behind the authority.
    fn location<'u>(&self, url: &'u str) -> Result<(String, &'u str), VersionError> {
        if url.starts_with('/') && !url.starts_with("//") {
            return Ok((url.to_owned(), url));
        }
        let (_, rest) = split(url).ok_or(VersionError::Location)?;
        Ok((format!("{}{rest}", self.origin.as_str()), rest))
    }

    fn attributes<'t>(&mut self, tag: BytesStart<'t>) -> Result<BytesStart<'t>, VersionError> {
        if !tag.attributes_raw().contains(LOCATION) {
            return Ok(tag);
        }
        let name = tag.name().as_ref().to_owned();
        let mut new = BytesStart::new(name);
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|e| VersionError::Malformed(e.to_string()))?;
            if attribute.key.local_name().as_ref() == LOCATION {
                let (value, _) = self.location(&attribute.value)?;
                new.push_attribute(Attribute { key: attribute.key, value: Cow::Owned(value) });
                self.found += 1;
            } else {
                new.push_attribute(attribute);
            }
        }
        Ok(new)
    }
}

/// A URL as scheme and what follows the authority; `None` when it has no http scheme or no authority.
fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#', ' ', '\t', '\r', '\n', '&', '\\']).unwrap_or(rest.len());
    // An ampersand begins an entity, a backslash is a slash to some: both are refused as the end of an authority.
    let clear = end > 0 && !rest[end..].starts_with(['&', '\\']);
    clear.then(|| (scheme, &rest[end..]))
}

#[cfg(test)]
mod tests;
