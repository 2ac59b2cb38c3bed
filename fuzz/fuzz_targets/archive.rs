//! Files, archives and archives in archives: whatever the bytes are, it ends, within the budgets, and every member that was
//! opened is ended. With a worker the same is told.
#![no_main]

use std::sync::Arc;
use std::sync::Mutex;

use tidegate_scan::source::{Desk, Ended, Input, Limits, Member, Reader, Trouble, read};

const LIMITS: Limits = Limits {
    total_bytes: 4 << 20,
    member_bytes: 1 << 20,
    members: 100,
    depth: 3,
    name_bytes: 200,
    ratio: 600,
    ratio_from: 1 << 20,
    nested_ratio_from: 1 << 16,
};

#[derive(Debug, PartialEq)]
struct Told {
    path: String,
    bytes: u64,
    ended: Option<Ended>,
}

#[derive(Default)]
struct Counts {
    members: Arc<Mutex<Vec<Told>>>,
    troubles: Mutex<u64>,
}

struct Counter(usize, Arc<Mutex<Vec<Told>>>);

impl Reader for Counter {
    fn data(&mut self, block: &[u8]) {
        assert!(!block.is_empty());
        let mut members = self.1.lock().unwrap();
        members[self.0].bytes += block.len() as u64;
        assert!(members[self.0].bytes <= LIMITS.member_bytes);
    }

    fn end(self: Box<Self>, ended: Ended) {
        assert!(self.1.lock().unwrap()[self.0].ended.replace(ended).is_none());
    }
}

impl Desk for Counts {
    fn open(&self, member: Member) -> Option<Box<dyn Reader>> {
        let mut members = self.members.lock().unwrap();
        assert_eq!(member.index, members.len());
        members.push(Told { path: member.path, bytes: 0, ended: None });
        Some(Box::new(Counter(member.index, Arc::clone(&self.members))))
    }

    fn trouble(&self, trouble: Trouble) {
        assert!(trouble.detail.ends_with('.'));
        *self.troubles.lock().unwrap() += 1;
    }
}

fn told(input: &Input, threads: usize) -> (Vec<Told>, u64) {
    let counts = Counts::default();
    read(std::slice::from_ref(input), &LIMITS, threads, &counts, &|_, _| true).unwrap();
    let members = std::mem::take(&mut *counts.members.lock().unwrap());
    let all: u64 = members.iter().map(|member| member.bytes).sum();
    assert!(all <= LIMITS.total_bytes && members.len() <= LIMITS.members);
    assert!(members.iter().all(|member| member.ended.is_some()));
    (members, counts.troubles.into_inner().unwrap())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let input = Input::Bytes { name: "x".to_owned(), bytes: data.to_vec() };
    let (alone, troubles) = told(&input, 1);
    // A budget of the whole run is met by whoever comes first.
    let spent = alone.iter().any(|member| matches!(member.ended, Some(Ended::Budget(_)))) || troubles > 0;
    if !spent && data.first().is_some_and(|first| first % 8 == 7) {
        assert_eq!(told(&input, 2).0, alone);
    }
});
