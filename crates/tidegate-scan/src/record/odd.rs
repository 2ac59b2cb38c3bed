//! Headers of one program or one language each: Java, Python, Envoy, nginx, HAProxy, the Linux kernel, vCenter 5.

use super::cursor::Cursor;
use super::head::Head;
use super::time;
use super::words::severity_of;

/// Lines that begin with `[`: `[2013-01-16 02:26:25,500 thread INFO …]`, `[2025-08-08T12:17:14.610Z] "POST …`,
/// `[2025-08-08 12:17:14.610][12][info][main] …`, `[08/Aug/2025:12:00:00.123] …`, `[12345.678901] TCP: …`.
pub fn bracketed<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    if !here.eat(b"[") {
        return false;
    }
    if let Some(stamp) = time::date_time(&mut here).or_else(|| time::common_log(&mut here)) {
        head.time = Some(stamp);
        if here.eat(b"]") {
            while here.eat(b"[") {
                let inside = here.take(64, |byte| !matches!(byte, b']' | b'['));
                if !here.eat(b"]") {
                    break;
                }
                let severity = severity_of(inside);
                head.severity = severity.or(head.severity);
                if severity.is_none() && head.pid.is_none() && inside.iter().all(u8::is_ascii_digit) {
                    head.pid = Some(inside);
                }
            }
        } else {
            nearby(&mut here, head);
        }
        *cursor = here;
        return true;
    }
    // Seconds since the start of the machine: no time that can be told.
    here.spaces();
    let uptime = here.number(9).is_some() && here.eat(b".") && here.number(9).is_some_and(|(_, digits)| digits >= 3);
    if uptime && here.eat(b"] ") {
        head.program = Some(b"kernel");
        *cursor = here;
        return true;
    }
    false
}

/// `10.0.0.1 - - [10/Oct/2025:13:55:36 -0700] "GET …`, `10.0.0.1:4711 [08/Aug/2025:12:00:00.123] fe be/srv …`: all of
/// the line is the message.
pub fn access<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let client = here.take(64, |byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'[' | b']'));
    if client.len() < 3 || here.peek() != Some(b' ') {
        return false;
    }
    here.take(160, |byte| byte != b'[');
    if !here.eat(b"[") {
        return false;
    }
    let stamp = time::common_log(&mut here).filter(|_| here.eat(b"]"));
    head.time = stamp.or(head.time);
    stamp.is_some()
}

/// `HsmService:2021-05-19 17:36:35,978[MainThread]…`, `ImageService: 139853338433792: 2021-05-19 17:36:35,675 …`.
pub fn named<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    let name = here.take(40, |byte| byte.is_ascii_alphanumeric());
    if name.len() < 3 || !name.iter().all(u8::is_ascii_alphanumeric) || !here.eat(b":") {
        return false;
    }
    let mut pid = None;
    if here.eat(b" ") {
        pid = Some(here.take(20, |byte| byte.is_ascii_digit())).filter(|digits| !digits.is_empty());
        if pid.is_none() || !here.eat(b": ") {
            return false;
        }
    }
    let stamp = name.first().filter(|byte| byte.is_ascii_uppercase()).and_then(|_| time::date_time(&mut here));
    if stamp.is_none() {
        return false;
    }
    (head.time, head.program, head.pid) = (stamp, Some(name), pid);
    here.spaces();
    nearby(&mut here, head);
    *cursor = here;
    true
}

/// Behind a time: `[7F03ECE76700 verbose 'Default' opID=2140bc71] …` of vCenter 5, `[pool-2-thread-18] INFO  …` of Java,
/// `[25376]INFO:module:…` of Python, `[error] 123#123: *4 …` of nginx.
pub fn in_brackets<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let mut here = *cursor;
    if !here.eat(b"[") {
        return false;
    }
    let first = here.take(64, |byte| !matches!(byte, b' ' | b']' | b'['));
    if here.eat(b" ") {
        let severity = severity_of(here.take(12, |byte| byte.is_ascii_alphabetic()));
        let hex = first.len() >= 5 && first.iter().all(u8::is_ascii_hexdigit);
        if severity.is_some() && hex && here.eat(b" ") {
            (head.severity, head.pid) = (severity, Some(first));
            return true;
        }
        return false;
    }
    if !here.eat(b"]") {
        return false;
    }
    if let Some(severity) = severity_of(first) {
        head.severity = Some(severity);
        here.spaces();
        let mut worker = here;
        let pid = worker.take(10, |byte| byte.is_ascii_digit());
        if !pid.is_empty() && worker.eat(b"#") && worker.number(9).is_some() && worker.eat(b":") {
            head.pid = Some(pid);
            here = worker;
            here.spaces();
        }
        *cursor = here;
        return true;
    }
    let blanks = here.spaces();
    let severity = severity_of(here.take(12, |byte| byte.is_ascii_alphabetic()));
    if severity.is_some() && (here.eat(b":") || here.spaces() > 0) {
        head.severity = severity;
        if blanks == 0 {
            head.pid = Some(first);
        }
        here.spaces();
        *cursor = here;
        return true;
    }
    false
}

/// A severity among the next words, as Java and Python put it: `'Activation' 1401 INFO  […]`,
/// `[MainThread]hsmService:737 [INFO] …`. The message keeps them.
pub fn nearby<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>) -> bool {
    let near = cursor.rest().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(4);
    let found = near.map(|word| word.trim_ascii().strip_prefix(b"[").unwrap_or(word)).find_map(|word| {
        let word = word.strip_suffix(b"]").unwrap_or(word);
        severity_of(word).filter(|_| word.len() > 3 && word.iter().all(u8::is_ascii_alphabetic))
    });
    head.severity = found.or(head.severity);
    found.is_some()
}

/// What may stand between a date and its time of day: a severity and a program of ESXi 8.
pub fn before_clock(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut head = Head::default();
    let date_ends = cursor.eat(b" ");
    (date_ends && super::words::esxi_8(cursor, &mut head)).then_some(())
}
