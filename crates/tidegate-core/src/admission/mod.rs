//! The admission machine of one service.
//!
//! A call arrives. It is classified (class from role and session), may supersede an older twin of the same client, and is
//! admitted, held or turned away. An admitted call takes a slot at one server until that *server* is done, whether or not
//! the client is still there. When a slot falls free the next held call is chosen: guarantees first, then rank.

mod adapt;
mod apply;
mod arrive;
mod call;
mod client;
mod dispatch;
mod done;
mod event;
mod handover;
mod hold;
mod learned;
mod machine;
mod patience;
mod plan;
mod predict;
mod recover;
mod server;
mod share;
mod snapshot;
mod stand;
mod timers;

pub use event::{
    Action, Arrival, CallId, Class, ClientKey, Event, KindKey, OperationKey, Outcome, Role, ServerId, SessionKey, Slots,
};
pub use learned::{LEARNED_FORMAT, Learned, LearnedError, LearnedServer};
pub use machine::Machine;
pub use plan::{Guarantees, LimitPlan, Mode, Plan, PlanError, ServerPlan};
pub use snapshot::{Counters, Phase, RecoveryView, ServerSnapshot, Snapshot};
