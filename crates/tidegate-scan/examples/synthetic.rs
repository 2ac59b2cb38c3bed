//! Write a capture to standard output: `synthetic PACKETS FLOWS SNAP`. Connections of many clients to a few servers are opened,
//! talk, and are closed, as many at a time as there are flows; every eighth is IPv6. The same arguments write the same bytes. How many
//! connections there were is said on standard error.
//!
//! `make bench-flow` measures what reads it; so many packets are too many for tests, which make their own.

use std::io::{self, BufWriter, Write};

/// Packets of one connection: opened by the first three, closed by the last three, and between them data and its acknowledgement.
const STEPS: u32 = 24;
/// Bytes of data in a segment that has some: two of three are full.
const DATA: [u32; 3] = [1448, 310, 1448];
/// Nanoseconds from one packet to the next.
const GAP: u64 = 2_000;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// One connection after the other from the same client.
#[derive(Clone, Copy, Default)]
struct Flow {
    step: u32,
    /// How many there were before.
    before: u32,
    /// The next numbers of client and server.
    seq: [u32; 2],
}

/// What is sent next: by the server or the client, its flags, and how much data.
fn next(step: u32) -> (bool, u8, u32) {
    match step {
        0 => (false, SYN, 0),
        1 => (true, SYN | ACK, 0),
        2 => (false, ACK, 0),
        3 => (false, PSH | ACK, 310),
        step if step == STEPS - 3 => (false, FIN | ACK, 0),
        step if step == STEPS - 2 => (true, FIN | ACK, 0),
        step if step == STEPS - 1 => (false, ACK, 0),
        step if step % 3 == 2 => (false, ACK, 0),
        step => (true, PSH | ACK, DATA[step as usize % 3]),
    }
}

/// The next packet of a flow, from Ethernet on, without its data; and how long it is with it.
fn packet(number: u32, flow: &mut Flow) -> (Vec<u8>, u32) {
    let (server, flags, data) = next(flow.step);
    let [client_seq, server_seq] = flow.seq;
    let (seq, ack) = if server { (server_seq, client_seq) } else { (client_seq, server_seq) };
    let options: &[u8] = if flags & SYN == 0 { &[] } else { &[2, 4, 5, 0xb4, 1, 3, 3, 7] };
    let segment = 20 + options.len() as u32 + data;
    let port = (32_768 + (number % 16_384 + flow.before * 7) % 28_000) as u16;
    let [high, middle, low] = [number >> 16, number >> 8, number].map(|byte| byte as u8);
    let mut bytes = vec![2; 12];
    let last = number as u8 % 16;
    if number.is_multiple_of(8) {
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        bytes.extend((segment as u16).to_be_bytes());
        bytes.extend([6, 63]);
        let client = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, middle, low];
        let target = [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        bytes.extend(if server { [target, client].concat() } else { [client, target].concat() });
    } else {
        bytes.extend([8, 0, 0x45, 0]);
        bytes.extend((segment as u16 + 20).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        let (client, target) = ([10, high, middle, low], [192, 0, 2, last]);
        bytes.extend(if server { [target, client].concat() } else { [client, target].concat() });
    }
    let (from, to) = if server { (443, port) } else { (port, 443) };
    bytes.extend([from, to].iter().flat_map(|port| port.to_be_bytes()));
    bytes.extend(seq.to_be_bytes());
    bytes.extend(if flags & ACK == 0 { 0 } else { ack }.to_be_bytes());
    bytes.extend([(5 + options.len() as u8 / 4) << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    bytes.extend(options);
    let sent = data + u32::from(flags & (SYN | FIN) != 0);
    flow.seq[usize::from(server)] = seq.wrapping_add(sent);
    flow.step += 1;
    if flow.step == STEPS {
        *flow = Flow { before: flow.before + 1, seq: [client_seq ^ 0x5bd1_e995, server_seq ^ 0x27d4_eb2f], step: 0 };
    }
    let length = bytes.len() as u32 + data;
    (bytes, length)
}

fn main() -> io::Result<()> {
    let wrong = || io::Error::other("usage: synthetic PACKETS FLOWS SNAP, with at least one flow");
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [packets, flows @ 1..=u32::MAX, snap] = *numbers else { return Err(wrong()) };
    let mut all = vec![Flow::default(); flows as usize];
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    // Nanoseconds, little endian, Ethernet.
    let head = [0xa1b2_3c4d, 0x0004_0002, 0, 0, snap, 1_u32];
    out.write_all(&head.map(u32::to_le_bytes).concat())?;
    let (mut random, mut at) = (0x9e37_79b9_7f4a_7c15_u64, 1_764_000_000_000_000_000_u64);
    for _ in 0..packets {
        // xorshift64.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        at += GAP;
        let number = (random % u64::from(flows)) as u32;
        let (mut bytes, length) = packet(number, &mut all[number as usize]);
        bytes.resize(length.min(snap) as usize, b'x');
        let record = [(at / 1_000_000_000) as u32, (at % 1_000_000_000) as u32, bytes.len() as u32, length];
        out.write_all(&record.map(u32::to_le_bytes).concat())?;
        out.write_all(&bytes)?;
    }
    out.flush()?;
    let connections: u32 = all.iter().map(|flow| flow.before + u32::from(flow.step > 0)).sum();
    eprintln!("{connections}");
    Ok(())
}
