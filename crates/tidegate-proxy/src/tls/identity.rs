//! Who a client is, by its certificate: one text for the names in it, the same after every renewal.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// Most names that count; a certificate with more is known by the first ones in alphabetical order.
const NAMES_MAX: usize = 64;
/// Longest name, in bytes, before it is escaped.
const NAME_MAX: usize = 256;

/// The names in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// All of them, each with its kind, sorted: `CN=esx-17;DNS=esx-17.example.com;IP=10.0.0.17`. Bytes that have a
    /// meaning here or are not printable ASCII are written as `%XX`, so that no name can pass for two.
    pub canonical: String,
    /// The names alone, for [`Identity::is`].
    names: Vec<String>,
}

impl Identity {
    /// Whether `subject`, as an operator writes it, means this client: the canonical text or one of its names, case
    /// aside.
    pub fn is(&self, subject: &str) -> bool {
        self.canonical.eq_ignore_ascii_case(subject) || self.names.iter().any(|n| n.eq_ignore_ascii_case(subject))
    }
}

/// Reads the common names of the subject and the alternative names (DNS, IP, mail, URI). A certificate with none of
/// them is known by its whole subject. `None`: not X.509, or no subject at all.
pub fn of_certificate(certificate: &[u8]) -> Option<Identity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut names = BTreeSet::new();
    for name in parsed.subject().iter_common_name().filter_map(|a| a.as_str().ok()) {
        names.insert(("CN", clip(name)));
    }
    for extension in parsed.extensions() {
        if let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() {
            names.extend(alternative.general_names.iter().filter_map(general_name));
        }
    }
    if names.is_empty() {
        names.insert(("SUBJECT", clip(&parsed.subject().to_string())));
    }
    names.retain(|(_, name)| !name.is_empty());
    let mut canonical = String::new();
    for (kind, name) in names.iter().take(NAMES_MAX) {
        let semicolon = if canonical.is_empty() { "" } else { ";" };
        let _ = write!(canonical, "{semicolon}{kind}=");
        escape_into(&mut canonical, name);
    }
    let names = names.into_iter().take(NAMES_MAX).map(|(_, name)| name).collect();
    (!canonical.is_empty()).then_some(Identity { canonical, names })
}

fn general_name(name: &GeneralName) -> Option<(&'static str, String)> {
    match name {
        GeneralName::DNSName(name) => Some(("DNS", clip(name).to_ascii_lowercase())),
        GeneralName::RFC822Name(name) => Some(("MAIL", clip(name))),
        GeneralName::URI(name) => Some(("URI", clip(name))),
        GeneralName::IPAddress(bytes) => {
            let ip = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            Some(("IP", ip.ok()?.to_string()))
        }
        _ => None,
    }
}

fn clip(name: &str) -> String {
    name.chars()
        .scan(0, |length, c| {
            *length += c.len_utf8();
            (*length <= NAME_MAX).then_some(c)
        })
        .collect()
}

fn escape_into(out: &mut String, name: &str) {
    for byte in name.bytes() {
        match byte {
            b'%' | b';' | b'=' => {}
            b' '..=b'~' => {
                out.push(char::from(byte));
                continue;
            }
            _ => {}
        }
        let _ = write!(out, "%{byte:02X}");
    }
}
