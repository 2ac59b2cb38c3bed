//! The same captures read in different ways.

use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use tidegate_scan::flows::{Analysis, How, Options, Report, analyse};
use tidegate_scan::source::Input;

use crate::pcap::{file, segments};
use crate::play::{any_packet, packets};

const OPTIONS: Options = Options { flows_max: 10_000, seed: 1, each: true };

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> Input {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Input::Path(path)
}

fn read(inputs: &[Input], how: How, shards: u32) -> Analysis {
    let mut all = analyse(inputs, how, &OPTIONS, shards, &|_, _| true).unwrap();
    all.reports.iter_mut().for_each(|report| report.bytes_per_flow = None);
    all
}

/// A report without what it says of its files.
fn plain(mut report: Report) -> Report {
    report.files.clear();
    report.found.iter_mut().for_each(|found| {
        found.frames.clear();
        found.ladder = None;
    });
    report.each = None;
    report
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn threads_and_files_change_nothing(
        mut plays in prop::collection::vec(any_packet(), 1..200),
        cut in 0..200_usize,
        shards in 2..4_u32,
    ) {
        // Merged files are in the order of time, and word of ICMP is not written here.
        plays.iter_mut().for_each(|play| (play.later, play.undelivered) = (play.later.abs() + 1, false));
        let packets = packets(&plays);
        let folder = TempDir::new().unwrap();
        let whole = [write(&folder, "whole.pcap", &file(&packets))];
        let (first, second) = packets.split_at(cut.min(packets.len()));
        let halves = [write(&folder, "a.pcap", &file(first)), write(&folder, "b.pcap", &file(second))];
        let (client, server): (Vec<_>, Vec<_>) = packets.iter().partition(|packet| segments(packet).target == 443);
        let sides = [write(&folder, "to.pcap", &file(&client)), write(&folder, "from.pcap", &file(&server))];
        let told = read(&whole, How::Together, 1);
        prop_assert_eq!(&told, &read(&whole, How::Together, shards));
        prop_assert_eq!(&told, &read(&whole, How::Each, 1));
        let [report] = told.reports.try_into().unwrap();
        for parts in [halves, sides] {
            let [merged] = read(&parts, How::Together, 1).reports.try_into().unwrap();
            prop_assert_eq!(merged.files.iter().map(|file| file.packets).sum::<u64>(), report.packets);
            prop_assert_eq!(plain(merged), plain(report.clone()));
        }
    }
}

#[test]
fn each_capture_has_its_report_and_other_files_are_counted() {
    let folder = TempDir::new().unwrap();
    let capture = include_bytes!("../data/captures/occupied-tuple.pcap");
    write(&folder, "a.pcap", capture);
    write(&folder, "b.txt", b"no capture at all");
    write(&folder, "c.pcap", &capture[..capture.len() - 10]);
    write(&folder, "d.pcap", &file(&[]));
    let inputs = [Input::Path(folder.path().to_owned())];
    let all = read(&inputs, How::Each, 1);
    let names = |report: &Report| {
        let [file] = report.files.as_slice() else { panic!("{:?}", report.files) };
        let name = Path::new(&file.path).file_name().unwrap().to_str().unwrap().to_owned();
        (name, file.packets, report.found.len(), file.skipped.keys().copied().collect::<Vec<_>>())
    };
    let told: Vec<_> = all.reports.iter().map(names).collect();
    let expected = [("a.pcap", 13, 1, vec![]), ("c.pcap", 12, 1, vec!["record-cut"]), ("d.pcap", 0, 0, vec![])];
    assert_eq!(told, expected.map(|(name, packets, found, skipped)| (name.to_owned(), packets, found, skipped)));
    assert_eq!((all.not_captures.count, all.not_captures.paths.len(), all.troubles), (1, 1, vec![]));
    // Two times the same connection, one after the other.
    let together = read(&inputs, How::Together, 4);
    let [report] = together.reports.as_slice() else { panic!("{:?}", together.reports) };
    assert_eq!((report.files.len(), report.packets, together.not_captures.count), (3, 25, 1));
    assert!(report.found.iter().flat_map(|found| &found.frames).all(|frame| frame.file < 3));
}

#[test]
fn frames_name_files_by_their_place_in_the_report() {
    let capture = include_bytes!("../data/captures/occupied-tuple.pcap");
    let empty = Input::Bytes { name: "empty.pcap".to_owned(), bytes: file(&[]) };
    let full = Input::Bytes { name: "full.pcap".to_owned(), bytes: capture.to_vec() };
    let all = read(&[empty, full], How::Together, 1);
    let [report] = all.reports.as_slice() else { panic!("{:?}", all.reports) };
    assert_eq!(report.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["empty.pcap", "full.pcap"]);
    let found = &report.found[0];
    assert!(found.frames.iter().all(|frame| frame.file == 1));
    assert!(found.ladder.iter().flat_map(|ladder| &ladder.rows).all(|row| row.file == 1));
    assert!(report.each.iter().flatten().all(|line| (line.first.file, line.last.file) == (1, 1)));
}

#[test]
fn every_flow_is_told_on_request() {
    let capture = include_bytes!("../data/captures/occupied-tuple.pcap");
    let all = read(&[Input::Bytes { name: "full.pcap".to_owned(), bytes: capture.to_vec() }], How::Together, 1);
    let lines = all.reports[0].each.clone().unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line.conn_state, line.completeness, line.outcome, line.packets)).collect();
    assert_eq!(told, [("RSTO", 0b10_1111, Some("challenged"), 8), ("S2", 0b01_0111, None, 5)]);
    assert_eq!(lines[0].states, ["syn-sent", "syn-received", "established", "closed"]);
    assert_eq!(lines[1].states, ["syn-sent", "syn-received", "established", "fin-wait", "close-wait"]);
    assert_eq!((lines[0].first.frame, lines[0].last.frame), (1, 8));
    assert_eq!((lines[1].first.frame, lines[1].last.frame), (9, 13));
}

#[test]
fn who_stops_gets_no_report() {
    let folder = TempDir::new().unwrap();
    let input = [write(&folder, "a.pcap", include_bytes!("../data/captures/occupied-tuple.pcap"))];
    for (how, shards) in [(How::Each, 1), (How::Together, 1), (How::Together, 3)] {
        assert!(analyse(&input, how, &OPTIONS, shards, &|_, _| false).is_err());
    }
}
