//! No gate: clients call the servers themselves.

use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use tidegate_core::time::Nanos;

/// Every call goes to the server of its session, else to the next one in turn.
#[derive(Clone, Debug)]
pub struct Direct {
    servers: u16,
    turn: u16,
    decisions: u64,
}

impl Direct {
    /// To a pool of so many.
    pub fn new(servers: u16) -> Direct {
        Direct { servers: servers.max(1), turn: 0, decisions: 0 }
    }
}

impl Policy for Direct {
    fn arrive(&mut self, _now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        self.decisions += 1;
        let server = arriving.bound.unwrap_or_else(|| {
            self.turn = (self.turn + 1) % self.servers;
            self.turn
        });
        out.push(Verdict::Send(call, server));
    }

    fn client_gone(&mut self, _now: Nanos, _call: CallNo, _sent: bool, _out: &mut Vec<Verdict>) {}

    fn done(&mut self, _now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        if end == End::Refused {
            out.push(Verdict::Refuse(call));
        }
    }

    fn restart(&mut self, _now: Nanos) {}

    fn is_gate(&self) -> bool {
        false
    }

    fn gauges(&self) -> Gauges {
        Gauges::default()
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
