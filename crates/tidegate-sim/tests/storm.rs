//! Hosts without a gate, in virtual time: a storm that ends as KB 412434 says, a small one that does not, and one host alone.
#![allow(clippy::unwrap_used, reason = "tests")]

mod spec;

use serde_json::json;
use spec::{play, with};
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::host::{Call, Host, HostScript, Outcome};
use tidegate_sim::report::Report;
use tidegate_sim::retry::Retry;
use tidegate_sim::rng::SplitMix64;

const SCRIPT: HostScript = HostScript { follow_ups: 3, poll: Span::secs(10), timeout: Span::secs(30) };
const RETRY: Retry = Retry::Fixed { min: Span::secs(10), max: Span::secs(12) };
const KINDS: [&str; 3] = ["usl", "cliff", "convoy"];

/// So many hosts under a law with a knee of 22.
fn storm(kind: &str, hosts: u32, window_s: u32) -> Report {
    let law = json!({"kind": kind, "knee": 22, "unit_s": 0.5});
    let changes = [("/servers/0/law", law), ("/populations/0/hosts", json!(hosts)), ("/window_s", json!(window_s))];
    play(&with(&changes), "none")
}

#[test]
fn three_hundred_hosts_bring_it_down() {
    for kind in KINDS {
        let report = storm(kind, 300, 100);
        assert!(report.connected <= 3, "{kind}: {} connected", report.connected);
        assert!(report.wasted_work > 0.9, "{kind}: {} wasted", report.wasted_work);
    }
}

#[test]
fn fifteen_hosts_are_in_at_once() {
    for kind in KINDS {
        let report = storm(kind, 15, 20);
        let last = report.last_connected_s.unwrap();
        assert!(last < 5.0, "{kind}: {last} s");
        assert_eq!((report.wasted_work, report.failed_attempts), (0.0, Default::default()));
        assert!(last >= 0.99 * report.floor_s.unwrap(), "the floor is one");
    }
}

#[test]
fn a_host_that_fails_starts_again_and_one_that_loses_its_session_does_at_once() {
    let mut host = Host::new(SCRIPT, RETRY, SplitMix64::new(1));
    let first = host.start(Nanos(0), Span::ZERO);
    assert_eq!((first.call, first.deadline), (Call::SetContext, first.at + Span::secs(30)));
    let again = host.ended(Nanos(0), Outcome::TurnedAway { retry_after: Some(Span::secs(1)) });
    assert!(again.at >= Nanos(0) + Span::secs(10), "this policy does not honour Retry-After");
    assert!(!again.reconnect, "who is turned away keeps the connection");
    for _ in 0..4 {
        host.ended(Nanos(9), Outcome::Answered);
    }
    assert_eq!((host.connected_at(), host.failures()), (Some(Nanos(9)), 0));
    let lost = host.ended(Nanos(20), Outcome::InvalidSession);
    assert_eq!((lost.at, lost.call, host.connected_at()), (Nanos(20), Call::SetContext, None));
    let timed_out = host.ended(Nanos(20), Outcome::TimedOut);
    assert!(timed_out.at > Nanos(20) && timed_out.reconnect);
}
