//! Heads and bodies of HTTP/1.1: what is taken is forwarded with the same meaning, in whatever pieces it came.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"HTTP/") {
        tidegate_proxy::fuzzing::answer(data);
    } else {
        tidegate_proxy::fuzzing::request(data);
    }
});
