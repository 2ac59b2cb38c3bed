//! Idle times: who would have forgotten a flow before its next packet, and who did.
//!
//! **Would have.** For each profile of `core::flow::profile` (their sources stand there): established and half-closed flows that
//! went on after a longer silence than the profile keeps them. A notice: nobody says that such a firewall is in the path.
//!
//! **Did.** An established flow is silent for 30 s or more, one end speaks (data, FIN or a keepalive), and the answer is a RST;
//! or there is none to three or more such segments, until the flow ends or for 10 s. The longest silence that a flow with
//! the same server port lived through, and the shortest that it did not, are what the idle time in the path lies between. A
//! warning from three such flows on, if none lived through a longer silence than one that killed; else a notice.
//!
//! A silence counts when the bytes go on where they stopped, so that a capture that was stopped for a while is not taken for
//! one. The start and the numbers three and 10 s are ours.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_core::flow::profile::PROFILES;
use tidegate_core::flow::{Key, Note, Profile, Side, State};
use tidegate_core::time::Span;

use super::cases::{Cases, Verdict, group};
use super::groups::{Groups, Weight};
use crate::capture::flag;
use crate::flows::cold::eager;
use crate::flows::found::{Confidence, Found, Severity};
use crate::flows::look::{Bucket, Ended, Look};
use crate::flows::summary::Summary;
use wake::{Server, Wake, did};

mod wake;

/// The shortest silence that matters.
const SILENCE: Span = Span::secs(30);
/// Flows that spoke after a silence and wait for an answer, at most; later ones are not judged.
const WAKES_MAX: usize = 1 << 15;
/// Groups of each kind, at most.
const GROUPS: usize = 4096;
/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Idle {
    late: Groups<(u8, Bucket), Late, GROUPS>,
    wakes: BTreeMap<Key, Wake>,
    servers: Groups<(u32, u16), Server, GROUPS>,
}

/// Silences that a profile does not allow, of one bucket.
#[derive(Clone, Debug, Default)]
struct Late {
    cases: Cases,
    /// Milliseconds: by how much, and of how long a silence, at most.
    by: u64,
    silence: u64,
}

impl Weight for Late {
    fn weight(&self) -> u64 {
        self.cases.count()
    }
}

impl Idle {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, flags: u8) -> bool {
        flags & flag::SYN == 0 && note != Note::Orphan
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if !Self::wants(look.step.note, look.tcp.flags) || look.flow.is_none() {
            return;
        }
        let waits = look.cold.eager & (eager::WOKE | eager::WOKE << 1) != 0;
        let silent = look.before.silent(look.at);
        if waits {
            self.answer(look);
        } else if silent >= SILENCE && goes_on(look.step.note) {
            self.late(look, silent);
            self.wake(look, silent);
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        if let Some(wake) = self.wakes.remove(&ended.key).filter(|wake| wake.unanswered(ended.ms)) {
            self.servers.of(wake.server).lost(&wake);
        }
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.late.absorb(other.late, Late::absorb);
        self.servers.absorb(other.servers, Server::absorb);
        self.wakes.extend(other.wakes);
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        let mut servers = self.servers.clone();
        for wake in self.wakes.values().filter(|wake| wake.unanswered(sum.ms(sum.to))) {
            servers.of(wake.server).lost(wake);
        }
        let reset = did(&servers, sum, "reset after a silence", |server| &server.resets);
        let lost = did(&servers, sum, "not answered after a silence", |server| &server.losses);
        let would = PROFILES.iter().zip(0u8..).map(|(profile, number)| self.would(profile, number, sum));
        [reset, lost].into_iter().chain(would).flatten().collect()
    }

    fn late(&mut self, look: &Look<'_, '_>, silent: Span) {
        let kept = matches!(look.before.state, State::Established | State::MidStream | State::CloseWait);
        for (profile, number) in PROFILES.iter().zip(0u8..).filter(|_| kept) {
            if let Some(by) = look.before.overdue(look.at, profile) {
                let late = self.late.of((number, look.bucket));
                late.cases.see(look);
                late.by = late.by.max(millis(by));
                late.silence = late.silence.max(millis(silent));
            }
        }
    }

    /// A flow speaks after a silence, and is to be answered.
    fn wake(&mut self, look: &mut Look<'_, '_>, silent: Span) {
        let whole = look.flow.is_some_and(|flow| flow.both_heard());
        let stands = matches!(look.before.state, State::Established);
        if !asks(look) || !stands || !whole || look.tcp.flags & flag::RST != 0 || self.wakes.len() >= WAKES_MAX {
            return;
        }
        look.cold.eager |= woke(look.side);
        let (server, silence) = ((look.bucket.server, look.bucket.port), millis(silent));
        let (side, ms, at, frame) = (look.side, look.ms, look.at, look.frame);
        self.wakes.insert(look.key, Wake { server, side, silence, ms, at, frame, tries: 1 });
    }

    fn answer(&mut self, look: &mut Look<'_, '_>) {
        let Some(wake) = self.wakes.get_mut(&look.key) else { return };
        let reset = look.tcp.flags & flag::RST != 0;
        if wake.side == look.side && !reset {
            wake.tries = wake.tries.saturating_add(u16::from(asks(look)));
            return;
        }
        let wake = *wake;
        let server = self.servers.of(wake.server);
        match (wake.side == look.side, reset) {
            // The one who spoke gives up.
            (true, _) if wake.unanswered(look.ms) => server.lost(&wake),
            (true, _) => {}
            (false, true) => server.reset(&wake, look),
            (false, false) => server.lived(&wake),
        }
        look.cold.eager &= !(eager::WOKE | eager::WOKE << 1);
        self.wakes.remove(&look.key);
    }

    fn would(&self, profile: &Profile, number: u8, sum: &Summary<'_>) -> Option<Found> {
        let (mut all, mut groups) = (Late::default(), Vec::new());
        for ((_, bucket), late) in self.late.heaviest().into_iter().filter(|((of, _), _)| *of == number) {
            all.absorb(late.clone());
            let who = format!("{} -> {}", sum.hosts.name(bucket.client), sum.hosts.socket(bucket.server, bucket.port));
            let facts = [("late_s", json!(late.by / 1000)), ("silence_s", json!(late.silence / 1000))];
            groups.push(group(who, late.cases.count(), facts));
        }
        let facts = [
            ("profile", json!(profile.name)),
            ("established_kept_s", json!(millis(profile.established) / 1000)),
            ("half_closed_kept_s", json!(millis(profile.half_closed) / 1000)),
            ("late_s", json!(all.by / 1000)),
            ("silence_s", json!(all.silence / 1000)),
        ];
        let outcome = format!("{} would have expired it", profile.name);
        all.cases.found(verdict(Severity::Notice, Confidence::High, outcome), sum, facts, groups)
    }
}

/// Whether a segment is one that its peer answers.
fn asks(look: &Look<'_, '_>) -> bool {
    look.tcp.length > 0 || look.tcp.flags & flag::FIN != 0 || look.step.note == Note::Keepalive
}

/// Whether a segment goes on where its sender stopped, or ends it.
fn goes_on(note: Note) -> bool {
    matches!(
        note,
        Note::Quiet
            | Note::Keepalive
            | Note::Fin
            | Note::FinAcked
            | Note::Ended
            | Note::Reset
            | Note::ResetPending
            | Note::Assumed
    )
}

fn woke(side: Side) -> u8 {
    if side == Side::Low { eager::WOKE } else { eager::WOKE << 1 }
}

fn millis(span: Span) -> u64 {
    span.0 / 1_000_000
}

fn verdict(severity: Severity, confidence: Confidence, outcome: String) -> Verdict {
    Verdict { finding: "idle-timeout", severity, confidence, outcome }
}

impl Late {
    fn absorb(&mut self, other: Self) {
        self.cases.absorb(other.cases);
        self.by = self.by.max(other.by);
        self.silence = self.silence.max(other.silence);
    }
}

#[cfg(test)]
mod tests;
