//! Captures among logs: packets are read, not searched, and cutting the bytes changes nothing.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::{Value, json};
use tidegate_scan::Scanner;

const OCCUPIED: &[u8] = include_bytes!("data/captures/occupied-tuple.pcap");

fn scan(bytes: &[u8], cut: Option<usize>) -> Value {
    let plan = json!({
        "format": 1, "now": 0, "signatures": [{"id": "a/syn", "literals": ["occupied"]}],
        "tallies": [], "marks": [], "dumps": [],
    });
    let scanner = Scanner::new(plan.to_string().as_bytes()).unwrap();
    serde_json::from_str(&scanner.scan_text("night.pcap", bytes, cut)).unwrap()
}

#[test]
fn a_capture_is_reported_and_holds_no_lines() {
    let result = scan(OCCUPIED, None);
    let member = &result["members"][0];
    assert_eq!((&member["capture"], &member["text"]), (&json!(true), &json!(false)));
    assert_eq!((&member["bytes"], &member["lines"]), (&json!(OCCUPIED.len()), &json!(0)));
    let capture = &result["captures"][0];
    assert_eq!(capture["member"], 0);
    assert_eq!(capture["report"]["files"][0]["path"], "night.pcap");
    assert!(capture["report"]["packets"].as_u64() > Some(0));
}

#[test]
fn cutting_a_capture_changes_nothing() {
    let whole = scan(OCCUPIED, None);
    assert!((0..=OCCUPIED.len()).all(|cut| scan(OCCUPIED, Some(cut)) == whole));
}

#[test]
fn what_looks_like_a_capture_at_first_is_searched_as_text() {
    for text in ["", "\n", "\n\r\r\nis occupied by text", "occupied"] {
        for cut in 0..=text.len() {
            let result = scan(text.as_bytes(), Some(cut));
            assert_eq!((&result["captures"], &result["members"][0]["capture"]), (&json!([]), &json!(false)));
            assert_eq!(result["hits"].as_array().unwrap().len(), usize::from(text.contains("occupied")));
        }
    }
}
