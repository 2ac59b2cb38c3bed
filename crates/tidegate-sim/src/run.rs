//! A whole run: a spec under a policy, from the beginning to its report.

use crate::engine::{Begin, World};
use crate::error::SpecError;
use crate::policy::{
    Direct, EnvoyAdaptive, EnvoyAdmission, Gate, Haproxy, HaproxyKnobs, NginxConn, NginxReq, Policy, PolicySpec, plan,
};
use crate::report::Report;
use crate::spec::Spec;
use tidegate_core::time::Span;

/// Events between two looks at the progress.
const EVERY: u32 = 4096;

/// Plays a spec under a policy. `progress` is told now and then how much of the run is over, and ends it with false.
///
/// # Errors
/// The spec or the policy is not one.
pub fn simulate(
    spec: Spec,
    policy: &PolicySpec,
    progress: &mut dyn FnMut(f64) -> bool,
) -> Result<Option<Report>, SpecError> {
    spec.check()?;
    let (servers, seed) = (spec.servers.len() as u16, spec.seed);
    match *policy {
        PolicySpec::None {} | PolicySpec::KbManual { .. } => play(Direct::new(servers), spec, policy, progress),
        PolicySpec::Tidegate { limit, ref learned } => {
            let gate = Gate::new(plan(&spec, limit), learned.as_ref());
            let gate = gate.map_err(|error| {
                SpecError::new("policy", format_args!("makes no plan: {error}"), "correct the limit")
            })?;
            play(gate, spec, policy, progress)
        }
        PolicySpec::NginxConn { limit } => play(NginxConn::new(servers, limit), spec, policy, progress),
        PolicySpec::NginxReq { rate_per_s, burst } => {
            play(NginxReq::new(servers, rate_per_s, burst), spec, policy, progress)
        }
        PolicySpec::Haproxy { maxconn, timeout_queue_s, class_by_operation } => {
            let timeout_queue = Span::from_secs_f64(timeout_queue_s);
            let knobs = HaproxyKnobs { maxconn, timeout_queue, class_by_operation };
            play(Haproxy::new(servers, knobs), spec, policy, progress)
        }
        PolicySpec::EnvoyAdaptive(knobs) => play(EnvoyAdaptive::new(servers, knobs, seed), spec, policy, progress),
        PolicySpec::EnvoyAdmission {} => play(EnvoyAdmission::new(servers, seed), spec, policy, progress),
    }
}

fn play<P: Policy>(
    stands: P,
    spec: Spec,
    policy: &PolicySpec,
    progress: &mut dyn FnMut(f64) -> bool,
) -> Result<Option<Report>, SpecError> {
    let begin: Begin = policy.begin();
    let mut world = World::new(spec, stands, begin)?;
    let (mut steps, mut share) = (0, 0.0f64);
    while world.step() {
        steps += 1;
        if steps == EVERY {
            steps = 0;
            share = share.max(world.share());
            if !progress(share) {
                return Ok(None);
            }
        }
    }
    progress(1.0);
    Ok(Some(Report::of(&world, policy)))
}
