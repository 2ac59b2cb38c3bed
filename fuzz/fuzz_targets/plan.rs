//! The plan, which another process hands over as JSON: refused with a sentence, or taken.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(error) = tidegate_proxy::check_plan(data) {
        assert!(!error.message.is_empty());
    }
});
