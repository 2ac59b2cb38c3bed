//! Headers of every family: what is read from each line, checked against what a person has read.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde::Deserialize;
use std::collections::BTreeSet;
use tidegate_scan::record;

/// 2025-11-25.
const NOW: i64 = 1_764_063_021_000_000_000;

/// What a header tells, and how the message begins.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Read {
    line: String,
    time_ms: Option<i64>,
    zone: Option<String>,
    host: Option<String>,
    program: Option<String>,
    pid: Option<String>,
    severity: Option<String>,
    body: String,
}

#[derive(Deserialize)]
struct Sample {
    line: String,
}

fn read(line: &str) -> Read {
    let record = record::assemble(line.as_bytes(), 0, true, NOW, None);
    Read {
        line: line.to_owned(),
        time_ms: record.time.map(|stamp| stamp.ns / 1_000_000),
        zone: record.time.map(|stamp| stamp.zone.word().to_owned()),
        host: record.host,
        program: record.program,
        pid: record.pid,
        severity: record.severity.map(str::to_owned),
        body: record.body.chars().take(40).collect(),
    }
}

fn expected() -> Vec<Read> {
    serde_json::from_str(include_str!("data/headers-read.json")).unwrap()
}

#[test]
fn headers_are_read() {
    for expected in expected() {
        assert_eq!(read(&expected.line), expected);
    }
}

#[test]
fn every_sample_of_lnav_is_among_them() {
    let samples: Vec<Sample> = serde_json::from_str(include_str!("data/headers-lnav.json")).unwrap();
    let lines: BTreeSet<String> = expected().into_iter().map(|read| read.line).collect();
    let missing: Vec<_> = samples.into_iter().map(|sample| sample.line).filter(|line| !lines.contains(line)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_header_ends_the_record_before_it() {
    let lines: Vec<String> = expected().into_iter().map(|read| read.line).collect();
    let text = lines.join("\n");
    let mut at = 0;
    for line in &lines {
        let record = record::assemble(text.as_bytes(), at + line.len() / 2, true, NOW, None);
        let goes_on = line.contains("[+]") || line.contains("(14)+") || line.contains(": -->");
        assert!(record.start == at || goes_on, "{line}");
        at += line.len() + 1;
    }
}
