//! How often the machine said what.

use std::collections::BTreeMap;

use tidegate_core::flow::{Invalid, Note, Outcome};

/// All notes and their words, in the order of [`place`].
const WORDS: [&str; 36] = [
    "quiet",
    "keepalive",
    "hole",
    "opened",
    "renewed",
    "again",
    "new-attempt",
    "crossed",
    "answered",
    "established",
    "retry-succeeded",
    "assumed",
    "joined",
    "orphan",
    "old-peer",
    "old-peer-reset",
    "refused",
    "aborted",
    "reset",
    "reset-pending",
    "fin",
    "fin-acked",
    "ended",
    "late",
    "collision",
    "challenge",
    "gap",
    "challenged",
    "unanswered",
    "superseded",
    "rejected",
    "silent",
    "invalid-flags",
    "invalid-unexpected",
    "invalid-ack",
    "invalid-window",
];

fn place(note: Note) -> usize {
    match note {
        Note::Quiet => 0,
        Note::Keepalive => 1,
        Note::Hole => 2,
        Note::Opened => 3,
        Note::Renewed => 4,
        Note::Again => 5,
        Note::NewAttempt => 6,
        Note::Crossed => 7,
        Note::Answered => 8,
        Note::Established => 9,
        Note::RetrySucceeded => 10,
        Note::Assumed => 11,
        Note::Joined => 12,
        Note::Orphan => 13,
        Note::OldPeer => 14,
        Note::OldPeerReset => 15,
        Note::Refused => 16,
        Note::Aborted => 17,
        Note::Reset => 18,
        Note::ResetPending => 19,
        Note::Fin => 20,
        Note::FinAcked => 21,
        Note::Ended => 22,
        Note::Late => 23,
        Note::Collision => 24,
        Note::Challenge => 25,
        Note::Gap => 26,
        Note::Settled(Outcome::Challenged) => 27,
        Note::Settled(Outcome::Unanswered) => 28,
        Note::Settled(Outcome::Superseded) => 29,
        Note::Settled(Outcome::Rejected) => 30,
        Note::Settled(Outcome::Silent) => 31,
        Note::Invalid(Invalid::Flags) => 32,
        Note::Invalid(Invalid::Unexpected) => 33,
        Note::Invalid(Invalid::Ack) => 34,
        Note::Invalid(Invalid::Window) => 35,
    }
}

/// What a note is called in reports.
pub(crate) fn word(note: Note) -> &'static str {
    WORDS.get(place(note)).copied().unwrap_or_default()
}

/// How often each note came.
#[derive(Clone, Debug)]
pub(crate) struct Notes([u64; WORDS.len()]);

impl Default for Notes {
    fn default() -> Notes {
        Notes([0; WORDS.len()])
    }
}

impl Notes {
    /// One more.
    pub fn count(&mut self, note: Note) {
        self.add(place(note), 1);
    }

    /// One more that is quiet.
    pub fn quiet(&mut self) {
        self.add(0, 1);
    }

    /// How often this one came.
    pub fn of(&self, note: Note) -> u64 {
        self.0.get(place(note)).copied().unwrap_or(0)
    }

    /// Those of another shard.
    pub fn absorb(&mut self, other: &Notes) {
        other.0.iter().enumerate().for_each(|(place, count)| self.add(place, *count));
    }

    /// Those that came at all.
    pub fn words(&self) -> BTreeMap<&'static str, u64> {
        WORDS.into_iter().zip(self.0).filter(|(_, count)| *count > 0).collect()
    }

    fn add(&mut self, place: usize, more: u64) {
        if let Some(count) = self.0.get_mut(place) {
            *count = count.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = WORDS.into_iter().collect();
        assert_eq!(words.len(), WORDS.len());
        let last = Note::Invalid(Invalid::Window);
        assert_eq!((place(last), word(last), word(Note::Gap)), (WORDS.len() - 1, "invalid-window", "gap"));
        assert!(Outcome::ALL.into_iter().all(|outcome| word(Note::Settled(outcome)) == outcome.name()));
    }
}
