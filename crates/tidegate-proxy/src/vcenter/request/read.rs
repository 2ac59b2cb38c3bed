//! The reader of requests.

use super::super::leaves::{Leaves, Open, Opened, Watch};
use super::super::time;
use super::{BODY_MAX, HeaderSpot, LONG_LOGIN, Login, NAMED_MAX, Operation, PREFIX_MAX, Ref, SESSION_REFS_MAX, Spoken};
use crate::soap::walk::{self, End, Step, Verdict, Walked};
use crate::soap::{Seen, SoapVersion, is_name};
use std::ops::Range;
use zeroize::Zeroizing;

/// What begins the id of an object that lives in one session.
const IN_SESSION: &str = "session[";

/// Reads the first bytes of a body. One pass, over at most [`PREFIX_MAX`] bytes, behind which it counts as cut, or over all of a
/// whole body of at most [`BODY_MAX`]; a verdict other than [`Spoken::NeedMore`] on a body that grows is only said when it
/// does not change, but of an operation more may be told when its body is whole.
///
/// A whole body that is SOAP so far, but does not end as XML must, is refused: what vCenter would make of it is not known.
/// So is a `Login` that is not seen whole.
pub fn read(body: &[u8], seen: impl Into<Seen>) -> Spoken {
    let seen = seen.into();
    let whole = seen == Seen::Whole && body.len() <= BODY_MAX;
    let body = if whole { body } else { &body[..body.len().min(PREFIX_MAX)] };
    let last = seen != Seen::Begun || body.len() >= PREFIX_MAX;
    let mut leaves = Leaves::new(body, Reader::default());
    let walked = walk::document(body, &mut leaves);
    let reader = leaves.watch;
    match walked {
        Walked::Stopped(Verdict::Refused(why)) => Spoken::Refused(why),
        Walked::Stopped(Verdict::NotSoap) => reader.broken("more than an envelope"),
        Walked::Stopped(Verdict::Found(())) => Spoken::NotSoap,
        Walked::Over(End::NotText) => reader.broken("an envelope that is no UTF-8"),
        Walked::Over(End::Broken) => reader.broken("an envelope that is no XML"),
        Walked::Over(_) if !last => Spoken::NeedMore,
        Walked::Over(End::Early) if whole => reader.broken("an envelope that is cut off"),
        Walked::Over(_) => reader.finish(whole, body.len()),
    }
}

/// What is known so far.
#[derive(Default)]
struct Reader {
    operation: Option<Operation>,
    version: Option<SoapVersion>,
    header: HeaderSpot,
    parts: Parts,
    cookie: Option<(Range<usize>, String)>,
    expires: Option<i64>,
    has_operation_id: bool,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    locale: Option<String>,
    set: PropSet,
}

/// Which parts of the envelope were there.
#[derive(Default)]
struct Parts {
    header: bool,
    body: bool,
}

/// What a `propSet` asks for, as far as it was read.
#[derive(Default)]
struct PropSet {
    of_sessions: bool,
    all: bool,
}

impl Reader {
    fn broken(self, why: &'static str) -> Spoken {
        if self.version.is_some() { Spoken::Refused(why) } else { Spoken::NotSoap }
    }

    fn finish(self, whole: bool, length: usize) -> Spoken {
        let Some(mut operation) = self.operation else { return Spoken::NotSoap };
        operation.whole = whole;
        (operation.cookie, operation.expires) = (self.cookie, self.expires);
        (operation.has_operation_id, operation.header) = (self.has_operation_id, self.header);
        if operation.name == "Login" {
            if !whole || length > PREFIX_MAX {
                return Spoken::Refused(LONG_LOGIN);
            }
            let (Some(user), Some(password)) = (self.user, self.password) else {
                return Spoken::Refused("a Login without a user or a password");
            };
            operation.login = Some(Login { user, password, locale: self.locale });
        }
        Spoken::Operation(Box::new(operation))
    }

    fn part(&mut self, name: &str, opened: &Opened<'_>) -> Step<()> {
        match name {
            "Header" if self.parts.header || self.parts.body => return refused("two headers, or one behind the body"),
            "Header" => {
                self.parts.header = true;
                if opened.empty {
                    self.header.at = opened.at.clone();
                } else {
                    self.header = HeaderSpot { at: opened.at.end..opened.at.end, open: None };
                }
            }
            "Body" if self.parts.body => return refused("two bodies"),
            "Body" => self.parts.body = true,
            _ => return refused("an envelope with something other than a header and a body"),
        }
        Step::Go
    }

    fn called(&mut self, name: &str, opened: &Opened<'_>) -> Step<()> {
        if self.operation.is_some() {
            return refused("two operations");
        }
        if !is_name(name) {
            return refused("an operation with an impossible name");
        }
        self.operation = Some(Operation {
            name: name.to_owned(),
            version: opened.version,
            namespace: opened.namespace.to_owned(),
            whole: false,
            this: None,
            session_refs: Vec::new(),
            cookie: None,
            token: None,
            max_objects: false,
            max_wait_s: None,
            login: None,
            named: Vec::new(),
            names_current_session: false,
            names_session_list: false,
            expires: None,
            has_operation_id: false,
            header: HeaderSpot::default(),
        });
        Step::Go
    }

    fn ends(&mut self, time: &str) {
        if let Some(at) = time::parse(time.trim()) {
            self.expires = Some(self.expires.map_or(at, |known| known.min(at)));
        }
    }

    fn in_header(&mut self, path: &[Open<'_>], text: &str, at: Range<usize>) -> Step<()> {
        let [.., above, leaf] = path else { return Step::Go };
        match leaf.name {
            "vcSessionCookie" if path.len() == 3 => {
                if self.cookie.is_some() {
                    return refused("two session cookies in the header");
                }
                self.cookie = Some((at, text.trim().trim_matches('"').to_owned()));
            }
            "operationID" => self.has_operation_id |= path.len() == 3,
            "Expires" if above.name == "Timestamp" => self.ends(text),
            _ => {}
        }
        Step::Go
    }

    /// A child of the operation: an argument that is no more than a text.
    fn argument(&mut self, leaf: &Open<'_>, text: &str, at: Range<usize>) -> Step<()> {
        let Some(operation) = &mut self.operation else { return Step::Go };
        let login = operation.name == "Login";
        let twice = match leaf.name {
            "_this" => {
                let this = Ref { kind: leaf.kind.unwrap_or_default().to_owned(), id: text.trim().to_owned(), at };
                operation.this.replace(this).is_some()
            }
            "userName" if login => self.user.replace(text.to_owned()).is_some(),
            "password" if login => self.password.replace(Zeroizing::new(text.to_owned())).is_some(),
            "locale" if login => self.locale.replace(text.to_owned()).is_some(),
            "token" if operation.name.ends_with("RetrievePropertiesEx") => {
                operation.token.replace(text.trim().to_owned()).is_some()
            }
            "prop" if operation.name == "Fetch" => {
                operation.asks_for(text.trim());
                false
            }
            _ => false,
        };
        if twice { refused("an argument that is there twice") } else { Step::Go }
    }

    fn deeper(&mut self, path: &[Open<'_>], text: &str, at: Range<usize>) -> Step<()> {
        let ([.., above, leaf], Some(operation)) = (path, &mut self.operation) else { return Step::Go };
        let text = text.trim();
        match leaf.name {
            "maxObjects" if above.name == "options" => operation.max_objects |= !text.is_empty(),
            "maxWaitSeconds" if above.name == "options" => {
                let Ok(seconds) = text.parse() else { return refused("a maxWaitSeconds that is no number") };
                if operation.max_wait_s.replace((at, seconds)).is_some() {
                    return refused("an argument that is there twice");
                }
            }
            "pathSet" => operation.asks_for(text),
            "type" if above.name == "propSet" => {
                self.set.of_sessions |= matches!(text, "SessionManager" | "ManagedObject");
            }
            "all" if above.name == "propSet" => self.set.all |= matches!(text, "true" | "1"),
            _ => {}
        }
        Step::Go
    }

    /// Whatever element it is: the object that it names.
    fn names(&mut self, leaf: &Open<'_>, text: &str, at: &Range<usize>) -> Step<()> {
        let (Some(operation), id) = (&mut self.operation, text.trim()) else { return Step::Go };
        let in_session = id.starts_with(IN_SESSION);
        let named = leaf.kind.is_some() && leaf.name != "_this" && !id.is_empty() && operation.named.len() < NAMED_MAX;
        if in_session || named {
            let kind = leaf.kind.unwrap_or_default().to_owned();
            let reference = Ref { kind, id: id.to_owned(), at: at.clone() };
            if named {
                operation.named.push(reference.clone());
            }
            if in_session {
                if operation.session_refs.len() == SESSION_REFS_MAX {
                    return refused("too many references to objects of a session");
                }
                operation.session_refs.push(reference);
            }
        }
        Step::Go
    }
}

impl Operation {
    fn asks_for(&mut self, property: &str) {
        let within = |name: &str| {
            property.strip_prefix(name).is_some_and(|rest| matches!(rest.chars().next(), None | Some('.' | '[')))
        };
        self.names_current_session |= within("currentSession");
        self.names_session_list |= within("sessionList");
    }
}

impl<'b> Watch<'b> for Reader {
    type Found = ();

    fn opened(&mut self, path: &[Open<'b>], opened: &Opened<'_>) -> Step<()> {
        let (depth, Some(last)) = (path.len(), path.last()) else { return Step::Go };
        match depth {
            1 => {
                self.version = Some(opened.version);
                let at = opened.at.end..opened.at.end;
                self.header = HeaderSpot { at, open: Some(opened.prefix.to_owned()) };
                Step::Go
            }
            2 => self.part(last.name, opened),
            3 if path[1].name == "Body" => self.called(last.name, opened),
            _ => {
                if last.name == "Conditions" && path[1].name == "Header" {
                    opened.attribute("NotOnOrAfter").into_iter().for_each(|time| self.ends(time));
                }
                Step::Go
            }
        }
    }

    fn leaf(&mut self, path: &[Open<'b>], text: &str, at: Range<usize>) -> Step<()> {
        let ([_, part, ..], Some(leaf)) = (path, path.last()) else { return Step::Go };
        if part.name == "Header" {
            return self.in_header(path, text, at);
        }
        let step = match path.len() {
            0..4 => return if text.trim().is_empty() { Step::Go } else { refused("an operation that is a text") },
            4 => self.argument(leaf, text, at.clone()),
            _ => self.deeper(path, text, at.clone()),
        };
        if matches!(step, Step::Go) { self.names(leaf, text, &at) } else { step }
    }

    fn closed(&mut self, path: &[Open<'b>], _content: Range<usize>, _end: usize) -> Step<()> {
        if path.last().is_some_and(|last| last.name == "propSet") {
            let set = std::mem::take(&mut self.set);
            if let Some(operation) = self.operation.as_mut().filter(|_| set.of_sessions && set.all) {
                (operation.names_current_session, operation.names_session_list) = (true, true);
            }
        }
        Step::Go
    }
}

fn refused(why: &'static str) -> Step<()> {
    Step::Stop(Verdict::Refused(why))
}
