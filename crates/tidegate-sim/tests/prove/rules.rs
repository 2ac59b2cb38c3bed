//! The rules, one function each.

use crate::witness::{Broken, Known, Witness, broken};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::admission::*;
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::engine::World;
use tidegate_sim::policy::{Gate, Told};

/// Every call that arrived has met one fate, or is held, or on its way to a server.
pub fn conserved(witness: &Witness, snapshot: &Snapshot) -> Result<(), Broken> {
    let counters = &snapshot.counters;
    let held: u32 = snapshot.held.iter().sum();
    let sum = counters.admitted + counters.turned_away_total() + counters.client_gone;
    let all = sum + u64::from(held) + u64::from(snapshot.pending);
    if counters.arrived != all {
        return broken("conservation", format!("{} arrived, {all} known: {counters:?}", counters.arrived));
    }
    let seen = witness.held().count();
    if seen != held as usize {
        return broken("every held call leaves once", format!("the machine holds {held}, {seen} were not let go"));
    }
    Ok(())
}

/// In flight, by the gate's count and by the server's own, is within the limit and the probes' place whenever a call is
/// admitted.
pub fn within_limits(
    witness: &mut Witness,
    snapshot: &Snapshot,
    world: &World<Gate>,
    told: &[Told],
) -> Result<(), Broken> {
    for (index, server) in snapshot.servers.iter().enumerate() {
        let admits = |action: &Action| matches!(action, Action::Admit { server, .. } if usize::from(server.0) == index);
        let admitted = told.iter().any(|told| told.actions.iter().any(admits));
        // The limit may have fallen by what was seen after the call was admitted.
        let limit = server.limit.max(std::mem::replace(&mut witness.limits[index], server.limit));
        if admitted && server.in_flight > limit + 1 {
            return broken("in flight is within the limit", format!("{server:?}"));
        }
        // Some jobs at the server are not the gate's: of a gate before it, or given up after a quarantine.
        let jobs = world.in_flight(index as u16) as u32;
        let over = jobs.saturating_sub(server.in_flight);
        let gave_up = snapshot.counters.expired > 0;
        let strays = &mut witness.strays[index];
        if over > *strays && !gave_up {
            return broken(
                "in flight is within the limit",
                format!("{jobs} jobs at the server, {strays} strays: {server:?}"),
            );
        }
        *strays = over;
    }
    Ok(())
}

/// No call is held for longer than its client waits.
pub fn nobody_waits_too_long(witness: &Witness, machine: &Machine, now: Nanos) -> Result<(), Broken> {
    if machine.next_wake().is_some_and(|wake| wake <= now) {
        return Ok(()); // time has jumped; it is about to be told
    }
    let learned = !machine.learned().patience.is_empty();
    let most = if learned { witness.patience } else { witness.plan.client_timeout };
    match witness.held().find(|(_, known)| now.since(known.since) > most) {
        Some((call, known)) => broken("nobody is held past the deadline", format!("{call:?}, {known:?}, at {now:?}")),
        None => Ok(()),
    }
}

/// A free slot and a call that may take it do not meet, unless clients come in by batches.
pub fn work_conserving(witness: &Witness, snapshot: &Snapshot, now: Nanos, machine: &Machine) -> Result<(), Broken> {
    let [server] = &snapshot.servers[..] else { return Ok(()) }; // elsewhere a call may be bound to a server that is full
    let bulk = witness.held().filter(|(_, known)| known.class == Class::Bulk).count();
    let held = witness.held().count() - bulk; // bulk has caps of its own
    if server.phase != Phase::Up || held == 0 || server.in_flight >= server.limit {
        return Ok(());
    }
    if machine.next_wake().is_some_and(|wake| wake <= now) {
        return Ok(());
    }
    broken("a free slot does not meet a held call", format!("{held} held, {server:?}, at {now:?}"))
}

/// Limits are at least one and at most what the plan says; bases do not rise while calls are held.
pub fn limits_and_bases(plan: &Plan, snapshot: &Snapshot, bases: &mut [Option<Span>]) -> Result<(), Broken> {
    for ((server, plan), base) in snapshot.servers.iter().zip(&plan.servers).zip(bases) {
        if server.limit < 1 || server.limit > plan.limit.most() {
            return broken("the limit is at least 1 and at most what the plan says", format!("{server:?}"));
        }
        let held: u32 = snapshot.held.iter().sum();
        let rose = server.why.base.zip(*base).is_some_and(|(now, before)| now.0 > before.0 + 1);
        if rose && held > 0 && server.in_flight >= server.limit {
            return broken(
                "the base does not rise while the server is saturated",
                format!("from {base:?}: {server:?}"),
            );
        }
        *base = server.why.base;
    }
    Ok(())
}

/// Among those who want a session, who asked first is admitted first.
pub fn seniority(witness: &Witness, call: CallId, known: &Known) -> Result<(), Broken> {
    if known.class != Class::NewSession {
        return Ok(());
    }
    let Some(own) = witness.seniority.get(&known.arrival.client) else { return Ok(()) };
    let place = |other: &Known| witness.seniority.get(&other.arrival.client).copied();
    let earlier = witness.held().find(|(id, other)| {
        **id != call && other.class == Class::NewSession && place(other).is_some_and(|place| place < *own)
    });
    match earlier {
        Some(other) => broken("who asked first is admitted first", format!("{known:?} before {other:?}")),
        None => Ok(()),
    }
}

/// A call whose session has been idle for longer than the server keeps one is not sent there.
pub fn dead_token(witness: &mut Witness, told: &Told, arrival: Arrival, call: CallId) -> Result<(), Broken> {
    let Some((idle, session)) = witness.plan.session_idle.zip(arrival.session) else { return Ok(()) };
    let Some(used) = witness.used.insert(session, told.now) else {
        witness.used.remove(&session);
        return Ok(());
    };
    let admitted = matches!(told.actions.first(), Some(Action::Admit { .. } | Action::Hold { .. }));
    if told.now.since(used) > idle && arrival.role != Role::Open && admitted {
        return broken(
            "no dead session is sent to its server",
            format!("{call:?} {arrival:?}, used {used:?}, now {:?}", told.now),
        );
    }
    Ok(())
}

/// A machine that was written down and read back says what the other one says.
pub fn same_as_told(twin: &mut Machine, told: &Told) -> Result<(), Broken> {
    let mut said = Vec::new();
    if let Event::Arrive(arrival) = told.event {
        twin.arrive(told.now, arrival, &mut said);
    } else {
        twin.on_event(told.now, told.event, &mut said);
    }
    if said == told.actions {
        return Ok(());
    }
    broken("a machine read back decides the same", format!("{told:?}, but the other said {said:?}"))
}

/// What each class, and each bulk client, was given while it waited all the time.
#[derive(Default)]
pub struct Served {
    /// By class that waits: thousandths of a unit given to it, and to all, since it began to.
    classes: BTreeMap<Class, (u64, u64)>,
    /// By pair of bulk clients that wait side by side: calls given to each, since both began to.
    pairs: BTreeMap<(ClientKey, ClientKey), (u32, u32)>,
}

/// What a class may be behind its guarantee, in thousandths of a unit: what it can save up, what it may have to pay back,
/// and the call that it is given next.
const BEHIND: u64 = 4_000 + 1_000 + 1_000;
/// Calls that one bulk client may be ahead of another that waits as it does: four, since one estimate of a call's work may
/// be four times too much, for each of the four that may be under way.
const AHEAD: u32 = 16;

impl Served {
    /// A call is admitted while `waiting` (itself among them) could be.
    pub fn admitted(
        &mut self,
        plan: &Plan,
        known: &Known,
        waiting: &BTreeSet<(Class, ClientKey)>,
    ) -> Result<(), Broken> {
        let work = u64::from(known.arrival.cost_milli);
        let waits: BTreeSet<Class> = waiting.iter().map(|(class, _)| *class).collect();
        self.classes.retain(|class, _| waits.contains(class));
        for class in waits {
            let (own, all) = self.classes.entry(class).or_default();
            *all += work;
            *own += if class == known.class { work } else { 0 };
            let share = u64::from(match class {
                Class::Probe | Class::Renewal => 0,
                Class::Continuation => plan.guarantees.continuation,
                Class::NewSession => plan.guarantees.new_session,
                Class::Steady => plan.guarantees.steady,
                Class::Bulk => plan.guarantees.bulk,
            });
            if *own + BEHIND < *all * share / 1000 {
                return broken(
                    "a class that waits gets its guarantee",
                    format!("{class}: {own} of {all}, {share} per mille"),
                );
            }
        }
        let bulk: Vec<ClientKey> =
            waiting.iter().filter(|(class, _)| *class == Class::Bulk).map(|(_, client)| *client).collect();
        self.pairs.retain(|(one, other), _| bulk.contains(one) && bulk.contains(other));
        for (index, one) in bulk.iter().enumerate() {
            for other in &bulk[index + 1..] {
                let given = self.pairs.entry((*one, *other)).or_default();
                let to = |client: &ClientKey| u32::from(known.class == Class::Bulk && known.arrival.client == *client);
                given.0 += to(one);
                given.1 += to(other);
                if given.0.abs_diff(given.1) > AHEAD {
                    return broken("who waits alike is served alike", format!("{one:?} {other:?}: {given:?}"));
                }
            }
        }
        Ok(())
    }
}
