//! What types cannot check: numbers in their ranges, names once, calls in the places where they make sense.

use super::{BulkSpec, ChangeSpec, FORMAT, HostsSpec, PopulationSpec, RetrySpec, ServerSpec, Spec, StepSpec};
use crate::error::SpecError;
use crate::law::LawError;
use std::collections::BTreeSet;
use tidegate_core::admission::Role;

/// The longest time that may be given: a year. Keeps conversions to nanoseconds from overflowing.
const LONGEST_S: f64 = 31_536_000.0;
/// Most points of a curve.
const POINTS: f64 = 20_000.0;
/// Most hosts, and most principals, of a storm.
const HOSTS: u64 = 1_000_000;
/// Most calls until a host is connected.
const STEPS: u64 = 1_000;

type Checked = Result<(), SpecError>;

impl Spec {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path of its field.
    pub fn check(&self) -> Checked {
        let formats = format!("is {}, but this library takes {FORMAT}", self.format);
        ensure(self.format == FORMAT, "format", formats, "write the spec with the library that plays it")?;
        within("window_s", self.window_s, 1e-3, LONGEST_S)?;
        within("sample_s", self.sample_s, self.window_s / POINTS, LONGEST_S)?;
        count("servers", self.servers.len() as u64, 1, 64)?;
        count("populations", self.populations.len() as u64, 1, 1024)?;
        let mut names = BTreeSet::new();
        for (index, server) in self.servers.iter().enumerate() {
            let at = format!("servers[{index}]");
            named(&at, &server.name, &mut names)?;
            check_server(&at, server)?;
        }
        names.clear();
        for (index, population) in self.populations.iter().enumerate() {
            let at = format!("populations[{index}]");
            named(&at, population.name(), &mut names)?;
            match population {
                PopulationSpec::Hosts(hosts) => check_hosts(&at, hosts)?,
                PopulationSpec::Bulk(bulk) => check_bulk(&at, bulk)?,
            }
        }
        count("populations (their hosts)", self.hosts(), 0, HOSTS)?;
        within("network.delay_s", self.network.delay_s, 0.0, 60.0)?;
        for (index, flap) in self.network.flaps.iter().enumerate() {
            within(&format!("network.flaps[{index}].at_s"), flap.at_s, 0.0, LONGEST_S)?;
            within(&format!("network.flaps[{index}].for_s"), flap.for_s, 0.0, LONGEST_S)?;
        }
        for (index, at_s) in self.gate.restart_at_s.iter().enumerate() {
            within(&format!("gate.restart_at_s[{index}]"), *at_s, 0.0, LONGEST_S)?;
        }
        within("gate.down_s", self.gate.down_s, 0.0, LONGEST_S)?;
        self.gate.expected_hosts.map_or(Ok(()), |hosts| count("gate.expected_hosts", u64::from(hosts), 1, HOSTS))
    }
}

fn ensure(holds: bool, path: &str, message: impl std::fmt::Display, hint: &str) -> Checked {
    if holds { Ok(()) } else { Err(SpecError::new(path, message, hint)) }
}

fn within(path: &str, value: f64, low: f64, high: f64) -> Checked {
    let hint = format!("give a number from {low} to {high}");
    ensure((low..=high).contains(&value), path, format_args!("is {value}, which is out of its range"), &hint)
}

fn count(path: &str, value: u64, low: u64, high: u64) -> Checked {
    let hint = format!("give {low} to {high}");
    ensure((low..=high).contains(&value), path, format_args!("is {value}, which is out of its range"), &hint)
}

fn named<'a>(at: &str, name: &'a str, names: &mut BTreeSet<&'a str>) -> Checked {
    let path = format!("{at}.name");
    ensure(!name.is_empty() && name.len() <= 64, &path, "is empty or too long", "give 1 to 64 characters")?;
    ensure(names.insert(name), &path, format_args!("\"{name}\" is used twice"), "give each a name of its own")
}

fn check_server(at: &str, server: &ServerSpec) -> Checked {
    let path = |field: &str| format!("{at}.{field}");
    within(&path("law.unit_s"), server.law.unit_s, 1e-9, LONGEST_S)?;
    server.law.law(1.0).map_err(|error| law_error(&path("law"), error))?;
    count(&path("threads"), server.threads as u64, 1, 100_000)?;
    count(&path("backlog"), server.backlog as u64, 0, 1_000_000)?;
    server.crash_at.map_or(Ok(()), |jobs| count(&path("crash_at"), jobs as u64, 1, 10_000_000))?;
    within(&path("session_idle_s"), server.session_idle_s, 1e-3, LONGEST_S)?;
    within(&path("down_until_s"), server.down_until_s, 0.0, LONGEST_S)?;
    within(&path("crash_down_s"), server.crash_down_s, 0.0, LONGEST_S)?;
    within(&path("cold_s"), server.cold_s, 0.0, LONGEST_S)?;
    within(&path("cold_factor"), server.cold_factor, 1e-3, 1e6)?;
    let mut law = server.law;
    let mut changes: Vec<(usize, &ChangeSpec)> = server.changes.iter().enumerate().collect();
    changes.sort_by(|one, other| one.1.at_s.total_cmp(&other.1.at_s));
    for (index, change) in changes {
        let path = |field: &str| format!("{at}.changes[{index}].{field}");
        within(&path("at_s"), change.at_s, 0.0, LONGEST_S)?;
        within(&path("restart_for_s"), change.restart_for_s.unwrap_or(0.0), 0.0, LONGEST_S)?;
        within(&path("unit_s"), change.unit_s.unwrap_or(1.0), 1e-9, LONGEST_S)?;
        law = law.changed(change);
        law.law(1.0).map_err(|error| law_error(&format!("{at}.changes[{index}]"), error))?;
        let something = change.knee.is_some() || change.unit_s.is_some() || change.restart_for_s.is_some();
        ensure(something, &path("at_s"), "has nothing to change", "give knee, unit_s or restart_for_s")?;
    }
    Ok(())
}

fn law_error(at: &str, error: LawError) -> SpecError {
    let (field, hint) = match error {
        LawError::Knee => ("knee", "give knee, or sigma and kappa where the law is usl"),
        LawError::Unit => ("unit_s", "give the seconds that one unit of work takes alone"),
        LawError::Coefficients => ("kappa", "give sigma and kappa, as 0.02 and 0.002"),
    };
    SpecError::new(format!("{at}.{field}"), format_args!("makes no law: {error}"), hint)
}

fn check_hosts(at: &str, hosts: &HostsSpec) -> Checked {
    let path = |field: &str| format!("{at}.{field}");
    let hint = format!("give 0 to {HOSTS} hosts");
    let fits = u64::try_from(hosts.hosts).is_ok_and(|hosts| hosts <= HOSTS);
    ensure(fits, &path("hosts"), format_args!("is {}, which is out of its range", hosts.hosts), &hint)?;
    within(&path("begin_s"), hosts.begin_s, 0.0, LONGEST_S)?;
    within(&path("spread_s"), hosts.spread_s, 0.0, LONGEST_S)?;
    within(&path("timeout_s"), hosts.timeout_s, 1e-3, LONGEST_S)?;
    within(&path("poll_s"), hosts.poll_s, 1e-3, LONGEST_S)?;
    count(&path("script"), hosts.script.len() as u64, 1, STEPS)?;
    for (index, step) in hosts.script.iter().enumerate() {
        let at = format!("{at}.script[{index}]");
        check_step(&at, step)?;
        let hint = "the first call, made once, opens the session, and no other does";
        let opens = step.role == Role::Open && step.times == 1;
        ensure(opens == (index == 0), &format!("{at}.role"), format_args!("is {} here", step.role), hint)?;
    }
    count(&path("script"), hosts.script.iter().map(|step| u64::from(step.times)).sum(), 1, STEPS)?;
    if let Some(poll) = &hosts.poll {
        check_step(&path("poll"), poll)?;
        let hint = "give it the role poll, and leave times out";
        let polls = poll.role == Role::Poll && poll.times == 1;
        ensure(polls, &path("poll.role"), "is not that of a poll, made once every poll_s", hint)?;
    }
    check_retry(&path("retry"), hosts.retry)
}

fn check_step(at: &str, step: &StepSpec) -> Checked {
    let hint = "give 1 to 200 characters";
    let fits = (1..=200).contains(&step.operation.len());
    ensure(fits, &format!("{at}.operation"), "is empty or too long", hint)?;
    within(&format!("{at}.units"), step.units, 1e-6, 1e6)?;
    count(&format!("{at}.times"), u64::from(step.times), 1, STEPS)
}

fn check_retry(at: &str, retry: RetrySpec) -> Checked {
    let (low, high) = retry.bounds();
    // A host that came back at once, again and again, would stop the clock.
    within(&format!("{at} (its shorter time)"), low, 1e-3, LONGEST_S)?;
    within(&format!("{at} (its longer time)"), high, low, LONGEST_S)
}

fn check_bulk(at: &str, bulk: &BulkSpec) -> Checked {
    let path = |field: &str| format!("{at}.{field}");
    count(&path("principals"), u64::from(bulk.principals), 1, HOSTS)?;
    within(&path("rate_per_s"), bulk.rate_per_s, 1e-6, 1e6)?;
    within(&path("units"), bulk.units, 1e-6, 1e6)?;
    within(&path("timeout_s"), bulk.timeout_s, 1e-3, LONGEST_S)?;
    within(&path("begin_s"), bulk.begin_s, 0.0, LONGEST_S)?;
    ensure(
        (1..=200).contains(&bulk.operation.len()),
        &path("operation"),
        "is empty or too long",
        "give 1 to 200 characters",
    )
}
