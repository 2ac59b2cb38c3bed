//! What a verdict rests on, in a form that can be told in a sentence.

use super::fault::{Around, Attempt, Fault, Left, Verdict, Weight};
use crate::reason::words;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

words! {
    /// What the other side may still hold of a port.
    Age {
        /// It was never used towards this server, or nothing can be left of it.
        NeverUsed = "never used before",
        /// It was used, and ended cleanly, or has rested.
        Rested = "rested",
        /// It was in use a short time ago, and the other side may still hold it.
        Recent = "used a short time ago",
    }
}

/// One attempt, as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it ended.
    pub at: Nanos,
    /// What it met.
    pub fault: Fault,
    /// What its port was.
    pub age: Age,
    /// Where from.
    pub source: IpAddr,
}

/// What one verdict rests on. Bounded: an inquiry makes three attempts at the most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The attempts, in order.
    pub notes: Vec<Note>,
    /// Our connections to the server that stood then.
    pub open: u32,
    /// Since when nothing was heard of it on any connection.
    pub heard: Option<Span>,
}

/// After so long no device is known to remember a connection (F5's idle timeout is 300 s, two lifetimes of a segment 120 s).
pub(super) const FORGOTTEN: Span = Span::secs(300);

impl Evidence {
    /// Of one thing that went wrong after a connection stood.
    pub fn of(at: Nanos, fault: Fault) -> Evidence {
        let source = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        Evidence { notes: vec![Note { at, fault, age: Age::Rested, source }], open: 0, heard: None }
    }

    pub(super) fn note(&mut self, at: Nanos, attempt: &Attempt, around: &Around) {
        self.notes.push(Note { at, fault: attempt.fault, age: age(attempt), source: attempt.source });
        (self.open, self.heard) = (around.open, around.heard);
    }

    /// Refusals from ports of which the other side can hold nothing, and how many of these were never used before.
    pub fn refusals(&self) -> (u32, u32) {
        let refused = |note: &&Note| matches!(note.fault, Fault::Refused | Fault::ResetAfterAccept);
        let fresh = self.notes.iter().filter(refused).filter(|note| note.age != Age::Recent);
        let never = fresh.clone().filter(|note| note.age == Age::NeverUsed);
        (fresh.count() as u32, never.count() as u32)
    }
}

fn age(attempt: &Attempt) -> Age {
    match attempt.last_use {
        None if attempt.fresh_tuple => Age::NeverUsed,
        None => Age::Rested,
        Some(last) if last.ago >= FORGOTTEN || last.left == Left::Nothing => Age::NeverUsed,
        Some(last) if last.left == Left::Little => Age::Rested,
        Some(_) => Age::Recent,
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Fault::None => "answered",
            Fault::AddrNotAvail => "no source port was free",
            Fault::AddrInUse => "the source port was in use",
            Fault::TooManyFiles => "no file descriptor was free",
            Fault::NoMemory => "no memory for a socket",
            Fault::Permission => "forbidden by this machine",
            Fault::Unreachable { local: true } => "no way out of this machine",
            Fault::Unreachable { local: false } => "unreachable",
            Fault::Refused => "refused",
            Fault::ResetAfterAccept => "reset after it was accepted",
            Fault::TimedOut => "timed out",
            Fault::Tls => "the TLS handshake failed",
            Fault::Http(status) => return write!(f, "answered with status {status}"),
            Fault::Garbage => "answered with garbage",
        };
        f.write_str(text)
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ok => f.write_str("ok"),
            Verdict::Failed(Weight::Weak) => f.write_str("failed (weak)"),
            Verdict::Failed(Weight::Strong) => f.write_str("failed (strong)"),
            Verdict::Inconclusive(cause) => write!(f, "inconclusive ({cause})"),
        }
    }
}

/// "refused from 2 fresh ports, 1 of them never used before; 3 connections stand".
impl Display for Evidence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (fresh, never) = self.refusals();
        match self.notes.last() {
            None => f.write_str("nothing was tried")?,
            Some(last) if fresh >= 1 && matches!(last.fault, Fault::Refused | Fault::ResetAfterAccept) => {
                let ports = if fresh == 1 { "port" } else { "ports" };
                write!(f, "{} from {fresh} fresh {ports}, {never} never used before", last.fault)?;
            }
            Some(last) if last.age == Age::Recent => write!(f, "{} from a port {}", last.fault, last.age)?,
            Some(last) => write!(f, "{}", last.fault)?,
        }
        match (self.open, self.notes.last().map(|note| note.fault)) {
            (0, _) | (_, None | Some(Fault::None)) => Ok(()),
            (1, _) => f.write_str("; 1 connection stands"),
            (open, _) => write!(f, "; {open} connections stand"),
        }
    }
}
