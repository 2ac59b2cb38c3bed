//! Protocol `vasa`: what the gate must understand of a VASA provider's SOAP, and what it says in the provider's place.
//!
//! - [`soap`]: which operation a request calls, from the first bytes of its body.
//! - [`fault`]: the answer to a call that is turned away.
//! - [`version`]: `version.xml` with the provider's address replaced by the gate's.
//! - [`lower`]: fewer calls at once for each host while the provider is under pressure.
//! - [`cookie`]: the session, from `Cookie` and `Set-Cookie`.

pub mod cookie;
pub mod fault;
pub mod lower;
pub mod soap;
pub mod version;
