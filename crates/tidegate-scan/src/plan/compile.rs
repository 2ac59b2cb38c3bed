//! From a plan as written to one that is ready: names, literals and regexes are checked, each error names its owner.

use super::spec::{DumpSpec, MarkSpec, PlanSpec, SignatureSpec, TallySpec};
use super::{Dump, Mark, Plan, Signature, Tally, User};
use crate::error::ScanError;
use crate::needle::{LONGEST, Needle, Needles, SHORTEST};
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};

/// A regex may take this much memory when compiled.
const REGEX_BYTES: usize = 1 << 20;

/// Of what a group matches so many characters are kept.
const FIELD: usize = 1_024;

/// A regex, with the names of its groups.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    names: Vec<String>,
}

impl Pattern {
    /// Whether it matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The named groups of the first match, where there is one.
    pub fn fields(&self, text: &str, fields: &mut BTreeMap<String, String>) -> bool {
        if self.names.is_empty() {
            return self.is_match(text);
        }
        self.regex.captures(text).map(|found| self.take(&found, fields)).is_some()
    }

    /// The named groups of every match, at most `most`.
    pub fn every(&self, text: &str, most: usize) -> Vec<BTreeMap<String, String>> {
        let each = |found: regex::Captures<'_>| {
            let mut fields = BTreeMap::new();
            self.take(&found, &mut fields);
            fields
        };
        self.regex.captures_iter(text).take(most).map(each).collect()
    }

    fn take(&self, found: &regex::Captures<'_>, fields: &mut BTreeMap<String, String>) {
        for name in &self.names {
            if let Some(group) = found.name(name) {
                fields.insert(name.clone(), group.as_str().chars().take(FIELD).collect());
            }
        }
    }
}

/// Collects literals, each once, with who wants it.
#[derive(Default)]
struct Literals {
    numbers: BTreeMap<(Vec<u8>, bool), usize>,
    needles: Vec<Needle>,
    users: Vec<Vec<User>>,
}

impl Literals {
    fn add(&mut self, owner: &str, literals: &[String], fold: bool, user: User) -> Result<(), ScanError> {
        if literals.is_empty() {
            return Err(ScanError::new(
                format!("The {owner} has no literal."),
                "give one that every record of it holds",
            ));
        }
        for literal in literals {
            check_literal(owner, literal)?;
            let bytes = if fold { literal.to_ascii_lowercase().into_bytes() } else { literal.clone().into_bytes() };
            let number = *self.numbers.entry((bytes.clone(), fold)).or_insert_with(|| {
                self.needles.push(Needle { bytes, fold });
                self.users.push(Vec::new());
                self.needles.len() - 1
            });
            if let Some(users) = self.users.get_mut(number)
                && users.last() != Some(&user)
            {
                users.push(user);
            }
        }
        Ok(())
    }
}

fn check_literal(owner: &str, literal: &str) -> Result<(), ScanError> {
    let length = literal.len();
    if length < SHORTEST {
        let message = format!("The literal {literal:?} of the {owner} has {length} bytes; {SHORTEST} are the least.");
        return Err(ScanError::new(message, "choose a longer one: 10 bytes and more are fast"));
    }
    if length > LONGEST {
        let message = format!("A literal of the {owner} has {length} bytes; {LONGEST} are the most.");
        return Err(ScanError::new(message, "choose its rarest part"));
    }
    if literal.contains(['\n', '\r', '\0']) {
        let message = format!("The literal {literal:?} of the {owner} holds an end of line or a NUL.");
        return Err(ScanError::new(message, "choose a part of one line"));
    }
    Ok(())
}

fn pattern(owner: &str, text: &str, fold: bool) -> Result<Pattern, ScanError> {
    let mut builder = RegexBuilder::new(text);
    let built = builder.case_insensitive(fold).size_limit(REGEX_BYTES).build();
    let regex = built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            let message = format!("The regex {text:?} of the {owner} takes more than 1 MiB when compiled.");
            ScanError::new(message, "make its repetitions smaller, or write (?-u:\\w) and [0-9] where ASCII is enough")
        }
        error => {
            let message = format!("The regex {text:?} of the {owner} cannot be used: {}", last_line(&error));
            ScanError::new(message, "the syntax is that of Rust's regex crate: no look-around, no back-references")
        }
    })?;
    let names = regex.capture_names().flatten().map(str::to_owned).collect();
    Ok(Pattern { regex, names })
}

/// What regex says is a drawing of several lines; its last line is the sentence.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    format!("{}.", line.trim_start_matches("error: ").trim_end_matches('.'))
}

fn unique(kind: &str, ids: impl Iterator<Item = String>) -> Result<(), ScanError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if id.is_empty() {
            return Err(ScanError::new(format!("A {kind} has no id."), "give every one an id of its own"));
        }
        if !seen.insert(id.clone()) {
            let message = format!("Two of kind {kind} have the id {id:?}.");
            return Err(ScanError::new(message, "give every one an id of its own"));
        }
    }
    Ok(())
}

/// Makes a plan ready.
pub fn compile(spec: PlanSpec) -> Result<Plan, ScanError> {
    unique("signature", spec.signatures.iter().map(|one| one.id.clone()))?;
    unique("tally", spec.tallies.iter().map(|one| one.id.clone()))?;
    unique("mark", spec.marks.iter().map(|one| one.id.clone()))?;
    unique("dump", spec.dumps.iter().map(|one| one.id.clone()))?;
    let mut literals = Literals::default();
    let mut signatures = Vec::new();
    for (index, one) in spec.signatures.into_iter().enumerate() {
        signatures.push(signature(one, User::Signature(index), &mut literals)?);
    }
    let mut tallies = Vec::new();
    for (index, one) in spec.tallies.into_iter().enumerate() {
        tallies.push(tally(one, User::Tally(index), &mut literals)?);
    }
    let mut marks = Vec::new();
    for (index, MarkSpec { id, literals: own, fold, regex }) in spec.marks.into_iter().enumerate() {
        let owner = format!("mark {id:?}");
        literals.add(&owner, &own, fold, User::Mark(index))?;
        marks.push(Mark { id, pattern: pattern(&owner, &regex, fold)? });
    }
    let mut dumps = Vec::new();
    for DumpSpec { id, sniff } in spec.dumps {
        let sniff = pattern(&format!("dump {id:?}"), &sniff, false)?;
        dumps.push(Dump { id, sniff });
    }
    let needles = Needles::new(literals.needles);
    let users = literals.users;
    Ok(Plan { now: spec.now, signatures, tallies, marks, dumps, keep: spec.limits, needles, users })
}

fn signature(spec: SignatureSpec, user: User, literals: &mut Literals) -> Result<Signature, ScanError> {
    let owner = format!("signature {:?}", spec.id);
    literals.add(&owner, &spec.literals, spec.fold, user)?;
    let each = |regexes: &[String]| regexes.iter().map(|text| pattern(&owner, text, spec.fold)).collect();
    let (all, not): (Result<Vec<_>, _>, Result<Vec<_>, _>) = (each(&spec.all), each(&spec.not));
    let programs = spec.programs.iter().map(|program| program.to_ascii_lowercase()).collect();
    Ok(Signature { id: spec.id, all: all?, not: not?, programs })
}

fn tally(spec: TallySpec, user: User, literals: &mut Literals) -> Result<Tally, ScanError> {
    let owner = format!("tally {:?}", spec.id);
    literals.add(&owner, &spec.literals, spec.fold, user)?;
    let pattern = pattern(&owner, &spec.regex, spec.fold)?;
    for name in spec.key.iter().chain(&spec.by) {
        if !pattern.names.contains(name) {
            let message = format!("The {owner} counts by {name:?}, which is no group of its regex.");
            return Err(ScanError::new(message, format!("write (?P<{name}>…) where its value stands")));
        }
    }
    Ok(Tally { id: spec.id, pattern, key: spec.key, by: spec.by, every: spec.every })
}
