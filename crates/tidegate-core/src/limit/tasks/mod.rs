//! Task slots: never more work inside vCenter than the life of a token covers.
//!
//! A call that begins a task is answered in milliseconds, and then its work waits for a host, inside vCenter, where nobody
//! sees it. Work that waits there for longer than its token lives (300 s) is refused by the host. So a call that begins a
//! task takes a *task slot* before it is sent, and the slot is held until the task is over, not until the call is answered.
//! There are as many slots as tasks came to an end within half the life of a token, so nothing waits for longer than that;
//! of each host, too, as far as it is known which task goes to which. Tasks that take long all the same make it fewer.
//!
//! Some work has bounds of its own: exports (*leases*) per vCenter and host, open snapshots per datastore, new snapshots
//! while a datastore is slow, VMs in work per *bulk principal*, and the hours in which a principal may begin at all.
//! What may not go waits, first come first served within its principal, and fairly between principals.
//!
//! - [`TaskSlots`]: the machine. Start there.
//! - [`Event`], [`Action`]: what happens, and what must be done.
//! - [`Settings`]: what the operator decided.
//! - [`TasksView`]: what the slots look like.
//! - [`StaleGateway`]: the alert when hosts refuse the tokens all the same.

mod alert;
mod bound;
mod dispatch;
mod event;
mod feedback;
mod hours;
mod learn;
mod line;
mod machine;
mod pace;
mod settings;
mod storage;
mod view;
mod vms;

pub use alert::StaleGateway;
pub use event::{Action, Ask, DatastoreKey, Datastores, Event, HostKey, How, PrincipalIx, TaskKey, VmKey, Why, Work};
pub use machine::TaskSlots;
pub use settings::{Outside, PrincipalPlan, Settings, Window};
pub use view::{TasksView, Totals};
