//! Files: pcap and pcapng in all their kinds, and what is left of them when they are damaged.

use tidegate_scan::capture::Format;

use crate::make::{
    ETHERNET, RAW, block, blocks, enhanced, ethernet, interface, pcap, read, records, section, skipped, tcp, told, v4,
};

fn packet() -> Vec<u8> {
    v4(6, 0, &tcp(0x10, 1, 2, &[], b"data"))
}

/// When each packet was captured, in nanoseconds.
fn times(file: &[u8]) -> Vec<u64> {
    let mut times = Vec::new();
    read([file], |packet| times.push(packet.at));
    times
}

#[test]
fn pcap_is_read_in_both_orders_and_units() {
    let file = pcap(RAW, &[(7, 5, packet())]);
    assert_eq!(times(&file), [7_000_005_000]);
    let mut fine = file.clone();
    fine[0] = 0x4d;
    fine[1] = 0x3c;
    assert_eq!(times(&fine), [7_000_000_005]);
    let mut big = file.clone();
    for word in big[..40].chunks_mut(4) {
        word.reverse();
    }
    assert_eq!(times(&big), [7_000_005_000]);
}

#[test]
fn pcapng_tells_the_same_as_pcap() {
    let packets = [packet(), vec![], packet()];
    let (one, file) = told([records(RAW, &packets).as_slice()]);
    let (other, next) = told([blocks(RAW, &packets).as_slice()]);
    assert_eq!((one, file.records, file.skipped), (other, next.records, next.skipped));
    assert_eq!((file.format, next.format), (Some(Format::Pcap), Some(Format::PcapNg)));
}

#[test]
fn each_interface_has_its_link_and_its_clock() {
    let nano = [9, 0, 1, 0, 9, 0, 0, 0];
    let parts = [
        section(),
        interface(RAW, 0, &[]),
        interface(ETHERNET, 0, &nano),
        block(0x0bad, b"unknown"),
        enhanced(1, 5, &ethernet(&[8, 0], &packet())),
        enhanced(0, 5, &packet()),
        enhanced(2, 5, &packet()),
        section(),
        interface(RAW, 0, &nano),
        enhanced(0, 7, &packet()),
        enhanced(1, 7, &packet()),
    ];
    assert_eq!(times(&parts.concat()), [5, 5_000, 7]);
    assert_eq!(skipped(&parts.concat()), [("interface-unknown", 2)]);
}

#[test]
fn a_section_may_have_another_order() {
    let swap = |words: &[u8]| words.chunks(4).flat_map(|word| word.iter().rev().copied()).collect::<Vec<_>>();
    // All words of these blocks are of four bytes, but those of the packet and two of the interface's description.
    let begin = swap(&section());
    let mut description = swap(&interface(RAW, 0, &[]));
    description[8..12].copy_from_slice(&[0, 101, 0, 0]);
    let enhanced = block(6, &[[0_u32, 0, 9, 44, 44].map(u32::to_le_bytes).concat(), packet()].concat());
    let packet = [swap(&enhanced[..28]), packet(), swap(&enhanced[72..])].concat();
    assert_eq!(times(&[blocks(RAW, &[self::packet()]), begin, description, packet].concat()), [1_000_000_000, 9_000]);
}

#[test]
fn older_and_shorter_blocks_are_packets_too() {
    let length = u32::try_from(packet().len()).unwrap();
    let old = [&[0, 0, 3, 0], [0, 5, length, length].map(u32::to_le_bytes).concat().as_slice(), &packet()].concat();
    let short = [&1500_u32.to_le_bytes(), &packet()[..40]].concat();
    let file = [section(), interface(RAW, 40, &[]), block(2, &old), block(3, &short)].concat();
    let mut found = Vec::new();
    read([file.as_slice()], |packet| found.push((packet.at, packet.frame, packet.trailer.len())));
    // What does not say when it was captured came with the packet before it.
    assert_eq!(found, [(5_000, 1, 0), (5_000, 2, 0)]);
}

#[test]
fn damage_is_counted_and_what_was_before_it_is_kept() {
    let good = records(RAW, &[packet(), packet()]);
    assert_eq!(skipped(&good[..good.len() - 1]), [("record-cut", 1)]);
    assert_eq!(skipped(&good[..30]), [("record-cut", 1)]);
    assert_eq!(skipped(&good[..10]), [("record-cut", 1)]);
    assert_eq!(skipped(&good[..24]), []);
    let mut long = good.clone();
    long[24 + 16 + 44 + 8..][..4].copy_from_slice(&(2_u32 << 20).to_le_bytes());
    assert_eq!((times(&long).len(), skipped(&long)), (1, vec![("record-too-long", 1)]));
    // More than the file has, but no more than a packet may have.
    long[24 + 16 + 44 + 8..][..4].copy_from_slice(&5000_u32.to_le_bytes());
    assert_eq!((times(&long).len(), skipped(&long)), (1, vec![("record-cut", 1)]));
}

#[test]
fn blocks_that_contradict_themselves_are_passed_over() {
    let mut lie = enhanced(0, 1, &packet());
    lie[20..24].copy_from_slice(&60_000_u32.to_le_bytes());
    let start = [section(), interface(RAW, 0, &[])].concat();
    let file = [start.clone(), lie, block(6, &[0; 4]), enhanced(0, 1, &packet())].concat();
    assert_eq!((times(&file).len(), skipped(&file)), (1, vec![("block-broken", 2)]));
    // Without a length nothing can be found any more.
    let lost = [start.clone(), vec![9, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0], enhanced(0, 1, &packet())].concat();
    assert_eq!((times(&lost).len(), skipped(&lost)), (0, vec![("block-broken", 1)]));
    let cut = [start, enhanced(0, 1, &packet())].concat();
    // The packet is there, and only its options are not.
    assert_eq!((times(&cut[..cut.len() - 2]).len(), skipped(&cut[..cut.len() - 2])), (1, vec![("record-cut", 1)]));
}

#[test]
fn captures_without_packets_are_captures() {
    for file in [records(RAW, &[]), section(), blocks(RAW, &[])] {
        let file = read([file.as_slice()], |_| {});
        assert!(file.format.is_some());
        assert_eq!((file.records, file.packets, file.skipped.all()), (0, 0, 0));
    }
    // Its first bytes are as those of pcapng, and that is all.
    assert_eq!(read([b"\n\r\r\n an empty line or two".as_slice()], |_| {}).format, None);
}
