//! Which servers can be reached, and how sure that is.
//!
//! A connect that fails says little: the fault may be on our own side, on the way, or at a device that has had enough of
//! our connections. So nothing counts against a server before it was inquired into.
//!
//! ```text
//! attempt ─► Inquiry ─► verdict + evidence ─► Monitor (phase of one server) ─► Pool (all of them) ─► Standing ─► admission
//! ```
//!
//! - [`Inquiry`]: from one or a few attempts to connect to a [`Verdict`]: `ok`, `failed` or `inconclusive`, with evidence.
//! - [`Monitor`]: when one server is probed, and what the verdicts make of its phase.
//! - [`Pool`]: what only shows over all servers: outliers, and that the fault must be our own.

mod evidence;
mod fault;
mod inquiry;
mod monitor;
mod outlier;
mod peer_limit;
mod pool;
mod settings;
mod standing;
mod suspicion;

pub use evidence::{Age, Evidence, Note};
pub use fault::{Around, Attempt, Cause, Fault, LastUse, Left, Verdict, Weight};
pub use inquiry::{Inquiry, Next};
pub use monitor::{Action, Event, Findings, Freeze, Monitor, Report, View};
pub use pool::{Actions, Member, Passed, Pool, PoolView};
pub use settings::{Settings, SettingsError};
pub use standing::Standing;
pub use suspicion::{Alarms, Held};
