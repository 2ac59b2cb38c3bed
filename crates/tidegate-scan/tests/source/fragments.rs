//! Parts of files: put together when they follow one another, and told when one is missing or in another place.

use std::fs;

use tidegate_scan::source::{Ended, Limits};

use super::desk::{Outcome, bytes, read_bytes, read_paths, run};
use super::make::{gz, log, tar, tgz};

/// A log, cut into parts, and the names of the parts.
fn parts(text: &[u8], count: usize) -> Vec<(String, &[u8])> {
    let size = text.len().div_ceil(count);
    text.chunks(size).enumerate().map(|(part, chunk)| (format!("log/hostd.log.FRAG-{part:05}"), chunk)).collect()
}

fn packed(parts: &[(String, &[u8])]) -> Vec<u8> {
    let mut entries: Vec<(&str, &[u8])> = vec![("before", b"one\n")];
    entries.extend(parts.iter().map(|(name, content)| (name.as_str(), *content)));
    entries.push(("after", b"two\n"));
    tgz(&entries)
}

fn read(parts: &[(String, &[u8])]) -> Outcome {
    let outcome = read_bytes("x", &packed(parts));
    assert_eq!((outcome.text("x!before"), outcome.text("x!after")), (&b"one\n"[..], &b"two\n"[..]));
    assert!(outcome.members.iter().all(|member| member.ended == Some(Ended::Whole)));
    outcome
}

#[test]
fn in_order() {
    let text = log(3000);
    for count in [1, 2, 13] {
        let outcome = read(&parts(&text, count));
        assert_eq!(outcome.paths(), ["x!before", "x!log/hostd.log", "x!after"]);
        assert_eq!(outcome.text("x!log/hostd.log"), text);
        assert_eq!(outcome.troubles, []);
    }
}

#[test]
fn one_in_the_middle_is_missing() {
    let text = log(3000);
    let mut parts = parts(&text, 6);
    parts.remove(3);
    parts.remove(2);
    let outcome = read(&parts);
    let wanted = ["x!before", "x!log/hostd.log", "x!log/hostd.log.FRAG-00004", "x!after"];
    assert_eq!(outcome.paths(), wanted);
    assert_eq!(outcome.text(wanted[1]), [parts[0].1, parts[1].1].concat());
    assert_eq!(outcome.text(wanted[2]), [parts[2].1, parts[3].1].concat());
    let missing = [2, 3].map(|part| format!("x!log/hostd.log.FRAG-{part:05}"));
    assert_eq!(outcome.troubles(), missing.each_ref().map(|path| ("missing-fragment", path.as_str())));
}

#[test]
fn the_first_is_missing() {
    let text = log(3000);
    let parts = parts(&text, 3);
    let outcome = read(&parts[1..]);
    assert_eq!(outcome.text("x!log/hostd.log.FRAG-00001"), [parts[1].1, parts[2].1].concat());
    assert_eq!(outcome.troubles(), [("missing-fragment", "x!log/hostd.log.FRAG-00000")]);
}

#[test]
fn out_of_order() {
    let text = log(3000);
    let mut parts = parts(&text, 4);
    parts.swap(1, 2);
    let outcome = read(&parts);
    let bytes: usize = outcome.members.iter().map(|member| member.bytes.len()).sum();
    assert_eq!(bytes, text.len() + 8);
    assert_eq!(outcome.troubles(), [("fragment-order", "x!log/hostd.log")]);
}

#[test]
fn a_packed_file_in_parts() {
    let (text, other) = (log(20_000), log(40));
    let inner = tgz(&[("vpxd.log", &text), ("vpxd-1.log.gz", &gz(&other))]);
    let parts: Vec<_> =
        inner.chunks(10_000).enumerate().map(|(part, chunk)| (format!("vc.tgz.FRAG-{part:05}"), chunk)).collect();
    let entries: Vec<_> = parts.iter().map(|(name, chunk)| (name.as_str(), *chunk)).collect();
    for threads in [1, 3] {
        let outcome = run(&[bytes("x.tar", &tar(&entries))], &Limits::default(), threads);
        assert_eq!(outcome.paths(), ["x.tar!vc.tgz!vpxd.log", "x.tar!vc.tgz!vpxd-1.log.gz"]);
        assert_eq!((&outcome.members[0].bytes, &outcome.members[1].bytes), (&text, &other));
        assert_eq!(outcome.troubles, []);
    }
}

#[test]
fn in_a_folder_and_as_files_that_were_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("log")).unwrap();
    let text = log(3000);
    let parts = parts(&text, 12);
    // Folders list their files in any order.
    let paths: Vec<_> = parts.iter().map(|(name, _)| folder.path().join(name)).collect();
    for (path, (_, content)) in paths.iter().zip(&parts).rev() {
        fs::write(path, content).unwrap();
    }
    for inputs in [&[folder.path().to_owned()][..], &paths] {
        let outcome = read_paths(inputs);
        assert_eq!(outcome.paths(), [folder.path().join("log/hostd.log").to_str().unwrap()]);
        assert_eq!((&outcome.members[0].bytes, &outcome.troubles), (&text, &vec![]));
    }
    fs::remove_file(&paths[5]).unwrap();
    let outcome = read_paths(&[folder.path().to_owned()]);
    assert_eq!(outcome.troubles(), [("missing-fragment", paths[5].to_str().unwrap())]);
    assert_eq!(outcome.members.iter().map(|member| member.bytes.len()).sum::<usize>(), text.len() - parts[5].1.len());
}

#[test]
fn a_stop_inside_a_part() {
    let text = log(3000);
    let whole = tar(&parts(&text, 3).iter().map(|(name, chunk)| (name.as_str(), *chunk)).collect::<Vec<_>>());
    let outcome = read_bytes("x", &whole[..whole.len() / 2]);
    assert!(matches!(outcome.ended("x!log/hostd.log"), Ended::Truncated(_)));
    assert!(text.starts_with(outcome.text("x!log/hostd.log")));
    assert_eq!(outcome.troubles(), [("truncated", "x")]);
}
