//! Numbers that stand for identities: what the drivers of the machine make the keys of clients and sessions from.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The number of an identity: equal for equal bytes of one kind, and not to be foreseen without the plan's seed.
pub fn secret(seed: u64, kind: u8, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, kind, name).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::secret;

    #[test]
    fn identities_differ_by_seed_and_kind() {
        assert_eq!(secret(1, b'c', b"host"), secret(1, b'c', b"host"));
        assert_ne!(secret(1, b'c', b"host"), secret(2, b'c', b"host"));
        assert_ne!(secret(1, b'c', b"host"), secret(1, b's', b"host"));
    }
}
