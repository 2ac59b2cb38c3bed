//! What an answer leaves behind: objects that a client has made, or destroyed.

use super::send::Way;
use crate::broker::Handle;
use crate::vcenter::answer;
use crate::vcenter::table::{Makes, Sess};
use crate::vcenter::texts;
use crate::vcenter::write::{self, Answer};
use tidegate_core::session::broker::{DownId, Holds, Kind, UpId};

/// Notes what a good answer made or ended.
pub(super) fn note(broker: &Handle, (down, up): (DownId, UpId), way: &Way<'_>, answer: &[u8]) {
    let this = way.op.this.as_ref().map_or("", |this| this.id.as_str());
    let made = match way.manner.makes {
        Makes::Nothing => None,
        Makes::View | Makes::Held => answer::returned_ref(answer),
    };
    broker.tables(|tables| {
        if way.manner.destroys {
            tables.destroyed(down, this);
        }
        let Some(made) = made else { return };
        let view = way.manner.makes == Makes::View;
        if !(view && way.body.is_some_and(|body| tables.made_view(down, up, &made, body))) {
            tables.made(down, &made.id, this);
        }
    });
}

/// What the client holds on its clone now. A read whose body was not seen whole leaves at most a page there, of which its
/// answer told.
pub(super) fn holds(broker: &Handle, (down, up): (DownId, UpId), way: &Way<'_>) -> Holds {
    let reads = way.manner.replay && way.manner.makes == Makes::Nothing;
    let unseen = way.body.is_none() && !reads;
    broker.tables(|tables| match tables.ups.get(&up).map(|up| up.kind) {
        Some(Kind::Clone) if way.session == Sess::Sticky || unseen => Holds::Sticky,
        Some(Kind::Clone) => Holds::Count(tables.holds(down, up)),
        _ => Holds::Unchanged,
    })
}

/// Notes how a good answer changed the session of its client; what is said in its place, where it tells of the session.
pub(super) fn changed(broker: &Handle, down: DownId, way: &Way<'_>, answer: &[u8]) -> Option<Answer> {
    broker.tables(|tables| {
        let session = &mut tables.downs.get_mut(&down)?.session;
        match way.op.name.as_str() {
            "SetLocale" => {
                let locale = texts(way.body?, "locale").pop()?;
                (session.locale, session.message_locale) = (locale.clone(), locale);
                None
            }
            "ImpersonateUser" => {
                let now = answer::user_session(answer)?;
                (session.user_name, session.full_name) = (now.user_name, now.full_name);
                Some(write::session(&way.op.name, session))
            }
            _ => None,
        }
    })
}
