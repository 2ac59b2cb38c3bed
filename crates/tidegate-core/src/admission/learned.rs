//! What a machine has learned and its successor may begin with (DESIGN: learned state carries `format = 1`).

use super::event::{KindKey, OperationKey};
use super::machine::Machine;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Of learned state; another number is not read.
pub const LEARNED_FORMAT: u32 = 1;

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
            patience: Vec::new(),
            follow_ups_milli: self.sessions.follow_ups() as u32,
        }
    }
}
