//! What holds of every file: nothing is lost uncounted, blocks mean nothing, and what follows changes nothing before it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tidegate_scan::capture::{Body, Packet, Tcp};

use crate::make::{ETHERNET, RAW, blocks, ethernet, read, records, section, tcp, told, udp, v4, v6};

/// A packet of any of the kinds that are read, damaged in a byte now and then.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let segment = (any::<u8>(), any::<u32>(), any::<u32>(), vec(any::<u8>(), 0..40))
        .prop_map(|(flags, seq, ack, data)| tcp(flags, seq, ack, &[1, 3, 3, 9], &data));
    let fragment = prop_oneof![4 => Just(0), 1 => Just(0x2000_u16), 1 => 0_u16..6, 1 => 0x2000_u16..0x2006];
    let inside = (segment, fragment, 0..6).prop_map(|(segment, fragment, kind)| match kind {
        0 => v6(6, &segment),
        1 => v6(44, &[&[6, 0], fragment.to_be_bytes().as_slice(), &[0, 0, 0, 1], &segment].concat()),
        2 => v4(17, 0, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(&[8, 0], &v4(6, 0, &segment))[..]].concat())),
        3 => v4(1, 0, &[&[3, 1, 0, 0, 0, 0, 0, 0], &v4(6, fragment, &segment)[..]].concat()),
        _ => v4(6, fragment, &segment),
    });
    (inside, prop::option::weighted(0.3, (any::<Index>(), any::<u8>()))).prop_map(|(mut bytes, damage)| {
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// A file with such packets.
pub fn file() -> impl Strategy<Value = Vec<u8>> {
    (vec(packet(), 0..80), any::<bool>(), any::<bool>()).prop_map(|(packets, raw, ng)| {
        let framed = |packet: Vec<u8>| {
            let kind = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
            ethernet(&kind, &packet)
        };
        let write = if ng { blocks } else { records };
        if raw { write(RAW, &packets) } else { write(ETHERNET, &packets.into_iter().map(framed).collect::<Vec<_>>()) }
    })
}

/// The file in blocks that begin at these places.
fn cut<'b>(bytes: &'b [u8], places: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// What is told of a packet of which so many bytes were kept, but for the bytes themselves and the options of TCP.
fn headers(packet: &[u8], kept: usize) -> Option<String> {
    let mut file = records(RAW, &[packet[..kept].to_vec()]);
    file[36..40].copy_from_slice(&u32::try_from(packet.len()).unwrap().to_le_bytes());
    let mut found = None;
    read([file.as_slice()], |packet| {
        let body = match packet.body {
            Body::Tcp(tcp) => Body::Tcp(Tcp { data: &[], wscale: None, ..tcp }),
            told @ Body::Unreachable(_) => told,
        };
        found = Some(format!("{:?}", Packet { body, trailer: &[], ..*packet }));
    });
    found
}

proptest! {
    #[test]
    fn blocks_mean_nothing(bytes in file(), places in vec(any::<Index>(), 0..40)) {
        prop_assert_eq!(told(cut(&bytes, &places)), told([bytes.as_slice()]));
    }

    #[test]
    fn bytes_mean_the_same_one_by_one(bytes in file()) {
        prop_assert_eq!(told(bytes.chunks(1)), told([bytes.as_slice()]));
    }

    #[test]
    fn every_record_is_a_packet_or_has_a_reason(bytes in file(), cut in any::<Index>()) {
        let (whole, file) = told([bytes.as_slice()]);
        prop_assert_eq!(file.records, file.packets + file.skipped.all());
        prop_assert_eq!(file.packets, whole.len() as u64);
        let (part, file) = told([&bytes[..cut.index(bytes.len())]]);
        prop_assert_eq!(file.records, file.packets + file.skipped.all());
        prop_assert_eq!(&whole[..part.len()], part.as_slice());
    }

    #[test]
    fn any_bytes_behind_a_beginning_are_read_to_their_end(kind in 0..5_usize, bytes in vec(any::<u8>(), 0..2000)) {
        let beginnings = [
            section(), vec![0xd4, 0xc3, 0xb2, 0xa1], vec![0xa1, 0xb2, 0xc3, 0xd4], vec![0x4d, 0x3c, 0xb2, 0xa1],
            vec![0xa1, 0xb2, 0x3c, 0x4d],
        ];
        let file = read([beginnings[kind].as_slice(), &bytes], |_| {});
        prop_assert!(file.format.is_some());
        prop_assert_eq!(file.records, file.packets + file.skipped.all());
    }

    #[test]
    fn the_same_is_told_of_a_packet_of_which_less_was_kept(packet in packet(), kept in any::<Index>()) {
        let whole = headers(&packet, packet.len());
        let less = headers(&packet, kept.index(packet.len()));
        prop_assert!(less.is_none() || less == whole, "{:?} {:?}", less, whole);
    }

    #[test]
    fn a_damaged_file_is_read_the_same_in_any_blocks(
        mut bytes in file(), damage in vec((any::<Index>(), any::<u8>()), 1..5), places in vec(any::<Index>(), 0..9)
    ) {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (packets, file) = told([bytes.as_slice()]);
        prop_assert_eq!(file.records, file.packets + file.skipped.all());
        prop_assert_eq!(told(cut(&bytes, &places)), (packets, file));
    }
}
