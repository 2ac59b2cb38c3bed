//! Addresses of a server: looked up at each connect, and remembered for when they cannot be.
//!
//! That a name server is slow or away says nothing about servers whose address is known from before.

use super::of_error;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_core::health::Fault;

/// Addresses of one name that are tried, one after the other.
const ADDRESSES_MAX: usize = 4;
/// A name that is not found says nothing about who has it.
const UNKNOWN: Fault = Fault::Unreachable { local: true };

/// What is known of the addresses of one server.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// As they were looked up last.
    all: Vec<SocketAddr>,
    /// Where it was reached last.
    good: Option<SocketAddr>,
}

impl Addresses {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server was reached at `address`: it is tried first from now on.
    pub(crate) fn reached(&self, address: SocketAddr) {
        self.known().good = Some(address);
    }

    /// The addresses of `name`, which is `IP:port` or `host:port`, the best first; at least one. `limit`: how long the name
    /// servers may take.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn of(&self, name: &str, limit: Duration) -> Result<Vec<SocketAddr>, Fault> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let found = tokio::time::timeout(limit, tokio::net::lookup_host(name)).await;
        let found = match found {
            Ok(Ok(found)) => Ok(found.take(ADDRESSES_MAX).collect()),
            Ok(Err(error)) if error.raw_os_error().is_some() => Err(of_error(&error, true)),
            Ok(Err(_)) | Err(_) => Err(UNKNOWN),
        };
        self.sorted(found)
    }

    fn sorted(&self, found: Result<Vec<SocketAddr>, Fault>) -> Result<Vec<SocketAddr>, Fault> {
        let mut known = self.known();
        match found {
            Ok(all) if !all.is_empty() => known.all = all,
            Err(fault) if known.all.is_empty() => return Err(fault),
            _ if known.all.is_empty() => return Err(UNKNOWN),
            _ => {}
        }
        let mut all = known.all.clone();
        all.sort_by_key(|address| Some(*address) != known.good); // stable: the others stay as they are
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_comes_first_and_names_that_fail_are_remembered() {
        let [a, b, c] = [1, 2, 3].map(|n| SocketAddr::from(([127, 0, 0, n], 80)));
        let addresses = Addresses::default();
        assert_eq!(addresses.sorted(Err(Fault::TooManyFiles)), Err(Fault::TooManyFiles));
        assert_eq!(addresses.sorted(Ok(Vec::new())), Err(UNKNOWN));
        assert_eq!(addresses.sorted(Ok(vec![a, b, c])), Ok(vec![a, b, c]));
        addresses.reached(c);
        assert_eq!(addresses.sorted(Err(UNKNOWN)), Ok(vec![c, a, b]));
        assert_eq!(addresses.sorted(Ok(Vec::new())), Ok(vec![c, a, b]));
        assert_eq!(addresses.sorted(Ok(vec![a, b])), Ok(vec![a, b]), "it has moved");
    }

    #[tokio::test]
    async fn an_address_needs_no_name_server() {
        let addresses = Addresses::default();
        let limit = Duration::from_secs(20);
        assert_eq!(addresses.of("127.0.0.1:9", limit).await, Ok(vec![SocketAddr::from(([127, 0, 0, 1], 9))]));
        assert_eq!(addresses.of("nobody.invalid:9", limit).await, Err(UNKNOWN));
    }
}
