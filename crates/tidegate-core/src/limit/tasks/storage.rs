//! How slow datastores are, and what may begin on them.
//!
//! A datastore that answers too slowly takes no new snapshot until it answers a tenth faster (else it would be let go and
//! held in turns). A very slow one may have half as many open snapshots as before, again with every look while that lasts;
//! they are given back one by one, with every look that finds it fast.

use super::event::DatastoreKey;
use super::settings::Settings;
use std::collections::BTreeMap;

/// So many datastores are known; a vCenter may have 2500 in a data centre.
const DATASTORES_MAX: usize = 16_384;

#[derive(Clone, Copy, Debug)]
struct Speed {
    hot: bool,
    cap: u32,
}

/// Datastores whose speed is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    speeds: BTreeMap<DatastoreKey, Speed>,
}

impl Storage {
    /// A look at one: what it takes for a request, `None` when that is not known any more.
    pub fn looked(&mut self, settings: &Settings, datastore: DatastoreKey, micros: Option<u32>) {
        let Some(micros) = micros else {
            self.speeds.remove(&datastore);
            return;
        };
        if self.speeds.len() >= DATASTORES_MAX && !self.speeds.contains_key(&datastore) {
            return;
        }
        let most = settings.snapshots_per_datastore_max.max(1);
        let speed = self.speeds.entry(datastore).or_insert(Speed { hot: false, cap: most });
        if micros >= settings.hold_us {
            speed.hot = true;
        } else if micros < settings.hold_us - settings.hold_us / 10 {
            *speed = Speed { hot: false, cap: speed.cap.saturating_add(1) };
        }
        if micros >= settings.halve_us {
            speed.cap /= 2;
        }
        speed.cap = speed.cap.clamp(1, most);
    }

    /// Whether it is too slow for a new snapshot.
    pub fn hot(&self, datastore: DatastoreKey) -> bool {
        self.speeds.get(&datastore).is_some_and(|speed| speed.hot)
    }

    /// How many VMs may have open snapshots on it.
    pub fn cap(&self, settings: &Settings, datastore: DatastoreKey) -> u32 {
        let most = settings.snapshots_per_datastore_max.max(1);
        self.speeds.get(&datastore).map_or(most, |speed| speed.cap.min(most))
    }

    /// How many are too slow.
    pub fn hot_ones(&self) -> u32 {
        self.speeds.values().filter(|speed| speed.hot).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASTORE: DatastoreKey = DatastoreKey(1);

    fn look(storage: &mut Storage, micros: u32) -> (bool, u32) {
        let settings = Settings::default();
        storage.looked(&settings, DATASTORE, Some(micros));
        (storage.hot(DATASTORE), storage.cap(&settings, DATASTORE))
    }

    #[test]
    fn what_is_held_is_let_go_again_a_tenth_lower() {
        let mut storage = Storage::default();
        let looks = [(19_999, false), (20_000, true), (18_000, true), (17_999, false), (19_999, false), (24_999, true)];
        for (micros, hot) in looks {
            assert_eq!(look(&mut storage, micros), (hot, 4), "{micros}");
        }
    }

    #[test]
    fn a_very_slow_one_is_halved_and_restored_one_by_one() {
        let mut storage = Storage::default();
        let looks =
            [(25_000, 2), (90_000, 1), (u32::MAX, 1), (20_000, 1), (18_500, 1), (17_000, 2), (0, 3), (0, 4), (0, 4)];
        for (micros, cap) in looks {
            assert_eq!(look(&mut storage, micros).1, cap, "{micros}");
        }
    }

    #[test]
    fn what_is_not_known_any_more_is_as_if_it_never_was() {
        let mut storage = Storage::default();
        look(&mut storage, 30_000);
        storage.looked(&Settings::default(), DATASTORE, None);
        assert_eq!((storage.hot(DATASTORE), storage.cap(&Settings::default(), DATASTORE)), (false, 4));
    }
}
