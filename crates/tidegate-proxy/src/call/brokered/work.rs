//! A call that begins work waits for a task slot; what its answer names is watched from then on.

use super::super::task_slot;
use super::Call;
use super::send::Way;
use crate::connection::Next;
use crate::tasks::{TaskHold, Watcher, watch};
use tidegate_core::session::broker::{DownId, Kind, UpId};

impl Call<'_> {
    /// Waits for a slot, if the call needs one. Only vim25 has tasks that a property collector can see.
    pub(super) async fn task_slot(
        &mut self,
        (down, up): (DownId, UpId),
        kept: usize,
        way: &Way<'_>,
    ) -> Result<Option<TaskHold>, Next> {
        let (Some(work), Some(tasks)) = (way.manner.work, self.conn.home.service.tasks()) else { return Ok(None) };
        if !way.main || self.setup.vcenter().is_none() {
            return Ok(None);
        }
        watch::ensure(&self.conn.home, &tasks, self.broker);
        let watcher = self.broker.tables(|tables| {
            let principal = tables.downs.get(&down)?.principal;
            let own = tables.ups.get(&up).is_none_or(|up| up.kind == Kind::Own);
            (!own).then_some(Watcher(principal.0))
        });
        let objects = way.op.this.iter().chain(&way.op.named);
        let ask = tasks.about(work, self.principal(), watcher, objects);
        let Some(hold) = tasks.ask(ask) else { return Ok(None) };
        task_slot::wait(self.conn, self.setup, self.buf, (&self.prepared, &mut self.past), kept, hold).await
    }

    /// A call is over that may have told how a lease goes on.
    pub(super) fn lease_told(&self, way: &Way<'_>) {
        if let (Some(tasks), Some(this)) = (self.conn.home.service.tasks(), &way.op.this) {
            tasks.passing(&way.op.name, &this.id);
        }
    }
}
