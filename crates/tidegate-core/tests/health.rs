//! Health: whatever happens on our own side, a server is not blamed for it; one that is dead is found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use proptest::prelude::*;
use std::net::IpAddr;
use tidegate_core::admission::Phase;
use tidegate_core::health::*;
use tidegate_core::time::{Nanos, Span};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 6));

fn attempt(fault: Fault) -> Attempt {
    Attempt { fault, took: Span::millis(1), late: Span::ZERO, fresh_tuple: true, last_use: None, source: HERE }
}

fn recent(fault: Fault) -> Attempt {
    let last_use = Some(LastUse { ago: Span::secs(20), left: Left::Unknown });
    Attempt { last_use, fresh_tuple: false, ..attempt(fault) }
}

/// Sixteen connections stand, and the last byte came a moment ago.
fn busy() -> Around {
    Around { open: 16, heard: Some(Span::millis(300)), ..Around::default() }
}

/// The verdict over these attempts; panics when the inquiry wants more, or fewer.
fn verdict(attempts: &[Attempt], around: Around) -> Verdict {
    let mut inquiry = Inquiry::new();
    for (index, attempt) in attempts.iter().enumerate() {
        let next = inquiry.on_attempt(Nanos(index as u64), attempt, &around);
        match next {
            Next::Decided(verdict, evidence) => {
                assert_eq!(index + 1, attempts.len(), "{verdict:?} already: {evidence}");
                assert_eq!(evidence.notes.len(), attempts.len());
                return verdict;
            }
            Next::TrySource(source) => assert_eq!(source, attempts[index + 1].source),
            Next::TryFresh => {}
        }
    }
    panic!("no verdict yet")
}

const REFUSED: Fault = Fault::Refused;

#[test]
fn our_own_faults_say_nothing() {
    let faults = [
        (Fault::AddrNotAvail, Cause::NoPort),
        (Fault::AddrInUse, Cause::NoPort),
        (Fault::TooManyFiles, Cause::NoDescriptor),
        (Fault::NoMemory, Cause::NoMemory),
        (Fault::Permission, Cause::Permission),
        (Fault::Unreachable { local: true }, Cause::NetworkDown),
    ];
    for (fault, cause) in faults {
        assert_eq!(verdict(&[attempt(fault)], Around::default()), Verdict::Inconclusive(cause));
    }
}

#[test]
fn a_late_timer_says_nothing_and_one_in_time_is_weak() {
    let timed_out = |late| Attempt { took: Span::millis(2000) + late, late, ..attempt(Fault::TimedOut) };
    let weak = Verdict::Failed(Weight::Weak);
    assert_eq!(verdict(&[timed_out(Span::millis(10))], Around::default()), weak);
    assert_eq!(verdict(&[timed_out(Span::millis(1000))], Around::default()), weak);
    let lag = Verdict::Inconclusive(Cause::LoopLag);
    assert_eq!(verdict(&[timed_out(Span::millis(1001))], Around::default()), lag);
    let around = Around { loop_lag: Span::millis(1500), ..Around::default() };
    assert_eq!(verdict(&[timed_out(Span::ZERO)], around), lag);
    assert_eq!(verdict(&[attempt(Fault::Http(500))], around), Verdict::Failed(Weight::Strong), "it has said so");
    assert_eq!(verdict(&[attempt(Fault::None)], around), Verdict::Ok);
}

#[test]
fn a_dead_server_refuses_fresh_ports_too() {
    let twice = [attempt(REFUSED), attempt(REFUSED)];
    assert_eq!(verdict(&twice, Around::default()), Verdict::Failed(Weight::Strong));
    // Ports of which nothing can be left are as good as new: a small range does not run out of evidence.
    let refused_before = Some(LastUse { ago: Span::secs(3), left: Left::Nothing });
    let again = Attempt { last_use: refused_before, ..attempt(REFUSED) };
    assert_eq!(verdict(&[again, again], Around::default()), Verdict::Failed(Weight::Strong));
    // Connections that stand since long, and are silent, do not vouch for it: its machine may have vanished.
    let silent = Around { open: 9, heard: Some(Span::secs(301)), ..Around::default() };
    assert_eq!(verdict(&twice, silent), Verdict::Failed(Weight::Strong));
}

#[test]
fn a_device_at_its_limit_is_no_dead_server() {
    let limit = Verdict::Inconclusive(Cause::PeerLimit);
    assert_eq!(verdict(&[attempt(REFUSED), attempt(REFUSED)], busy()), limit);
    let idle = Around { heard: Some(Span::secs(60)), ..busy() };
    assert_eq!(verdict(&[attempt(REFUSED), attempt(Fault::ResetAfterAccept)], idle), limit);
    let learned = Around { heard: None, learned_limit: Some(16), ..busy() };
    assert_eq!(verdict(&[attempt(REFUSED), attempt(REFUSED)], learned), limit);
    assert_eq!(verdict(&[attempt(REFUSED), attempt(Fault::None)], busy()), limit, "near its limit");
    let source = Around { other_source: Some(THERE), ..Around::default() };
    let other = Attempt { source: THERE, ..attempt(Fault::None) };
    assert_eq!(verdict(&[attempt(REFUSED), attempt(REFUSED), other], source), Verdict::Ok, "no connection stands");
}

#[test]
fn an_old_connection_from_the_same_port_is_a_collision() {
    let collision = Verdict::Inconclusive(Cause::Collision);
    assert_eq!(verdict(&[recent(REFUSED), attempt(Fault::None)], busy()), collision);
    assert_eq!(verdict(&[recent(Fault::TimedOut), attempt(Fault::None)], busy()), collision);
    assert_eq!(verdict(&[recent(REFUSED), recent(REFUSED), recent(REFUSED)], Around::default()), collision);
    let strong = Verdict::Failed(Weight::Strong);
    assert_eq!(verdict(&[recent(REFUSED), attempt(REFUSED), attempt(REFUSED)], Around::default()), strong);
}

#[test]
fn a_refusal_that_cannot_be_followed_up_is_weak() {
    let attempts = [attempt(REFUSED), attempt(Fault::AddrNotAvail)];
    assert_eq!(verdict(&attempts, Around::default()), Verdict::Failed(Weight::Weak));
    assert_eq!(verdict(&attempts, busy()), Verdict::Inconclusive(Cause::NoPort));
    // What two ports have said is not taken back by another address that cannot be used.
    let around = Around { other_source: Some(THERE), ..Around::default() };
    for fault in [Fault::TimedOut, Fault::AddrNotAvail] {
        let other = Attempt { source: THERE, ..attempt(fault) };
        assert_eq!(verdict(&[attempt(REFUSED), attempt(REFUSED), other], around), STRONG);
    }
}

#[test]
fn evidence_is_told_in_words() {
    let mut inquiry = Inquiry::new();
    inquiry.on_attempt(Nanos(0), &attempt(REFUSED), &Around::default());
    let Next::Decided(_, evidence) = inquiry.on_attempt(Nanos(0), &attempt(REFUSED), &Around::default()) else {
        panic!()
    };
    assert_eq!(evidence.to_string(), "refused from 2 fresh ports, 2 never used before");
}

/// A monitor in a world where each probe ends at once with what `server` says; phases as they change.
struct Watch {
    monitor: Monitor,
    now: Nanos,
    phases: Vec<(Nanos, Phase)>,
    stands: Standing,
    canaries: u32,
    asked: bool,
}

impl Watch {
    fn new(settings: Settings) -> Watch {
        let monitor = Monitor::new(settings, 7, Nanos(0)).unwrap();
        Watch { monitor, now: Nanos(0), phases: vec![], stands: Standing::UP, canaries: 0, asked: false }
    }

    fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.monitor.on_event(self.now, event, &mut out);
        for action in out {
            match action {
                Action::Stand(standing) => {
                    assert!((100..=1000).contains(&standing.ramp_milli) && standing.cap != Some(0));
                    if self.phases.last().is_none_or(|last| last.1 != standing.phase) {
                        self.phases.push((self.now, standing.phase));
                    }
                    self.stands = standing;
                }
                Action::Probe { canary, .. } => {
                    assert!(!self.asked, "one probe at a time");
                    (self.asked, self.canaries) = (true, self.canaries + u32::from(canary));
                }
            }
        }
        assert!(self.monitor.view(self.now).reports.len() <= 16);
    }

    /// Until then; each probe takes so long.
    fn run(&mut self, span: Span, took: Span, mut server: impl FnMut(Nanos) -> (Verdict, u32)) {
        let end = self.now + span;
        for _ in 0..100_000 {
            if self.asked {
                self.now = self.now + took;
                let (verdict, open) = server(self.now);
                self.asked = false;
                self.event(Event::ProbeEnded { verdict, evidence: Evidence { open, ..Evidence::default() } });
            } else {
                let wake = self.monitor.next_wake();
                if wake > end {
                    break;
                }
                self.now = self.now.max(wake);
                self.event(Event::Wake);
                assert!(self.monitor.next_wake() > self.now || self.asked, "a wake makes progress");
            }
        }
        self.now = self.now.max(end);
    }

    fn settled(settings: Settings) -> Watch {
        let mut watch = Watch::new(settings);
        watch.run(settings.interval, Span::ZERO, |_| (Verdict::Ok, 0));
        watch
    }
}

const STRONG: Verdict = Verdict::Failed(Weight::Strong);
const WEAK: Verdict = Verdict::Failed(Weight::Weak);

#[test]
fn down_and_back_by_a_canary_and_a_ramp() {
    let settings = Settings::default();
    let mut watch = Watch::settled(settings);
    watch.run(Span::secs(5), Span::ZERO, |_| (STRONG, 0));
    assert_eq!(watch.stands.phase, Phase::Down);
    assert!(watch.monitor.view(watch.now).why.starts_with("down: "), "{}", watch.monitor.view(watch.now).why);
    watch.run(Span::secs(60), Span::ZERO, |_| (STRONG, 0));
    assert_eq!(watch.canaries, 0);
    let back = watch.now;
    watch.run(Span::secs(15), Span::ZERO, |_| (Verdict::Ok, 0));
    let up = watch.phases.iter().find(|(at, phase)| *at > back && *phase == Phase::Recovering).unwrap().0;
    assert!(up.since(back) <= Span(5 * settings.interval.0) + settings.fast.mul_f64(1.1), "found quickly");
    assert_eq!(watch.canaries, 1);
    assert!((100..1000).contains(&watch.stands.ramp_milli), "{:?}", watch.stands);
    watch.run(Span::secs(30), Span::ZERO, |_| (Verdict::Ok, 0));
    assert_eq!(watch.stands, Standing::UP);
}

#[test]
fn a_limit_is_learned_kept_to_and_tried_again() {
    let mut watch = Watch::settled(Settings::default());
    let limit = Verdict::Inconclusive(Cause::PeerLimit);
    watch.run(Span::secs(2), Span::ZERO, |_| (limit, 20));
    assert_eq!((watch.stands.phase, watch.stands.cap), (Phase::Degraded, Some(19)));
    watch.run(Span::secs(10), Span::ZERO, |_| (Verdict::Ok, 19));
    assert_eq!((watch.stands.phase, watch.stands.cap), (Phase::Up, Some(19)), "the limit stays");
    watch.run(Span::secs(60), Span::ZERO, |_| (Verdict::Ok, 19));
    let cap = watch.stands.cap.unwrap();
    assert!((20..=22).contains(&cap), "it is tried a little higher: {cap}");
    watch.run(Span::secs(2), Span::ZERO, |_| (limit, 20));
    assert_eq!(watch.stands.cap, Some(19), "and put back");
    watch.run(Span::secs(7200), Span::ZERO, |_| (Verdict::Ok, 19));
    assert_eq!(watch.stands, Standing::UP, "and forgotten when nothing is refused");
}

#[test]
fn a_monitor_that_learns_nothing_is_blind() {
    let mut watch = Watch::settled(Settings::default());
    watch.run(Span::secs(19), Span::ZERO, |_| (Verdict::Inconclusive(Cause::NoPort), 0));
    assert!(!watch.monitor.view(watch.now).blind);
    watch.run(Span::secs(6), Span::ZERO, |_| (Verdict::Inconclusive(Cause::NoPort), 0));
    assert!(watch.monitor.view(watch.now).blind);
    assert_eq!(watch.stands, Standing::UP);
}

#[test]
fn traffic_that_is_answered_outweighs_silence() {
    let mut watch = Watch::settled(Settings::default());
    for _ in 0..100 {
        watch.event(Event::Answered);
        watch.run(Span::secs(1), Span::ZERO, |_| (WEAK, 0));
    }
    assert_eq!(watch.stands, Standing::UP);
    watch.run(Span::secs(9), Span::ZERO, |_| (WEAK, 0));
    assert_eq!(watch.stands.phase, Phase::Down, "once nothing is answered any more");
}

#[test]
fn a_probe_that_never_ends_stops_nothing() {
    let mut watch = Watch::new(Settings::default());
    watch.event(Event::Wake);
    assert!(watch.asked);
    watch.asked = false; // lost
    watch.run(Span::secs(60), Span::ZERO, |_| (Verdict::Ok, 0));
    assert!(watch.monitor.view(watch.now).known);
}

fn settings() -> impl Strategy<Value = Settings> {
    (10..5000u64, 10..5000u64, 1..=100u64, 1..=10u32, 1..=10u32, 0..60u64).prop_map(
        |(interval, timeout, fast, fall, rise, slow)| Settings {
            interval: Span::millis(interval),
            timeout: Span::millis(timeout),
            fast: Span::millis((interval * fast / 100).max(10)),
            fall,
            rise,
            slow_start: Span::secs(slow),
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::None),
        Just(Fault::AddrNotAvail),
        Just(Fault::TooManyFiles),
        Just(Fault::Permission),
        any::<bool>().prop_map(|local| Fault::Unreachable { local }),
        Just(Fault::Refused),
        Just(Fault::ResetAfterAccept),
        Just(Fault::TimedOut),
        Just(Fault::Tls),
        any::<u16>().prop_map(Fault::Http),
        Just(Fault::Garbage),
    ]
}

fn attempts() -> impl Strategy<Value = (Attempt, Around)> {
    let left = prop_oneof![Just(Left::Nothing), Just(Left::Little), Just(Left::Unknown)];
    let last_use = proptest::option::of((any::<u64>(), left).prop_map(|(ago, left)| LastUse { ago: Span(ago), left }));
    let span = || prop_oneof![0..3_000_000_000u64, any::<u64>()].prop_map(Span);
    let made = (fault(), span(), span(), any::<bool>(), last_use, any::<bool>());
    let made = made.prop_map(|(fault, took, late, fresh_tuple, last_use, here)| Attempt {
        fault,
        took,
        late,
        fresh_tuple,
        last_use,
        source: if here { HERE } else { THERE },
    });
    let other = prop_oneof![Just(None), Just(Some(HERE)), Just(Some(THERE))];
    let around = (proptest::option::of(span()), any::<u32>(), proptest::option::of(any::<u32>()), span(), other);
    let around = around.prop_map(|(heard, open, learned_limit, loop_lag, other_source)| Around {
        heard,
        open,
        learned_limit,
        loop_lag,
        other_source,
    });
    (made, around)
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Ok),
        2 => Just(WEAK),
        2 => Just(STRONG),
        3 => (0..Cause::ALL.len()).prop_map(|at| Verdict::Inconclusive(Cause::ALL[at])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever is met, an inquiry ends after three attempts, and local faults alone never blame the server.
    #[test]
    fn inquiries_end(tries in prop::collection::vec(attempts(), 3)) {
        let mut inquiry = Inquiry::new();
        for (index, (attempt, around)) in tries.iter().enumerate() {
            let next = inquiry.on_attempt(Nanos(index as u64), attempt, around);
            if let Next::Decided(verdict, evidence) = next {
                prop_assert!(evidence.notes.len() == index + 1 && !evidence.to_string().is_empty());
                let ours = |note: &Note| matches!(note.fault, Fault::None | Fault::AddrNotAvail | Fault::TooManyFiles
                    | Fault::Permission | Fault::Unreachable { local: true });
                let blamed = matches!(verdict, Verdict::Failed(_));
                prop_assert!(!blamed || !evidence.notes.iter().all(ours));
                return Ok(());
            }
        }
        prop_assert!(false, "three attempts, and no verdict");
    }

    /// Strong failures take a server down within fall intervals of the first, whatever was before.
    #[test]
    fn a_dead_server_is_found(settings in settings(), before in prop::collection::vec(verdicts(), 0..20)) {
        let mut watch = Watch::settled(settings);
        let mut before = before.into_iter();
        watch.run(Span(settings.interval.0 * 6), Span::ZERO, |_| (before.next().unwrap_or(Verdict::Ok), 5));
        let mut first = None;
        watch.run(Span(settings.interval.0 * 10), Span::ZERO, |now| {
            first.get_or_insert(now);
            (STRONG, 0)
        });
        let (at, phase) = watch.phases.last().copied().unwrap();
        prop_assert_eq!(phase, Phase::Down);
        let took = at.since(first.unwrap());
        prop_assert!(took <= Span(settings.interval.0 * u64::from(settings.fall)), "{took:?}");
    }

    /// What is no failure never takes a server down.
    #[test]
    fn local_causes_never_do(settings in settings(), trace in prop::collection::vec((0..Cause::ALL.len(), 0..4u8, 0..99u32), 0..200)) {
        let mut watch = Watch::settled(settings);
        let mut trace = trace.into_iter();
        watch.run(Span(settings.interval.0 * 100), Span::ZERO, |_| match trace.next() {
            Some((at, 1.., open)) => (Verdict::Inconclusive(Cause::ALL[at]), open),
            _ => (Verdict::Ok, 0),
        });
        prop_assert!(watch.phases.iter().all(|(_, phase)| *phase != Phase::Down), "{:?}", watch.phases);
    }
}
