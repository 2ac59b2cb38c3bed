//! What is remembered of a client: its place in line, which outlives being turned away, and what it has held.

use super::event::ClientKey;
use crate::recent::Recent;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Client {
    /// Its number in the order of first arrivals, while it is not connected.
    seniority: Option<u64>,
    /// Calls held.
    held: u32,
    /// The held call that opens a session, if any: a newer one takes its place.
    opening: Option<u32>,
}

/// Clients that wait, or that were turned away not long ago.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Clients {
    table: Recent<ClientKey, Client>,
    next_seniority: u64,
    /// Entries with a number in line.
    waiting: u32,
}

impl Clients {
    pub fn new(capacity: usize, ttl: Span) -> Clients {
        Clients { table: Recent::new(capacity, ttl), next_seniority: 0, waiting: 0 }
    }

    pub fn resize(&mut self, capacity: usize, ttl: Span) {
        self.table.resize(capacity, ttl);
    }

    fn entry(&mut self, now: Nanos, key: ClientKey) -> Option<&mut Client> {
        if self.table.touch(now, key).is_none() {
            let gone = self.table.insert(now, key, Client::default(), |client| client.held > 0);
            self.waiting -= gone.iter().filter(|client| client.seniority.is_some()).count() as u32;
        }
        self.table.get_mut(key)
    }

    /// Its number in line; given on its first arrival and kept until it is connected.
    pub fn seniority(&mut self, now: Nanos, key: ClientKey) -> u64 {
        let next = self.next_seniority;
        let Some(client) = self.entry(now, key) else {
            return next;
        };
        let seniority = *client.seniority.get_or_insert(next);
        self.next_seniority += u64::from(seniority == next);
        self.waiting += u32::from(seniority == next);
        seniority
    }

    /// It is connected: the next time it starts at the end of the line.
    pub fn connected(&mut self, key: ClientKey) {
        if let Some(client) = self.table.get_mut(key) {
            self.waiting -= u32::from(client.seniority.take().is_some());
        }
    }

    /// Clients with a number in line.
    pub fn unconnected(&self) -> u32 {
        self.waiting
    }

    /// Calls that it has held.
    pub fn held(&self, key: ClientKey) -> u32 {
        self.table.get(key).map_or(0, |client| client.held)
    }

    /// Its held call that opens a session.
    pub fn opening(&self, key: ClientKey) -> Option<u32> {
        self.table.get(key)?.opening
    }

    /// One more of its calls is held; `opening` when it opens a session.
    pub fn hold(&mut self, now: Nanos, key: ClientKey, call: u32, opens: bool) {
        if let Some(client) = self.entry(now, key) {
            client.held += 1;
            if opens {
                client.opening = Some(call);
            }
        }
    }

    /// One of its held calls has left the queue.
    pub fn release(&mut self, key: ClientKey, call: u32) {
        let Some(client) = self.table.get_mut(key) else {
            return;
        };
        client.held = client.held.saturating_sub(1);
        if client.opening == Some(call) {
            client.opening = None;
        }
        if client.held == 0 && client.seniority.is_none() {
            self.table.remove(key);
        }
    }
}
