//! Files, folders, gzip, tar and zip: what they hold comes out whole, under the right path.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tidegate_scan::source::{Ended, Input, Limits};

use super::desk::{bytes, read_bytes, read_paths, run};
use super::make::{gz, log, raw_entry, tar, tgz};

#[test]
fn a_file_and_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("b")).unwrap();
    let (newest, older) = (log(9000), log(3));
    for (name, content) in [
        ("hostd.log", newest.clone()),
        ("hostd.0.gz", gz(&older)),
        ("hostd.10.gz", gz(b"ten\n")),
        ("hostd.9.gz", gz(b"nine\n")),
        ("b/empty", Vec::new()),
    ] {
        fs::write(root.join(name), content).unwrap();
    }
    let outcome = read_paths(&[root.to_owned()]);
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    assert_eq!(outcome.paths(), ["b/empty", "hostd.log", "hostd.0.gz", "hostd.9.gz", "hostd.10.gz"].map(path));
    assert_eq!(outcome.text(&path("hostd.log")), newest);
    assert_eq!(outcome.text(&path("hostd.0.gz")), older);
    assert_eq!(outcome.text(&path("b/empty")), b"");
    assert!(outcome.members.iter().all(|member| member.ended == Some(Ended::Whole)));
    assert_eq!(outcome.troubles, []);
}

#[test]
fn a_bundle() {
    let (text, older) = (log(9000), log(20_000));
    let bundle =
        tgz(&[("esx-a/var/run/log/hostd.log", &text), ("esx-a/var/run/log/hostd.0.gz", &gz(&older)), ("esx-a/e", b"")]);
    let outcome = read_bytes("x.tgz", &bundle);
    let wanted = ["x.tgz!esx-a/var/run/log/hostd.log", "x.tgz!esx-a/var/run/log/hostd.0.gz", "x.tgz!esx-a/e"];
    assert_eq!(outcome.paths(), wanted);
    assert_eq!(outcome.text(wanted[0]), text);
    assert_eq!(outcome.text(wanted[1]), older);
    assert_eq!(outcome.troubles, []);
}

#[test]
fn text_as_windows_writes_it_is_told() {
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| "\u{feff}one\n".encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    for content in [utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes)] {
        assert_eq!(read_bytes("x", &content).troubles(), [("utf-16", "x")]);
    }
    assert_eq!(read_bytes("x", "\u{feff}one\n".as_bytes()).troubles(), []);
}

#[test]
fn kinds_are_found_by_content() {
    let text = log(10);
    for (name, content) in [("bundle.txt", tgz(&[("a.gz", &text)])), ("bundle.log", tar(&[("a.gz", &text)]))] {
        let outcome = read_bytes(name, &content);
        assert_eq!(outcome.paths(), [format!("{name}!a.gz")]);
        assert_eq!(outcome.members[0].bytes, text);
    }
}

#[test]
fn gzip_members_follow_one_another() {
    let (one, other) = (log(5000), log(7));
    let mut both = [gz(&one), gz(b""), gz(&other)].concat();
    let wanted = [one, other].concat();
    assert_eq!(read_bytes("a", &both).text("a"), wanted);
    both.extend([0; 700]);
    assert_eq!(read_bytes("a", &both).troubles, []);
    both.extend(b"garbage");
    let outcome = read_bytes("a", &both);
    assert_eq!((outcome.text("a"), outcome.ended("a")), (&wanted[..], &Ended::Whole));
    assert_eq!(outcome.troubles(), [("trailing", "a")]);
}

#[test]
fn nothing_and_nearly_nothing() {
    for content in [&b""[..], b"\n", b"P", b"PK", b"\x1f\x8b", b"\0", &[0; 512], &[0; 4000]] {
        let outcome = read_bytes("a", content);
        assert_eq!((outcome.text("a"), outcome.ended("a")), (content, &Ended::Whole));
    }
}

#[test]
fn what_cannot_be_opened_is_told_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (here, gone) = (folder.path().join("here"), folder.path().join("gone"));
    fs::write(&here, "text\n").unwrap();
    let outcome =
        run(&[Input::Path(gone.clone()), Input::Path(here), bytes("pasted", b"more\n")], &Limits::default(), 2);
    assert_eq!(outcome.members.iter().map(|member| &member.bytes[..]).collect::<Vec<_>>(), [&b"text\n"[..], b"more\n"]);
    assert_eq!(outcome.troubles(), [("unreadable", gone.to_str().unwrap())]);
    assert_eq!(read_paths(&[PathBuf::new()]).troubles(), [("unreadable", "")]);
}

#[test]
fn dumps_of_the_vmkernel() {
    let line = b"2021-01-01T13:07:09.954Z cpu36:1001599386)@BlueScreen: #PF Exception 14\n";
    let readable = [&[0; 300_000][..], line, &[0xff; 5000]].concat();
    let packed = gz(&log(2000)).repeat(3)[10..].to_vec();
    let bundle = tgz(&[
        ("var/core/vmkernel-zdump.1", &readable),
        ("var/core/vmkernel-zdump.2.FRAG-00000", &packed),
        ("x.log", &packed),
    ]);
    let outcome = read_bytes("x", &bundle);
    assert_eq!(outcome.text("x!var/core/vmkernel-zdump.1"), readable);
    assert_eq!(outcome.troubles(), [("zdump", "x!var/core/vmkernel-zdump.2")]);
    assert!(outcome.troubles[0].detail.contains("`vmkdump_extract -l vmkernel-zdump.2`"));
    // A line that two blocks share.
    for blocks in [&readable[300_000..300_030], &readable[..300_031]] {
        let both = [
            raw_entry(b"vmkernel-zdump.1.FRAG-00000", tar::EntryType::Regular, blocks),
            raw_entry(b"vmkernel-zdump.1.FRAG-00001", tar::EntryType::Regular, &readable[300_000..][..72]),
            vec![0; 1024],
        ];
        assert_eq!(read_bytes("x", &both.concat()).troubles, []);
    }
}

#[test]
fn bundles_are_named_and_other_packers_too() {
    let esxi: &[(&str, &[u8])] =
        &[("esx-a/etc/vmware/vm-support/a.mfx", b"m\n"), ("esx-a/etc/vmware/vm-support/b.mfx", b"m\n")];
    let vcenter: &[(&str, &[u8])] = &[("vc/usr/lib/vmware-sca/conf/vc-support.properties", b"p\n")];
    let outcome = read_bytes("x", &tar(&[("esx.tgz", &tgz(esxi)), ("vc.tgz", &tgz(vcenter))]));
    assert_eq!(outcome.troubles(), [("bundle", "x!esx.tgz"), ("bundle", "x!vc.tgz")]);
    let outcome = read_bytes("x", b"\xfd7zXZ\0and more");
    assert_eq!((outcome.text("x"), outcome.troubles()), (&b"\xfd7zXZ\0and more"[..], vec![("packed", "x")]));
}

/// The child of the test below; by itself it has nothing to do.
#[test]
fn standard_input_in_a_child() {
    if std::env::var_os("TIDEGATE_TEST_STDIN").is_some() {
        let outcome = run(&[Input::Stdin], &Limits::default(), 2);
        assert_eq!(outcome.paths(), ["stdin!a.log", "stdin!b.gz"]);
        assert_eq!(outcome.members[1].bytes, log(2000));
    }
}

#[test]
fn standard_input() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kinds::standard_input_in_a_child"])
        .env("TIDEGATE_TEST_STDIN", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let content = tgz(&[("a.log", &log(30_000)), ("b.gz", &gz(&log(2000)))]);
    child.stdin.take().unwrap().write_all(&content).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
