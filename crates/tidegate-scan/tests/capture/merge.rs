//! Captures of one direction each, merged; and captures that are packed.

use std::io::Write;
use std::sync::{Arc, Mutex};

use flate2::{Compression, write::GzEncoder};
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_scan::capture::{BATCH, File, Packet, Sink, read, read_merged};
use tidegate_scan::source::{Ended, Input, Stopped, Trouble};

use crate::make::{RAW, pcap, tcp, v4};

/// Keeps when packets were captured, their files and frames, and the troubles' words.
#[derive(Default)]
struct Kept {
    packets: Vec<(u64, u32, u64)>,
    data: Vec<Vec<u8>>,
    files: Vec<File>,
    troubles: Vec<&'static str>,
}

impl Sink for Kept {
    fn packets(&mut self, batch: &[Packet<'_>]) {
        assert!(!batch.is_empty() && batch.len() <= BATCH);
        for packet in batch {
            self.packets.push((packet.at, packet.file, packet.frame));
            if let tidegate_scan::capture::Body::Tcp(tcp) = packet.body {
                self.data.push([tcp.data, packet.trailer].concat());
            }
        }
    }

    fn end(&mut self, file: File) {
        self.files.push(file);
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble.what);
    }
}

fn input(bytes: Vec<u8>) -> Input {
    Input::Bytes { name: "made".to_owned(), bytes }
}

/// A file with a packet for each of these seconds, which says its number in its data and behind it.
fn file(seconds: &[u32]) -> Vec<u8> {
    let packet = |number: usize| [v4(6, 0, &tcp(0x10, 1, 2, &[], &[number as u8; 5])), vec![number as u8; 3]].concat();
    let records: Vec<_> = (1..).zip(seconds).map(|(number, second)| (*second, 0, packet(number))).collect();
    pcap(RAW, &records)
}

fn merged(inputs: &[Input]) -> Kept {
    let sink = Mutex::new(Kept::default());
    read_merged(inputs, &sink, &|_, _| true).unwrap();
    sink.into_inner().unwrap()
}

#[test]
fn packets_come_in_the_order_of_time() {
    let kept = merged(&[input(file(&[1, 4, 4, 9])), input(file(&[2, 3, 4, 10]))]);
    let order: Vec<_> = kept.packets.iter().map(|(at, file, frame)| (at / 1_000_000_000, *file, *frame)).collect();
    assert_eq!(order, [(1, 0, 1), (2, 1, 1), (3, 1, 2), (4, 0, 2), (4, 0, 3), (4, 1, 3), (9, 0, 4), (10, 1, 4)]);
    let bytes: Vec<_> = kept.packets.iter().map(|(_, _, frame)| vec![u8::try_from(*frame).unwrap(); 8]).collect();
    assert_eq!(kept.data, bytes);
    assert_eq!(kept.files.iter().map(|file| file.packets).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn inputs_without_packets_hold_nobody_up() {
    let kept = merged(&[input(b"no capture".to_vec()), input(file(&[1])), input(file(&[])), input(vec![])]);
    assert_eq!(kept.packets, [(1_000_000_000, 1, 1)]);
    assert_eq!(kept.files.len(), 4);
    assert_eq!(merged(&[]).files, []);
    let missing = merged(&[Input::Path("no/such/capture".into()), input(file(&[1]))]);
    assert_eq!((missing.packets.len(), missing.troubles), (1, vec!["unreadable"]));
}

#[test]
fn more_inputs_than_are_merged_are_told() {
    let kept = merged(&vec![input(file(&[1])); 66]);
    assert_eq!((kept.packets.len(), kept.troubles), (64, vec!["budget"]));
}

#[test]
fn a_stop_ends_all_inputs() {
    let sink = Mutex::new(Kept::default());
    let inputs = [input(file(&[1; 200])), input(file(&[1; 200]))];
    assert_eq!(read_merged(&inputs, &sink, &|_, _| false), Err(Stopped));
}

#[test]
fn packed_captures_are_read_as_they_are() {
    let plain = file(&[1, 2, 3]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();
    for (bytes, cut) in [(packed.clone(), false), (packed[..packed.len() - 4].to_vec(), true)] {
        let sink = Arc::new(Mutex::new(Kept::default()));
        read(&[input(bytes)], &sink, &|_, _| true).unwrap();
        let kept = Arc::into_inner(sink).unwrap().into_inner().unwrap();
        assert_eq!(kept.packets.len(), 3);
        assert_eq!(matches!(kept.files[0].ended, Ended::Truncated(_)), cut);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn merging_is_sorting(seconds in vec((0..3_usize, 0..50_u32), 0..200)) {
        let mut seconds = seconds;
        seconds.sort_by_key(|(file, second)| (*second, *file));
        let of = |number| seconds.iter().filter(|(file, _)| *file == number).map(|(_, second)| *second).collect::<Vec<_>>();
        let kept = merged(&[0, 1, 2].map(|number| input(file(&of(number)))));
        let told: Vec<_> = kept.packets.iter().map(|(at, file, _)| (*file as usize, (at / 1_000_000_000) as u32)).collect();
        prop_assert_eq!(told, seconds);
    }
}
