//! What became of all flows: of those that are gone, and of those that stand.

use std::collections::BTreeMap;

use tidegate_core::flow::{Flow, Side, State};

use super::cold::{Cold, bit};

/// Names of connections' ends, as Zeek has them, in the order of [`conn_state`]'s numbers.
const CONN_STATES: [&str; 13] =
    ["S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH"];

/// How many flows came to what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    conn: [u64; CONN_STATES.len()],
    /// Flows.
    pub flows: u64,
    /// Flows that were heard from both ends.
    pub both: u64,
    /// Flows that were heard from one end only, although the other must have said something.
    pub one_sided: u64,
    /// Flows whose SYN came again and was never answered.
    pub unanswered: u64,
}

impl Census {
    /// One more flow.
    pub fn count(&mut self, flow: &Flow, cold: &Cold) {
        let add = |count: &mut u64| *count = count.saturating_add(1);
        add(&mut self.flows);
        self.conn.get_mut(conn_state(flow, cold)).map(add);
        let (low, high) = heard(cold);
        // An acknowledgement after the first packet, or a SYN-ACK: the other end has spoken.
        let answers = (cold.is(bit::ACKED) && cold.packets > 1) || flow.state() == State::OrphanSynAck;
        if low && high {
            add(&mut self.both);
        } else if answers {
            add(&mut self.one_sided);
        } else if cold.tries > 1 {
            add(&mut self.unanswered);
        }
    }

    /// Those of another shard.
    pub fn absorb(&mut self, other: &Census) {
        self.conn.iter_mut().zip(other.conn).for_each(|(count, more)| *count = count.saturating_add(more));
        let pairs = [
            (&mut self.flows, other.flows),
            (&mut self.both, other.both),
            (&mut self.one_sided, other.one_sided),
            (&mut self.unanswered, other.unanswered),
        ];
        pairs.into_iter().for_each(|(count, more)| *count = count.saturating_add(more));
    }

    /// How many connections came to which end.
    pub fn conn_states(&self) -> BTreeMap<&'static str, u64> {
        CONN_STATES.into_iter().zip(self.conn).filter(|(_, count)| *count > 0).collect()
    }
}

/// Who was heard: a RST is heard, too.
fn heard(cold: &Cold) -> (bool, bool) {
    let (low, high) = (bit::HEARD | bit::RST, (bit::HEARD | bit::RST) << 1);
    (cold.bits & low != 0, cold.bits & high != 0)
}

/// What Zeek knows of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Inactive,
    /// Sent a SYN, with or without ACK, and nothing came of it.
    Syn,
    /// Heard, without a SYN.
    Partial,
    Established,
    Closed,
    Reset,
}

/// How a connection ended, in Zeek's words (base/protocols/conn/main.zeek, `conn_state`).
pub(crate) fn conn_word(flow: &Flow, cold: &Cold) -> &'static str {
    CONN_STATES.get(conn_state(flow, cold)).copied().unwrap_or_default()
}

fn conn_state(flow: &Flow, cold: &Cold) -> usize {
    let side = flow.initiator();
    let ended = cold.has(bit::FIN, Side::Low) && cold.has(bit::FIN, Side::High);
    let end = |end: Side| {
        let (has, answered) = (|bit| cold.has(bit, end), cold.has(bit::SYN, end.other()));
        match () {
            // A RST undoes no end that both wanted.
            () if has(bit::RST) && !ended => End::Reset,
            () if has(bit::FIN) => End::Closed,
            // The answer to a SYN is enough, whether anybody acknowledges it or not; and who acknowledges it has sent one.
            () if answered && (has(bit::SYN) || end == side && has(bit::HEARD)) => End::Established,
            () if has(bit::SYN) => End::Syn,
            () if has(bit::HEARD) => End::Partial,
            () => End::Inactive,
        }
    };
    let idle = |end| matches!(end, End::Inactive | End::Partial);
    let data = cold.bits & (bit::DATA | bit::DATA << 1) != 0;
    match (end(side), end(side.other())) {
        (End::Syn, End::Reset) => 3,
        (End::Reset, End::Reset) if !data => 3,
        (from, End::Reset) if idle(from) => 9,
        (_, End::Reset) => 7,
        (End::Reset, to) if idle(to) => 8,
        (End::Reset, _) => 6,
        (End::Closed, End::Closed) => 2,
        (End::Closed, to) if idle(to) => 10,
        (End::Closed, _) => 4,
        (from, End::Closed) if idle(from) => 11,
        (_, End::Closed) => 5,
        (End::Syn, End::Inactive) => 0,
        (End::Established, End::Established) => 1,
        _ => 12,
    }
}
