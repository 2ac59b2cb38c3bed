//! Whatever the number of threads: the same members in the same order, and every byte.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tidegate_scan::source::{Desk, Ended, Input, Limits, Member, Reader, Trouble, read};

use super::desk::{bytes, run, run_until, run_while};
use super::make::{gz, log, tar, tgz};

/// A bundle with much that workers can do, and some that they cannot.
fn bundle() -> Vec<u8> {
    let inner: Vec<_> = (0..40).map(|turn| gz(&log(turn * 300))).collect();
    let names: Vec<_> = (0..40).map(|turn| format!("var/run/log/hostd.{turn}.gz")).collect();
    let mut entries: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(inner.iter().map(Vec::as_slice)).collect();
    let (text, packed) = (log(2000), gz(&tar(&[("a", b"one\n"), ("b", b"two\n")])));
    entries.insert(20, ("commands.tgz", &packed));
    entries.insert(3, ("var/run/log/vpxa.log", &text));
    tgz(&entries)
}

#[test]
fn members_are_the_same_with_one_thread_and_with_four() {
    let inputs = [bytes("one.tgz", &bundle()), bytes("text", &log(100)), bytes("two.tgz", &bundle())];
    let alone = run(&inputs, &Limits::default(), 1);
    assert_eq!(alone.members.len(), 2 * 43 + 1);
    assert!(alone.members.iter().all(|member| member.ended == Some(Ended::Whole)));
    for threads in [0, 2, 4, 16] {
        assert!(run(&inputs, &Limits::default(), threads) == alone);
    }
}

#[test]
fn it_stops_where_it_is_told_to() {
    let inputs = [bytes("one.tgz", &bundle())];
    for threads in [1, 4] {
        for calls in [0, 1, 5, 30] {
            let (stopped, outcome) = run_until(&inputs, calls, threads);
            assert!(stopped.is_err());
            assert!(outcome.members.len() < 43);
            assert_eq!(outcome.troubles, []);
        }
    }
}

#[test]
fn the_progress_comes_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tgz");
    std::fs::write(&path, bundle()).unwrap();
    let inputs = [Input::Path(path), bytes("y", &bundle())];
    let whole = 2 * bundle().len() as u64;
    let steps = Mutex::new(Vec::new());
    run_while(&inputs, &|read, total| steps.lock().unwrap().push((read, total)));
    let steps = steps.into_inner().unwrap();
    assert!(steps.is_sorted() && steps.iter().all(|(_, total)| *total == whole));
    assert_eq!(steps.last(), Some(&(whole, whole)));
}

/// Reads everything and keeps the words of troubles only.
struct Nothing(Mutex<Vec<&'static str>>);

struct Unread;

impl Reader for Unread {
    fn data(&mut self, _block: &[u8]) {}
    fn end(self: Box<Self>, _ended: Ended) {}
}

impl Desk for Nothing {
    fn open(&self, _member: Member) -> Option<Box<dyn Reader>> {
        Some(Box::new(Unread))
    }
    fn trouble(&self, trouble: Trouble) {
        self.0.lock().unwrap().push(trouble.what);
    }
}

#[test]
fn it_stops_when_the_caller_alone_says_so() {
    // As with Ctrl-C in Python: the thread that reads a long file is another one, to which signals do not come.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.log");
    std::fs::File::create(&path).unwrap().set_len(8 << 30).unwrap();
    let (caller, asked) = (std::thread::current().id(), AtomicU64::new(0));
    let go_on = |_, _| std::thread::current().id() != caller || asked.fetch_add(1, Relaxed) < 4;
    assert!(read(&[Input::Path(path)], &Limits::default(), 2, &Nothing(Mutex::default()), &go_on).is_err());
}

#[test]
fn a_file_that_says_it_is_empty_and_has_no_end_is_left() {
    let (desk, path) = (Nothing(Mutex::default()), "/proc/self/pagemap".into());
    read(&[Input::Path(path)], &Limits::default(), 2, &desk, &|_, _| true).unwrap();
    assert_eq!(desk.0.into_inner().unwrap(), ["budget"]);
}
