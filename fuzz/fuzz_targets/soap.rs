//! SOAP prefixes, version.xml, answers that are lowered, and cookies. The first byte says which.
#![no_main]

use tidegate_proxy::vasa::soap::{Prefix, is_name, read_prefix};
use tidegate_proxy::vasa::{cookie, lower, version};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 4 {
        0 => prefix(None, data),
        1 => prefix(Some(b"multipart/related; boundary=b"), data),
        2 => rewrite(data),
        _ => {
            let _ = (cookie::requested([data], "S"), cookie::set([data], "S"));
        }
    }
});

fn prefix(content_type: Option<&[u8]>, data: &[u8]) {
    let whole = read_prefix(content_type, data, true);
    assert_ne!(whole, Prefix::NeedMore);
    let early = read_prefix(content_type, &data[..data.len() / 2], false);
    assert!(early == Prefix::NeedMore || early == whole, "{early:?} {whole:?}");
    if let Prefix::Operation(operation) = whole {
        assert!(is_name(&operation.name));
    }
}

fn rewrite(data: &[u8]) {
    let lowered = lower::lower(data);
    assert!(lowered.len() <= data.len());
    assert_eq!(lower::lower(&lowered), lowered);
    let Some(gate) = version::Origin::parse("https://gate.example:9") else { return };
    if let Ok(rewritten) = version::rewrite(data, &gate) {
        // A second pass finds nothing to change.
        assert_eq!(version::rewrite(&rewritten, &gate).as_ref(), Ok(&rewritten));
    }
}
