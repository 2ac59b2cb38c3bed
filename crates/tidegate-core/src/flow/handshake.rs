//! The rules of beginnings: SYNs, their answers, and what refuses or gives them up.

use super::machine::Flow;
use super::note::{Invalid, Note};
use super::profile::Profile;
use super::segment::{Segment, flags};
use super::state::State;
use super::window::Fit;

impl Flow {
    pub(super) fn go(&mut self, segment: &Segment, state: State, note: Note) -> Note {
        self.learn(segment);
        self.state = state;
        note
    }

    pub(super) fn same_syn(&self, segment: &Segment) -> bool {
        let (sender, _) = self.ends(segment.from);
        sender.heard() && sender.syn_number() == segment.seq
    }

    pub(super) fn acks_syn(&self, segment: &Segment) -> bool {
        segment.has(flags::ACK) && self.ends(segment.from).1.syn_acked_by(segment.ack)
    }

    pub(super) fn open(&mut self, segment: &Segment, note: Note) -> Note {
        self.begin(segment.from);
        self.go(segment, State::SynSent, note)
    }

    /// The same incarnation: nobody answered the SYN that this one replaces.
    pub(super) fn open_again(&mut self, segment: &Segment) -> Note {
        self.ends_mut(segment.from).1.set_old_ack(None);
        self.go(segment, State::SynSent, Note::NewAttempt)
    }

    pub(super) fn belated(&mut self, segment: &Segment) -> Note {
        let answered = segment.from == self.initiator() && self.ends(segment.from).1.ack == segment.end();
        if !answered {
            return self.open(segment, Note::Renewed);
        }
        let responder = *self.ends(segment.from).1;
        self.restart(segment.from);
        *self.ends_mut(segment.from).1 = responder;
        self.go(segment, State::SynReceived, Note::Answered)
    }

    pub(super) fn answer_again(&mut self, segment: &Segment) -> Note {
        let (initiator_heard, sender) = (self.ends(segment.from).1.heard(), self.ends(segment.from).0);
        if sender.heard() && sender.syn_number() == segment.seq {
            return Note::Again;
        }
        if initiator_heard && !self.acks_syn(segment) {
            return Note::Invalid(Invalid::Ack);
        }
        self.learn(segment);
        Note::NewAttempt
    }

    pub(super) fn join(&mut self, segment: &Segment, state: State) -> Note {
        self.begin(segment.from);
        self.set_assumed();
        self.go(segment, state, Note::Joined)
    }

    pub(super) fn established(&mut self, segment: &Segment, note: Note) -> Note {
        let note = if self.take_challenged() { Note::RetrySucceeded } else { note };
        self.go(segment, State::Established, note)
    }

    pub(super) fn complete(&mut self, segment: &Segment, profile: &Profile) -> Note {
        if self.acks_syn(segment) {
            return self.established(segment, Note::Established);
        }
        if profile.strict || self.fits(segment) != Fit::Unseen {
            return Note::Invalid(Invalid::Ack);
        }
        self.gap(segment);
        self.established(segment, Note::Established)
    }

    pub(super) fn early(&mut self, segment: &Segment, profile: &Profile) -> Note {
        let note = self.data(segment, profile);
        if segment.len > 0 && !matches!(note, Note::Invalid(_)) {
            self.ends_mut(segment.from).0.set_early();
        }
        note
    }

    pub(super) fn abort_or_clear(&mut self, segment: &Segment) -> Note {
        if self.ends(segment.from).1.old_ack() == Some(segment.seq) {
            return Note::OldPeerReset;
        }
        self.state = State::Closed;
        Note::Aborted
    }

    pub(super) fn refuse(&mut self, segment: &Segment) -> Note {
        if !self.acks_syn(segment) {
            return Note::Invalid(Invalid::Ack);
        }
        self.state = State::Closed;
        Note::Refused
    }
}
