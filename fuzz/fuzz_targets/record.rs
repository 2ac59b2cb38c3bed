//! Records in any bytes: a place is always in its record, the caps hold, and cutting the text changes nothing.
#![no_main]

use std::sync::LazyLock;
use tidegate_scan::{Scanner, record};

const PLAN: &str = r#"{"format": 1, "now": 1764063021000000000,
"signatures": [{"id": "a", "literals": ["fault"], "fold": true, "all": ["(?P<code>[0-9]+)"]}, {"id": "b", "literals": ["vvold"], "programs": ["vvold"]}],
"tallies": [{"id": "t", "literals": ["Originator"], "regex": "sub=(?P<sub>\\w+)", "key": ["sub"]}],
"marks": [{"id": "m", "literals": ["2025"], "regex": "."}], "limits": {"hits": 50, "evidence": 5, "keys": 5}}"#;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new(PLAN.as_bytes()).expect("the plan is one"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [a, b, text @ ..] = data else { return };
    let place = usize::from(u16::from_le_bytes([*a, *b]));
    let at = place % (text.len() + 1);
    if at < text.len() {
        let record = record::assemble(text, at, a % 2 == 0, 1_764_063_021_000_000_000, None);
        assert!(record.holds(at) && record.start <= at);
        assert!(record.body.len() <= 3 * (64 << 10));
    }
    let whole = SCANNER.scan_text("text", text, None);
    assert_eq!(SCANNER.scan_text("text", text, Some(at)), whole);
});
