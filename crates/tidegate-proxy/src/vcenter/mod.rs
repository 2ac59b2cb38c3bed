//! Protocol `vcenter`: what the gate must understand of vCenter's SOAP, VI/JSON and REST, and what it says in its place.
//!
//! Nothing here does I/O, reads a clock or keeps anything between calls.
//!
//! - [`request`]: which operation a SOAP request calls, on what, and where its references stand.
//! - [`table`]: what each operation needs of a session, makes, and whether it may be sent twice.
//! - [`answer`]: what an answer says: the session is dead, a reference was made, a task ended.
//! - [`write`]: requests that the gate makes itself, answers and faults that it gives itself.
//! - [`sessions`]: `currentSession` and `sessionList` in answers, with the client's session in place of the gate's.
//! - [`cookie`]: the session, from `Cookie` and for `Set-Cookie`.
//! - [`rest`]: what a request to `/api`, `/rest` or `/sdk/vim25/…` means.

pub mod answer;
pub mod cookie;
mod leaves;
pub mod request;
pub mod rest;
pub mod sessions;
pub mod table;
mod time;
pub mod write;

pub use request::{Edit, Login, Operation, Ref, Spoken, edit, read, texts};
