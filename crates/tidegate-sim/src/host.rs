//! A host: connect, setContext, follow-ups, then a poll every so often; a failure sends it back to the start.
//!
//! The model says what to do next ([`Next`]); a driver does it, over sockets or in virtual time, and says how it ended
//! ([`Outcome`]).

use crate::retry::Retry;
use crate::rng::SplitMix64;
use tidegate_core::time::{Nanos, Span};

/// What all hosts of a storm have in common.
#[derive(Clone, Copy, Debug)]
pub struct HostScript {
    /// Calls after setContext until the host counts as connected.
    pub follow_ups: u32,
    /// Time from one poll to the next.
    pub poll: Span,
    /// How long it waits for the end of each call, from the time at which the call was meant to begin.
    pub timeout: Span,
}

/// A call of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opens a session.
    SetContext,
    /// Number n (from 0) of the calls that make the session usable.
    FollowUp(u32),
    /// Asks for events.
    Poll,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a good answer.
    Answered,
    /// Turned away by a gate or a busy server, perhaps with a time to come back.
    TurnedAway {
        /// What `Retry-After` said.
        retry_after: Option<Span>,
    },
    /// The server does not know the session.
    InvalidSession,
    /// No end within the timeout.
    TimedOut,
    /// Refused, reset, or answered with something else.
    Broken,
}

/// What the host does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// When it means to begin.
    pub at: Nanos,
    /// Which call.
    pub call: Call,
    /// When it gives up.
    pub deadline: Nanos,
    /// Whether the connection that it has is of no more use.
    pub reconnect: bool,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    script: HostScript,
    retry: Retry,
    rng: SplitMix64,
    call: Call,
    failures: u32,
    connected_at: Option<Nanos>,
}

impl Host {
    /// A host that has done nothing yet, with its own stream of random numbers.
    pub fn new(script: HostScript, retry: Retry, rng: SplitMix64) -> Host {
        Host { script, retry, rng, call: Call::SetContext, failures: 0, connected_at: None }
    }

    /// Its first call, somewhere in the `spread` after `now`.
    pub fn start(&mut self, now: Nanos, spread: Span) -> Next {
        let at = now + self.rng.between(Span::ZERO, spread);
        self.next(at, Call::SetContext, true)
    }

    /// Its call ended at `now`.
    pub fn ended(&mut self, now: Nanos, outcome: Outcome) -> Next {
        match outcome {
            Outcome::Answered => self.proceed(now),
            _ => self.fail(now, outcome),
        }
    }

    /// When it became connected, while it is.
    pub fn connected_at(&self) -> Option<Nanos> {
        self.connected_at
    }

    /// Failures in a row since it was last connected.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn proceed(&mut self, now: Nanos) -> Next {
        let done = match self.call {
            Call::SetContext => 0,
            Call::FollowUp(number) => number + 1,
            Call::Poll => return self.next(now + self.script.poll, Call::Poll, false),
        };
        if done < self.script.follow_ups {
            return self.next(now, Call::FollowUp(done), false);
        }
        self.connected_at = Some(now);
        self.failures = 0;
        self.next(now + self.script.poll, Call::Poll, false)
    }

    fn fail(&mut self, now: Nanos, outcome: Outcome) -> Next {
        let was_connected = self.connected_at.take().is_some();
        self.failures = self.failures.saturating_add(1);
        let (retry_after, reconnect) = match outcome {
            Outcome::TurnedAway { retry_after } => (retry_after, false),
            Outcome::InvalidSession => (None, false),
            _ => (None, true),
        };
        // A host that finds its session or its connection gone logs in at once; one that failed to, waits.
        let at_once = was_connected && matches!(outcome, Outcome::InvalidSession | Outcome::Broken);
        let wait = if at_once { Span::ZERO } else { self.retry.wait(self.failures, retry_after, &mut self.rng) };
        self.next(now + wait, Call::SetContext, reconnect)
    }

    fn next(&mut self, at: Nanos, call: Call, reconnect: bool) -> Next {
        self.call = call;
        Next { at, call, deadline: at + self.script.timeout, reconnect }
    }
}
