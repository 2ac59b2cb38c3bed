//! The session broker: who is lent which upstream session.
//!
//! - [`Broker`]: the machine. Start there.
//! - [`Event`], [`Action`]: what it is told, and what it wants done.
//! - [`Settings`]: caps and times.
//! - [`Snapshot`]: who holds what.

mod event;
mod ids;
mod machine;
mod settings;
mod view;

pub use event::{Action, Cap, Event, Expiry, Refusal};
pub use ids::{AskId, DownId, Holds, Kind, Make, Need, PrincipalKey, Secret, UpId};
pub use machine::Broker;
pub use settings::Settings;
pub use view::{DownView, Snapshot, Stand, Tally, UpView};
