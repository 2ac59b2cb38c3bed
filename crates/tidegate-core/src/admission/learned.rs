//! What a machine has learned and its successor may begin with (DESIGN: learned state carries `format = 1`).

use super::event::{KindKey, OperationKey};
use super::machine::Machine;
use super::plan::Plan;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Of learned state; another number is not read.
pub const LEARNED_FORMAT: u32 = 1;

/// Most entries of each list.
const ENTRIES_MAX: usize = 4096;
/// Longest time that may have been learned: an hour per unit of work, or of patience.
const LONGEST: Span = Span::secs(3600);

/// What is known of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedServer {
    /// Its name in the plan.
    pub name: String,
    /// The limit with which it got most done.
    pub limit: u32,
    /// Time per unit of work on it, unsaturated.
    #[serde(rename = "base_ns")]
    pub base: Span,
}

/// What a machine has learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// [`LEARNED_FORMAT`].
    pub format: u32,
    /// By server.
    pub servers: Vec<LearnedServer>,
    /// Expected work by operation, in thousandths of a unit.
    pub costs: Vec<(OperationKey, u32)>,
    /// How long clients wait for an answer, by kind.
    pub patience: Vec<(KindKey, Span)>,
    /// How long clients stay away that were turned away.
    #[serde(rename = "absence_ns")]
    pub absence: Option<Span>,
    /// Expected work of a session between opening and settling, in thousandths of a unit.
    pub follow_ups_milli: u32,
}

impl Machine {
    /// What the next machine of this service may begin with.
    pub fn learned(&self) -> Learned {
        Learned {
            format: LEARNED_FORMAT,
            servers: self.servers.iter().filter_map(|server| server.learned()).collect(),
            costs: self.costs.remember(),
            patience: self.patience.remember(),
            absence: self.absence.learned(),
            follow_ups_milli: self.sessions.follow_ups() as u32,
        }
    }
}

/// Why learned state is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnedError {
    /// It is of another version.
    #[error("its format is {0}, and this version reads {LEARNED_FORMAT}")]
    Format(u32),
    /// A limit that the plan does not allow.
    #[error("it says that {server} serves {limit} calls at once, and the plan allows 1 to {most}")]
    Limit {
        /// Of which server.
        server: String,
        /// What was learned.
        limit: u32,
        /// What the plan allows.
        most: u32,
    },
    /// A number that cannot have been learned.
    #[error("its {0} cannot have been learned")]
    Absurd(&'static str),
}

impl Learned {
    /// Whether a machine with this plan may begin with it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, plan: &Plan) -> Result<(), LearnedError> {
        if self.format != LEARNED_FORMAT {
            return Err(LearnedError::Format(self.format));
        }
        for known in &self.servers {
            let Some(server) = plan.servers.iter().find(|server| server.name == known.name) else { continue };
            let most = server.limit.most();
            if !(1..=most).contains(&known.limit) {
                return Err(LearnedError::Limit { server: known.name.clone(), limit: known.limit, most });
            }
        }
        let sane = |span: Span| (1..=LONGEST.0).contains(&span.0);
        let few = |count: usize| count <= ENTRIES_MAX;
        let parts = [
            ("time per unit of work", self.servers.iter().all(|known| sane(known.base))),
            ("list of servers", few(self.servers.len())),
            ("list of costs", few(self.costs.len())),
            ("cost of an operation", self.costs.iter().all(|(_, milli)| (1..=1_000_000).contains(milli))),
            ("list of patience", few(self.patience.len())),
            ("patience of a kind of clients", self.patience.iter().all(|(_, span)| sane(*span))),
            ("absence of clients", self.absence.is_none_or(sane)),
            ("work of a session", self.follow_ups_milli <= 1_000_000),
        ];
        parts.iter().find(|(_, fine)| !fine).map_or(Ok(()), |(part, _)| Err(LearnedError::Absurd(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Learned)) -> Option<LearnedError> {
        let plan = r#"{"mode":"enforce","servers":[{"name":"a","limit":{"most":64}}],
            "guarantees":{"continuation":500,"new_session":250,"steady":100,"bulk":100},"seed":1,"held_max":9,
            "held_per_client_max":8,"reserved_places":8,"bulk_per_client_min":2,"clients_max":9,"sessions_max":9,
            "client_timeout_ns":30,"margin_ns":2,"upstream_timeout_ns":60,"quarantine_ns":10,"seniority_ns":600,
            "settle_after_ns":30,"settle_calls":16,"session_idle_ns":null,"follow_ups_milli":1000,"retry_server_ns":1,
            "renew_within_ns":30,"retry_after_min_ns":1,"retry_after_max_ns":30,"rate_window_ns":2,"limit_window_ns":1,
            "silence_ns":5}"#;
        let server = LearnedServer { name: "a".into(), limit: 64, base: Span::millis(500) };
        let mut learned = Learned {
            format: LEARNED_FORMAT,
            servers: vec![server],
            costs: vec![(OperationKey(7), 330)],
            patience: vec![(KindKey(7), Span::secs(30))],
            absence: Some(Span::secs(12)),
            follow_ups_milli: 1000,
        };
        change(&mut learned);
        learned.check(&serde_json::from_str(plan).unwrap()).err()
    }

    #[test]
    fn what_was_learned_is_used_only_if_it_can_have_been() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|l| l.format = 2), Some(LearnedError::Format(2)));
        for limit in [0, 65] {
            let error = LearnedError::Limit { server: "a".into(), limit, most: 64 };
            assert_eq!(refused(|l| l.servers[0].limit = limit), Some(error));
        }
        assert!(refused(|l| l.servers[0].base = Span::ZERO).is_some());
        assert!(refused(|l| l.costs[0].1 = 0).is_some());
        assert!(refused(|l| l.patience[0].1 = Span::secs(7200)).is_some());
        assert!(refused(|l| l.absence = Some(Span::ZERO)).is_some());
        assert!(refused(|l| l.follow_ups_milli = u32::MAX).is_some());
        assert!(refused(|l| l.costs = vec![(OperationKey(7), 330); 5000]).is_some());
    }
}
