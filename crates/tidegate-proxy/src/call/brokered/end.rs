//! What an answer leaves behind: objects that a client has made, or destroyed.

use super::send::Way;
use crate::broker::Handle;
use crate::vcenter::answer;
use crate::vcenter::table::Makes;
use tidegate_core::session::broker::{DownId, UpId};

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
