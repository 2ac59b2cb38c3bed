//! What is remembered of a client: its place in line, which outlives being turned away, and what it has held.

use super::event::ClientKey;
use crate::recent::Recent;
use crate::sums::Sums;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Client {
    /// Its number in the order of first arrivals, while it is not connected.
    seniority: Option<u64>,
    /// Calls held.
    held: u32,
    /// The held call that opens a session, if any: a newer one takes its place.
    opening: Option<u32>,
    /// When its call that opens a session was turned away, until it comes back.
    away: Option<Nanos>,
}

/// Clients that wait, or that were turned away not long ago.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Clients {
    table: Recent<ClientKey, Client>,
    next_seniority: u64,
    /// Entries with a number in line.
    waiting: u32,
    /// Clients that were turned away and are expected back, by block of neighbouring numbers in line.
    absent: Sums,
    /// The same in order of time; those that have come back are skipped.
    absences: VecDeque<(Nanos, ClientKey)>,
}

/// Numbers in line that are counted together.
pub(super) const BLOCK: u64 = 64;

impl Clients {
    pub fn new(capacity: usize, ttl: Span) -> Clients {
        Clients {
            table: Recent::new(capacity, ttl),
            next_seniority: 0,
            waiting: 0,
            absent: Sums::default(),
            absences: VecDeque::new(),
        }
    }

    pub fn resize(&mut self, capacity: usize, ttl: Span) {
        self.table.resize(capacity, ttl);
    }

    fn entry(&mut self, now: Nanos, key: ClientKey) -> Option<&mut Client> {
        if self.table.touch(now, key).is_none() {
            let gone = self.table.insert(now, key, Client::default(), |client| client.held > 0);
            gone.into_iter().for_each(|client| self.forgotten(client));
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
            let before = std::mem::take(client);
            (client.held, client.opening) = (before.held, before.opening);
            self.forgotten(before);
        }
    }

    /// A number in line is given up, and an absence with it.
    fn forgotten(&mut self, client: Client) {
        let Some(seniority) = client.seniority else { return };
        self.waiting -= 1;
        if client.away.is_some() {
            self.absent.take(seniority / BLOCK, 0);
        }
    }

    /// Its call that opens a session was turned away.
    pub fn turned_away(&mut self, now: Nanos, key: ClientKey) {
        let Some(client) = self.table.get_mut(key) else { return };
        let Some(seniority) = client.seniority.filter(|_| client.away.is_none()) else { return };
        client.away = Some(now);
        self.absent.add(seniority / BLOCK, 0);
        self.absences.push_back((now, key));
        if self.absences.len() > 2 * self.table.len() + 64 {
            let table = &self.table;
            self.absences.retain(|(at, key)| table.get(*key).is_some_and(|client| client.away == Some(*at)));
        }
    }

    /// It asks for a session again: how long it was away.
    pub fn back(&mut self, now: Nanos, key: ClientKey) -> Option<Span> {
        let client = self.table.get_mut(key)?;
        let (away, seniority) = (client.away.take()?, client.seniority?);
        self.absent.take(seniority / BLOCK, 0);
        Some(now.since(away))
    }

    /// Who has been away for longer than `longest` is not expected back any more.
    pub fn expect_no_longer(&mut self, now: Nanos, longest: Span) {
        while let Some(&(at, key)) = self.absences.front().filter(|(at, _)| now.since(*at) > longest) {
            self.absences.pop_front();
            let Some(client) = self.table.get_mut(key).filter(|client| client.away == Some(at)) else { continue };
            client.away = None;
            if let Some(seniority) = client.seniority {
                self.absent.take(seniority / BLOCK, 0);
            }
        }
    }

    /// Clients expected back that stand before this number in line, to within one block.
    pub fn absent_before(&self, seniority: u64) -> u32 {
        self.absent.before(seniority.div_ceil(BLOCK)).0
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
