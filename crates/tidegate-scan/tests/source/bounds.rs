//! What strangers send: budgets end it, and what came before the end is kept.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use tidegate_scan::source::{Ended, Input, Limits};
use zip::CompressionMethod::{Deflated, Stored};

use super::desk::{bytes, read_bytes, run};
use super::make::{gz, log, tar, tgz, zip};

/// Zeros, packed.
fn zeros(count: u64) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..count >> 20 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn zeros_in_zeros_end_by_the_ratio() {
    let bomb = zeros(1 << 30);
    let outcome = read_bytes("x", &gz(&bomb));
    let limits = Limits::default();
    assert!(matches!(outcome.ended("x"), Ended::Budget(_)));
    assert!(outcome.text("x").len() as u64 <= 2 * limits.nested_ratio_from.max(limits.ratio * (256 << 10)));
    assert_eq!(outcome.troubles(), [("budget", "x")]);
    // The same in a bundle: what comes after it is read. With workers too, and to the same byte.
    let bundle = [bytes("y", &tgz(&[("a", b"one\n"), ("b.gz", &gz(&bomb)), ("c.gz", &bomb), ("d", b"two\n")]))];
    let limits = Limits { ratio: 60, ..limits };
    let outcome = run(&bundle, &limits, 1);
    assert_eq!(outcome.paths(), ["y!a", "y!b.gz", "y!c.gz", "y!d"]);
    assert_eq!((outcome.text("y!a"), outcome.text("y!d")), (&b"one\n"[..], &b"two\n"[..]));
    assert_eq!(outcome.troubles(), [("budget", "y!b.gz"), ("budget", "y!c.gz")]);
    let mut other = run(&bundle, &limits, 4);
    other.troubles.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(outcome == other);
}

#[test]
fn an_honest_log_that_packs_well_is_read() {
    let text = b"2025-08-08T12:00:00.000Z info hostd[1] [Originator@6876 sub=Vimsvc] the same again\n".repeat(500_000);
    let packed = gz(&text);
    assert!(text.len() / packed.len() > 140, "{}", text.len() / packed.len());
    let outcome = read_bytes("x", &tgz(&[("a.gz", &packed), ("b", &text)]));
    assert!(outcome.members.iter().all(|member| member.ended == Some(Ended::Whole) && member.bytes == text));
    assert_eq!(outcome.troubles, []);
}

#[test]
fn a_ratio_is_that_of_what_came_in() {
    let text = log(60_000);
    let packed = gz(&text);
    let ratio = (text.len() / packed.len()) as u64 + 1;
    let limits = Limits { ratio, ratio_from: 1, nested_ratio_from: 1, ..Limits::default() };
    let folder = tempfile::tempdir().unwrap();
    for (at, part) in packed.chunks(packed.len() / 3).enumerate() {
        std::fs::write(folder.path().join(format!("x.gz.FRAG-{at:05}")), part).unwrap();
    }
    std::fs::write(folder.path().join("y"), &packed).unwrap();
    let bundle = tgz(&[("a", b"one\n"), ("x.gz", &packed), ("y.gz", &packed)]);
    std::fs::write(folder.path().join("z.zip"), zip(&[("x", &text), ("y", &bundle)], Deflated)).unwrap();
    let inputs =
        [Input::Path(folder.path().to_owned()), bytes("v", &bundle), bytes("w", &gz(&zip(&[("x", &packed)], Stored)))];
    for threads in [1, 3] {
        let outcome = run(&inputs, &limits, threads);
        assert_eq!((outcome.members.len(), &outcome.troubles), (10, &vec![]));
        assert!(outcome.members.iter().all(|member| member.ended == Some(Ended::Whole)));
    }
}

#[test]
fn members_have_a_budget() {
    let (text, limits) = (log(1000), Limits { member_bytes: 5000, ..Limits::default() });
    let inputs = [bytes("a", &text), bytes("b", &tgz(&[("c", &text), ("d.gz", &gz(&text)), ("e", b"small\n")]))];
    for threads in [1, 3] {
        let outcome = run(&inputs, &limits, threads);
        for path in ["a", "b!c", "b!d.gz"] {
            assert_eq!(outcome.text(path), &text[..5000]);
            assert!(matches!(outcome.ended(path), Ended::Budget(_)));
        }
        assert_eq!((outcome.text("b!e"), outcome.ended("b!e")), (&b"small\n"[..], &Ended::Whole));
        assert_eq!(outcome.troubles.iter().filter(|trouble| trouble.what == "budget").count(), 3);
    }
}

#[test]
fn a_run_has_a_budget() {
    let text = log(20_000);
    let limits = Limits { total_bytes: 2 << 20, ..Limits::default() };
    let inputs = [bytes("a", &tgz(&[("b", &text), ("c", &text)])), bytes("d", &text)];
    let outcome = run(&inputs, &limits, 1);
    assert!(matches!(outcome.ended("a!b"), Ended::Budget(_)));
    assert!(!outcome.paths().contains(&"a!c"));
    let told: usize = outcome.members.iter().map(|member| member.bytes.len()).sum();
    assert!(told > 0 && told <= 2 << 20, "{told}");
    assert!(outcome.troubles.iter().all(|trouble| trouble.what == "budget"));
    // What is passed over counts: this is unpacked, and nobody reads it.
    let hidden = tar(&[("link", b"")]);
    let mut header = tar::Header::from_byte_slice(&hidden[..512]).clone();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(64 << 20);
    header.set_cksum();
    let bomb = gz(&[&header.as_bytes()[..], &vec![0; 64 << 20]].concat());
    assert_eq!(run(&[bytes("x", &bomb)], &limits, 1).troubles(), [("sparse", "x!link"), ("budget", "x")]);
}

#[test]
fn entries_have_a_budget() {
    let names: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), &b"text\n"[..])).collect();
    let limits = Limits { members: 20, ..Limits::default() };
    let folder = tempfile::tempdir().unwrap();
    for name in &names {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let path = Input::Path(folder.path().to_owned());
    for input in [bytes("x", &tar(&entries)), bytes("x", &tgz(&entries)), bytes("x", &zip(&entries, Deflated)), path] {
        let outcome = run(&[input], &limits, 1);
        assert_eq!(outcome.members.len(), 20);
        assert_eq!(outcome.troubles.iter().map(|trouble| trouble.what).collect::<Vec<_>>(), ["budget"]);
    }
}

#[test]
fn archives_in_archives_have_a_limit() {
    let inner = tgz(&[("a.gz", &gz(b"text\n")), ("b.gz", &gz(&gz(b"deep\n"))), ("c.tar", &tar(&[("d", b"text\n")]))]);
    let outcome = read_bytes("x", &zip(&[("y.tgz", &inner)], Deflated));
    assert_eq!(outcome.paths(), ["x!y.tgz!a.gz", "x!y.tgz!c.tar!d"]);
    assert_eq!(outcome.troubles(), [("too-deep", "x!y.tgz!b.gz")]);
    // The one that unpacks to itself would have no end.
    let mut bomb = b"text\n".to_vec();
    for _ in 0..100 {
        bomb = gz(&bomb);
    }
    let outcome = read_bytes("x", &bomb);
    assert_eq!((outcome.members.len(), outcome.troubles()), (0, vec![("too-deep", "x")]));
}

#[test]
fn many_troubles_of_a_kind_are_counted() {
    let mut made = Vec::new();
    for number in 0..250 {
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("link{number}")).unwrap();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_cksum();
        made.write_all(header.as_bytes()).unwrap();
    }
    made.extend([0; 1024]);
    let outcome = read_bytes("x", &made);
    assert_eq!(outcome.troubles.len(), 101);
    assert!(outcome.troubles[100].detail.starts_with("And 150 more"), "{}", outcome.troubles[100].detail);
}
