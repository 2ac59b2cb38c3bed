//! Real captures.

use tidegate_scan::flows::{Options, Report, analyse_bytes};

fn report() -> Report {
    analyse_bytes("occupied.pcap", include_bytes!("../data/captures/occupied-tuple.pcap"), &Options::default())
}

#[test]
fn an_occupied_tuple_is_found_with_its_frames() {
    let report = report();
    let [found] = report.found.as_slice() else { panic!("{:?}", report.found) };
    assert_eq!(
        (found.finding, found.outcome.as_deref()),
        ("tuple-collision", Some("challenge, reset, retry succeeded"))
    );
    assert_eq!(found.frames.iter().map(|frame| frame.frame).collect::<Vec<_>>(), [6, 7, 8, 9, 10, 11]);
    assert_eq!((found.count, found.groups[0].who.as_str()), (1, "10.99.0.1 -> 10.99.0.2:8080"));
    assert_eq!(found.facts["occupants"], serde_json::json!({"established": 1}));
    let ladder = found.ladder.as_ref().unwrap();
    assert_eq!((ladder.left.as_str(), ladder.right.as_str()), ("10.99.0.1:40001", "10.99.0.2:8080"));
    let rows: Vec<_> = ladder.rows.iter().map(|row| (row.flags.as_str(), row.seq, row.ack, row.note)).collect();
    // The challenge and the RST that answers it speak of the old connection's numbers.
    let first = [
        ("SYN", 0, None, "collision"),
        ("ACK", 0, Some(0), "challenge"),
        ("RST", 0, None, "challenged"),
        ("SYN", 0, None, "renewed"),
        ("SYN|ACK", 0, Some(1), "answered"),
        ("ACK", 1, Some(1), "retry-succeeded"),
    ];
    assert_eq!(rows[..6], first);
}

#[test]
fn a_report_counts_flows_by_file_and_end() {
    let report = report();
    let [file] = report.files.as_slice() else { panic!("{:?}", report.files) };
    assert_eq!((file.packets, file.flows, file.ended), (13, 2, "whole"));
    assert_eq!(file.states.iter().collect::<Vec<_>>(), [(&"close-wait", &1), (&"closed", &1)]);
    assert_eq!(file.outcomes.iter().collect::<Vec<_>>(), [(&"challenged", &1), (&"retry-succeeded", &1)]);
    assert_eq!(report.conn_states.iter().collect::<Vec<_>>(), [(&"RSTO", &1), (&"S2", &1)]);
    assert_eq!((report.flows, report.live, report.notes["quiet"]), (2, 1, 2));
}

#[test]
fn ordinary_captures_are_no_storms_floods_or_exhaustion() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/captures/zeek-tcp");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let report = analyse_bytes("ordinary", &std::fs::read(&path).unwrap(), &Options::default());
        let alarm = ["half-open", "connection-storm", "port-exhaustion"];
        assert!(report.found.iter().all(|found| !alarm.contains(&found.finding)), "{path:?}: {:#?}", report.found);
        read += report.packets;
    }
    assert!(read > 1000, "{read}");
}

/// What Zeek says of these is what its source says (analyzer/protocol/tcp, base/protocols/conn/main.zeek).
#[test]
fn ends_have_the_names_that_zeek_gives_them() {
    type Ends = &'static [(&'static str, u64)];
    let cases: [(&[u8], Ends); 5] = [
        // An answer to a SYN is enough to be established.
        (include_bytes!("../../../../tests/data/captures/truth/syn-flood.pcap"), &[("S1", 48), ("SF", 1)]),
        // An ACK of an old connection answers no SYN, and the RST to it ends this one.
        (include_bytes!("../../../../tests/data/captures/truth/time-wait-old-syn.pcap"), &[("RSTOS0", 1), ("SF", 1)]),
        // Its SYN was not seen, and the RST comes after both FINs.
        (include_bytes!("../../../../tests/data/captures/zeek-tcp/ctu-64702-888.pcap"), &[("SF", 1)]),
        // A FIN, a RST behind it, and then the FIN of the other end.
        (include_bytes!("../../../../tests/data/captures/zeek-tcp/qi_internet_SYNACK_curl_jsonip.pcap"), &[("SF", 1)]),
        // Only who answers was heard.
        (include_bytes!("../../../../tests/data/captures/zeek-tcp/one-sided-2745.pcap"), &[("SHR", 2)]),
    ];
    for (capture, ends) in cases {
        let report = analyse_bytes("x.pcap", capture, &Options::default());
        assert_eq!(report.conn_states.into_iter().collect::<Vec<_>>(), ends);
    }
}
