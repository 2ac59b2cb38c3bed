//! Where held calls wait.
//!
//! One queue per class and lane. A lane is a server (calls whose session lives there) or "any server". Classes
//! `new-session` and `renewal` are *ordered* (by seniority, by expiry), the others are *fair* per client; the virtual
//! time of a class is shared by its lanes, so that their heads compare.

mod fair;
mod ordered;

use crate::admission::{Class, ClientKey, ServerId};
pub(crate) use fair::Fair;
use ordered::Ordered;
use serde::{Deserialize, Serialize};

/// What the queue needs to know of a held call to find it again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Its class.
    pub class: Class,
    /// The only server that may take it, if its session is bound.
    pub bound: Option<ServerId>,
    /// Its client.
    pub client: ClientKey,
    /// Sort key in an ordered class: seniority number or expiry.
    pub key: u64,
    /// Arrival number: breaks ties.
    pub order: u64,
    /// Its work, in thousandths of a unit.
    pub work: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Lane {
    fair: [Fair; 4],
    ordered: [Ordered; 2],
}

/// Calls by index, in six classes and `servers + 1` lanes.
#[derive(Clone, Serialize, Deserialize)]
pub struct Queues {
    lanes: Vec<Lane>,
    virtual_time: [u64; 6],
    counts: [u32; 6],
    work: [u64; 6],
}

enum Kind {
    Fair(usize),
    Ordered(usize),
}

fn kind(class: Class) -> Kind {
    match class {
        Class::Probe => Kind::Fair(0),
        Class::Continuation => Kind::Fair(1),
        Class::Steady => Kind::Fair(2),
        Class::Bulk => Kind::Fair(3),
        Class::Renewal => Kind::Ordered(0),
        Class::NewSession => Kind::Ordered(1),
    }
}

impl Queues {
    /// Empty queues for a pool of `servers`.
    pub fn new(servers: usize) -> Queues {
        let lanes = (0..=servers).map(|_| Lane::default()).collect();
        Queues { lanes, virtual_time: [0; 6], counts: [0; 6], work: [0; 6] }
    }

    /// Held calls of a class.
    pub fn count(&self, class: Class) -> u32 {
        self.counts[class as usize]
    }

    /// Work held in a class, in thousandths of a unit.
    pub fn work(&self, class: Class) -> u64 {
        self.work[class as usize]
    }

    /// All held calls.
    pub fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    fn lane(&mut self, bound: Option<ServerId>) -> &mut Lane {
        let any = self.lanes.len() - 1;
        let index = bound.map_or(any, |server| usize::from(server.0).min(any));
        &mut self.lanes[index]
    }

    /// Puts a call in; `again` when it had been served in vain and comes back.
    pub fn push(&mut self, place: &Place, call: u32, again: bool) {
        let class = place.class as usize;
        self.counts[class] += 1;
        self.work[class] += place.work;
        let virtual_time = self.virtual_time[class];
        let lane = self.lane(place.bound);
        match kind(place.class) {
            Kind::Fair(i) => lane.fair[i].push(place.client, place.order, call, place.work, virtual_time, again),
            Kind::Ordered(i) => lane.ordered[i].push(place.key, place.order, call, place.work),
        }
    }

    /// The next call of a class for `server`, among clients with fewer than `cap` calls of it in flight: of those bound to
    /// it, to none, or to one of `dead`; of those bound to it only when that is `None`.
    pub fn first(&self, class: Class, server: ServerId, dead: Option<&[ServerId]>, cap: u32) -> Option<u32> {
        if self.counts[class as usize] == 0 {
            return None;
        }
        let any = self.lanes.len() - 1;
        let others = dead.unwrap_or_default().iter().filter(|other| **other != server);
        let lanes = others.chain([&server]).map(|server| usize::from(server.0)).filter(|lane| *lane < any);
        let lanes = lanes.chain(dead.map(|_| any));
        let heads = lanes.filter_map(|lane| self.lanes.get(lane)).filter_map(|lane| match kind(class) {
            Kind::Fair(i) => lane.fair[i].first(cap),
            Kind::Ordered(i) => lane.ordered[i].first(),
        });
        heads.min().map(|(_, call)| call)
    }

    /// Takes out, to be served, the call that `first` has just named.
    pub fn serve(&mut self, place: &Place, call: u32) {
        self.uncount(place);
        let virtual_time = self.virtual_time[place.class as usize];
        match kind(place.class) {
            Kind::Fair(i) => {
                let lane = self.lane(place.bound);
                self.virtual_time[place.class as usize] = lane.fair[i].serve(place.client, virtual_time);
            }
            Kind::Ordered(i) => {
                self.lane(place.bound).ordered[i].remove(place.key, place.order, call, place.work);
            }
        }
    }

    /// Takes a call out that is not served; false when it is not in.
    pub fn remove(&mut self, place: &Place, call: u32) -> bool {
        let was_in = match kind(place.class) {
            Kind::Fair(i) => {
                let virtual_time = self.virtual_time[place.class as usize];
                self.lane(place.bound).fair[i].remove(place.client, place.order, call, virtual_time)
            }
            Kind::Ordered(i) => self.lane(place.bound).ordered[i].remove(place.key, place.order, call, place.work),
        };
        if was_in {
            self.uncount(place);
        }
        was_in
    }

    fn uncount(&mut self, place: &Place) {
        let class = place.class as usize;
        self.counts[class] -= 1;
        self.work[class] -= place.work;
    }

    /// Charges the client of a call that never waited.
    pub fn charge(&mut self, place: &Place) {
        let virtual_time = self.virtual_time[place.class as usize];
        if let Kind::Fair(i) = kind(place.class) {
            self.lane(place.bound).fair[i].charge(place.client, place.work, virtual_time);
        }
    }

    /// The server is done with a served or charged call whose true work was `actual`.
    pub fn done(&mut self, place: &Place, actual: u64) {
        let virtual_time = self.virtual_time[place.class as usize];
        if let Kind::Fair(i) = kind(place.class) {
            self.lane(place.bound).fair[i].done(place.client, place.work, actual, virtual_time);
        }
    }

    /// Calls and work that stand before `place` in its own class.
    pub fn ahead(&self, place: &Place) -> (u32, u64) {
        match kind(place.class) {
            Kind::Fair(_) => (self.count(place.class), self.work(place.class)),
            Kind::Ordered(i) => self.lanes.iter().fold((0, 0), |sum, lane| {
                let ahead = lane.ordered[i].ahead(place.key);
                (sum.0 + ahead.0, sum.1 + ahead.1)
            }),
        }
    }

    /// The call that would be served last of all: the last of the lowest class that has any.
    pub fn last(&self) -> Option<u32> {
        Class::ALL.iter().rev().find_map(|&class| {
            self.lanes.iter().rev().find_map(|lane| match kind(class) {
                Kind::Fair(i) => lane.fair[i].last(),
                Kind::Ordered(i) => lane.ordered[i].last(),
            })
        })
    }

    /// All held calls, class by class in order of rank.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        Class::ALL.iter().flat_map(move |&class| {
            self.lanes.iter().flat_map(move |lane| -> Box<dyn Iterator<Item = u32> + '_> {
                match kind(class) {
                    Kind::Fair(i) => Box::new(lane.fair[i].iter()),
                    Kind::Ordered(i) => Box::new(lane.ordered[i].iter()),
                }
            })
        })
    }
}
