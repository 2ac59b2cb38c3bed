//! Captures that others recorded.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tidegate_scan::capture::{Body, File, Format, Packet, Sink, flag, read};
use tidegate_scan::source::{Ended, Input, Stopped, Trouble};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures").join(name)
}

/// Keeps a letter for every segment, upper case from the side that spoke first, and the files.
#[derive(Default)]
struct Letters {
    letters: String,
    files: Vec<File>,
    troubles: Vec<Trouble>,
}

impl Sink for Letters {
    fn packets(&mut self, batch: &[Packet<'_>]) {
        for packet in batch {
            let Body::Tcp(tcp) = packet.body else { continue };
            let letter = match tcp.flags {
                flags if flags & flag::RST != 0 => 'r',
                flags if flags & flag::SYN != 0 && flags & flag::ACK != 0 => 'h',
                flags if flags & flag::SYN != 0 => 's',
                flags if flags & flag::FIN != 0 => 'f',
                _ if tcp.length > 0 => 'd',
                _ => 'a',
            };
            let client = tcp.source > tcp.target;
            self.letters.push(if client { letter.to_ascii_uppercase() } else { letter });
        }
    }

    fn end(&mut self, file: File) {
        self.files.push(file);
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

fn letters(inputs: &[Input]) -> Letters {
    let sink = Arc::new(Mutex::new(Letters::default()));
    read(inputs, &sink, &|_, _| true).unwrap();
    Arc::into_inner(sink).unwrap().into_inner().unwrap()
}

#[test]
fn an_occupied_tuple_is_challenged_and_tried_again() {
    let read = letters(&[Input::Path(data("occupied-tuple.pcap"))]);
    let [file] = read.files.as_slice() else { panic!("{:?}", read.files) };
    assert_eq!((file.format, &file.ended, file.records), (Some(Format::Pcap), &Ended::Whole, file.packets));
    // SYN on the live tuple, the old connection's ACK, RST, SYN again.
    assert!(read.letters.contains("SaRSh"), "{}", read.letters);
    assert!(read.troubles.is_empty());
}

#[test]
fn what_is_no_capture_is_told_without_a_format() {
    let inputs = ["text", "", "PK"].map(|text| Input::Bytes { name: text.to_owned(), bytes: text.into() });
    let read = letters(&inputs);
    assert_eq!(read.files.len(), 3);
    assert!(read.files.iter().all(|file| file.format.is_none() && file.records == 0));
}

#[test]
fn whoever_stops_keeps_what_was_read() {
    let sink = Arc::new(Mutex::new(Letters::default()));
    assert_eq!(read(&[Input::Path(data("occupied-tuple.pcap"))], &sink, &|_, _| false), Err(Stopped));
}
