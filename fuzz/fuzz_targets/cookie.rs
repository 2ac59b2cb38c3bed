//! Cookies of vCenter's sessions: a request's, and what of it goes upstream.
#![no_main]

use tidegate_proxy::vcenter::cookie;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let found = cookie::soap(lines.iter().copied());
    assert!(found.is_none_or(|value| !value.is_empty()));
    let _ = (cookie::api(lines.iter().copied()), cookie::set_soap(lines.iter().copied()));

    // The gate's session and nobody else's goes upstream, however the client's was dressed up.
    let sent = cookie::forwarded(lines.iter().copied(), Some((cookie::SOAP, b"up"))).expect("there is a session");
    assert_eq!(cookie::soap([sent.as_slice()]), Some(b"up".as_slice()), "{}", sent.escape_ascii());
    let lower = sent.to_ascii_lowercase();
    assert_eq!(lower.windows(cookie::SOAP.len()).filter(|it| *it == cookie::SOAP.as_bytes()).count(), 1);
    assert_eq!(cookie::api([sent.as_slice()]), None);
    if let Some(sent) = cookie::forwarded(lines.iter().copied(), None) {
        assert_eq!(cookie::soap([sent.as_slice()]), None, "{}", sent.escape_ascii());
    }
});
