//! Tokens, digests and keys. Everything here is made with a key of this process, which is written nowhere.

use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::process;
use std::fmt::Write;
use tidegate_core::session::broker::{PrincipalKey, Secret};

/// Digest of a token that a client holds.
pub(crate) type Digest = [u8; 32];

/// Longest token that is looked up; vCenter's have 40 signs, those of vAPI 32.
const TOKEN_MAX: usize = 256;

/// The keys of this process.
pub(crate) struct Keys {
    key: hmac::Key,
    random: SystemRandom,
}

impl Keys {
    /// `None` when the system has no randomness.
    pub(crate) fn new() -> Option<Keys> {
        let random = SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).ok()?;
        Some(Keys { key, random })
    }

    fn tag(&self, kind: u8, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Who logs in: by name and language, from behind this certificate. Language, because all clients of one session share
    /// that of its messages.
    pub(crate) fn principal(&self, user: &str, locale: Option<&str>, subject: Option<&str>) -> PrincipalKey {
        let known = |text: Option<&str>| [u8::from(text.is_some())];
        let (spoken, shown) = (known(locale), known(subject));
        let parts = [user, locale.unwrap_or_default(), subject.unwrap_or_default()].map(str::as_bytes);
        let tag = self.tag(b'p', &[parts[0], &spoken, parts[1], &shown, parts[2]]);
        let mut first = [0; 8];
        first.copy_from_slice(&tag[..8]);
        PrincipalKey(u64::from_be_bytes(first))
    }

    /// The digest of a password.
    pub(crate) fn secret(&self, principal: PrincipalKey, password: &str) -> Secret {
        Secret(self.tag(b's', &[&principal.0.to_be_bytes(), password.as_bytes()]))
    }

    /// Random bytes in hexadecimal digits; `None` when the system has no randomness.
    fn hex<const N: usize>(&self) -> Option<String> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).ok()?;
        let mut text = String::with_capacity(2 * N);
        bytes.iter().for_each(|byte| {
            let _writing_to_a_string_cannot_fail = write!(text, "{byte:02x}");
        });
        Some(text)
    }

    /// A new token, of the shape of vCenter's own.
    pub(crate) fn token(&self) -> Option<String> {
        self.hex::<20>()
    }

    /// A new key of a session, which names it and opens nothing.
    pub(crate) fn key(&self) -> Option<String> {
        let hex = self.hex::<16>()?;
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        Some([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
    }
}

/// Keeps passwords out of core dumps, and other users' debuggers away: from now on this process writes none, and none may
/// be attached to it.
pub(crate) fn keep_out_of_dumps() {
    // A kernel that refuses this has no dumps to keep them out of.
    let _refused = process::set_dumpable_behavior(process::DumpableBehavior::NotDumpable);
    let _refused = process::setrlimit(process::Resource::Core, process::Rlimit { current: Some(0), maximum: Some(0) });
}

/// What a token is known by; `None` for one that is none.
pub(crate) fn token_digest(token: &[u8]) -> Option<Digest> {
    if token.is_empty() || token.len() > TOKEN_MAX {
        return None;
    }
    let mut known = [0; 32];
    known.copy_from_slice(digest(&SHA256, token).as_ref());
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_keys_have_the_shape_of_vcenters() {
        let keys = Keys::new().unwrap();
        let (token, key) = (keys.token().unwrap(), keys.key().unwrap());
        assert!(token.len() == 40 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
        assert_eq!(key.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{key}");
        assert_ne!(keys.token(), keys.token());
    }

    #[test]
    fn a_process_that_knows_passwords_writes_no_core() {
        keep_out_of_dumps();
        assert_eq!(process::dumpable_behavior(), Ok(process::DumpableBehavior::NotDumpable));
        assert_eq!(process::getrlimit(process::Resource::Core).maximum, Some(0));
    }

    #[test]
    fn principals_and_secrets_differ_in_each_of_their_parts() {
        let keys = Keys::new().unwrap();
        let one = keys.principal("a", None, None);
        assert_eq!(one, keys.principal("a", None, None));
        for other in [
            keys.principal("b", None, None),
            keys.principal("a", Some(""), None),
            keys.principal("a", Some("de"), None),
            keys.principal("a", None, Some("de")),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(keys.secret(one, "x"), keys.secret(one, "x"));
        assert_ne!(keys.secret(one, "x"), keys.secret(one, "y"));
        assert_ne!(keys.secret(one, "x"), Keys::new().unwrap().secret(one, "x"), "the key is of this process");
    }
}
