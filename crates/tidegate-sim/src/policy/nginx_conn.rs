//! nginx with `limit_conn`: so many calls at once, any other one is answered 503 at once.

use super::pool::Pool;
use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use tidegate_core::time::Nanos;

/// No queue. A call whose client leaves is taken off the count and its connection to the server closed, although the server
/// works on.
#[derive(Clone, Debug)]
pub struct NginxConn {
    limit: u32,
    pool: Pool,
    decisions: u64,
}

impl NginxConn {
    /// So many at once in front of a pool of `servers`.
    pub fn new(servers: u16, limit: u32) -> NginxConn {
        NginxConn { limit, pool: Pool::new(servers), decisions: 0 }
    }
}

impl Policy for NginxConn {
    fn arrive(&mut self, _now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        self.decisions += 1;
        if self.pool.total() >= self.limit {
            return out.push(Verdict::TurnAway(call, None));
        }
        let server = self.pool.pick(arriving.bound);
        self.pool.send(call, server);
        out.push(Verdict::Send(call, server));
    }

    fn client_gone(&mut self, _now: Nanos, call: CallNo, _sent: bool, _out: &mut Vec<Verdict>) {
        self.pool.back(call);
    }

    fn done(&mut self, _now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        self.pool.back(call);
        if end == End::Refused {
            out.push(Verdict::TurnAway(call, None)); // 502 at once
        }
    }

    fn restart(&mut self, _now: Nanos) {
        self.pool.clear();
    }

    fn gauges(&self) -> Gauges {
        Gauges { held: 0, limit: self.limit }
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
