//! Archives that are cut, changed, or not what they say: what can be read is read, and the rest is told.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use tar::EntryType::{self, Block, Char, Fifo, Link, Regular, Symlink};
use tidegate_scan::source::{Ended, Input};

use super::desk::{read_bytes, read_paths, run_while};
use super::make::{gz, log, raw_entry, raw_header, tar, tgz};

#[test]
fn cut_anywhere_what_came_is_read() {
    let (one, two) = (log(60), log(25));
    let whole = tar(&[("one", &one), ("two.gz", &gz(&two)), ("three", b"3\n")]);
    for (content, packed) in [(whole.clone(), false), (gz(&whole), true), (gz(&one), true)] {
        let all = read_bytes("x", &content);
        for cut in (0..content.len()).step_by(97) {
            let outcome = read_bytes("x", &content[..cut]);
            for (member, wanted) in outcome.members.iter().zip(&all.members) {
                let seen = if member.path == wanted.path {
                    wanted.bytes.starts_with(&member.bytes)
                } else {
                    // Too little to see what it is.
                    member.path == "x" && member.bytes.len() < 512
                };
                assert!(seen, "at {cut}: {outcome:?}");
                assert!(member.ended == Some(Ended::Whole) || matches!(member.ended, Some(Ended::Truncated(_))));
            }
            let cut_is_told = !outcome.troubles.is_empty()
                || outcome.members.iter().any(|member| member.ended != Some(Ended::Whole))
                // Nothing says that the few bytes of a header were to be one, nor that zeros are missing at the end.
                || cut <= 511
                || !packed && cut > content.len() - 1024;
            assert!(cut_is_told, "at {cut} of {}: {outcome:?}", content.len());
        }
    }
}

#[test]
fn changed_bytes_are_noticed() {
    let text = log(3000);
    let mut packed = gz(&text);
    let end = packed.len();
    packed[end - 6] ^= 1;
    let outcome = read_bytes("x", &packed);
    assert!(matches!(outcome.ended("x"), Ended::Broken(why) if why.contains("checksum")));
    assert_eq!(outcome.text("x"), text);
    packed[end / 2] ^= 0x40;
    let outcome = read_bytes("x", &packed);
    assert!(matches!(outcome.ended("x"), Ended::Broken(_)));
    assert!(outcome.text("x").len() > text.len() / 3);
    // In a bundle, the members are whole, and the bundle is told.
    let mut bundle = tgz(&[("a", &text)]);
    let end = bundle.len();
    bundle[end - 6] ^= 1;
    let outcome = read_bytes("x", &bundle);
    assert_eq!((outcome.text("x!a"), outcome.ended("x!a")), (&text[..], &Ended::Whole));
    assert_eq!(outcome.troubles(), [("broken", "x")]);
}

#[test]
fn a_damaged_header_leaves_the_entries_after_it() {
    let mut made = tar(&[("one", b"1\n"), ("two", b"2\n"), ("three", b"3\n")]);
    made[1024 + 20] ^= 1;
    let outcome = read_bytes("x", &made);
    assert_eq!(outcome.paths(), ["x!one", "x!three"]);
    assert_eq!(outcome.troubles(), [("broken", "x")]);
    let with_rest = [tar(&[("one", b"1\n")]), b"rest".repeat(1000)].concat();
    assert_eq!(read_bytes("x", &with_rest).troubles(), [("broken", "x")]);
}

#[test]
fn archives_that_follow_one_another_are_all_read() {
    let both = [tgz(&[("one", b"1\n")]), tgz(&[("two", b"2\n")])].concat();
    let outcome = read_bytes("x", &both);
    assert_eq!((outcome.paths(), outcome.troubles()), (vec!["x!one", "x!two"], vec![]));
}

#[test]
fn names_that_lead_outside_are_told_and_read() {
    let names = ["../outside", "/etc/passwd", "a/../../b", "..", "C:\\x", "\\\\server\\x", "a\\..\\b"];
    let entries = names.map(|name| raw_entry(name.as_bytes(), Regular, name.as_bytes())).concat();
    let fine = ["./a", "a..b/..c", "vmfs/volumes/naa:1/x", "x:y/z"];
    let others = fine.map(|name| raw_entry(name.as_bytes(), Regular, b"fine\n")).concat();
    let outcome = read_bytes("x", &gz(&[entries, others, vec![0; 1024]].concat()));
    let told: Vec<_> = names.iter().map(|name| format!("x!{name}")).collect();
    assert_eq!(outcome.troubles(), told.iter().map(|path| ("escape", path.as_str())).collect::<Vec<_>>());
    assert!(outcome.members[..7].iter().zip(names).all(|(member, name)| member.bytes == name.as_bytes()));
    assert_eq!(outcome.paths()[7..], ["x!a", "x!a..b/..c", "x!vmfs/volumes/naa:1/x", "x!x:y/z"]);
    assert!(!std::path::Path::new("../outside").exists());
}

#[test]
fn links_and_devices_are_refused() {
    let kinds = [(Symlink, "link"), (Link, "link"), (Char, "device"), (Block, "device"), (Fifo, "device")];
    let sparse = [(EntryType::GNUSparse, "sparse")];
    let entries = kinds.iter().chain(&sparse).map(|(kind, _)| raw_entry(b"a", *kind, b"")).collect::<Vec<_>>().concat();
    let pax = pax_entry("GNU.sparse.major", "1");
    let holes = [pax, raw_entry(b"a", Regular, b"map\n"), raw_entry(b"b", Regular, b"text\n"), vec![0; 1024]].concat();
    let outcome = read_bytes("x", &[entries, holes].concat());
    assert_eq!(outcome.paths(), ["x!b"]);
    let wanted: Vec<_> = kinds.iter().chain(&sparse).chain(&sparse).map(|(_, what)| (*what, "x!a")).collect();
    assert_eq!(outcome.troubles(), wanted);
}

fn pax_entry(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length =
        (1..10).map(|digits| rest.len() + digits).find(|length| length.to_string().len() + rest.len() == *length);
    raw_entry(b"p", EntryType::XHeader, format!("{}{rest}", length.unwrap()).as_bytes())
}

#[test]
fn names_of_every_kind() {
    let long = format!("{}/{}", "folder".repeat(40), "n".repeat(90));
    let huge = "h".repeat(9000);
    let old = {
        let mut header = tar::Header::new_old();
        header.set_path("old").unwrap();
        header.set_size(2);
        header.set_cksum();
        let mut bytes = [header.as_bytes(), &b"o\n"[..]].concat();
        bytes.resize(1024, 0);
        bytes
    };
    let made = [
        &tar(&[(&long, b"gnu\n")])[..2560],
        &pax_entry("path", &format!("pax/{long}")),
        &raw_entry(b"short", Regular, b"pax\n"),
        &old,
        &pax_entry("path", &huge),
        &raw_entry(b"huge", Regular, b"huge\n"),
        // Larger than any name: passed over.
        &raw_entry(b"l", EntryType::GNULongName, &vec![b'l'; 300 << 10]),
        &raw_entry(b"last\xff", Regular, b"last\n"),
        &[0; 1024],
    ]
    .concat();
    let outcome = read_bytes("x", &made);
    let wanted = [format!("x!{long}"), format!("x!pax/{long}"), "x!old".to_owned(), format!("x!{}…", &huge[..4096])];
    assert_eq!(outcome.paths()[..4], wanted);
    assert_eq!(outcome.paths()[4..], ["x!last\u{fffd}"]);
    let texts: Vec<_> = outcome.members.iter().map(|member| String::from_utf8_lossy(&member.bytes)).collect();
    assert_eq!(texts, ["gnu\n", "pax\n", "o\n", "huge\n", "last\n"]);
    assert_eq!(outcome.troubles(), [("broken", "x")]);
}

#[test]
fn sizes_that_lie() {
    // More than there is, and more than a number holds.
    let mut lie = raw_header(b"a", Regular, 0o777_7777_7777).as_bytes().to_vec();
    lie.extend(b"text\n");
    let outcome = read_bytes("x", &lie);
    assert!(matches!(outcome.ended("x!a"), Ended::Truncated(_)));
    assert_eq!(outcome.text("x!a"), b"text\n");
    let huge = [pax_entry("size", "18446744073709551615"), raw_entry(b"a", Regular, b"text\n")].concat();
    assert!(matches!(read_bytes("x", &huge).ended("x!a"), Ended::Truncated(_)));
}

#[test]
fn files_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a"), "text\n").unwrap();
    fs::hard_link(path("a"), path("b")).unwrap();
    symlink("/etc/passwd", path("c")).unwrap();
    symlink(".", path("d")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(path("e")).status().unwrap();
    assert!(pipe.success());
    let outcome = read_paths(&[folder.path().to_owned()]);
    assert_eq!(outcome.members.len(), 1);
    let [b, c, d, e] = ["b", "c", "d", "e"].map(|name| path(name).to_str().unwrap().to_owned());
    assert_eq!(outcome.troubles(), [("same", &*b), ("link", &*c), ("link", &*d), ("device", &*e)]);
    // Named by itself, a link is followed, and a device is still none.
    let outcome = read_paths(&[path("d").join("a"), path("e"), "/dev/zero".into()]);
    assert_eq!(outcome.members.len(), 1);
    assert_eq!(outcome.troubles(), [("device", &*e), ("device", "/dev/zero")]);
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let (folder, text) = (tempfile::tempdir().unwrap(), log(40_000));
    let path = folder.path().join("a");
    let name = path.to_str().unwrap();
    fs::write(&path, &text).unwrap();
    let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let inputs = [Input::Path(path.clone())];
    // What it gains belongs to the next run.
    let gain = |read, _| {
        if read > 0 {
            (&file).write_all(b"more\n").unwrap();
        }
    };
    let outcome = run_while(&inputs, &gain);
    assert_eq!(outcome.ended(name), &Ended::Whole);
    assert!(outcome.text(name) == text);
    // After the first block it is cut.
    let cut = |read, _| {
        if read > 0 {
            file.set_len(read).unwrap();
        }
    };
    let outcome = run_while(&inputs, &cut);
    assert!(matches!(outcome.ended(name), Ended::Truncated(why) if why.contains("shorter")));
    assert!(outcome.text(name) == &text[..1 << 20]);
}
