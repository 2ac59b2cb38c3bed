//! pcap of any bytes, to the report on its flows: neither the blocks in which it comes nor the number of shards change it,
//! nothing is counted twice, and a table that is too small only tells so.
#![no_main]

use tidegate_fuzz::{MAGIC, cut};
use tidegate_scan::capture::{Capture, Sink};
use tidegate_scan::flows::{Flows, Options, Report};
use tidegate_scan::source::Ended;

/// The report as JSON, but for what memory it takes.
fn told(report: &Report) -> serde_json::Value {
    let mut told = serde_json::to_value(report).expect("a report is JSON");
    told["bytes_per_flow"] = serde_json::Value::Null;
    told
}

/// Flows of a file that comes in such blocks.
fn flows(blocks: &[&[u8]], mut flows: Flows) -> Flows {
    let mut capture = Capture::new(0, "x".to_owned());
    blocks.iter().for_each(|block| capture.data(block, |batch| flows.packets(batch)));
    flows.end(capture.end(Ended::Whole));
    flows
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    if let Some(magic) = bytes.first_chunk_mut::<4>().filter(|magic| !MAGIC.contains(magic)) {
        *magic = MAGIC[usize::from(magic[0] % 4)];
    }
    let options = Options { flows_max: 1000, seed: 1, each: true };
    let (first, second) = cut(&bytes);
    let whole = flows(&[&bytes], Flows::new(&options)).finish();
    let (mut left, right) = (Flows::shard(&options, 0, 2), Flows::shard(&options, 1, 2));
    left = flows(&[first, second], left);
    left.absorb(flows(&[&bytes], right));
    let whole = told(&whole);
    assert_eq!(told(&left.finish()), whole);
    let count = |name: &str| whole[name].as_u64().expect("a count");
    let sum =
        |name: &str| whole[name].as_object().expect("counts").values().filter_map(|one| one.as_u64()).sum::<u64>();
    assert_eq!(sum("conn_states"), count("flows"));
    assert!(count("live") <= count("flows") && count("from") <= count("to"));
    let small = told(&flows(&[&bytes], Flows::new(&Options { flows_max: 2, ..options })).finish());
    assert!(small["live"].as_u64().is_some_and(|live| live <= 2));
    assert_eq!(small["packets"], whole["packets"]);
});
