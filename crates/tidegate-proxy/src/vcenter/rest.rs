//! What a request to `/api`, `/rest` or `/sdk/vim25/…` means, by its head.

use zeroize::Zeroizing;

/// What it means.
#[derive(Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A login with user and password.
    SessionCreate {
        /// The user.
        user: String,
        /// Overwritten with zeros when dropped.
        password: Zeroizing<String>,
        /// Which of the two APIs; the answers differ.
        api: Api,
    },
    /// A login in another way (a SAML token, say), or one that cannot be read.
    SessionCreateOther(Api),
    /// Whose session it is.
    SessionGet(Api),
    /// A logout.
    SessionDelete(Api),
    /// Anything else under `/api` or `/rest`.
    Call(Api),
    /// An operation of vim25 as JSON: its name as in SOAP, and what it is called on.
    ViJson {
        /// As in SOAP; for reading a property, `(get NAME)`.
        operation: String,
        /// The type of the object.
        kind: String,
        /// Its id.
        id: String,
    },
    /// None of these.
    Elsewhere,
}

/// Which REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/api`
    New,
    /// `/rest`
    Old,
}

/// Reads a head: `method`, `target` (path and query) and the value of `Authorization`.
pub fn read(method: &str, target: &str, authorization: Option<&[u8]>) -> Meaning {
    let _ = (method, target, authorization);
    Meaning::Elsewhere
}

/// The token in the answer to a login.
pub fn token(api: Api, body: &[u8]) -> Option<String> {
    let _ = (api, body);
    None
}

/// The body of the answer to a login, with this token.
pub fn created(api: Api, token: &str) -> String {
    let _ = api;
    format!("\"{token}\"")
}
