//! One segment after the other: the rules behind the table's cells.

use super::cells::{Cell, cell};
use super::machine::Flow;
use super::note::{Invalid, Note, Outcome, Step};
use super::profile::Profile;
use super::segment::{Event, Segment};
use super::state::State;

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
}
