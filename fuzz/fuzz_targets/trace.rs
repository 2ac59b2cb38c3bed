//! Traces, which come as files: refused with a sentence, or replayed. And whatever a machine can be told is told to one.
#![no_main]

use tidegate_core::trace::{TraceError, replay, tell_lines};

/// The plan with the documented defaults is the one that the core's own tests use.
#[path = "../../crates/tidegate-core/tests/world/mod.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let refused = |error: TraceError| assert!(!error.to_string().is_empty() && !error.hint().is_empty());
    let _replayed = replay(|| Ok(data)).map_err(refused);
    let plan = world::plan(2);
    if let Ok(mut machine) = tidegate_core::admission::Machine::new(plan, None, tidegate_core::time::Nanos(0)) {
        tell_lines(&mut machine, data);
    }
});
