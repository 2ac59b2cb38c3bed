//! What is replaced in a SOAP body on its way: names of objects, the collector, the session in its header, the longest wait.

use super::Call;
use super::send::Way;
use super::slot::Slot;
use crate::broker::table::Owner;
use crate::broker::upstream::{self, AskFailed};
use crate::vcenter::answer::{self, Judged};
use crate::vcenter::write;
use crate::vcenter::{Edit, Ref};
use std::borrow::Cow;
use tidegate_core::session::broker::{DownId, Kind, UpId};
use zeroize::Zeroizing;

/// Why a call cannot go out on its session.
pub(super) enum Foreign {
    /// This object is not the client's.
    NotFound(Ref),
    /// The session is dead.
    Dead,
    Failed(AskFailed),
}

impl Call<'_> {
    /// What is replaced in the body: names of objects, the collector, the session in its header, the longest wait.
    pub(super) async fn edits<'e>(
        &mut self,
        slot: &mut Slot,
        lent: (DownId, UpId, Kind),
        cookie: &'e str,
        way: &Way<'e>,
    ) -> Result<Vec<Edit<'e>>, Foreign> {
        let (down, up, kind) = lent;
        let (op, mut edits) = (way.op, Vec::new());
        let Some(_) = way.body else { return Ok(edits) };
        if let Some((at, _)) = &op.cookie {
            edits.push(Edit::text(at.clone(), cookie));
        }
        for object in &op.session_refs {
            match self.broker.tables(|tables| tables.owner(down, &object.id)) {
                Owner::View => {
                    let there = self.view(slot, (down, up), cookie, object).await?;
                    if there.id != object.id {
                        edits.push(Edit { at: object.at.clone(), xml: escaped(&there.id) });
                    }
                }
                Owner::Mine => {}
                Owner::Another => return Err(Foreign::NotFound(object.clone())),
                Owner::Nobody if kind == Kind::Shared => return Err(Foreign::NotFound(object.clone())),
                Owner::Nobody => {}
            }
        }
        if let Some(this) = &op.this
            && way.main
            && kind == Kind::Shared
            && this.id == "propertyCollector"
        {
            let collector = self.collector(slot, (down, up), cookie).await?;
            edits.push(Edit { at: this.at.clone(), xml: escaped(&collector) });
        }
        if let Some((at, wait)) = &op.max_wait_s {
            let longest = self.long_poll(way).0 / 1_000_000_000;
            if *wait > longest {
                edits.push(Edit { at: at.clone(), xml: longest.to_string().into() });
            }
        }
        if way.main && !op.has_operation_id {
            edits.push(op.with_operation_id(&format!("tidegate-{}", self.broker.operation())));
        }
        Ok(edits)
    }

    /// A view of the client on this session: where it is, or made again.
    async fn view(
        &mut self,
        slot: &mut Slot,
        (down, up): (DownId, UpId),
        cookie: &str,
        object: &Ref,
    ) -> Result<Ref, Foreign> {
        let not_found = || Foreign::NotFound(object.clone());
        let view = self.broker.tables(|tables| tables.view(down, &object.id).cloned()).ok_or_else(not_found)?;
        if view.up == up {
            return Ok(view.there);
        }
        let request = upstream::request(slot.server.host(), Some(cookie), &again(&view.body));
        let said = self.ask(slot, &request, true).await.map_err(Foreign::Failed)?;
        let made = answer::returned_ref(&said.body).filter(|_| said.status == 200);
        let Some(made) = made else {
            let dead = answer::judge(said.status, &said.body) == Judged::OwnSessionDead;
            return Err(if dead { Foreign::Dead } else { not_found() });
        };
        let left = self.broker.tables(|tables| tables.moved_view(down, &object.id, up, made.clone()));
        self.broker.clean(left.into_iter().collect());
        Ok(made)
    }

    /// The client's own collector on a shared session.
    async fn collector(&mut self, slot: &mut Slot, lent: (DownId, UpId), cookie: &str) -> Result<String, Foreign> {
        let (down, up) = lent;
        if let Some(collector) = self.broker.tables(|tables| tables.collector(down, up)) {
            return Ok(collector);
        }
        let request = upstream::request(slot.server.host(), Some(cookie), &write::create_property_collector());
        let said = self.ask(slot, &request, true).await.map_err(Foreign::Failed)?;
        match answer::returned_ref(&said.body).filter(|_| said.status == 200) {
            Some(made) => Ok(self.broker.tables(|tables| tables.give_collector(down, up, made.id))),
            None if answer::judge(said.status, &said.body) == Judged::OwnSessionDead => Err(Foreign::Dead),
            None => Err(Foreign::Failed(AskFailed::Broken)),
        }
    }
}

fn escaped(text: &str) -> Cow<'static, str> {
    quick_xml::escape::escape(text).into_owned().into()
}

/// The request of a client, once more.
fn again(body: &[u8]) -> write::Ask {
    write::Ask { body: Zeroizing::new(body.to_vec()), soap_action: write::current_time().soap_action }
}
