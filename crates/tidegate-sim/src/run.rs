//! A whole run: a spec under a policy, from the beginning to its report.

use crate::engine::{Begin, World};
use crate::error::SpecError;
use crate::policy::{Policy, PolicySpec, direct, gate};
use crate::report::Report;
use crate::spec::Spec;

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
    match policy {
        PolicySpec::None {} | PolicySpec::KbManual { .. } => play(direct(&spec), spec, policy, progress),
        PolicySpec::Tidegate { limit, learned } => play(gate(&spec, *limit, learned.as_ref())?, spec, policy, progress),
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
