//! A desk that keeps everything, and the ways to read into it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tidegate_scan::source::{Desk, Ended, Input, Limits, Member, Reader, Stopped, Trouble, read};

/// What was told of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub path: String,
    pub bytes: Vec<u8>,
    pub ended: Option<Ended>,
}

/// What was told of a run.
#[derive(Default)]
pub struct Kept {
    members: Arc<Mutex<Vec<Told>>>,
    troubles: Mutex<Vec<Trouble>>,
}

struct Keeper {
    index: usize,
    members: Arc<Mutex<Vec<Told>>>,
}

impl Reader for Keeper {
    fn data(&mut self, block: &[u8]) {
        assert!(!block.is_empty(), "a block without bytes");
        self.members.lock().unwrap()[self.index].bytes.extend_from_slice(block);
    }

    fn end(self: Box<Self>, ended: Ended) {
        self.members.lock().unwrap()[self.index].ended = Some(ended);
    }
}

impl Desk for Kept {
    fn open(&self, member: Member) -> Option<Box<dyn Reader>> {
        let mut members = self.members.lock().unwrap();
        assert_eq!(member.index, members.len(), "numbers are given out one after another");
        members.push(Told { path: member.path, bytes: Vec::new(), ended: None });
        Some(Box::new(Keeper { index: member.index, members: Arc::clone(&self.members) }))
    }

    fn trouble(&self, trouble: Trouble) {
        assert!(trouble.detail.ends_with('.'), "no sentence: {}", trouble.detail);
        self.troubles.lock().unwrap().push(trouble);
    }
}

/// All members and troubles of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub members: Vec<Told>,
    pub troubles: Vec<Trouble>,
}

impl Outcome {
    pub fn paths(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.path.as_str()).collect()
    }

    pub fn text(&self, path: &str) -> &[u8] {
        let found: Vec<_> = self.members.iter().filter(|member| member.path == path).collect();
        assert_eq!(found.len(), 1, "{path} among {:?}", self.paths());
        &found[0].bytes
    }

    pub fn ended(&self, path: &str) -> &Ended {
        let member = self.members.iter().find(|member| member.path == path);
        member.and_then(|member| member.ended.as_ref()).unwrap_or_else(|| panic!("{path} among {:?}", self.paths()))
    }

    /// The words of the troubles and what they are about.
    pub fn troubles(&self) -> Vec<(&str, &str)> {
        self.troubles.iter().map(|trouble| (trouble.what, trouble.path.as_str())).collect()
    }
}

pub fn run(inputs: &[Input], limits: &Limits, threads: usize) -> Outcome {
    let kept = Kept::default();
    read(inputs, limits, threads, &kept, &|_, _| true).unwrap();
    outcome(kept)
}

/// Reads until so many calls of the progress were made.
pub fn run_until(inputs: &[Input], calls: u64, threads: usize) -> (Result<(), Stopped>, Outcome) {
    let (kept, left) = (Kept::default(), AtomicU64::new(calls));
    let go_on = |_, _| left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
    (read(inputs, &Limits::default(), threads, &kept, &go_on), outcome(kept))
}

/// Reads, and does something with every call of the progress.
pub fn run_while(inputs: &[Input], each: &(dyn Fn(u64, u64) + Sync)) -> Outcome {
    let kept = Kept::default();
    let go_on = |read, total| {
        each(read, total);
        true
    };
    read(inputs, &Limits::default(), 1, &kept, &go_on).unwrap();
    outcome(kept)
}

fn outcome(kept: Kept) -> Outcome {
    let members = kept.members.lock().unwrap().clone();
    assert!(members.iter().all(|member| member.ended.is_some()), "a member was opened and not ended: {members:?}");
    Outcome { members, troubles: kept.troubles.into_inner().unwrap() }
}

pub fn bytes(name: &str, bytes: &[u8]) -> Input {
    Input::Bytes { name: name.to_owned(), bytes: bytes.to_vec() }
}

/// Reads bytes with the documented limits.
pub fn read_bytes(name: &str, content: &[u8]) -> Outcome {
    run(&[bytes(name, content)], &Limits::default(), 1)
}

/// Reads files and folders with the documented limits.
pub fn read_paths(paths: &[std::path::PathBuf]) -> Outcome {
    let inputs: Vec<_> = paths.iter().cloned().map(Input::Path).collect();
    run(&inputs, &Limits::default(), 1)
}
