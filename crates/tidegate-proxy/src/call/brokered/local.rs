//! What is asked about sessions themselves, answered by the gate: they are its own.

use super::Call;
use crate::connection::Next;
use crate::vcenter::table;
use crate::vcenter::write::{self, Say};
use crate::vcenter::{Operation, table::Sess, texts};
use tidegate_core::session::broker::DownId;
use zeroize::Zeroizing;

/// Most sessions that one call may end.
const IDS_MAX: usize = 64;

impl Call<'_> {
    pub(super) async fn logout(&mut self, op: &Operation) -> Next {
        let Some(down) = self.down else { return self.not_authenticated(op).await };
        self.broker.log_out(down);
        self.reply(&write::void(&op.name), "").await
    }

    /// A client may ask about the sessions of its own user; of others it learns nothing.
    pub(super) async fn is_active(&mut self, op: &Operation, body: Option<&Vec<u8>>) -> Next {
        let Some(down) = self.down else { return self.not_authenticated(op).await };
        let ids = body.map(|body| texts(body, "sessionID")).unwrap_or_default();
        let active = ids.first().is_some_and(|id| self.mate(down, id).is_some());
        self.reply(&write::session_is_active(active), "").await
    }

    /// Ends other sessions of the same user here; what is not of the gate is the vCenter's affair.
    pub(super) async fn terminate(&mut self, op: Operation, body: Option<Zeroizing<Vec<u8>>>) -> Next {
        let Some(down) = self.down else { return self.not_authenticated(&op).await };
        let ids = body.as_ref().map(|body| texts(body, "sessionId")).unwrap_or_default();
        let mates: Vec<Option<DownId>> = ids.iter().map(|id| self.mate(down, id)).collect();
        if mates.contains(&Some(down)) || ids.is_empty() || ids.len() > IDS_MAX {
            return self.fault(&Say::InvalidRequest).await;
        }
        if mates.iter().all(Option::is_some) {
            mates.into_iter().flatten().for_each(|mate| self.broker.log_out(mate));
            return self.reply(&write::void(&op.name), "").await;
        }
        let ours = self.broker.tables(|t| ids.iter().any(|id| t.is_ours(id) || t.down_with(id).is_some()));
        if ours {
            return self.fault(&Say::NotFound).await;
        }
        let manner = table::manner(&op.namespace, &op.name);
        self.send(op, body, Sess::Shared, manner, true).await
    }

    /// The session with this key, if it is of the same user.
    fn mate(&self, down: DownId, key: &str) -> Option<DownId> {
        self.broker.tables(|t| t.down_with(key).filter(|mate| t.mates(*mate, down)))
    }
}
