//! What means nothing: in which batches and files packets come, what passes beside a flow, and which address is the lower one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tidegate_scan::capture::{Body, Packet, Sink, Tcp, Unreachable};
use tidegate_scan::flows::{FlowLine, Flows, Options, Report};

use crate::play::{Play, any_packet, packets, report};

const EACH: Options = Options { flows_max: 1000, seed: 5, each: true };

fn plays() -> impl Strategy<Value = Vec<Play>> {
    prop::collection::vec(any_packet(), 1..200)
}

/// Findings in short: what, how it came out, how often.
fn found(report: &Report) -> Vec<(&str, Option<&str>, u64)> {
    report.found.iter().map(|found| (found.finding, found.outcome.as_deref(), found.count)).collect()
}

/// What is told of each flow but for its frames, sorted.
fn lines(reports: &[&Report]) -> Vec<String> {
    let line = |line: &FlowLine| {
        let FlowLine { initiator, responder, states, conn_state, completeness, outcome, packets, .. } = line;
        format!("{initiator} {responder} {states:?} {conn_state} {completeness} {outcome:?} {packets}")
    };
    let mut lines: Vec<String> = reports.iter().flat_map(|report| report.each.iter().flatten()).map(line).collect();
    lines.sort();
    lines
}

/// Counts that are sums over flows and packets.
fn sums(reports: &[&Report]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for report in reports {
        let named = [("state", &report.states), ("conn", &report.conn_states), ("note", &report.notes)];
        let words =
            named.iter().flat_map(|(kind, counts)| counts.iter().map(move |(word, n)| (format!("{kind} {word}"), *n)));
        let single = [("packets", report.packets), ("flows", report.flows), ("live", report.live)];
        words.chain(single.map(|(word, count)| (word.to_owned(), count))).for_each(|(word, count)| {
            *sums.entry(word).or_default() += count;
        });
    }
    sums
}

/// Addresses in the opposite order, and ports too.
fn mirror(packet: &Packet<'static>) -> Packet<'static> {
    let turn = |address: IpAddr| match address {
        IpAddr::V4(four) => IpAddr::V4(Ipv4Addr::from_bits(0x1400_0000 - four.to_bits())),
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(!six.to_bits())),
    };
    let port = |port: u16| u16::MAX - port;
    let body = match packet.body {
        Body::Tcp(tcp) => Body::Tcp(Tcp { source: port(tcp.source), target: port(tcp.target), ..tcp }),
        Body::Unreachable(word) => Body::Unreachable(Unreachable {
            source: turn(word.source),
            target: turn(word.target),
            source_port: port(word.source_port),
            target_port: port(word.target_port),
            ..word
        }),
    };
    Packet { source: turn(packet.source), target: turn(packet.target), body, ..*packet }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn batches_mean_nothing(plays in plays(), batch in 1..70_usize) {
        let packets = packets(&plays);
        let mut flows = Flows::new(&EACH);
        packets.chunks(batch).for_each(|batch| flows.packets(batch));
        flows.end(crate::play::file());
        prop_assert_eq!(Report { bytes_per_flow: None, ..flows.finish() }, report(&packets, &EACH, 1));
    }

    #[test]
    fn a_file_in_two_parts_tells_the_same(plays in plays(), cut in any::<prop::sample::Index>()) {
        let whole = packets(&plays);
        let cut = cut.index(whole.len());
        let part = |packet: &Packet<'static>| match packet.frame.checked_sub(cut as u64 + 1) {
            Some(before) => Packet { file: 1, frame: before + 1, ..*packet },
            None => *packet,
        };
        let (parts, whole) = (report(&whole.iter().map(part).collect::<Vec<_>>(), &EACH, 1), report(&whole, &EACH, 1));
        prop_assert_eq!(sums(&[&parts]), sums(&[&whole]));
        prop_assert_eq!((found(&parts), lines(&[&parts])), (found(&whole), lines(&[&whole])));
        prop_assert_eq!((parts.from, parts.to, &parts.handshakes), (whole.from, whole.to, &whole.handshakes));
        prop_assert_eq!((parts.half_open, parts.buckets), (whole.half_open, whole.buckets));
    }

    #[test]
    fn what_passes_beside_a_flow_changes_nothing(ours in plays(), others in plays(), order in any::<u64>()) {
        // Clients 0 to 2 here, 10 to 12 there.
        let others = others.into_iter().map(|play| Play { who: (play.who.0 + 10, play.who.1, play.who.2), ..play });
        let (ours, others) = (packets(&ours), packets(&others.collect::<Vec<_>>()));
        let (mut left, mut right) = (ours.iter(), others.iter());
        let mut both: Vec<Packet<'static>> = Vec::new();
        for turn in (0..64).cycle().map(|bit| order >> bit & 1 == 1) {
            let next = if turn { left.next().or_else(|| right.next()) } else { right.next().or_else(|| left.next()) };
            let Some(next) = next else { break };
            both.push(Packet { frame: both.len() as u64 + 1, ..*next });
        }
        let [both, ours, others] = [both, ours, others].map(|packets| report(&packets, &EACH, 1));
        prop_assert_eq!(sums(&[&both]), sums(&[&ours, &others]));
        prop_assert_eq!(lines(&[&both]), lines(&[&ours, &others]));
    }

    #[test]
    fn which_address_is_the_lower_one_does_not_matter(plays in plays()) {
        let packets = packets(&plays);
        let mirrored: Vec<Packet<'static>> = packets.iter().map(mirror).collect();
        let (straight, mirrored) = (report(&packets, &EACH, 1), report(&mirrored, &EACH, 1));
        prop_assert_eq!(sums(&[&straight]), sums(&[&mirrored]));
        prop_assert_eq!(found(&straight), found(&mirrored));
        prop_assert_eq!((straight.handshakes, straight.half_open), (mirrored.handshakes, mirrored.half_open));
    }
}
