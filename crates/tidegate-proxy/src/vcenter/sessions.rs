//! Answers that tell of sessions: the gate's own are taken out, and the client's put in.
//!
//! A session is where the type says so (`xsi:type` of `UserSession` or `ArrayOfUserSession`: a property's value, or what
//! `Fetch` returns), and a part of one where the property's name does (`currentSession.key`).

use super::leaves::{Leaves, Open, Opened, Watch};
use super::request::{Edit, edit};
use super::write::UserSession;
use crate::soap::walk::{self, End, Step, Verdict, Walked};
use std::borrow::Cow;
use std::ops::Range;

/// Longest answer that is rewritten, in bytes.
pub const ANSWER_MAX: usize = 64 * 1024;

/// Why an answer cannot be rewritten. It must not be passed on, for it may tell of the gate's own sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More than [`ANSWER_MAX`].
    #[error("an answer about sessions has more than {ANSWER_MAX} bytes")]
    TooLong,
    /// Not well-formed SOAP.
    #[error("an answer about sessions cannot be read")]
    Malformed,
}

/// Every `currentSession` becomes `mine`. From every `sessionList` go the sessions whose key is `ours`, and `listed` come
/// behind the others.
///
/// # Errors
/// See [`Unreadable`].
pub fn rewrite(
    answer: &[u8],
    ours: &dyn Fn(&str) -> bool,
    mine: &UserSession,
    listed: &[UserSession],
) -> Result<Vec<u8>, Unreadable> {
    if answer.len() > ANSWER_MAX {
        return Err(Unreadable::TooLong);
    }
    let rewriter =
        Rewriter { ours, mine, listed, edits: Vec::new(), property: String::new(), part: None, is_ours: false };
    let mut leaves = Leaves::new(answer, rewriter);
    match walk::document(answer, &mut leaves) {
        Walked::Over(End::Complete) => Ok(edit(answer, &leaves.watch.edits)),
        Walked::Stopped(Verdict::Found(()) | Verdict::NotSoap | Verdict::Refused(_)) | Walked::Over(_) => {
            Err(Unreadable::Malformed)
        }
    }
}

struct Rewriter<'a> {
    ours: &'a dyn Fn(&str) -> bool,
    mine: &'a UserSession,
    listed: &'a [UserSession],
    edits: Vec<Edit<'static>>,
    /// The property whose value comes, or which failed to be read.
    property: String,
    /// What `mine` has for a part of `currentSession` that the property is.
    part: Option<String>,
    /// The key of the listed session that is open is one of the gate's.
    is_ours: bool,
}

impl Rewriter<'_> {
    fn put(&mut self, at: Range<usize>, xml: String) {
        self.edits.push(Edit { at, xml: Cow::Owned(xml) });
    }
}

fn is_list(open: &Open<'_>) -> bool {
    open.xsi == Some("ArrayOfUserSession")
}

impl<'b> Watch<'b> for Rewriter<'_> {
    type Found = ();

    fn opened(&mut self, path: &[Open<'b>], opened: &Opened<'_>) -> Step<()> {
        let [.., last] = path else { return Step::Go };
        if opened.empty && (is_list(last) || last.xsi == Some("UserSession")) {
            // It has no inside into which something could be put. No vCenter writes it so.
            return Step::Stop(Verdict::Refused("an empty session"));
        }
        if path.len() > 1 && is_list(&path[path.len() - 2]) {
            self.is_ours = false;
        }
        Step::Go
    }

    fn leaf(&mut self, path: &[Open<'b>], text: &str, at: Range<usize>) -> Step<()> {
        let [.., above, leaf] = path else { return Step::Go };
        match leaf.name {
            "name" if matches!(above.name, "propSet" | "changeSet") => {
                text.trim().clone_into(&mut self.property);
                self.part = self.property.strip_prefix("currentSession.").and_then(|part| self.mine.property(part));
            }
            "val" if matches!(above.name, "propSet" | "changeSet") => {
                if let Some(part) = self.part.take() {
                    self.put(at, quick_xml::escape::escape(part).into_owned());
                }
            }
            "key" if path.len() > 2 && is_list(&path[path.len() - 3]) => self.is_ours = (self.ours)(text.trim()),
            _ => {}
        }
        Step::Go
    }

    fn closed(&mut self, path: &[Open<'b>], content: Range<usize>, end: usize) -> Step<()> {
        let [before @ .., last] = path else { return Step::Go };
        if is_list(last) {
            let listed: String =
                self.listed.iter().map(|it| format!("<UserSession>{}</UserSession>", it.elements())).collect();
            self.put(content.end..content.end, listed);
        } else if before.last().is_some_and(is_list) {
            if std::mem::take(&mut self.is_ours) {
                self.put(last.from..end, String::new());
            }
        } else if last.xsi == Some("UserSession") {
            self.put(content, self.mine.elements());
        }
        Step::Go
    }
}

#[cfg(test)]
mod tests;
