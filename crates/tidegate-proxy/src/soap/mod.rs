//! SOAP as the gate reads it, whoever's it is: [`walk`] is the one pass over an envelope. What the elements mean is
//! said by those who use it: `vasa::soap`, `vcenter::request` and `vcenter::answer`.

pub(crate) mod walk;

/// Most bytes of a body that are looked at.
pub const PREFIX_MAX: usize = 16 * 1024;

/// Longest name of an operation, in bytes. The longest in VASA 5 and in vim25 9.0 has 46.
pub const NAME_MAX: usize = 96;

/// How much of a body is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Its beginning; more will come.
    Begun,
    /// Its beginning, and no more of it will be seen: there is no room for it.
    Cut,
    /// All of it.
    Whole,
}

impl From<bool> for Seen {
    fn from(whole: bool) -> Seen {
        if whole { Seen::Whole } else { Seen::Begun }
    }
}

/// Which SOAP, by the namespace of its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoapVersion {
    /// `http://schemas.xmlsoap.org/soap/envelope/`
    V11,
    /// `http://www.w3.org/2003/05/soap-envelope`
    V12,
}

/// Whether `name` can be the local name of an operation or of a fault: an ASCII NCName of at most [`NAME_MAX`] bytes.
pub fn is_name(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let goes_on = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    starts && goes_on && name.len() <= NAME_MAX
}
