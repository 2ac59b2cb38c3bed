//! The session broker: who is lent which upstream session.
//!
//! - [`Broker`]: the machine. Start there.
//! - [`Event`], [`Action`]: what it is told, and what it wants done.
//! - [`Settings`]: caps and times.
//! - [`Snapshot`]: who holds what.
//!
//! A client that logs in gets a *downstream* session, the gate's own. vCenter sees *upstream* sessions: per principal one that
//! is shared, and a few clones, each lent to one client at a time. A session that a client's own token made is that client's
//! alone.
//!
//! ```text
//! an upstream session
//!
//!            Verified              ripe, stale, replaced, unused        its calls are over
//!  making ─────────────► ready ──────────────────────────────► retiring ──────────────────► ended
//!    │                    │                                                                  ▲
//!    └► Denied, Failed:   └► Dead: gone                  no call on it: ended at once ───────┘
//!       gone
//!
//! a downstream session
//!
//!               first call with Need::Own                      Logout, idle, life, or what it held died
//!  on shared ◄────────────────────────────► on a clone  (or on its own) ─────────────────────────────────► over
//!               it holds nothing there any more
//! ```
//!
//! - **Login.** A password that vCenter accepted within `verify` opens a session without a call to it. Otherwise the login
//!   itself goes there. Others with the same password wait for its verdict; at most two passwords of a principal are tried at
//!   one time. The first session that stands is the shared one. One more with the same password is ended at once; another
//!   password takes over, and the old session retires. After a refused password the next login is verified, whatever the time.
//! - **Password.** The shell keeps it for `verify` after the last successful login, at most: to make the shared session again
//!   when that has died, retired or aged. One call is told to, the others wait. Without it the client has to log in again.
//! - **Clone.** One that was returned, else a new one, else the call waits. All later calls of its client go there, until it
//!   holds nothing there and no call is on it. What a client leaves behind ends the clone. A clone that dies takes its client
//!   with it if that held something, or if another call on it may have made something.
//! - **Age.** At 80 to 95 % of `life` a session is renewed if nobody loses anything: a shared one whose password is kept, a
//!   clone that nobody has. Any other serves on, and is replaced at the next chance; at `life` it is over.
//! - **Unused** for `keepalive`: kept alive while a client needs it, else ended. Then nobody holds a password, either.
//! - **Waiting** is in order of arrival, per principal and per what is waited for; at most `waiting_max` calls for `wait_max`
//!   each. A verification and a call that something was lent to are bounded by the shell, which always tells their end.

mod event;
mod ids;
mod lend;
mod login;
mod machine;
mod retire;
mod settings;
mod table;
mod timers;
mod verdict;
mod view;

#[cfg(test)]
mod tests;

pub use event::{Action, Cap, Event, Expiry, Refusal};
pub use ids::{AskId, DownId, Holds, Kind, Make, Need, PrincipalKey, Secret, UpId};
pub use machine::Broker;
pub use settings::Settings;
pub use view::{DownView, Snapshot, Stand, Tally, UpView};
