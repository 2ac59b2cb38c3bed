//! Headers, one on the other: what is found behind them, and the reason when nothing is.

use std::net::IpAddr;

use tidegate_scan::capture::{Body, Net, Packet, Unreachable};

use crate::make::{ETHERNET, RAW, ethernet, read, records, segments, skipped, tcp, udp, v4, v6};

const ACK: u8 = 0x10;

fn ack() -> Vec<u8> {
    tcp(ACK, 1000, 2000, &[], b"hello")
}

/// Tells the only packet of a file to `look`.
fn only(link: u32, frame: Vec<u8>, look: impl Fn(&Packet<'_>)) {
    let mut count = 0;
    read([records(link, &[frame]).as_slice()], |packet| {
        count += 1;
        look(packet);
    });
    assert_eq!(count, 1);
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_segment_is_told_with_its_numbers() {
    only(ETHERNET, [ethernet(&[8, 0], &v4(6, 0, &ack())), b"F5".to_vec()].concat(), |packet| {
        assert_eq!((packet.frame, packet.at, packet.ttl, packet.id), (1, 1_000_000_000, 64, 0x1234));
        assert_eq!((packet.source, packet.target), (address("10.0.0.1"), address("10.0.0.2")));
        assert_eq!((packet.net, packet.trailer), (Net::default(), b"F5".as_slice()));
        let Body::Tcp(tcp) = packet.body else { panic!("{packet:?}") };
        assert_eq!((tcp.source, tcp.target, tcp.seq, tcp.ack), (40001, 443, 1000, 2000));
        assert_eq!((tcp.flags, tcp.window, tcp.wscale, tcp.length), (ACK, 64240, None, 5));
        assert_eq!(tcp.data, b"hello");
    });
}

#[test]
fn the_shift_of_windows_is_told_with_syn_only() {
    let options = [2, 4, 5, 0xb4, 1, 3, 3, 7];
    let syn = v4(6, 0, &tcp(2, 9, 0, &options, b""));
    let late = v4(6, 0, &tcp(ACK, 9, 0, &options, b""));
    assert_eq!(segments(&records(RAW, &[syn, late])), [(2, 9, 0, 0, Some(7)), (ACK, 9, 0, 0, None)]);
}

#[test]
fn version_six_is_read_through_its_extensions() {
    let hop = [43, 0, 1, 4, 0, 0, 0, 0];
    let routing = [51, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let authentication = [60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let destination = [6, 0, 1, 4, 0, 0, 0, 0];
    let inside = [hop.as_slice(), &routing, &authentication, &destination, &ack()].concat();
    only(ETHERNET, ethernet(&[0x86, 0xdd], &v6(0, &inside)), |packet| {
        assert_eq!((packet.source, packet.target), (address("fd00::1"), address("fd00::2")));
        let Body::Tcp(tcp) = packet.body else { panic!("{packet:?}") };
        assert_eq!((tcp.length, tcp.data), (5, b"hello".as_slice()));
    });
    assert_eq!(
        skipped(&records(RAW, &[v6(0, &[&[0, 0, 0, 0, 0, 0, 0, 0].repeat(20), &ack()[..]].concat())])),
        [("too-deep", 1)]
    );
}

#[test]
fn tags_and_tunnels_are_the_network() {
    let inner = ethernet(&[0x81, 0, 0, 5, 8, 0], &v4(6, 0, &ack()));
    let vxlan = udp(4789, &[&[8, 0, 0, 0, 0, 0x13, 0x88, 0], inner.as_slice()].concat());
    only(ETHERNET, ethernet(&[0x81, 0, 0, 9, 8, 0], &v4(17, 0, &vxlan)), |packet| {
        assert_eq!(packet.net, Net { vlans: 5, tunnel: Some(5000) });
        assert!(matches!(packet.body, Body::Tcp(tcp) if tcp.data == b"hello"));
    });
    // Two words of options.
    let geneve = udp(6081, &[&[2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8], inner.as_slice()].concat());
    only(RAW, v6(17, &geneve), |packet| assert_eq!(packet.net, Net { vlans: 5, tunnel: Some(7) }));
    let bare = udp(6081, &[&[0, 0, 8, 0, 0, 0, 7, 0], v4(6, 0, &ack()).as_slice()].concat());
    only(RAW, v4(17, 0, &bare), |packet| assert_eq!(packet.net, Net { vlans: 0, tunnel: Some(7) }));
    let mut deep = v4(6, 0, &ack());
    for _ in 0..5 {
        deep = v4(17, 0, &udp(6081, &[&[0, 0, 8, 0, 0, 0, 7, 0], deep.as_slice()].concat()));
    }
    assert_eq!(skipped(&records(RAW, &[deep])), [("too-deep", 1)]);
}

#[test]
fn word_of_an_unreachable_target_names_the_flow() {
    let quoted = &v4(6, 0, &ack())[..28];
    let port = v4(1, 0, &[&[3, 3, 0, 0, 0, 0, 0, 0], quoted].concat());
    only(RAW, port, |packet| {
        let (source, target) = (address("10.0.0.1"), address("10.0.0.2"));
        let wanted = Unreachable { code: 3, source, target, source_port: 40001, target_port: 443, seq: 1000 };
        assert_eq!(packet.body, Body::Unreachable(wanted));
    });
    only(RAW, v6(58, &[&[1, 4, 0, 0, 0, 0, 0, 0], v6(6, &ack()).as_slice()].concat()), |packet| {
        assert!(matches!(packet.body, Body::Unreachable(Unreachable { code: 4, seq: 1000, .. })));
    });
    let ping = v4(1, 0, &[8, 0, 0, 0, 0, 0, 0, 0]);
    let datagram = v4(1, 0, &[&[3, 3, 0, 0, 0, 0, 0, 0], v4(17, 0, &udp(53, b"")).as_slice()].concat());
    assert_eq!(skipped(&records(RAW, &[ping, datagram])), [("not-tcp", 2)]);
}

#[test]
fn later_fragments_go_on_where_the_first_ended() {
    // SYN, FIN and 20 bytes of data in three parts: 20 + 4, 8 and 8 bytes.
    let whole = tcp(ACK | 3, 100, 0, &[], &[7; 20]);
    let parts = [v4(6, 0x2000, &whole[..24]), v4(6, 0x2003, &whole[24..32]), v4(6, 4, &whole[32..])];
    let wanted = [(ACK | 2, 100, 4, 4, None), (ACK, 105, 8, 8, None), (ACK | 1, 113, 8, 8, None)];
    assert_eq!(segments(&records(RAW, &parts)), wanted);
    // The last one ends it: another one with its number belongs to something else.
    let again = [&parts[..], &parts[1..2]].concat();
    assert_eq!(skipped(&records(RAW, &again)), [("fragment", 1)]);
    assert_eq!(skipped(&records(RAW, &parts[1..])), [("fragment", 2)]);
    // A header in two pieces.
    assert_eq!(skipped(&records(RAW, &[v4(6, 0x2000, &whole[..16]), v4(6, 2, &whole[16..])])), [("fragment", 2)]);
    let late: Vec<_> = [1, 40].into_iter().zip(&parts).map(|(second, part)| (second, 0, part.clone())).collect();
    assert_eq!(skipped(&crate::make::pcap(RAW, &late)), [("fragment", 1)]);
}

#[test]
fn fragments_of_version_six_are_read_as_well() {
    let whole = tcp(ACK, 100, 0, &[], &[7; 20]);
    let part = |place: u8, bytes: &[u8]| v6(44, &[&[6, 0, 0, place, 0, 0, 0, 9], bytes].concat());
    let file = records(RAW, &[part(1, &whole[..24]), part(24, &whole[24..]), part(0, &whole)]);
    assert_eq!(segments(&file), [(ACK, 100, 4, 4, None), (ACK, 104, 16, 16, None), (ACK, 100, 20, 20, None)]);
}

#[test]
fn lengths_are_those_of_the_wire() {
    let packet = v4(6, 0, &tcp(ACK, 1, 1, &[], &[0; 1000]));
    let mut file = records(RAW, &[packet[..96].to_vec()]);
    assert_eq!(segments(&file), [(ACK, 1, 1000, 56, None)]);
    // What a card is to cut itself says 0: the record knows.
    file[24 + 12..24 + 16].copy_from_slice(&70_040_u32.to_le_bytes());
    file[40 + 2..40 + 4].copy_from_slice(&[0, 0]);
    assert_eq!(segments(&file), [(ACK, 1, 70_000, 56, None)]);
}

#[test]
fn every_reason_is_told() {
    let packet = v4(6, 0, &ack());
    let mut odd = packet.clone();
    odd[32] = 0x40;
    let mut long = packet.clone();
    long[32] = 0xf0;
    let short = v4(6, 0, &ack()[..12]);
    let version = [&[0x75], &packet[1..]].concat();
    let header = [&[0x44], &packet[1..]].concat();
    let frames = [
        (vec![], "empty"),
        (packet[..10].to_vec(), "ip-cut"),
        (packet[..30].to_vec(), "tcp-cut"),
        (version, "ip-broken"),
        (header, "ip-broken"),
        (odd, "tcp-broken"),
        (long, "tcp-broken"),
        (short, "tcp-broken"),
        (v4(50, 0, b"secret"), "not-tcp"),
        (v4(17, 0, &udp(53, b"query")), "not-tcp"),
        (v6(0, b""), "ip-cut"),
    ];
    for (frame, word) in frames {
        assert_eq!(skipped(&records(RAW, std::slice::from_ref(&frame))), [(word, 1)], "{frame:x?}");
    }
    assert_eq!(skipped(&records(ETHERNET, &[ethernet(&[8, 6], b"who has")])), [("not-ip", 1)]);
    assert_eq!(skipped(&records(ETHERNET, &[vec![2; 9]])), [("link-cut", 1)]);
    assert_eq!(skipped(&records(147, &[packet])), [("link-unknown", 1)]);
}
