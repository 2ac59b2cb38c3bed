//! What retries have in common: of SYNs on one connection, which the kernel repeats, and of connections, which the client does.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::shape::{Shape, Times};

/// When the SYN of a connection was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retries {
    server: (u32, u16),
    times: Times,
}

impl Retries {
    /// One more, and the one that all began with: in milliseconds since the first packet.
    pub fn add(&mut self, server: (u32, u16), first: u32, again: u32) {
        if self.times.is_empty() {
            self.times.add(first);
        }
        self.server = server;
        self.times.add(again);
    }

    /// Those of another shard. A connection is in one shard only: there is nothing to add up.
    pub fn absorb(&mut self, other: Self) {
        *self = other;
    }
}

/// How kernels repeat SYNs to a server.
pub(crate) fn attempts<'a>(
    retries: impl Iterator<Item = &'a Retries>,
    server: (u32, u16),
) -> BTreeMap<&'static str, Value> {
    let times = retries.filter(|retries| retries.server == server).map(|retries| &retries.times);
    let Some((shape, first, sampled)) = common(times) else { return BTreeMap::new() };
    let mut facts = BTreeMap::from([
        ("syn_retry_shape", json!(shape.name())),
        ("syn_retry_first_ms", json!(first)),
        ("syn_retry_sampled", json!(sampled)),
    ]);
    facts.extend(shape.kernel(first).map(|kernel| ("syn_retry_kernel", json!(kernel))));
    facts
}

/// How clients come back with new connections.
pub(crate) fn comebacks<'a>(clients: impl Iterator<Item = &'a Times>) -> BTreeMap<&'static str, Value> {
    let Some((shape, first, sampled)) = common(clients) else { return BTreeMap::new() };
    BTreeMap::from([
        ("client_retry_shape", json!(shape.name())),
        ("client_retry_first_ms", json!(first)),
        ("client_retry_sampled", json!(sampled)),
    ])
}

/// The shape that most have, the median of their first pauses, and how many had a shape at all.
fn common<'a>(all: impl Iterator<Item = &'a Times>) -> Option<(Shape, u32, u64)> {
    let mut shapes: BTreeMap<Shape, Vec<u32>> = BTreeMap::new();
    for pauses in all.map(Times::pauses) {
        if let (Some(shape), Some(first)) = (Shape::of(&pauses), pauses.first()) {
            shapes.entry(shape).or_default().push(*first);
        }
    }
    let sampled = shapes.values().fold(0u64, |sum, firsts| sum.saturating_add(firsts.len() as u64));
    let (shape, mut firsts) = shapes.into_iter().rev().max_by_key(|(_, firsts)| firsts.len())?;
    firsts.sort_unstable();
    Some((shape, *firsts.get(firsts.len() / 2)?, sampled))
}
