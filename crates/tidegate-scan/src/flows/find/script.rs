//! Small captures for the tests of findings: who says what, and when.

use std::net::IpAddr;

use crate::capture::{Body, Net, Packet, Sink, Tcp, Unreachable, flag};
use crate::flows::{Flows, Found, Options, Report};

/// When the first packet of a script comes: nanoseconds since 1970.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

/// A client and a server port that talk, and what each of them sends next.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// Address and port: of the client, of the server.
    pub ends: [(IpAddr, u16); 2],
    next: [u32; 2],
    /// Hops left in the packets of both.
    pub ttl: [u8; 2],
    /// Numbers of their last packets.
    pub id: [u16; 2],
}

/// One packet.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// When: nanoseconds since 1970.
    pub at: u64,
    /// Who, and to whom.
    pub ends: [(IpAddr, u16); 2],
    /// As in its header.
    pub seq: u32,
    /// As in its header.
    pub ack: u32,
    /// As in its header.
    pub flags: u8,
    /// As in its header.
    pub window: u16,
    /// Bytes of data, and those that were kept of them.
    pub length: u32,
    /// The latter.
    pub data: Vec<u8>,
    /// As in its header.
    pub ttl: u8,
    /// As in its header.
    pub id: u16,
    /// Bytes behind the packet.
    pub trailer: Vec<u8>,
    /// ICMP says that it could not be delivered: the code, and who says so.
    pub undelivered: Option<(u8, IpAddr)>,
}

/// Packets, one after the other, a millisecond apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// All of them.
    pub said: Vec<Said>,
    /// Milliseconds since the start.
    pub ms: u64,
}

impl Pair {
    /// The client 10.0.0.`client` with a port, and 10.0.1.1:443.
    pub fn new(client: u8, port: u16) -> Pair {
        let ends = [(IpAddr::from([10, 0, 0, client]), port), (IpAddr::from([10, 0, 1, 1]), 443)];
        Pair { ends, next: [1_000, 9_000], ttl: [64, 60], id: [100, 30_000] }
    }
}

impl Script {
    /// Lets time pass.
    pub fn wait(&mut self, ms: u64) -> &mut Self {
        self.ms += ms;
        self
    }

    /// One end of a pair (0: the client) says something, and the numbers go on as they should.
    pub fn say(&mut self, pair: &mut Pair, by: usize, flags: u8, data: &[u8]) -> &mut Said {
        let other = 1 - by;
        self.ms += 1;
        pair.id[by] += 1;
        self.said.push(Said {
            at: START + self.ms * 1_000_000,
            ends: [pair.ends[by], pair.ends[other]],
            seq: pair.next[by],
            ack: if flags & flag::ACK == 0 { 0 } else { pair.next[other] },
            flags,
            window: 64_000,
            length: data.len() as u32,
            data: data.to_vec(),
            ttl: pair.ttl[by],
            id: pair.id[by],
            trailer: Vec::new(),
            undelivered: None,
        });
        let marks = u32::from(flags & flag::SYN != 0) + u32::from(flags & flag::FIN != 0);
        pair.next[by] += data.len() as u32 + marks;
        self.said.last_mut().unwrap()
    }

    /// The same once more, as it was said.
    pub fn again(&mut self) -> &mut Said {
        self.ms += 1;
        let last = self.said.last().unwrap().clone();
        self.said.push(Said { at: START + self.ms * 1_000_000, ..last });
        self.said.last_mut().unwrap()
    }

    /// The first client opens a connection from a port, and both ends say something.
    pub fn talk(&mut self, port: u16) -> Pair {
        let mut pair = Pair::new(1, port);
        self.open(&mut pair);
        for side in [0, 1] {
            self.say(&mut pair, side, flag::ACK | flag::PSH, b"hello");
        }
        pair
    }

    /// A handshake.
    pub fn open(&mut self, pair: &mut Pair) {
        self.say(pair, 0, flag::SYN, &[]);
        self.say(pair, 1, flag::SYN | flag::ACK, &[]);
        self.say(pair, 0, flag::ACK, &[]);
    }

    /// A keepalive of one end, and its answer.
    pub fn keepalive(&mut self, pair: &mut Pair, by: usize) {
        self.say(pair, by, flag::ACK, &[]).seq -= 1;
        self.say(pair, 1 - by, flag::ACK, &[]);
    }

    /// What is reported of it, told in so many shards.
    pub fn report(&self, shards: u32) -> Report {
        let packets: Vec<Packet<'_>> = self.said.iter().zip(1..).map(|(said, frame)| said.packet(frame)).collect();
        let mut all: Vec<Flows> = (0..shards).map(|shard| Flows::shard(&Options::default(), shard, shards)).collect();
        for flows in &mut all {
            packets.chunks(32).for_each(|batch| flows.packets(batch));
        }
        let mut flows = all.pop().unwrap();
        all.into_iter().for_each(|other| flows.absorb(other));
        flows.finish()
    }

    /// What is found in it by one of the findings; the same for any number of shards.
    pub fn found(&self, finding: &str) -> Vec<Found> {
        let of = |shards| {
            let found = self.report(shards).found.into_iter();
            found.filter(|found| found.finding == finding).collect::<Vec<_>>()
        };
        let found = of(1);
        assert!([2, 3, 5].into_iter().all(|shards| of(shards) == found));
        found
    }

    /// The only thing that is found of a kind, and how it came out.
    pub fn only(&self, finding: &str) -> (Found, String) {
        let found = self.found(finding);
        assert_eq!(found.len(), 1, "{found:#?}");
        let one = found.into_iter().next().unwrap();
        let outcome = one.outcome.clone().unwrap_or_default();
        (one, outcome)
    }
}

impl Said {
    fn packet(&self, frame: u64) -> Packet<'_> {
        let [(source, source_port), (target, target_port)] = self.ends;
        let body = match self.undelivered {
            Some((code, _)) => {
                Body::Unreachable(Unreachable { code, source, target, source_port, target_port, seq: self.seq })
            }
            None => Body::Tcp(Tcp {
                source: source_port,
                target: target_port,
                seq: self.seq,
                ack: self.ack,
                flags: self.flags,
                window: self.window,
                wscale: (self.flags & flag::SYN != 0).then_some(0),
                length: self.length,
                data: &self.data,
            }),
        };
        let (source, target) = self.undelivered.map_or((source, target), |(_, by)| (by, source));
        let (ttl, id) = (self.ttl, self.id);
        Packet {
            file: 0,
            frame,
            at: self.at,
            net: Net::default(),
            source,
            target,
            ttl,
            id,
            body,
            trailer: &self.trailer,
        }
    }
}
