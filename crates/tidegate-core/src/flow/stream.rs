//! The rules of what comes after: data, acknowledgements, FINs, resets, gaps.

use super::machine::Flow;
use super::note::{Invalid, Note};
use super::profile::Profile;
use super::segment::{Event, Segment};
use super::state::{Role, State};
use super::window::{Fit, ahead, exact, fit};

/// After this many segments outside the windows, one after the other, it is the windows that are wrong: the capture has a gap.
const MISSES_MAX: u8 = 3;

impl Flow {
    pub(super) fn fits(&self, segment: &Segment) -> Fit {
        let (sender, receiver) = self.ends(segment.from);
        if self.liberal() { Fit::Inside } else { fit(sender, receiver, segment) }
    }

    pub(super) fn stay(&mut self, segment: &Segment) -> Note {
        match segment.event() {
            Event::Syn | Event::SynAck => return Note::Again,
            Event::Rst => return Note::Late,
            _ if self.state.over() => {}
            // What does not fit teaches nothing: a FIN that stays for the acknowledgement in it must fit, too.
            _ if self.state == State::OrphanSynAck || self.fits(segment) == Fit::Inside => self.learn(segment),
            _ => return Note::Invalid(Invalid::Window),
        }
        Note::Quiet
    }

    pub(super) fn gap(&mut self, segment: &Segment) {
        self.set_liberal();
        self.ends_mut(segment.from).1.skip_to(segment.ack);
    }

    /// Learns from a segment that fits. Outside the path, what does not fit may be the capture's fault.
    pub(super) fn data(&mut self, segment: &Segment, profile: &Profile) -> Note {
        match self.fits(segment) {
            Fit::Inside => self.accept(segment),
            Fit::Unseen if !profile.strict => {
                self.gap(segment);
                self.accept(segment);
                Note::Gap
            }
            _ => self.miss(segment, profile),
        }
    }

    fn accept(&mut self, segment: &Segment) -> Note {
        self.misses = 0;
        let (sender, receiver) = self.ends_mut(segment.from);
        // Alive after all: what it sends now lies behind its doubtful RST.
        if sender.reset_pending() && ahead(segment.end(), sender.end) >= 0 {
            sender.set_reset_pending(false);
        }
        let note = if sender.asks(receiver, segment) {
            Note::Keepalive
        } else if sender.heard() && ahead(segment.seq, sender.end) > 0 {
            Note::Hole
        } else {
            Note::Quiet
        };
        sender.learn(segment, receiver);
        note
    }

    fn miss(&mut self, segment: &Segment, profile: &Profile) -> Note {
        self.misses = self.misses.saturating_add(1);
        if profile.strict || self.misses < MISSES_MAX {
            return Note::Invalid(Invalid::Window);
        }
        self.misses = 0;
        self.set_liberal();
        let (sender, receiver) = self.ends_mut(segment.from);
        sender.follow(segment, receiver);
        receiver.skip_to(segment.ack);
        Note::Gap
    }

    pub(super) fn fin_ack(&mut self, segment: &Segment, profile: &Profile, then: State) -> Note {
        let note = self.data(segment, profile);
        let (sender, receiver) = self.ends(segment.from);
        let open = |one: bool, acked: bool| one && !acked;
        let all =
            !open(sender.fin(), sender.fin_acked_by(receiver)) && !open(receiver.fin(), receiver.fin_acked_by(sender));
        if !all || matches!(note, Note::Invalid(_)) {
            return note;
        }
        self.state = then;
        if then == State::TimeWait { Note::Ended } else { Note::FinAcked }
    }

    pub(super) fn agree(&mut self, segment: &Segment) -> Note {
        let (sender, receiver) = self.ends(segment.from);
        let mut said = *sender;
        said.follow(segment, receiver);
        if receiver.heard() && fit(&said, receiver, segment) != Fit::Outside {
            return self.established(segment, Note::Assumed);
        }
        let (sender, receiver) = self.ends_mut(segment.from);
        if receiver.heard() {
            sender.follow(segment, receiver)
        } else {
            sender.learn(segment, receiver)
        }
        Note::Quiet
    }

    pub(super) fn fin(&mut self, segment: &Segment, profile: &Profile, state: State) -> Note {
        let handshake = self.state == State::SynReceived && self.role(segment) == Role::Initiator;
        if handshake && !self.acks_syn(segment) {
            return Note::Invalid(Invalid::Ack);
        }
        let note = self.data(segment, profile);
        if matches!(note, Note::Invalid(_)) {
            return note;
        }
        self.state = state;
        Note::Fin
    }

    pub(super) fn reset(&mut self, role: Role) -> Note {
        let handshake = matches!(self.state, State::SynReceived | State::Simultaneous);
        self.state = State::Closed;
        if handshake && role == Role::Initiator { Note::Aborted } else { Note::Reset }
    }

    pub(super) fn reset_checked(&mut self, segment: &Segment, role: Role) -> Note {
        let (sender, receiver) = self.ends(segment.from);
        if exact(sender, receiver, segment) {
            return self.reset(role);
        }
        if self.fits(segment) == Fit::Outside {
            return Note::Invalid(Invalid::Window);
        }
        self.ends_mut(segment.from).0.set_reset_pending(true);
        Note::ResetPending
    }
}
