//! A server port, and those who come to it.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::judge::Judged;
use super::{CAME, FAILED, WINDOW};
use crate::flows::find::groups::{Groups, Weight};
use crate::flows::find::retries::comebacks;
use crate::flows::find::sample::Sample;
use crate::flows::find::shape::Times;
use crate::flows::found::{Firsts, Frame, GROUPS_MAX, Group};
use crate::flows::look::Look;
use crate::flows::series::Series;
use crate::flows::summary::Summary;

/// Clients, and networks of them, that are told apart per server port, at most.
const CLIENTS: usize = 512;
/// Names that clients asked for, as far as they are told.
const NAMES: usize = 5;

#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub windows: Series<2, WINDOW, 1024>,
    pub came: u64,
    pub clients: Sample<u32, Client, 128>,
    hosts: Groups<u32, u32, CLIENTS>,
    nets: Groups<u32, u32, CLIENTS>,
    pub first: Firsts,
    pub failed: Firsts,
}

/// A client of the sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    came: u32,
    times: Times,
    /// The name that it asked for first, in its TLS hello; milliseconds since the first packet.
    name: Option<(u32, Box<str>)>,
}

impl Client {
    fn absorb(&mut self, other: Self) {
        self.came = self.came.saturating_add(other.came);
        self.times.absorb(other.times);
        self.named(other.name);
    }

    pub fn named(&mut self, name: Option<(u32, Box<str>)>) {
        self.name = [self.name.take(), name].into_iter().flatten().min();
    }
}

impl Weight for Target {
    fn weight(&self) -> u64 {
        self.came
    }
}

impl Target {
    pub fn come(&mut self, look: &Look<'_, '_>) {
        let client = look.bucket.client;
        self.windows.add(look.ms, CAME, 1);
        self.came = self.came.saturating_add(1);
        for (groups, key) in [(&mut self.hosts, client), (&mut self.nets, net(client))] {
            let count = groups.of(key);
            *count = count.saturating_add(1);
        }
        if let Some(kept) = self.clients.of(client) {
            kept.came = kept.came.saturating_add(1);
            kept.times.add(look.ms);
        }
        self.first.add(look.frame);
    }

    pub fn fail(&mut self, look: &Look<'_, '_>) {
        self.windows.add(look.ms, FAILED, 1);
        self.failed.add(look.frame);
    }

    pub fn absorb(&mut self, other: Self) {
        self.windows.absorb(other.windows);
        self.came = self.came.saturating_add(other.came);
        self.clients.absorb(other.clients, Client::absorb);
        let add = |mine: &mut u32, other: u32| *mine = mine.saturating_add(other);
        self.hosts.absorb(other.hosts, add);
        self.nets.absorb(other.nets, add);
        self.first.absorb(other.first);
        self.failed.absorb(other.failed);
    }

    /// The first failed connections, or the first ones, of a storm that begins at `begins` (milliseconds since the first
    /// packet): none if there were some before it, which are remembered instead.
    pub fn frames(&self, begins: u64) -> Vec<Frame> {
        let of_it = |lane: usize| {
            let mut windows = self.windows.windows();
            let first = windows.find(|(_, lanes)| lanes.get(lane).is_some_and(|count| *count > 0));
            first.is_some_and(|(number, _)| self.windows.begins(number) >= begins)
        };
        match () {
            () if of_it(FAILED) => self.failed.frames(),
            () if of_it(CAME) => self.first.frames(),
            () => Vec::new(),
        }
    }

    /// The names that most clients of the sample asked for, and how many did.
    fn names(&self) -> Value {
        let mut names: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, name) in self.clients.each().filter_map(|(_, client)| client.name.as_ref()) {
            let count = names.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        let mut names: Vec<(&str, u64)> = names.into_iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        names.into_iter().take(NAMES).map(|(name, count)| (name.to_owned(), json!(count))).collect::<Map<_, _>>().into()
    }

    /// The heaviest networks, or the heaviest hosts if a network has one only.
    pub fn groups(&self, sum: &Summary<'_>) -> Vec<Group> {
        let hosts = self.hosts.heaviest();
        let group = |(key, count): (u32, &u32)| {
            let of: Vec<_> = hosts.iter().filter(|(host, _)| net(*host) == key).collect();
            let who = match of.as_slice() {
                [(only, _)] => sum.hosts.name(*only),
                _ => format!("{}/24", sum.hosts.name(key)),
            };
            let share = f64::from(*count) * 1000.0 / self.came.max(1) as f64;
            let mut facts = Map::new();
            // Its hosts made room for others.
            if !of.is_empty() {
                facts.insert("clients".to_owned(), json!(of.len()));
            }
            facts.insert("share_percent".to_owned(), json!(share.round() / 10.0));
            if let Some((heaviest, came)) = of.first() {
                facts.insert("heaviest".to_owned(), json!(sum.hosts.name(*heaviest)));
                facts.insert("heaviest_connections".to_owned(), json!(came));
            }
            Group { who, count: u64::from(*count), facts }
        };
        self.nets.heaviest().into_iter().take(GROUPS_MAX).map(group).collect()
    }
}

/// The network of a client: its /24, or itself if its number is no plain IPv4 address.
fn net(client: u32) -> u32 {
    if client < 0xf000_0000 { client & 0xffff_ff00 } else { client }
}

/// Facts of a storm.
pub(super) fn facts(target: &Target, judged: &Judged) -> BTreeMap<&'static str, Value> {
    let mut often: Vec<u32> = target.clients.each().map(|(_, client)| client.came).collect();
    often.sort_unstable();
    let tenths = |number: f64| json!((number * 10.0).round() / 10.0);
    let mut facts = BTreeMap::from([
        ("connections", json!(judged.came)),
        ("failed_percent", tenths(judged.failed.min(judged.came) as f64 * 100.0 / judged.came.max(1) as f64)),
        ("most_per_s", tenths(judged.most as f64 / judged.seconds)),
        ("before_per_s", json!(judged.z.map(|_| (judged.before / judged.seconds * 10.0).round() / 10.0))),
        ("times_before", json!(judged.z.map(|_| (judged.most as f64 / judged.before.max(1.0)).round()))),
        ("z", json!(judged.z.map(f64::round))),
        ("clients", json!(target.clients.distinct().min(target.came))),
        ("clients_estimated", json!(!target.clients.whole())),
        ("clients_by_server_name", target.names()),
        ("connections_per_client_median", json!(often.get(often.len() / 2))),
    ]);
    // What is not known is not told.
    facts.retain(|_, value| !value.is_null() && *value != json!({}));
    facts.extend(comebacks(target.clients.each().map(|(_, client)| &client.times)));
    facts
}
