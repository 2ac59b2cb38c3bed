//! Guarantees: which class goes next.
//!
//! Rank decides, unless a waiting class has been given less than its guarantee. Each class that waits earns its
//! guaranteed share of all work that is dispatched; what it is given is taken off. A class with enough credit for its
//! next call goes before rank. Idle shares are lent at once and owed to nobody: a class that does not wait earns nothing,
//! and work beyond the guarantee is not held against it later (Kubernetes' borrowing, with a period of zero).

use super::event::Class;
use super::plan::Guarantees;
use serde::{Deserialize, Serialize};

/// Credit per class, in thousandths of a thousandth of a unit (work × per mille). Below zero after a guaranteed call that
/// was heavier than what had been saved up for it: paid back from the guarantee before the next one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shares {
    credit: [i64; 6],
}

/// Most credit that a class can save up: four units. More would be a burst that rank could not explain.
const CREDIT_MAX: i64 = 4 * 1000 * 1000;

fn guarantee(guarantees: &Guarantees, class: Class) -> u32 {
    match class {
        Class::Probe | Class::Renewal => 0, // a reserved slot, and the earliest expiry first, are their guarantees
        Class::Continuation => guarantees.continuation,
        Class::NewSession => guarantees.new_session,
        Class::Steady => guarantees.steady,
        Class::Bulk => guarantees.bulk,
    }
}

impl Shares {
    /// Which of the waiting classes goes next; `heads` holds the work of each class's next call, `None`: it has none.
    pub fn choose(&self, heads: &[Option<u64>; 6]) -> Option<Class> {
        let waiting = || Class::ALL.iter().filter_map(|class| heads[*class as usize].map(|work| (*class, work)));
        let first = waiting().next().map(|(class, _)| class); // probes too: beyond their reserved slot they only rank first
        let owed = waiting().filter(|(class, work)| owed(self.credit[*class as usize], *work));
        owed.max_by_key(|(class, _)| (self.credit[*class as usize], std::cmp::Reverse(*class)))
            .map(|(class, _)| class)
            .or(first)
    }

    /// `work` of `class` was dispatched while the classes in `waiting` had calls held.
    pub fn dispatched(&mut self, guarantees: &Guarantees, class: Class, work: u64, waiting: [bool; 6]) {
        for other in Class::ALL {
            let credit = &mut self.credit[*other as usize];
            let owed = owed(*credit, work);
            let earned = work * u64::from(guarantee(guarantees, *other));
            // Who does not wait saves nothing up, but still pays back.
            *credit = (*credit + earned as i64).min(if waiting[*other as usize] { CREDIT_MAX } else { 0 });
            if *other == class {
                let left = *credit - (work * 1000) as i64;
                // What only rank gave is not held against it.
                *credit = if owed { left } else { left.max((*credit).min(0)) };
            }
        }
    }
}

/// Whether so much credit lets a call of so much work go before rank.
fn owed(credit: i64, work: u64) -> bool {
    credit > 0 && credit >= ((work * 1000) as i64).min(CREDIT_MAX)
}
