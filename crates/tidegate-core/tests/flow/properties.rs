//! What holds of one flow, whatever is said to it.

use crate::random::{any_profile, any_segment, segments};
use crate::talk::O;
use proptest::prelude::*;
use tidegate_core::flow::flags::RST;
use tidegate_core::flow::*;

fn play(segments: &[Segment], profile: &Profile) -> (Flow, Vec<Step>) {
    let mut flow = Flow::default();
    let steps = segments.iter().map(|segment| flow.step(segment, profile)).collect();
    (flow, steps)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_segment_is_possible_in_any_state(segments in segments(), profile in any_profile()) {
        let mut flow = Flow::default();
        for segment in &segments {
            let before = flow;
            let step = flow.step(segment, &profile);
            prop_assert_eq!((step.before, step.after), (before.state(), flow.state()));
            prop_assert!(flow.last() >= before.last(), "time never goes back");
            prop_assert!(flow.generation() >= before.generation());
            if matches!(step.note, Note::Invalid(_) | Note::Orphan) {
                prop_assert_eq!(step.before, step.after);
            }
            if flow.plain() {
                prop_assert!(flow.state() == State::Established && !flow.contested() && !flow.assumed());
                prop_assert!(flow.both_heard());
            }
            prop_assert_eq!(step.after == State::None, flow.generation() == 0);
        }
    }

    #[test]
    fn both_sides_of_a_key_are_alike(segments in segments(), profile in any_profile()) {
        let mirrored: Vec<Segment> =
            segments.iter().map(|segment| Segment { from: segment.from.other(), ..*segment }).collect();
        let ((flow, steps), (mirror, mirror_steps)) = (play(&segments, &profile), play(&mirrored, &profile));
        prop_assert_eq!(steps, mirror_steps);
        prop_assert_eq!(flow.generation() > 0, mirror.generation() > 0);
        if flow.generation() > 0 {
            prop_assert_eq!(flow.initiator(), mirror.initiator().other());
        }
    }

    #[test]
    fn where_numbers_begin_does_not_matter(
        segments in segments(), profile in any_profile(), of_o in any::<u32>(), of_r in any::<u32>(),
    ) {
        // A RST with the number zero is special (RFC 9293 §3.10.7.1), so there is none here.
        let shift = |segment: &Segment| {
            let (seq, ack) = if segment.from == O { (of_o, of_r) } else { (of_r, of_o) };
            Segment { seq: segment.seq.wrapping_add(seq), ack: segment.ack.wrapping_add(ack), ..*segment }
        };
        let zero = |segment: &Segment| segment.has(RST) && (segment.seq == 0 || shift(segment).seq == 0);
        let segments: Vec<Segment> = segments.into_iter().filter(|segment| !zero(segment)).collect();
        let shifted: Vec<Segment> = segments.iter().map(shift).collect();
        prop_assert_eq!(play(&segments, &profile).1, play(&shifted, &profile).1);
    }

    #[test]
    fn a_repeated_segment_changes_no_state(segments in segments(), last in any_segment(), profile in any_profile()) {
        let mut flow = play(&segments, &profile).0;
        let first = flow.step(&last, &profile);
        // The RST that answered a SYN in the shadow stands alone when it comes again: that SYN is gone.
        prop_assume!(first.note != Note::Settled(Outcome::Rejected));
        let again = flow.step(&last, &profile);
        // Outside the path the third miss in a row is a gap, whatever missed.
        let gap = first.note == Note::Invalid(Invalid::Window) && again.note == Note::Gap;
        prop_assert!(gap || first.after == again.after, "{:?} {:?}", first, again);
    }

    #[test]
    fn what_is_invalid_teaches_nothing_in_the_path(segments in segments(), last in any_segment()) {
        let profile = profile::NSX_DFW.in_path();
        let mut flow = play(&segments, &profile).0;
        let mut copy = flow;
        copy.lapse(last.at);
        if matches!(flow.step(&last, &profile).note, Note::Invalid(_) | Note::Orphan) {
            // All but how many there were in a row: the next segment is taken as if it had never come.
            for next in &segments {
                prop_assert_eq!(flow.step(next, &profile), copy.step(next, &profile));
            }
        }
    }

    #[test]
    fn a_flow_ends_as_it_may_however_it_is_cut(segments in segments(), cut in 0..60usize, profile in any_profile()) {
        let (whole, _) = play(&segments, &profile);
        let cut = cut.min(segments.len());
        let mut resumed = play(&segments[..cut], &profile).0;
        segments[cut..].iter().for_each(|segment| { resumed.step(segment, &profile); });
        prop_assert_eq!(whole, resumed);
    }
}

#[test]
fn random_segments_reach_every_state() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = [0u32; 12];
    for _ in 0..400 {
        let segments = segments().new_tree(&mut runner).unwrap().current();
        play(&segments, &profile::LINUX).1.iter().for_each(|step| seen[step.after as usize] += 1);
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}
