//! The reader of answers: one pass, for all that is ever asked of one.

use super::super::leaves::{Leaves, Open, Opened, Watch};
use super::super::request::Ref;
use super::super::write::UserSession;
use super::{Fault, NOT_AUTHENTICATED, State, TaskState};
use crate::soap::walk::{self, Step};
use std::ops::Range;

/// Most tasks that are told.
const TASKS_MAX: usize = 1024;

/// What was read. Of an answer that is cut off: what stood before the cut.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) fault: Option<Fault>,
    pub(super) returned: Option<Ref>,
    pub(super) text: Option<String>,
    pub(super) session: Option<UserSession>,
    pub(super) token: Option<String>,
    /// A property was not read for NotAuthenticated; what that fault says to people.
    pub(super) missing: Option<String>,
    pub(super) states: Vec<TaskState>,
    /// The task whose properties come, as far as they came.
    task: Option<String>,
    state: Option<State>,
    entity: Option<String>,
    expired: bool,
    /// The property whose value comes.
    property: String,
    /// The fault of a property is NotAuthenticated.
    in_missing: bool,
}

impl Heard {
    pub(super) fn hear(body: &[u8]) -> Heard {
        let mut leaves = Leaves::new(body, Heard::default());
        let _ = walk::document(body, &mut leaves);
        leaves.watch
    }

    fn of_fault(&mut self, path: &[Open<'_>], text: &str, at: Range<usize>) {
        let (Some(fault), Some(leaf)) = (&mut self.fault, path.last()) else { return };
        match (path.len(), leaf.name) {
            (4, "faultcode") if fault.name.is_empty() => text.trim().clone_into(&mut fault.name),
            (4, "faultstring") => text.clone_into(&mut fault.words),
            // Below the detail and the fault itself.
            (6, "object" | "obj") => {
                let kind = leaf.kind.unwrap_or_default().to_owned();
                fault.object = Some(Ref { kind, id: text.trim().to_owned(), at });
            }
            (6, "privilegeId") => fault.privilege = Some(text.trim().to_owned()),
            _ => {}
        }
    }

    fn of_session(&mut self, name: &str, text: &str) {
        let session = self.session.get_or_insert_default();
        let place = match name {
            "key" => &mut session.key,
            "userName" => &mut session.user_name,
            "fullName" => &mut session.full_name,
            "loginTime" => &mut session.login_time,
            "lastActiveTime" => &mut session.last_active_time,
            "locale" => &mut session.locale,
            "messageLocale" => &mut session.message_locale,
            "ipAddress" => &mut session.ip_address,
            "userAgent" => &mut session.user_agent,
            "extensionSession" => return session.extension_session = matches!(text.trim(), "true" | "1"),
            "callCount" => return session.call_count = text.trim().parse().unwrap_or_default(),
            _ => return,
        };
        text.clone_into(place);
    }

    fn of_property(&mut self, leaf: &Open<'_>, above: &str, text: &str) {
        match (leaf.name, above) {
            ("obj", _) => {
                self.task = (leaf.kind == Some("Task")).then(|| text.trim().to_owned());
            }
            ("name", "propSet") => text.trim().clone_into(&mut self.property),
            ("val", "propSet") if self.property == "info.state" => {
                self.state = match text.trim() {
                    "queued" => Some(State::Queued),
                    "running" => Some(State::Running),
                    "success" => Some(State::Success),
                    "error" => Some(State::Error),
                    _ => None,
                };
            }
            ("val", "propSet") if self.property == "info.entity" => self.entity = Some(text.trim().to_owned()),
            _ => {}
        }
    }
}

impl<'b> Watch<'b> for Heard {
    type Found = ();

    fn opened(&mut self, path: &[Open<'b>], _opened: &Opened<'_>) -> Step<()> {
        match path {
            [_, body, fault] if body.name == "Body" && fault.name == "Fault" => self.fault = Some(Fault::default()),
            [_, _, fault, detail, kind] if fault.name == "Fault" && detail.name == "detail" => {
                if let Some(said) = &mut self.fault {
                    let name = kind.xsi.unwrap_or_else(|| kind.name.strip_suffix("Fault").unwrap_or(kind.name));
                    name.clone_into(&mut said.name);
                }
            }
            [.., set, missing, fault]
                if set.name == "missingSet" && missing.name == "fault" && fault.name == "fault" =>
            {
                self.in_missing = fault.xsi == Some(NOT_AUTHENTICATED);
                if self.in_missing {
                    self.missing.get_or_insert_default();
                }
            }
            // `info.error` is a LocalizedMethodFault.
            [.., set, val, fault] if set.name == "propSet" && val.name == "val" && fault.name == "fault" => {
                self.expired |= self.property == "info.error" && fault.xsi == Some(NOT_AUTHENTICATED);
            }
            _ => {}
        }
        Step::Go
    }

    fn leaf(&mut self, path: &[Open<'b>], text: &str, at: Range<usize>) -> Step<()> {
        let ([_, body, _, ..], [.., above, leaf]) = (path, path) else { return Step::Go };
        if body.name != "Body" {
            return Step::Go;
        }
        if self.fault.is_some() {
            self.of_fault(path, text, at);
        } else if path.len() == 4 && leaf.name == "returnval" {
            match leaf.kind {
                Some(kind) => {
                    self.returned = Some(Ref { kind: kind.to_owned(), id: text.trim().to_owned(), at });
                }
                None => self.text = Some(text.to_owned()),
            }
        } else if path.len() == 5 && above.name == "returnval" {
            if leaf.name == "token" && !text.trim().is_empty() {
                self.token = Some(text.trim().to_owned());
            }
            self.of_session(leaf.name, text);
        } else {
            if self.in_missing && leaf.name == "localizedMessage" {
                self.missing.get_or_insert_default().push_str(text);
            }
            self.of_property(leaf, above.name, text);
        }
        Step::Go
    }

    fn closed(&mut self, path: &[Open<'b>], _content: Range<usize>, _end: usize) -> Step<()> {
        match path.last().map(|last| last.name) {
            Some("missingSet") => self.in_missing = false,
            Some("objects") => {
                let (task, state, entity) = (self.task.take(), self.state.take(), self.entity.take());
                let expired = std::mem::take(&mut self.expired);
                if let (Some(id), Some(state)) = (task, state)
                    && self.states.len() < TASKS_MAX
                {
                    self.states.push(TaskState { id, state, entity, expired });
                }
            }
            Some("propSet") => self.property.clear(),
            _ => {}
        }
        Step::Go
    }
}
