//! The body of a record, as regexes see it: lines joined, marks and terminals' escapes gone, entities decoded.

/// Entities of HTML and escapes of JSON that articles and exports leave in log lines, and what they stand for.
const ENTITIES: [(&[u8], u8); 8] = [
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&quot;", b'"'),
    (b"&#39;", b'\''),
    (b"\\u0026", b'&'),
    (b"\\u003c", b'<'),
    (b"\\u003e", b'>'),
];

/// Adds a cleaned text, decoded once: what decoding yields is not decoded again.
pub fn push(body: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr::memchr2(b'&', b'\\', text) {
        let (before, rest) = text.split_at(at);
        body.extend_from_slice(before);
        let starts = |entity: &[u8]| rest.get(..entity.len()).is_some_and(|there| there.eq_ignore_ascii_case(entity));
        match ENTITIES.iter().find(|(entity, _)| starts(entity)) {
            Some((entity, byte)) => {
                body.push(*byte);
                text = rest.get(entity.len()..).unwrap_or_default();
            }
            None => {
                body.extend(rest.first());
                text = rest.get(1..).unwrap_or_default();
            }
        }
    }
    body.extend_from_slice(text);
}

/// Whether a message is empty: nothing, or nothing but the data in brackets that begins it.
pub fn empty(message: &[u8]) -> bool {
    let message = message.trim_ascii();
    let data = message.starts_with(b"[Originator@") || message.starts_with(b"[vSAN@");
    message.is_empty()
        || (data && message.iter().rposition(|byte| *byte == b']') == Some(message.len() - 1) && closed(message))
}

/// Whether the bracket that begins a text is closed by its last byte.
fn closed(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1 == text.len();
        }
    }
    false
}

/// How many braces are open at the end of a text: vCenter writes its faults inside them.
pub fn depth(text: &[u8]) -> usize {
    text.iter().fold(0, |depth: usize, byte| match byte {
        b'{' => depth + 1,
        b'}' => depth.saturating_sub(1),
        _ => depth,
    })
}

/// Text for people: no control characters but line ends and tabs, and none that turn the direction of writing.
pub fn shown(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || turns(*c))).collect()
}
