//! The search against a naive one.

use super::{Found, Needle, Needles};
use proptest::prelude::*;

/// Every place of every literal that stands whole in the text, in any order of windows: by begin of the literal.
fn naive(needles: &[Needle], text: &[u8]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (number, needle) in needles.iter().enumerate() {
        for (at, there) in text.windows(needle.bytes.len()).enumerate() {
            let same = if needle.fold { there.eq_ignore_ascii_case(&needle.bytes) } else { there == needle.bytes };
            all.extend(same.then_some((number, at)));
        }
    }
    all
}

/// What the search finds, cut into parts of `step` bytes, with the places of literals instead of windows.
fn found(needles: &[Needle], text: &[u8], step: usize) -> Vec<(usize, usize)> {
    let search = Needles::new(needles.to_vec());
    let (mut all, mut part) = (Vec::new(), Vec::new());
    for from in (0..text.len()).step_by(step) {
        search.find(text, from, text.len().min(from + step), &mut part);
        assert!(part.is_sorted());
        all.extend(part.iter().map(|Found { at, needle }| {
            let window = search.windows().find(|window| window.needle == *needle).unwrap();
            (*needle, at - window.from)
        }));
    }
    all.sort_unstable();
    all
}

impl Needles {
    fn windows(&self) -> impl Iterator<Item = &super::Window> {
        self.classes.iter().flat_map(|class| match class {
            super::Class::Few(few) => few.windows(),
            super::Class::Many(many) => many.windows(),
        })
    }
}

fn letters(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(&b"abAB \xC3@`"[..]), length)
}

fn needle() -> impl Strategy<Value = Needle> {
    (letters(4..20), any::<bool>()).prop_map(|(mut bytes, fold)| {
        if fold {
            bytes.make_ascii_lowercase();
        }
        Needle { bytes, fold }
    })
}

proptest! {
    /// Few letters make literals overlap, share windows and stand everywhere.
    #[test]
    fn search_finds_what_a_naive_one_finds(
        needles in prop::collection::vec(needle(), 1..40),
        text in letters(0..600),
        planted in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..600), 0..20),
        step in 1_usize..700,
    ) {
        let mut text = text;
        for (which, at) in planted {
            let bytes = which.get(&needles).bytes.clone();
            let at = at.min(text.len());
            text.splice(at..at, bytes);
        }
        prop_assert_eq!(found(&needles, &text, step), naive(&needles, &text));
    }
}

#[test]
fn two_thousand_literals_are_found_in_each_other() {
    let needles: Vec<Needle> = (0..2000)
        .map(|n| Needle { bytes: format!("message number {n} of all").into_bytes(), fold: n % 3 == 0 })
        .collect();
    let text: Vec<u8> = (0..2000)
        .flat_map(|n| format!("Message number {n} of all\nmessage number {n} of all\n").into_bytes())
        .collect();
    assert_eq!(found(&needles, &text, 1000), naive(&needles, &text));
}
