//! The words of a header: severities in their many spellings, programs with their process.

use super::cursor::Cursor;
use super::head::Head;

/// Severities as programs write them, and the word that we use.
const WORDS: [(&str, &str); 20] = [
    ("info", "info"),
    ("information", "info"),
    ("verbose", "verbose"),
    ("trivia", "trivia"),
    ("trace", "trivia"),
    ("debug", "debug"),
    ("notice", "notice"),
    ("warning", "warning"),
    ("warn", "warning"),
    ("error", "error"),
    ("err", "error"),
    ("severe", "error"),
    ("critical", "critical"),
    ("crit", "critical"),
    ("fatal", "critical"),
    ("panic", "critical"),
    ("alert", "alert"),
    ("emergency", "emergency"),
    ("emerg", "emergency"),
    ("off", "info"),
];

/// Severities of ESXi 8, by their two letters.
const SHORT: [(&[u8], &str); 8] = [
    (b"Em", "emergency"),
    (b"Al", "alert"),
    (b"Cr", "critical"),
    (b"Er", "error"),
    (b"Wa", "warning"),
    (b"No", "notice"),
    (b"In", "info"),
    (b"Db", "debug"),
];

/// The severities of a syslog priority, by `priority % 8`.
pub const LEVELS: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// The severity that a word means.
pub fn severity_of(word: &[u8]) -> Option<&'static str> {
    let same = |spelled: &&(&str, &'static str)| word.eq_ignore_ascii_case(spelled.0.as_bytes());
    WORDS.iter().find(same).map(|found| found.1)
}

/// `info `, `WARN `: a severity that is followed by a blank.
pub fn severity(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    let mut here = *cursor;
    let found = severity_of(here.take(12, |byte| byte.is_ascii_alphabetic()))?;
    (here.spaces() > 0).then(|| *cursor = here).map(|()| found)
}

/// `Er(163) `, `In(14)[+] `, `In(14)+ `: the severity of ESXi 8, and whether the line goes on with an earlier one.
pub fn short_severity(cursor: &mut Cursor<'_>) -> Option<(&'static str, bool)> {
    let mut here = *cursor;
    let found = SHORT.iter().find(|(letters, _)| here.rest().starts_with(letters))?.1;
    here.at += 2;
    let number = here.eat(b"(") && here.number(3).is_some() && here.eat(b")");
    let more = here.eat(b"[+]") || here.eat(b"+");
    (number && here.spaces() > 0).then(|| *cursor = here).map(|()| (found, more))
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/')
}

/// A program and its process, as written.
pub type Named<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// `vpxd[123]`, with its process; `-` for no program.
pub fn program<'a>(cursor: &mut Cursor<'a>) -> Option<Named<'a>> {
    let mut here = *cursor;
    let name = here.take(64, in_name);
    if name.is_empty() {
        return None;
    }
    let mut after = here;
    let mut pid = None;
    if after.eat(b"[") {
        let inside = after.take(24, |byte| byte.is_ascii_alphanumeric());
        if !inside.is_empty() && after.eat(b"]") {
            (pid, here) = (Some(inside), after);
        }
    }
    *cursor = here;
    Some(((name != b"-").then_some(name), pid))
}

/// `Er(163) VVold[2255518]: …` and `In(182) vmkernel: …`.
pub fn esxi_8<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let Some((severity, more)) = short_severity(&mut here) else { return false };
    let before = here;
    if let Some((name, pid)) = program(&mut here) {
        let colon = here.eat(b":") && here.peek().is_none_or(|byte| byte == b' ');
        // Without a colon the first word of a message would look alike.
        if colon || pid.is_some() || here.rest().starts_with(b" <") || here.rest().starts_with(b" [") {
            head.program = name.or(head.program);
            head.pid = pid.or(head.pid);
        } else {
            here = before;
        }
    }
    here.spaces();
    head.severity = Some(severity);
    head.more |= more;
    head.framed = true;
    *cursor = here;
    true
}

/// `info vpxd[4085937] [Originator…`, `INFO vpxd 20973 [Originator…`, `info wcp [eamagency/util.go:148] …`.
///
/// `timed`: a time stands before it. Without one only the first form counts.
pub fn classic<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>, timed: bool) -> bool {
    let mut here = *cursor;
    let Some(severity) = severity(&mut here) else { return false };
    let after = here;
    let named = program(&mut here).filter(|(name, pid)| {
        let end = here.rest();
        let colon = end.starts_with(b":");
        match (name, pid) {
            (_, Some(_)) => colon || end.starts_with(b" [") || end.is_empty() || (timed && end.starts_with(b" ")),
            (Some(_), None) => timed && (colon || end.starts_with(b" [") || numbered(end)),
            (None, None) => false,
        }
    });
    match named {
        Some((name, pid)) => {
            here.eat(b":");
            let mut number = here;
            number.spaces();
            let own = pid.or_else(|| numbered(here.rest()).then(|| number.word()));
            if pid.is_none() && own.is_some() {
                here = number;
            }
            head.program = name.or(head.program);
            head.pid = own.or(head.pid);
        }
        None if timed => here = after,
        None => return false,
    }
    here.spaces();
    head.severity = Some(severity);
    *cursor = here;
    true
}

/// Whether ` 20973 [` is next.
fn numbered(rest: &[u8]) -> bool {
    let mut here = Cursor::new(rest, 0);
    here.eat(b" ") && here.number(9).is_some() && here.eat(b" [")
}

/// `cpu31:1001392590 opID=827cfaf)`: the vmkernel.
pub fn vmkernel<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let world = here.eat(b"cpu") && here.number(5).is_some() && here.eat(b":");
    let pid = here.take(12, |byte| byte.is_ascii_digit());
    if !world || pid.is_empty() {
        return false;
    }
    here.take(64, |byte| !matches!(byte, b')' | b'('));
    if !here.eat(b")") {
        return false;
    }
    head.program = head.program.or(Some(b"vmkernel"));
    head.pid = Some(pid);
    let rest = here.rest();
    if rest.starts_with(b"WARNING:") {
        head.severity = Some("warning");
    } else if rest.starts_with(b"ALERT:") {
        head.severity = Some("alert");
    }
    *cursor = here;
    true
}
