//! One segment after the other: the rules behind the table's cells.

use super::cells::{Cell, cell};
use super::machine::Flow;
use super::note::{Invalid, Note, Outcome, Step};
use super::profile::Profile;
use super::segment::{Event, Segment, flags};
use super::state::{Role, State};
use super::window::{Fit, ahead, exact, fit};

/// After this many segments outside the windows, one after the other, it is the windows that are wrong: the capture has a gap.
const MISSES_MAX: u8 = 3;

impl Flow {
    /// Takes one segment. Total: every segment is possible in every state, and the answer says what it meant.
    pub fn step(&mut self, segment: &Segment, profile: &Profile) -> Step {
        let before = self.state;
        let mut lapsed = self.lapse(segment.at);
        let overdue = self.overdue(segment.at, profile);
        let note = match self.answer(segment) {
            Some(note) => note,
            None => self.follow(segment, profile, &mut lapsed),
        };
        if !matches!(note, Note::Invalid(_) | Note::Collision | Note::Orphan) {
            self.touch(segment.at);
        }
        Step { before, after: self.state, note, lapsed, overdue }
    }

    /// What the table says to it.
    fn follow(&mut self, segment: &Segment, profile: &Profile, lapsed: &mut Option<Outcome>) -> Note {
        let (role, event) = (self.role(segment), segment.event());
        match cell(role, event, self.state) {
            Cell::Stay => self.stay(segment),
            Cell::Invalid if matches!(event, Event::Bad | Event::Nothing) => Note::Invalid(Invalid::Flags),
            Cell::Invalid => Note::Invalid(Invalid::Unexpected),
            Cell::Orphan => Note::Orphan,
            Cell::Open => self.open(segment, Note::Opened),
            Cell::Renew => {
                *lapsed = lapsed.or(self.give_up());
                self.open(segment, Note::Renewed)
            }
            Cell::Resend if self.same_syn(segment) => Note::Again,
            Cell::Resend => self.open_again(segment),
            Cell::Contend | Cell::Shadow if self.same_syn(segment) => Note::Again,
            Cell::Contend | Cell::Shadow => {
                let (note, replaced) = self.contest(segment);
                *lapsed = lapsed.or(replaced);
                note
            }
            Cell::Cross => {
                self.set_crossed();
                self.go(segment, State::Simultaneous, Note::Crossed)
            }
            Cell::Belated => self.belated(segment),
            Cell::Strange => {
                self.begin(segment.from.other());
                self.set_assumed();
                self.go(segment, State::OrphanSynAck, Note::Joined)
            }
            Cell::Answer if self.acks_syn(segment) => self.go(segment, State::SynReceived, Note::Answered),
            Cell::Answer => Note::Invalid(Invalid::Ack),
            Cell::AnswerAgain => self.answer_again(segment),
            Cell::Join => self.join(segment, State::MidStream),
            Cell::JoinFin => self.join(segment, State::FinWait),
            Cell::OldAck => {
                self.ends_mut(segment.from).0.set_old_ack(Some(segment.ack));
                Note::OldPeer
            }
            Cell::Complete => self.complete(segment, profile),
            Cell::CompleteCrossed if self.crossed() && self.acks_syn(segment) => self.complete(segment, profile),
            Cell::CompleteCrossed => self.early(segment, profile),
            Cell::Data => self.data(segment, profile),
            Cell::FinAck => self.fin_ack(segment, profile, State::CloseWait),
            Cell::LastAck => self.fin_ack(segment, profile, State::TimeWait),
            Cell::Late => Note::Late,
            Cell::Agree => self.agree(segment),
            Cell::Fin => self.fin(segment, profile, State::FinWait),
            Cell::FinAgain if self.ends(segment.from).0.fin() => self.stay(segment),
            Cell::FinAgain => self.fin(segment, profile, State::LastAck),
            Cell::Reset => self.reset(role),
            Cell::AbortOrClear => self.abort_or_clear(segment),
            Cell::Refuse => self.refuse(segment),
            Cell::ResetChecked => self.reset_checked(segment, role),
        }
    }

    fn go(&mut self, segment: &Segment, state: State, note: Note) -> Note {
        self.learn(segment);
        self.state = state;
        note
    }

    fn same_syn(&self, segment: &Segment) -> bool {
        let (sender, _) = self.ends(segment.from);
        sender.heard() && sender.syn_number() == segment.seq
    }

    fn acks_syn(&self, segment: &Segment) -> bool {
        segment.has(flags::ACK) && self.ends(segment.from).1.syn_acked_by(segment.ack)
    }

    fn stay(&mut self, segment: &Segment) -> Note {
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

    fn open(&mut self, segment: &Segment, note: Note) -> Note {
        self.begin(segment.from);
        self.go(segment, State::SynSent, note)
    }

    /// The same incarnation: nobody answered the SYN that this one replaces.
    fn open_again(&mut self, segment: &Segment) -> Note {
        self.ends_mut(segment.from).1.set_old_ack(None);
        self.go(segment, State::SynSent, Note::NewAttempt)
    }

    fn belated(&mut self, segment: &Segment) -> Note {
        let answered = segment.from == self.initiator() && self.ends(segment.from).1.ack == segment.end();
        if !answered {
            return self.open(segment, Note::Renewed);
        }
        let responder = *self.ends(segment.from).1;
        self.restart(segment.from);
        *self.ends_mut(segment.from).1 = responder;
        self.go(segment, State::SynReceived, Note::Answered)
    }

    fn answer_again(&mut self, segment: &Segment) -> Note {
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

    fn join(&mut self, segment: &Segment, state: State) -> Note {
        self.begin(segment.from);
        self.set_assumed();
        self.go(segment, state, Note::Joined)
    }

    fn established(&mut self, segment: &Segment, note: Note) -> Note {
        let note = if self.take_challenged() { Note::RetrySucceeded } else { note };
        self.go(segment, State::Established, note)
    }

    fn complete(&mut self, segment: &Segment, profile: &Profile) -> Note {
        if self.acks_syn(segment) {
            return self.established(segment, Note::Established);
        }
        if profile.strict || self.fits(segment) != Fit::Unseen {
            return Note::Invalid(Invalid::Ack);
        }
        self.gap(segment);
        self.established(segment, Note::Established)
    }

    fn early(&mut self, segment: &Segment, profile: &Profile) -> Note {
        let note = self.data(segment, profile);
        if segment.len > 0 && !matches!(note, Note::Invalid(_)) {
            self.ends_mut(segment.from).0.set_early();
        }
        note
    }

    fn fits(&self, segment: &Segment) -> Fit {
        let (sender, receiver) = self.ends(segment.from);
        if self.liberal() { Fit::Inside } else { fit(sender, receiver, segment) }
    }

    fn gap(&mut self, segment: &Segment) {
        self.set_liberal();
        self.ends_mut(segment.from).1.skip_to(segment.ack);
    }

    /// Learns from a segment that fits. Outside the path, what does not fit may be the capture's fault.
    fn data(&mut self, segment: &Segment, profile: &Profile) -> Note {
        match self.fits(segment) {
            Fit::Inside => self.accept(segment),
            Fit::Unseen if !profile.strict => {
                self.gap(segment);
                self.accept(segment);
                return Note::Gap;
            }
            _ => return self.miss(segment, profile),
        }
        Note::Quiet
    }

    fn accept(&mut self, segment: &Segment) {
        self.misses = 0;
        let (sender, receiver) = self.ends_mut(segment.from);
        // Alive after all: what it sends now lies behind its doubtful RST.
        if sender.reset_pending() && ahead(segment.end(), sender.end) >= 0 {
            sender.set_reset_pending(false);
        }
        sender.learn(segment, receiver);
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

    fn fin_ack(&mut self, segment: &Segment, profile: &Profile, then: State) -> Note {
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

    fn agree(&mut self, segment: &Segment) -> Note {
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

    fn fin(&mut self, segment: &Segment, profile: &Profile, state: State) -> Note {
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

    fn reset(&mut self, role: Role) -> Note {
        let handshake = matches!(self.state, State::SynReceived | State::Simultaneous);
        self.state = State::Closed;
        if handshake && role == Role::Initiator { Note::Aborted } else { Note::Reset }
    }

    fn abort_or_clear(&mut self, segment: &Segment) -> Note {
        if self.ends(segment.from).1.old_ack() == Some(segment.seq) {
            return Note::OldPeerReset;
        }
        self.state = State::Closed;
        Note::Aborted
    }

    fn refuse(&mut self, segment: &Segment) -> Note {
        if !self.acks_syn(segment) {
            return Note::Invalid(Invalid::Ack);
        }
        self.state = State::Closed;
        Note::Refused
    }

    fn reset_checked(&mut self, segment: &Segment, role: Role) -> Note {
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
