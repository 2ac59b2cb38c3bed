//! A storm that its seed decides: a small world, a gate with a plan, and what goes wrong and when.
//!
//! Every storm can be survived: whatever changes, the servers can serve far more than one session in ten seconds, no call
//! takes longer than its client waits once it is served, and all that goes wrong is over after some time.

use tidegate_core::admission::Role;
use tidegate_core::admission::{Guarantees, LimitPlan, Plan};
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::engine::{Fault, World};
use tidegate_sim::law::LawKind;
use tidegate_sim::policy::{Gate, plan};
use tidegate_sim::rng::SplitMix64;
use tidegate_sim::spec::{
    BulkSpec, ChangeSpec, FlapSpec, GateSpec, HostsSpec, LawSpec, NetworkSpec, PopulationSpec, Refuse, RetrySpec,
    ServerSpec, Spec, StepSpec,
};

/// Everything that goes wrong has gone wrong by then.
const TROUBLE_S: f64 = 120.0;
/// How long a storm is played at the most: finite, and far more than any of them needs.
const WINDOW_S: f64 = 7200.0;

/// Random numbers by name of what they are for.
struct Dice(SplitMix64);

impl Dice {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.0.unit() * (high - low)
    }

    /// Small numbers as often as large ones.
    fn scale(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.0.unit())
    }

    fn whole(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }

    fn chance(&mut self, share: f64) -> bool {
        self.0.unit() < share
    }

    fn times(&mut self, share: f64, most: u64) -> u64 {
        if self.chance(share) { self.whole(1, most) } else { 0 }
    }
}

/// One storm.
#[derive(Debug)]
pub struct Storm {
    pub spec: Spec,
    pub plan: Plan,
    /// How often, of all steps, a client leaves, and time jumps.
    leaving: f64,
    jumping: f64,
    /// Looks of the witness after which it writes the machine down.
    pub twin_after: u64,
    dice: Dice,
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Storm {
    pub fn new(seed: u64) -> Storm {
        let mut dice = Dice(SplitMix64::new(seed));
        let timeout_s = dice.scale(8.0, 60.0);
        let servers: Vec<ServerSpec> =
            (0..dice.whole(0, 9).saturating_sub(6).max(1)).map(|index| server(&mut dice, index, timeout_s)).collect();
        let rate: f64 = servers.iter().map(|server| server.law.law(1.0).expect("a law").best_rate()).sum();
        let mut populations = vec![hosts(&mut dice, "hosts", timeout_s)];
        if dice.chance(0.2) {
            let more = hosts(&mut dice, "more", timeout_s);
            populations.push(more);
        }
        if dice.chance(0.3) {
            populations.push(bulk(&mut dice, rate, timeout_s));
        }
        let flaps = (0..dice.times(0.2, 2)).map(|_| flap(&mut dice)).collect();
        let restarts = (0..dice.times(0.3, 2)).map(|_| dice.between(1.0, 60.0)).collect();
        let spec = Spec {
            format: 1,
            seed: dice.0.next_u64(),
            window_s: WINDOW_S,
            sample_s: 10.0,
            servers,
            populations,
            network: NetworkSpec { delay_s: dice.between(0.0, 0.02), flaps },
            gate: GateSpec { restart_at_s: restarts, down_s: dice.between(0.1, 5.0), expected_hosts: None },
        };
        let plan = tuned(&mut dice, &spec, timeout_s);
        let leaving = if dice.chance(0.3) { dice.scale(0.0005, 0.02) } else { 0.0 };
        let jumping = if dice.chance(0.2) { dice.scale(0.0001, 0.002) } else { 0.0 };
        let twin_after = dice.scale(1.0, 3000.0) as u64;
        Storm { spec, plan, leaving, jumping, twin_after, dice }
    }

    /// Lets something go wrong, perhaps; true when it did.
    pub fn meddle(&mut self, world: &mut World<Gate>) -> bool {
        if world.now() > Nanos(0) + Span::from_secs_f64(TROUBLE_S) {
            return false;
        }
        if self.leaving > 0.0 && self.dice.chance(self.leaving) {
            let calls = world.calls();
            if !calls.is_empty() {
                let call = calls[self.dice.0.next_u64() as usize % calls.len()];
                world.fault(Fault::Leave(call));
                return true;
            }
        }
        if self.jumping > 0.0 && self.dice.chance(self.jumping) {
            let jump = Span::from_secs_f64(self.dice.scale(0.01, 20.0));
            world.fault(Fault::Jump(jump));
            return true;
        }
        false
    }
}

fn server(dice: &mut Dice, index: u64, timeout_s: f64) -> ServerSpec {
    let kind = [LawKind::Usl, LawKind::Cliff, LawKind::Convoy][dice.whole(0, 2) as usize];
    let knee = (dice.scale(1.0, 40.0) as u32).max(1);
    // With everything that may make it slower (cold, changed, at its knee) a unit takes less than a quarter of the patience.
    let unit_s = dice.scale(0.002, timeout_s / 80.0);
    let law = LawSpec { kind, knee: Some(knee), sigma: None, kappa: None, unit_s };
    let changes = (0..dice.times(0.4, 3)).map(|_| change(dice, knee, unit_s)).collect();
    ServerSpec {
        name: format!("server-{index}"),
        law,
        threads: if dice.chance(0.2) { dice.whole(u64::from(knee), 200) as usize } else { 200 },
        backlog: if dice.chance(0.2) { dice.whole(0, 64) as usize } else { 1024 },
        session_idle_s: if dice.chance(0.3) { dice.scale(30.0, 300.0) } else { 300.0 },
        down_until_s: if dice.chance(0.3) { dice.scale(0.5, 40.0) } else { 0.0 },
        crash_at: dice.chance(0.15).then(|| (knee + dice.whole(3, 30) as u32) as usize),
        crash_down_s: dice.scale(0.5, 20.0),
        cold_s: if dice.chance(0.4) { dice.scale(1.0, 20.0) } else { 0.0 },
        cold_factor: dice.between(1.0, 3.0),
        changes,
        refuse: if dice.chance(0.5) { Refuse::Busy } else { Refuse::Reset },
    }
}

fn change(dice: &mut Dice, knee: u32, unit_s: f64) -> ChangeSpec {
    let at_s = dice.between(1.0, 90.0);
    let nothing = ChangeSpec { at_s, knee: None, unit_s: None, restart_for_s: None };
    match dice.whole(0, 2) {
        0 => ChangeSpec { knee: Some(((f64::from(knee) * dice.scale(0.3, 2.0)) as u32).max(1)), ..nothing },
        1 => ChangeSpec { unit_s: Some(unit_s * dice.scale(0.3, 3.0)), ..nothing },
        _ => ChangeSpec { restart_for_s: Some(dice.scale(0.2, 20.0)), ..nothing },
    }
}

fn flap(dice: &mut Dice) -> FlapSpec {
    FlapSpec { at_s: dice.between(0.0, 60.0), for_s: dice.scale(0.2, 30.0) }
}

fn hosts(dice: &mut Dice, name: &str, timeout_s: f64) -> PopulationSpec {
    let step = |operation: &str, role, units, times| StepSpec { operation: operation.into(), role, units, times };
    let mut script = vec![step("setContext", Role::Open, 1.0, 1)];
    for (index, name) in ["queryArrays", "queryPools", "queryStats"].iter().enumerate() {
        if dice.chance([0.9, 0.4, 0.2][index]) {
            script.push(step(name, Role::Call, dice.scale(0.1, 1.5), dice.whole(1, 3) as u32));
        }
    }
    PopulationSpec::Hosts(HostsSpec {
        name: name.into(),
        hosts: dice.scale(2.0, 80.0) as i64,
        begin_s: if dice.chance(0.3) { dice.between(0.0, 30.0) } else { 0.0 },
        spread_s: dice.scale(0.1, 10.0),
        timeout_s,
        poll_s: dice.scale(5.0, 20.0),
        script,
        poll: Some(step("getEvents", Role::Poll, dice.scale(0.002, 0.03), 1)),
        retry: retry(dice),
        honours_retry_after: dice.chance(0.2),
    })
}

fn retry(dice: &mut Dice) -> RetrySpec {
    let min_s = dice.scale(1.0, 15.0);
    match dice.whole(0, 3) {
        0 => RetrySpec::Fixed { min_s, max_s: min_s * 1.2 },
        1 => RetrySpec::Greedy { s: dice.scale(0.2, 2.0) },
        2 => RetrySpec::Jittered { base_s: 1.0, cap_s: dice.between(5.0, 30.0) },
        _ => RetrySpec::RetryAfter { min_s, max_s: min_s * 1.2 },
    }
}

fn bulk(dice: &mut Dice, rate: f64, timeout_s: f64) -> PopulationSpec {
    let units = dice.scale(0.2, 4.0);
    PopulationSpec::Bulk(BulkSpec {
        name: "backup".into(),
        principals: dice.whole(1, 5) as u32,
        rate_per_s: (rate * dice.scale(0.05, 1.5) / units).min(20.0),
        units,
        timeout_s: 2.0 * timeout_s,
        operation: "retrieveAll".into(),
        begin_s: dice.between(0.0, 30.0),
    })
}

/// A gate for it: with the documented defaults, or with other numbers that make sense.
fn tuned(dice: &mut Dice, spec: &Spec, timeout_s: f64) -> Plan {
    let knees =
        spec.servers.iter().flat_map(|server| server.changes.iter().map(|change| change.knee).chain([server.law.knee]));
    let least = knees.flatten().min().unwrap_or(1);
    let adaptive = dice.chance(0.6);
    let limit = if adaptive {
        let most = if dice.chance(0.2) { dice.whole(1, 30) as u32 } else { 256 };
        LimitPlan::Adaptive { most, first: 1 }
    } else {
        LimitPlan::Static(dice.whole(1, u64::from(least)) as u32)
    };
    let mut plan = plan(spec, limit);
    if dice.chance(0.7) {
        plan.client_timeout = Span::from_secs_f64(timeout_s);
        plan.upstream_timeout = Span::from_secs_f64(2.0 * timeout_s);
    }
    plan.margin = Span::from_secs_f64(plan.client_timeout.as_secs_f64() * dice.between(0.0, 0.1));
    if dice.chance(0.2) {
        // A queue with fewer places than clients is one that greedy clients keep full.
        plan.held_max = spec.hosts() as u32 + dice.whole(20, 60) as u32;
    }
    plan.held_per_client_max = dice.whole(1, 8) as u32;
    if dice.chance(0.3) {
        let part = |dice: &mut Dice| dice.whole(50, 250) as u32;
        plan.guarantees =
            Guarantees { continuation: part(dice), new_session: part(dice), steady: part(dice), bulk: part(dice) };
    }
    if dice.chance(0.3) {
        let idle = spec.servers.iter().map(|server| server.session_idle_s).fold(f64::MAX, f64::min);
        plan.session_idle = Some(Span::from_secs_f64(idle));
    }
    plan
}
