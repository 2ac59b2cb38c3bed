//! Syslog frames: octet counts, priorities, RFC 5424, and hosts and tags the old way.

use super::cursor::Cursor;
use super::head::Head;
use super::time;
use super::words::{LEVELS, program, severity_of};

/// The length of a frame that tells it, `72 <166>…` (RFC 6587), with what tells it.
pub fn counted(text: &[u8]) -> Option<usize> {
    let mut here = Cursor::new(text, 0);
    let (length, _) = here.number(6)?;
    (here.eat(b" ") && here.peek() == Some(b'<')).then_some(())?;
    let begin = here.at;
    let priority = here.eat(b"<") && here.number(3).is_some() && here.eat(b">");
    (priority && length > 4).then_some(begin + length as usize)
}

/// `<166>`, after an octet count or not. Its severity holds until a better one is met.
pub fn priority(cursor: &mut Cursor<'_>, head: &mut Head<'_>) -> bool {
    let mut here = *cursor;
    let mut counted = here;
    if counted.number(6).is_some() && counted.eat(b" ") && counted.peek() == Some(b'<') {
        here = counted;
    }
    if !here.eat(b"<") {
        return false;
    }
    let Some((value, _)) = here.number(3).filter(|(value, _)| *value < 192) else { return false };
    if !here.eat(b">") {
        return false;
    }
    head.severity = LEVELS.get(value as usize % 8).copied();
    head.framed = true;
    *cursor = here;
    true
}

/// A field of RFC 5424; `-` is none.
fn field<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    let word = cursor.word();
    let sound = !word.is_empty() && word.len() <= 255;
    (sound && (cursor.eat(b" ") || cursor.rest().is_empty())).then_some((word != b"-").then_some(word))
}

/// `1 2025-08-08T12:17:14.610Z host program 123 - [data] message`, from the version on.
pub fn rfc_5424<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let versioned = here.number(2).is_some_and(|(version, digits)| digits == 1 && version > 0) && here.eat(b" ");
    if !versioned {
        return false;
    }
    let stamp = time::date_time(&mut here);
    if !(stamp.is_some() || here.eat(b"-")) || !here.eat(b" ") {
        return false;
    }
    fields(&mut here, head).then(|| {
        head.time = stamp.or(head.time);
        *cursor = here;
    });
    head.time == stamp && cursor.at == here.at
}

/// `host program 123 - [data] message`.
fn fields<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let mut read = || field(&mut here);
    let (Some(host), Some(name), Some(pid), Some(_)) = (read(), read(), read(), read()) else { return false };
    head.host = host.or(head.host);
    head.program = name.or(head.program);
    head.pid = pid.or(head.pid);
    if here.eat(b"-") {
        here.spaces();
    }
    level(here.rest(), head);
    *cursor = here;
    true
}

/// NSX writes its severity into the structured data: `[nsx@6876 comp="nsx-manager" level="WARNING" …]`.
fn level(data: &[u8], head: &mut Head<'_>) {
    const KEY: &[u8] = b" level=\"";
    let data = data.get(..data.len().min(256)).unwrap_or_default();
    if !data.starts_with(b"[") {
        return;
    }
    if let Some(at) = memchr::memmem::find(data, KEY) {
        let mut here = Cursor::new(data, at + KEY.len());
        head.severity = severity_of(here.take(12, |byte| byte.is_ascii_alphabetic())).or(head.severity);
    }
}

fn in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')
}

/// `host Hostd: …`, `host kernel: …`, `host NSX 1234 SYSTEM [nsx@6876 …`, after a time. `sure`: a host must stand there.
pub fn host_and_tag<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>, sure: bool) -> bool {
    let mut here = *cursor;
    let host = here.take(255, in_host);
    if host.is_empty() || host.ends_with(b":") || here.peek() != Some(b' ') || severity_of(host).is_some() {
        return false;
    }
    here.spaces();
    if of_nsx(here) {
        return fields(cursor, head);
    }
    let mut tagged = Head::default();
    let told = tag(&mut here, &mut tagged);
    // A sentence with a colon looks alike: without a syslog frame more must speak for a host.
    let host_like = host.iter().any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    if sure || (told && (tagged.pid.is_some() || host_like)) {
        (head.program, head.pid) = (tagged.program, tagged.pid);
        head.severity = tagged.severity.or(head.severity);
        head.host = Some(host);
        *cursor = here;
        return true;
    }
    false
}

/// Whether `NSX 1234 SYSTEM [nsx@6876 …` is next.
fn of_nsx(mut here: Cursor<'_>) -> bool {
    let name = here.word();
    let process = here.eat(b" ") && (here.eat(b"-") || here.number(9).is_some());
    let word = here.eat(b" ") && !here.word().is_empty();
    let data = word && here.eat(b" [");
    here.take(24, |byte| byte.is_ascii_alphanumeric());
    !name.ends_with(b":") && process && data && here.eat(b"@")
}

/// `sshd[123]: `, `kernel: `, `lifecycle: 1000212917: `.
pub fn tag<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let Some((Some(name), pid)) = program(&mut here) else { return false };
    if !here.eat(b":") || here.peek().is_some_and(|byte| byte != b' ') {
        return false;
    }
    here.spaces();
    if let Some(severity) = severity_of(name) {
        head.severity = Some(severity);
        return true;
    }
    let mut own = here;
    let number = own.take(12, |byte| byte.is_ascii_digit());
    let told = (!number.is_empty() && own.eat(b": ")).then_some(number);
    if told.is_some() {
        here = own;
    }
    head.program = Some(name);
    head.pid = pid.or(told).or(head.pid);
    *cursor = here;
    true
}
