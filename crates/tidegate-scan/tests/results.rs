//! Results: times, members, tallies, marks, dumps and limits, and that cutting a text never changes them.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidegate_scan::Scanner;

const MINUTE: i64 = 60_000_000_000;
/// 2025-08-08T12:00:00Z.
const NOON: i64 = 1_754_654_400_000_000_000;

fn plan() -> Value {
    json!({
        "format": 1, "now": 1_764_063_021_000_000_000_i64,
        "signatures": [
            {"id": "b/nfc", "literals": ["vim.fault.NotAuthenticated"], "all": [r"code:\s*(?P<code>\d+)"], "not": ["no_healthy"]},
            {"id": "a/any", "literals": ["VIM.FAULT.NOTAUTHENTICATED", "setContext for VP"], "fold": true},
            {"id": "c/hostd", "literals": ["vim.fault.NotAuthenticated"], "programs": ["HOSTD"]},
        ],
        "tallies": [{"id": "begin", "literals": ["[VpxLRO] -- BEGIN"], "regex": r"BEGIN (?P<op>\S+) by (?P<user>\S+)", "key": ["user"], "by": "op"}],
        "marks": [{"id": "version/esxi", "literals": ["Section for VMware"], "regex": r"version=(?P<version>[\d.]+), build=(?P<build>\d+)"}],
        "dumps": [{"id": "ss", "sniff": r"(?m)^State\s+Recv-Q"}],
    })
}

fn scan_with(plan: &Value, text: &[u8], cut: Option<usize>) -> Value {
    let scanner = Scanner::new(plan.to_string().as_bytes()).unwrap();
    serde_json::from_str(&scanner.scan_text("text", text, cut)).unwrap()
}

fn scan(text: &str) -> Value {
    scan_with(&plan(), text.as_bytes(), None)
}

const TEXT: &str = "\
2025-08-08T12:00:00.000Z - Section for VMware ESX, pid=1, version=8.0.0, build=19833347, option=BETA
2025-08-08T12:00:01.000Z info vpxd[1] [Originator@6876 sub=a] [VpxLRO] -- BEGIN Clone by root
2025-08-08T12:01:01.000Z info vpxd[1] [Originator@6876 sub=a] [VpxLRO] -- BEGIN Clone by root
2025-08-08T12:01:02.000Z info vpxd[1] [Originator@6876 sub=a] [VpxLRO] -- BEGIN Find by backup
info vpxd[2] [Originator@6876 sub=a] code: 500; fault: (vim.fault.NotAuthenticated) and vim.fault.notauthenticated {
--> vim.fault.NotAuthenticated
--> }
2025-08-08T12:01:03.000Z Er(163) Hostd[3]: code: 503 no_healthy vim.fault.NotAuthenticated
";

#[test]
fn records_become_hits_counts_and_marks() {
    let result = scan(TEXT);
    let told: Vec<_> = result["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| {
            json!([hit["signature"], hit["line"], hit["program"], hit["time"], hit["time_source"], hit["fields"]])
        })
        .collect();
    let near = NOON + 62_000_000_000;
    assert_eq!(
        json!(told),
        json!([
            ["a/any", 5, "vpxd", near, "neighbour", {}],
            ["b/nfc", 5, "vpxd", near, "neighbour", {"code": "500"}],
            ["a/any", 8, "Hostd", near + 1_000_000_000, "record", {}],
            ["c/hostd", 8, "Hostd", near + 1_000_000_000, "record", {}],
        ])
    );
    let minute = NOON / MINUTE;
    assert_eq!(
        result["tallies"],
        json!([
            {"tally": "begin", "key": {"user": "backup"}, "total": 1, "first": near, "last": near, "by": {"Find": 1}, "minutes": [[minute + 1, 1]]},
            {"tally": "begin", "key": {"user": "root"}, "total": 2, "first": NOON + 1_000_000_000, "last": NOON + 61_000_000_000_i64, "by": {"Clone": 2}, "minutes": [[minute, 1], [minute + 1, 1]]},
        ])
    );
    assert_eq!(result["marks"][0]["fields"], json!({"version": "8.0.0", "build": "19833347"}));
    let member = &result["members"][0];
    assert_eq!((&member["lines"], &member["bytes"], &member["text"]), (&json!(8), &json!(TEXT.len()), &json!(true)));
    assert_eq!((&member["first"], &member["last"]), (&json!(NOON), &json!(NOON + 63_000_000_000_i64)));
    assert_eq!(result["cut"], json!({"hits": 0, "marks": 0, "keys": 0, "dumps": 0, "captures": 0}));
}

#[test]
fn limits_leave_out_and_count() {
    let mut plan = plan();
    plan["limits"] = json!({"hits": 3, "evidence": 1, "keys": 1});
    let result = scan_with(&plan, TEXT.as_bytes(), None);
    assert_eq!(result["hits"].as_array().unwrap().len(), 3);
    let shown: Vec<_> = result["hits"].as_array().unwrap().iter().map(|hit| hit["record"].is_string()).collect();
    assert_eq!(shown, [true, true, true]);
    assert_eq!(result["cut"], json!({"hits": 1, "marks": 0, "keys": 1, "dumps": 0, "captures": 0}));
    plan["limits"] = json!({"evidence": 1});
    let result = scan_with(&plan, TEXT.as_bytes(), None);
    let shown: Vec<_> = result["hits"].as_array().unwrap().iter().map(|hit| hit["record"].is_string()).collect();
    assert_eq!(shown, [true, true, false, true]);
    let flood: String =
        (0..1100).map(|n| format!("2025-08-08T12:00:00Z Section for VMware ESX, version=8.0.{n}, build=1\n")).collect();
    let result = scan(&flood);
    assert_eq!((result["marks"].as_array().unwrap().len(), &result["cut"]["marks"]), (1000, &json!(100)));
}

#[test]
fn dumps_are_handed_out_whole() {
    let text = "State  Recv-Q Send-Q\nESTAB 0 0\n".repeat(1000);
    let result = scan(&text);
    assert_eq!(result["dumps"], json!([{"dump": "ss", "member": 0, "text": text, "truncated": false}]));
    assert_eq!(scan(TEXT)["dumps"], json!([]));
}

#[test]
fn binary_text_is_searched_too() {
    let mut text = vec![7_u8; 5000];
    text.extend_from_slice(b"\0\0\x01\xFF\x002020-01-01T00:00:00Z cpu0:1)setContext for VP\n\xFE\0\0");
    let result = scan_with(&plan(), &text, None);
    assert_eq!((&result["hits"][0]["pid"], &result["members"][0]["text"]), (&json!("1"), &json!(false)));
}

#[test]
fn empty_text_is_a_member() {
    let result = scan("");
    assert_eq!((&result["members"][0]["lines"], &result["members"][0]["first"]), (&json!(0), &Value::Null));
}

#[test]
fn evidence_holds_no_control_characters() {
    let result = scan("2020-01-01T00:00:00Z cpu0:1)setContext for VP \u{1b}[31mred\u{7}\u{202e}\u{9b} <b>\n");
    assert_eq!(result["hits"][0]["record"], json!("2020-01-01T00:00:00Z cpu0:1)setContext for VP red <b>"));
}

#[test]
fn hits_in_a_long_text_lie_where_they_lie() {
    let noise =
        "2025-08-08T12:00:00.000Z In(166) Hostd[7]: [Originator@6876 sub=Default] nothing to see here\n".repeat(40_000);
    let text =
        format!("{noise}2025-08-08T13:00:00.000Z In(166) Hostd[7]: setContext for VP\n{noise}orphan setContext for VP");
    let whole = scan(&text);
    let lines: Vec<_> =
        whole["hits"].as_array().unwrap().iter().map(|hit| (hit["line"].clone(), hit["offset"].clone())).collect();
    assert_eq!(json!(lines), json!([[40_001, noise.len()], [80_001, text.rfind("2025").unwrap()]]));
    for cut in [1, 4096, noise.len() - 1, noise.len() + 40, text.len() - 5] {
        assert_eq!(scan_with(&plan(), text.as_bytes(), Some(cut)), whole, "{cut}");
    }
}

#[test]
fn plans_are_refused_with_a_sentence() {
    let one = |signature: Value| json!({"format": 1, "signatures": [signature]}).to_string();
    let cases = [
        ("{".to_owned(), "cannot be read"),
        (json!({"signatures": []}).to_string(), "no format"),
        (json!({"format": 2, "future": 1}).to_string(), "has format 2"),
        (json!({"format": 1, "signatures": [], "extra": 1}).to_string(), "extra"),
        (json!({"format": 1, "ex\ntra": 1}).to_string(), "ex tra"),
        (one(json!({"id": "x", "literals": ["abc"]})), "\"abc\" of the signature \"x\" has 3 bytes"),
        (one(json!({"id": "x", "literals": []})), "signature \"x\" has no literal"),
        (one(json!({"id": "x", "literals": ["abcd\n"]})), "end of line"),
        (one(json!({"id": "x", "literals": ["a".repeat(2000)]})), "1024 are the most"),
        (
            one(json!({"id": "x", "literals": ["abcd"], "all": ["(?=x)"]})),
            "signature \"x\" cannot be used: look-around",
        ),
        (one(json!({"id": "x", "literals": ["abcd"], "not": [r"\w{500}\w{500}"]})), "more than 1 MiB"),
        (
            json!({"format": 1, "signatures": [{"id": "x", "literals": ["abcd"]}, {"id": "x", "literals": ["abcd"]}]})
                .to_string(),
            "have the id \"x\"",
        ),
        (
            json!({"format": 1, "tallies": [{"id": "t", "literals": ["abcd"], "regex": "a", "key": ["user"]}]})
                .to_string(),
            "tally \"t\" counts by \"user\"",
        ),
    ];
    for (plan, expected) in cases {
        let error = Scanner::new(plan.as_bytes()).unwrap_err();
        assert!(error.message.contains(expected) && !error.hint.is_empty(), "{error} ({expected})");
        assert!(!error.message.contains('\n'), "{error}");
    }
}

#[test]
fn a_tally_may_count_every_match_in_a_record() {
    let session = |number: usize| format!("--> /Session/Id='{number}'/Username='root'\n");
    let text: String = (0..1000).map(session).collect();
    let text = format!("2025-08-08T12:00:00.000Z info vpxd-profiler[1] [a]\n{text}");
    let tally = |every: bool| {
        let tally = json!({"id": "t", "literals": ["/Session/Id="], "regex": r"/Session/Id='(?P<id>\d+)'", "key": ["id"], "every": every});
        let plan = json!({"format": 1, "tallies": [tally]});
        let whole = scan_with(&plan, text.as_bytes(), None);
        assert_eq!(scan_with(&plan, text.as_bytes(), Some(5000)), whole);
        let found = whole["tallies"].as_array().unwrap();
        found.iter().map(|each| each["key"]["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(tally(true), (0..1000).map(|number| number.to_string()).collect());
    assert!(tally(false).len() < 100);
}

#[test]
fn counts_of_a_copy_are_not_added() {
    let folder = tempfile::tempdir().unwrap();
    let later = TEXT.replace("T12:", "T13:");
    let paths: Vec<_> = [("a", TEXT), ("b", TEXT), ("c", &later), ("d", TEXT)]
        .map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        })
        .into();
    let scanner = Scanner::new(plan().to_string().as_bytes()).unwrap();
    let result: Value = serde_json::from_str(&scanner.scan(&paths, false, 2, &|_, _| true).unwrap()).unwrap();
    let totals: Vec<_> = result["tallies"].as_array().unwrap().iter().map(|tally| tally["total"].as_u64()).collect();
    assert_eq!(totals, [Some(2), Some(4)]);
}

/// Pieces of logs, whole and torn.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<Vec<u8>> = TEXT
        .lines()
        .map(|line| format!("{line}\n").into_bytes())
        .chain(
            [
                &b"--> more\n"[..],
                b"\0",
                b"\0\0",
                b"\r\n",
                b"\x1b[31m",
                b"In(14)[+] vpxd[1]: ",
                b"12:",
                b"<166>",
                b"\xff\xfe",
                b"\n",
            ]
            .map(<[u8]>::to_vec),
        )
        .collect();
    let piece = prop_oneof![8 => prop::sample::select(known), 1 => prop::collection::vec(any::<u8>(), 0..40)];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_text_cut_anywhere_gives_the_same_result(text in pieces(), cut in any::<prop::sample::Index>()) {
        let whole = scan_with(&plan(), &text, None);
        prop_assert_eq!(scan_with(&plan(), &text, Some(cut.index(text.len() + 1))), whole);
    }
}
