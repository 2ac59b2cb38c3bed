//! Whatever comes: nothing panics, everything is counted, and shards change nothing.

use proptest::prelude::*;
use tidegate_scan::flows::{Flows, Options, Report};

use crate::play::{any_packet, packets, report, tell};

const EACH: Options = Options { flows_max: 1000, seed: 3, each: true };

/// Flows that stand half-open, those that nobody would remember among them.
fn half_open(report: &Report) -> u64 {
    let states = ["syn-sent", "simultaneous", "syn-received", "orphan-syn-ack"];
    states.iter().filter_map(|state| report.states.get(state)).sum()
}

fn half_open_at_last(report: &Report) -> u64 {
    report.half_open.last().map_or(0, |[_, count]| *count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn shards_and_seeds_change_nothing(plays in prop::collection::vec(any_packet(), 1..300), shards in 2..6_u32) {
        let packets = packets(&plays);
        let other = Options { seed: u64::from(shards) << 40, ..EACH };
        prop_assert_eq!(report(&packets, &EACH, 1), report(&packets, &other, shards));
    }

    #[test]
    fn every_packet_and_every_flow_is_counted(plays in prop::collection::vec(any_packet(), 1..300)) {
        let packets = packets(&plays);
        let report = report(&packets, &EACH, 1);
        let told = plays.iter().filter(|play| !play.undelivered).count() as u64;
        prop_assert_eq!((report.packets, report.notes.values().sum::<u64>()), (plays.len() as u64, told));
        prop_assert_eq!(report.conn_states.values().sum::<u64>(), report.flows);
        prop_assert_eq!(report.files[0].states.values().sum::<u64>(), report.flows);
        prop_assert_eq!(report.each.as_ref().unwrap().len() as u64, report.flows);
        prop_assert!(report.states.values().sum::<u64>() <= report.flows && report.evicted == 0);
        prop_assert!(half_open_at_last(&report) <= half_open(&report));
    }

    #[test]
    fn a_full_table_gives_up_flows_and_goes_on(plays in prop::collection::vec(any_packet(), 1..300), room in 1..6_usize) {
        let packets = packets(&plays);
        let small = report(&packets, &Options { flows_max: room, ..EACH }, 1);
        let large = report(&packets, &EACH, 1);
        prop_assert!(small.states.values().sum::<u64>() <= room as u64);
        prop_assert_eq!((small.packets, small.from, small.to), (large.packets, large.from, large.to));
        prop_assert_eq!(small.conn_states.values().sum::<u64>(), small.flows);
        prop_assert!(half_open_at_last(&small) <= half_open(&small));
    }

    #[test]
    fn a_report_on_the_way_changes_nothing(plays in prop::collection::vec(any_packet(), 2..200), cut in 0..200_usize) {
        let packets = packets(&plays);
        let mut flows = Flows::new(&EACH);
        packets.iter().take(cut).for_each(|packet| tidegate_scan::capture::Sink::packets(&mut flows, &[*packet]));
        let _ = flows.report();
        tell(&mut flows, packets.get(cut..).unwrap_or_default());
        let mut told = flows.finish();
        told.bytes_per_flow = None;
        prop_assert_eq!(told, report(&packets, &EACH, 1));
    }
}
