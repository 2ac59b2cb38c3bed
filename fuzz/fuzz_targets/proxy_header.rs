//! PROXY headers: a verdict does not change with more bytes, and what is read can be written and read again.
#![no_main]

use tidegate_proxy::wire::proxy_header::{HEADER_MAX, Header, Progress, Version, encode, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let verdict = parse(data);
    let early = parse(&data[..data.len() / 2]);
    assert!(early == Ok(Progress::NeedMore) || early == verdict);
    let Ok(Progress::Header(header, used)) = verdict else {
        assert!(verdict != Ok(Progress::NeedMore) || data.len() < HEADER_MAX);
        return;
    };
    assert!(used <= data.len() && used <= HEADER_MAX);
    if let Header::Tcp { source, destination } = header {
        for version in [Version::V1, Version::V2] {
            let mut written = Vec::new();
            encode(version, source, destination, &mut written);
            let Ok(Progress::Header(again, _)) = parse(&written) else { panic!("not read back") };
            assert_eq!(again.source().map(|s| s.port()), Some(source.port()));
        }
    }
});
