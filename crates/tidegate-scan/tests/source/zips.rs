//! zip: by its directory, forward, inside others, damaged.

use std::io::Write;

use tidegate_scan::source::{Ended, Input, Limits};
use zip::CompressionMethod::{Deflated, Stored};

use super::desk::{bytes, read_bytes, run};
use super::make::{gz, log, streamed_zip, tar, tgz, zip};

#[test]
fn a_zip_of_bundles() {
    let (text, other) = (log(20_000), log(40));
    let bundle = tgz(&[("esx/hostd.log", &text), ("esx/hostd.0.gz", &gz(&other))]);
    for made in [
        zip(&[("a.tgz", &bundle), ("note.txt", b"text\n")], Stored),
        zip(&[("a.tgz", &bundle), ("note.txt", b"text\n")], Deflated),
        streamed_zip(&[("a.tgz", &bundle), ("note.txt", b"text\n")]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs.zip");
        std::fs::write(&path, &made).unwrap();
        for threads in [1, 3] {
            let outcome = run(&[Input::Path(path.clone()), bytes("x", &made)], &Limits::default(), threads);
            assert_eq!(outcome.troubles, []);
            let name = |root: &str, rest| format!("{root}!{rest}");
            let roots = [path.to_str().unwrap(), "x"];
            let rests = ["a.tgz!esx/hostd.log", "a.tgz!esx/hostd.0.gz", "note.txt"];
            assert_eq!(outcome.paths(), roots.map(|root| rests.map(|rest| name(root, rest))).concat());
            for (member, wanted) in outcome.members.iter().zip([&text[..], &other, b"text\n"].iter().cycle()) {
                assert_eq!((&member.bytes[..], &member.ended), (*wanted, &Some(Ended::Whole)));
            }
        }
    }
}

#[test]
fn a_zip_inside_is_read_forward() {
    let text = log(20_000);
    let entries: &[(&str, &[u8])] = &[("a.gz", &gz(&text)), ("empty", b""), ("b.log", &text), ("folder/", b"")];
    for made in [zip(entries, Stored), zip(entries, Deflated), streamed_zip(entries)] {
        let outcome = read_bytes("x", &tgz(&[("y.zip", &made), ("z", b"after\n")]));
        assert_eq!(outcome.paths(), ["x!y.zip!a.gz", "x!y.zip!empty", "x!y.zip!b.log", "x!z"]);
        assert_eq!((outcome.text("x!y.zip!a.gz"), outcome.text("x!y.zip!b.log")), (&text[..], &text[..]));
        assert!(outcome.members.iter().all(|member| member.ended == Some(Ended::Whole)));
        assert_eq!(outcome.troubles, []);
    }
}

#[test]
fn sizes_of_eight_bytes_and_archives_in_a_row() {
    let text = log(3000);
    let options = zip::write::SimpleFileOptions::default().compression_method(Deflated).large_file(true);
    let write = |mut writer: zip::ZipWriter<std::io::Cursor<Vec<u8>>>| {
        for name in ["one", "two"] {
            writer.start_file(name, options).unwrap();
            writer.write_all(&text).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let made = write(zip::ZipWriter::new(std::io::Cursor::new(Vec::new())));
    for outcome in [read_bytes("x", &made), read_bytes("x", &gz(&made))] {
        assert_eq!((outcome.text("x!one"), outcome.text("x!two")), (&text[..], &text[..]));
        assert_eq!(outcome.troubles, []);
    }
    let both = [made.clone(), made].concat();
    assert_eq!(read_bytes("x", &both).troubles(), [("broken", "x")]);
}

#[test]
fn a_zip_without_its_end() {
    let text = log(20_000);
    let made = zip(&[("one", &text), ("two", &text)], Deflated);
    let outcome = read_bytes("x", &made[..made.len() - 200]);
    assert_eq!((outcome.text("x!one"), outcome.ended("x!one")), (&text[..], &Ended::Whole));
    assert!(outcome.text("x!two").len() > text.len() / 2);
    assert_eq!(outcome.troubles(), [("truncated", "x")]);
    // Bytes before and after do no harm to the directory.
    let longer = [&made[..], &[b' '; 300]].concat();
    assert_eq!(read_bytes("x", &longer).paths(), ["x!one", "x!two"]);
}

#[test]
fn a_damaged_entry_leaves_the_others() {
    let text = log(20_000);
    for method in [Stored, Deflated] {
        let mut made = zip(&[("one", &text), ("two", &text)], method);
        made[5000] ^= 0x55;
        for (name, made) in [("x", made.clone()), ("y", tar(&[("x", &made)]))] {
            let outcome = read_bytes(name, &made);
            let [one, two] = [0, 1].map(|at| outcome.members[at].clone());
            assert!(matches!(one.ended, Some(Ended::Broken(_))), "{:?}", one.ended);
            assert!(one.bytes.len() > 4000);
            assert_eq!((&two.bytes, two.ended), (&text, Some(Ended::Whole)));
        }
    }
}

#[test]
fn what_is_refused() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_symlink("link", "/etc/passwd", options).unwrap();
    writer.start_file("../outside", options.compression_method(Stored)).unwrap();
    writer.write_all(b"inside\n").unwrap();
    let made = writer.finish().unwrap().into_inner();
    let outcome = read_bytes("x", &made);
    assert_eq!(outcome.paths(), ["x!../outside"]);
    assert_eq!(outcome.members[0].bytes, b"inside\n");
    assert_eq!(outcome.troubles(), [("link", "x!link"), ("escape", "x!../outside")]);
    // Forward, what is a link is known too late.
    let outcome = read_bytes("y", &tar(&[("x", &made)]));
    assert_eq!(outcome.paths(), ["y!x!link", "y!x!../outside"]);
    assert_eq!(outcome.troubles(), [("escape", "y!x!../outside"), ("link", "y!x!link")]);

    // The method of every entry, here and in the directory: 93 is zstd. And the flag of encryption.
    let mut other = zip(&[("a", b"text\n")], Stored);
    let central = other.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    (other[8], other[central + 10]) = (93, 93);
    assert_eq!(read_bytes("x", &other).troubles(), [("packed", "x!a")]);
    (other[6], other[central + 8]) = (1, 1);
    assert_eq!(read_bytes("x", &other).troubles(), [("encrypted", "x!a")]);
    assert_eq!(read_bytes("y", &tar(&[("x", &other)])).troubles(), [("encrypted", "y!x!a")]);
}

#[test]
fn no_directory_makes_it_panic() {
    let made = zip(&[("one", &log(40)), ("two", b"2")], Deflated);
    let central = made.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    for at in central..made.len() {
        for value in [0, 1, 0xff] {
            let mut other = made.clone();
            other[at] = value;
            read_bytes("x", &other);
        }
    }
}
