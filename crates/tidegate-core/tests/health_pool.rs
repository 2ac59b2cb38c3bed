//! All servers together: outliers are ejected within bounds, and what must be our own fault is nobody's.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use tidegate_core::admission::{Phase, ServerId};
use tidegate_core::health::*;
use tidegate_core::time::{Nanos, Span};

const STRONG: Verdict = Verdict::Failed(Weight::Strong);
const WEAK: Verdict = Verdict::Failed(Weight::Weak);

/// A pool whose probes end at once, and the standing that was told of each member.
struct Watch {
    pool: Pool,
    now: Nanos,
    stands: Vec<Standing>,
    asked: Vec<bool>,
    log: Vec<(Nanos, usize, Action)>,
}

fn members(services: &[u16], settings: Settings) -> Vec<Member> {
    let member = |(at, service): (usize, &u16)| {
        let (server, host) = (ServerId(at as u16), format!("10.0.0.{at}"));
        Member { name: format!("{service}/{at}"), service: *service, server, host, settings }
    };
    services.iter().enumerate().map(member).collect()
}

impl Watch {
    fn new(services: &[u16]) -> Watch {
        let pool = Pool::new(members(services, Settings::default()), 7, Nanos(0)).unwrap();
        let count = services.len();
        let mut watch =
            Watch { pool, now: Nanos(0), stands: vec![Standing::UP; count], asked: vec![false; count], log: vec![] };
        watch.run(Span::secs(3), |_, _| Verdict::Ok);
        watch
    }

    fn take(&mut self, out: Actions) {
        for (at, action) in out {
            match &action {
                Action::Stand(standing) => {
                    assert_ne!(self.stands[at], *standing, "said twice");
                    self.stands[at] = *standing;
                }
                Action::Probe { .. } => {
                    assert!(!self.asked[at]);
                    self.asked[at] = true;
                }
            }
            self.log.push((self.now, at, action));
        }
        for (at, standing) in self.stands.iter().enumerate() {
            assert_eq!(self.pool.standing(at), Some(*standing));
        }
    }

    fn tell(&mut self, what: impl FnOnce(&mut Pool, Nanos, &mut Actions)) {
        let mut out = Actions::new();
        what(&mut self.pool, self.now, &mut out);
        self.take(out);
    }

    fn traffic(&mut self, at: usize, good: bool) {
        self.tell(|pool, now, out| pool.traffic(now, at, good, out));
    }

    fn alarms(&mut self, ports: bool) {
        self.tell(|pool, now, out| pool.alarms(now, Alarms { ports, loop_lag: false }, out));
    }

    fn run(&mut self, span: Span, mut server: impl FnMut(Nanos, usize) -> Verdict) {
        let end = self.now + span;
        for _ in 0..100_000 {
            if let Some(at) = self.asked.iter().position(|asked| *asked) {
                self.asked[at] = false;
                let event = Event::ProbeEnded { verdict: server(self.now, at), evidence: Evidence::default() };
                self.tell(|pool, now, out| pool.on_event(now, at, event, out));
                continue;
            }
            let Some(wake) = self.pool.next_wake().filter(|wake| *wake <= end) else { break };
            self.now = self.now.max(wake);
            self.tell(|pool, now, out| pool.wake(now, out));
            let busy = self.asked.iter().any(|asked| *asked);
            assert!(busy || self.pool.next_wake().is_none_or(|wake| wake > self.now), "a wake makes progress");
        }
        self.now = self.now.max(end);
    }

    fn phases(&self) -> Vec<Phase> {
        self.stands.iter().map(|standing| standing.phase).collect()
    }

    fn ever_down(&self) -> bool {
        let down = |action: &Action| matches!(action, Action::Stand(standing) if standing.phase == Phase::Down);
        self.log.iter().any(|(_, _, action)| down(action))
    }
}

#[test]
fn what_fails_everywhere_at_once_is_our_own_fault() {
    let mut watch = Watch::new(&[0, 0, 1, 1]);
    watch.run(Span::secs(15), |_, _| STRONG);
    assert!(!watch.ever_down(), "{:?}", watch.phases());
    assert!(watch.pool.view(watch.now).held.unwrap().contains("our own"));
    watch.run(Span::secs(5), |_, _| Verdict::Ok);
    assert_eq!(watch.phases(), [Phase::Up; 4]);
    assert_eq!(watch.pool.view(watch.now).held, None);
}

#[test]
fn a_suspicion_does_not_last_for_ever() {
    let mut watch = Watch::new(&[0, 1]);
    watch.run(Span::secs(40), |_, _| STRONG);
    assert_eq!(watch.phases(), [Phase::Down; 2], "they do fail");
}

#[test]
fn one_service_alone_may_well_be_dead() {
    let mut watch = Watch::new(&[0, 0, 1]);
    watch.run(Span::secs(6), |_, at| if at < 2 { STRONG } else { Verdict::Ok });
    assert_eq!(watch.phases(), [Phase::Down, Phase::Down, Phase::Up]);
}

#[test]
fn two_services_on_one_host_fail_together() {
    let mut list = members(&[0, 1], Settings::default());
    list[1].host = list[0].host.clone();
    let mut watch = Watch::new(&[0, 1]);
    watch.pool = Pool::new(list, 7, Nanos(0)).unwrap();
    watch.run(Span::secs(10), |_, _| STRONG);
    assert_eq!(watch.phases(), [Phase::Down; 2]);
}

#[test]
fn with_ports_running_out_silence_says_nothing_and_a_refusal_does() {
    let mut watch = Watch::new(&[0]);
    watch.alarms(true);
    watch.run(Span::secs(15), |_, _| WEAK);
    assert!(!watch.ever_down());
    let before = watch.now;
    watch.run(Span::secs(3), |_, _| STRONG);
    assert_eq!(watch.phases(), [Phase::Down], "a dead server is found all the same");
    let at = watch.log.iter().rfind(|(_, _, action)| matches!(action, Action::Stand(_))).unwrap().0;
    assert!(at.since(before) <= Span::secs(3));
}

#[test]
fn an_outlier_is_ejected_and_comes_back_by_a_canary() {
    let mut watch = Watch::new(&[0, 0, 0]);
    for _ in 0..5 {
        watch.traffic(1, false);
    }
    assert_eq!(watch.phases(), [Phase::Up, Phase::Down, Phase::Up]);
    for _ in 0..5 {
        watch.traffic(0, false);
    }
    assert_eq!(watch.phases()[0], Phase::Up, "one of three at a time");
    let ejected = watch.now;
    watch.run(Span::secs(29), |_, _| Verdict::Ok);
    assert_eq!(watch.phases()[1], Phase::Down);
    watch.run(Span::secs(2), |_, _| Verdict::Ok);
    assert_eq!(watch.phases()[1], Phase::Recovering);
    let canary = |(at, member, action): &(Nanos, usize, Action)| {
        *at > ejected && *member == 1 && matches!(action, Action::Probe { canary: true, .. })
    };
    assert!(watch.log.iter().any(canary));
}

#[test]
fn the_last_server_is_never_ejected_and_an_ejected_one_is_called_back() {
    let mut watch = Watch::new(&[0, 0]);
    watch.run(Span::secs(6), |_, at| if at == 0 { STRONG } else { Verdict::Ok });
    for _ in 0..50 {
        watch.traffic(1, false);
    }
    assert_eq!(watch.phases(), [Phase::Down, Phase::Up]);
    let mut watch = Watch::new(&[0, 0]);
    for _ in 0..5 {
        watch.traffic(1, false);
    }
    assert_eq!(watch.phases(), [Phase::Up, Phase::Down]);
    watch.run(Span::secs(6), |_, at| if at == 0 { STRONG } else { Verdict::Ok });
    assert_eq!(watch.phases(), [Phase::Down, Phase::Recovering], "long before its time is over");
}

#[test]
fn a_rate_of_success_that_is_no_chance_ejects() {
    let mut watch = Watch::new(&[0, 0, 0, 0]);
    for call in 0..800 {
        watch.traffic(call % 4, call % 4 != 2 || call % 3 != 0);
    }
    watch.run(Span::secs(11), |_, _| Verdict::Ok);
    assert_eq!(watch.phases(), [Phase::Up, Phase::Up, Phase::Down, Phase::Up]);
}

#[test]
fn a_reload_keeps_what_is_known() {
    let mut watch = Watch::new(&[0, 0]);
    watch.run(Span::secs(6), |_, at| if at == 0 { STRONG } else { Verdict::Ok });
    let mut list = members(&[0, 0], Settings::default());
    list.remove(1);
    watch.pool.apply(watch.now, list).unwrap();
    assert_eq!(watch.pool.standing(0).unwrap().phase, Phase::Down);
    let bad = Settings { fall: 0, ..Settings::default() };
    assert_eq!(watch.pool.apply(watch.now, members(&[0], bad)).unwrap_err().to_string(), "fall must be 1 to 50");
    assert_eq!(watch.pool.members().count(), 1, "nothing was changed");
}

/// The pool of the next process, by whose clock it is `now`.
fn next_process(watch: &Watch, services: &[u16], now: Nanos) -> Pool {
    let passed = serde_json::to_string(&watch.pool.pass_on(watch.now)).unwrap();
    let mut pool = Pool::new(members(services, Settings::default()), 8, now).unwrap();
    pool.take_over(now, serde_json::from_str(&passed).unwrap());
    pool
}

#[test]
fn a_server_that_was_down_is_so_in_the_next_process_until_a_probe_says_otherwise() {
    let mut watch = Watch::new(&[0, 0]);
    watch.run(Span::secs(60), |_, at| if at == 0 { STRONG } else { Verdict::Ok });
    let now = Nanos(0) + Span::secs(3600);
    let mut next = Watch { pool: next_process(&watch, &[0, 0], now), now, ..Watch::new(&[0, 0]) };
    next.stands = (0..2).map(|at| next.pool.standing(at).unwrap()).collect();
    assert_eq!(next.phases(), [Phase::Down, Phase::Up]);
    assert_eq!(next.pool.next_wake(), Some(now), "it is probed at once");
    next.run(Span::secs(30), |_, at| if at == 0 { STRONG } else { Verdict::Ok });
    assert_eq!(next.phases(), [Phase::Down, Phase::Up]);
    let view = &next.pool.view(next.now).servers[0].1;
    assert!(view.since >= Span::secs(80), "since the first process found it so, not since the second began");
    next.run(Span::secs(30), |_, _| Verdict::Ok);
    assert_eq!(next.phases(), [Phase::Recovering, Phase::Up]);
}

#[test]
fn another_host_of_the_same_name_begins_anew() {
    let mut watch = Watch::new(&[0, 0]);
    watch.run(Span::secs(6), |_, at| if at == 0 { STRONG } else { Verdict::Ok });
    let mut list = members(&[0, 0], Settings::default());
    list[0].host = "10.9.9.9".into();
    let mut pool = Pool::new(list, 7, Nanos(0)).unwrap();
    pool.take_over(Nanos(0), watch.pool.pass_on(watch.now));
    assert_eq!(pool.standing(0), Some(Standing::UP));
    assert!(!pool.view(Nanos(0)).servers[0].1.known);
    assert!(pool.view(Nanos(0)).servers[1].1.known);
}

#[derive(Clone, Debug)]
enum Move {
    Traffic(usize, bool, u8),
    Dial(usize, Verdict),
    Alarms(bool, bool),
    Run(u64, Vec<Verdict>),
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Ok),
        1 => Just(WEAK),
        2 => Just(STRONG),
        1 => (0..Cause::ALL.len()).prop_map(|at| Verdict::Inconclusive(Cause::ALL[at])),
    ]
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (any::<usize>(), prop::bool::weighted(0.3), 1..9u8).prop_map(|(at, good, n)| Move::Traffic(at, good, n)),
        2 => (any::<usize>(), verdict()).prop_map(|(at, verdict)| Move::Dial(at, verdict)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(lag, ports)| Move::Alarms(lag, ports)),
        3 => (0..20_000u64, prop::collection::vec(verdict(), 1..6)).prop_map(|(ms, verdicts)| Move::Run(ms, verdicts)),
    ]
}

fn play(services: &[u16], trace: &[Move]) -> Watch {
    let mut watch = Watch::new(services);
    for what in trace {
        match what {
            Move::Traffic(at, good, n) => (0..*n).for_each(|_| watch.traffic(at % services.len(), *good)),
            Move::Dial(at, verdict) => {
                let event = Event::DialEnded { verdict: *verdict, evidence: Evidence::default() };
                watch.tell(|pool, now, out| pool.on_event(now, at % services.len(), event, out));
            }
            Move::Alarms(loop_lag, ports) => {
                let alarms = Alarms { loop_lag: *loop_lag, ports: *ports };
                watch.tell(|pool, now, out| pool.alarms(now, alarms, out));
            }
            Move::Run(ms, verdicts) => {
                let mut next = 0;
                watch.run(Span::millis(*ms), |_, _| {
                    next += 1;
                    verdicts[next % verdicts.len()]
                });
            }
        }
        let view = watch.pool.view(watch.now);
        for service in [0, 1] {
            let of = || (0..services.len()).filter(|at| services[*at] == service);
            let ejected = of().filter(|at| view.servers[*at].1.ejected.is_some()).count();
            assert!(ejected <= (of().count() * 3 / 10).max(1), "{ejected} of {}", of().count());
            assert!(of().count() == 0 || ejected < of().count(), "never all");
        }
    }
    watch
}

fn services() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0..2u16, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Ejections stay within their bound, and the same trace gives the same decisions.
    #[test]
    fn bounds_and_determinism(services in services(), trace in prop::collection::vec(moves(), 0..40)) {
        let one = play(&services, &trace);
        prop_assert_eq!(one.log, play(&services, &trace).log);
    }

    /// The next process knows what the last one knew, by its own clock, whatever that was.
    #[test]
    fn the_next_process_knows_the_same(services in services(), trace in prop::collection::vec(moves(), 0..40)) {
        let watch = play(&services, &trace);
        let now = Nanos(0) + Span::secs(1_000_000);
        let next = next_process(&watch, &services, now);
        let told = |pool: &Pool, now| {
            let view = pool.view(now).servers.into_iter();
            let of = |(name, view): (String, View)| {
                let ages: Vec<_> = view.reports.iter().map(|report| (now.since(report.at), report.verdict)).collect();
                let why = if view.known { view.why } else { String::new() };
                (name, view.phase, why, view.ejected, view.limit, view.since, if view.known { ages } else { vec![] })
            };
            view.map(of).collect::<Vec<_>>()
        };
        let mut before = told(&watch.pool, watch.now);
        for (one, (_, view)) in before.iter_mut().zip(watch.pool.view(watch.now).servers) {
            one.5 = if view.known { one.5 } else { Span::ZERO };
        }
        prop_assert_eq!(before, told(&next, now));
        for at in 0..services.len() {
            let told = |pool: &Pool| pool.standing(at).map(|standing| (standing.phase, standing.cap, standing.refused));
            prop_assert_eq!(told(&next), told(&watch.pool));
        }
    }

    /// Traffic alone, however bad, never takes the last server.
    #[test]
    fn traffic_alone_never_takes_all(services in services(), calls in prop::collection::vec((any::<usize>(), prop::bool::weighted(0.1)), 0..300)) {
        let mut watch = Watch::new(&services);
        for (at, good) in calls {
            watch.traffic(at % services.len(), good);
        }
        watch.run(Span::secs(11), |_, _| Verdict::Ok);
        for service in [0, 1] {
            let of: Vec<usize> = (0..services.len()).filter(|at| services[*at] == service).collect();
            prop_assert!(of.is_empty() || of.iter().any(|at| watch.stands[*at].phase != Phase::Down));
        }
    }

    /// When all fail within one interval over two services, none is taken down while that may be our own fault.
    #[test]
    fn all_at_once_is_nobodys_fault(services in services(), weak in any::<bool>()) {
        prop_assume!(services.contains(&0) && services.contains(&1));
        let mut watch = Watch::new(&services);
        watch.run(Span::secs(18), |_, _| if weak { WEAK } else { STRONG });
        prop_assert!(!watch.ever_down(), "{:?}", watch.phases());
    }
}
