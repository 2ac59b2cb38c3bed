//! What a request to `/api`, `/rest` or `/sdk/vim25/…` means, by its head.

use crate::soap::is_name;
use zeroize::Zeroizing;

/// Longest user and password in an `Authorization`, in bytes before decoding.
const CREDENTIALS_MAX: usize = 8 * 1024;

/// What it means.
#[derive(Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A login with user and password.
    SessionCreate {
        /// The user.
        user: String,
        /// Overwritten with zeros when dropped.
        password: Zeroizing<String>,
        /// Which of the two APIs; the answers differ.
        api: Api,
    },
    /// A login in another way (a SAML token, say), or one that cannot be read.
    SessionCreateOther(Api),
    /// Whose session it is.
    SessionGet(Api),
    /// A logout.
    SessionDelete(Api),
    /// Anything else under `/api` or `/rest`.
    Call(Api),
    /// An operation of vim25 as JSON: its name as in SOAP, and what it is called on.
    ViJson {
        /// As in SOAP. For reading a property `Fetch`, which is what SOAP calls that.
        operation: String,
        /// The type of the object.
        kind: String,
        /// Its id.
        id: String,
    },
    /// None of these.
    Elsewhere,
}

impl std::fmt::Debug for Meaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Meaning::SessionCreate { .. } => "SessionCreate",
            Meaning::SessionCreateOther(_) => "SessionCreateOther",
            Meaning::SessionGet(_) => "SessionGet",
            Meaning::SessionDelete(_) => "SessionDelete",
            Meaning::Call(_) => "Call",
            Meaning::ViJson { .. } => "ViJson",
            Meaning::Elsewhere => "Elsewhere",
        })
    }
}

/// Which REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/api`
    New,
    /// `/rest`
    Old,
}

/// Reads a head: `method`, `target` (path and query) and the value of `Authorization`.
pub fn read(method: &str, target: &str, authorization: Option<&[u8]>) -> Meaning {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let session = |api| match (method, query) {
        ("POST", "~action=get") => Meaning::SessionGet(api),
        ("POST", _) => create(api, authorization),
        ("GET", _) => Meaning::SessionGet(api),
        ("DELETE", _) => Meaning::SessionDelete(api),
        _ => Meaning::Call(api),
    };
    match path {
        "/api/session" => session(Api::New),
        "/rest/com/vmware/cis/session" => session(Api::Old),
        _ if path == "/api" || path.starts_with("/api/") => Meaning::Call(Api::New),
        _ if path == "/rest" || path.starts_with("/rest/") => Meaning::Call(Api::Old),
        _ => path.strip_prefix("/sdk/vim25/").and_then(|rest| vi_json(method, rest)).unwrap_or(Meaning::Elsewhere),
    }
}

/// The first steps of paths where SOAP is spoken, or VI/JSON.
const SOAP: [&str; 5] = ["sdk", "sms", "pbm", "vslm", "vsanHealth"];

/// Whether a path is below those of SOAP.
pub fn is_near_soap(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    SOAP.contains(&first)
}

/// Whether a server that is less strict than the gate may take this path for one of SOAP, of VI/JSON or of the sessions of
/// REST, which the gate would take for another: `/x/../sdk`, `//sdk`, `/%73dk`.
pub fn is_disguised(path: &str) -> bool {
    let (mut meant, mut odd) = (Vec::new(), false);
    let last = path.matches('/').count();
    for (at, written) in path.split('/').enumerate().skip(1) {
        let step = decoded(written).to_ascii_lowercase();
        let mut pieces = step.split(['/', '\\']).map(|piece| piece.split(';').next().unwrap_or_default());
        odd |= step.contains(['/', '\\', ';', '%'])
            || matches!(step.as_str(), "" if at < last)
            || matches!(step.as_str(), "." | "..");
        pieces.by_ref().for_each(|piece| match piece {
            "" | "." => {}
            ".." => drop(meant.pop()),
            _ => meant.push(piece.to_owned()),
        });
    }
    let meant: Vec<&str> = meant.iter().map(String::as_str).collect();
    let near = meant.first().is_some_and(|first| SOAP.iter().any(|root| root.eq_ignore_ascii_case(first)));
    match meant[..] {
        ["api", "session"] => path != "/api/session",
        ["rest", "com", "vmware", "cis", "session"] => path != "/rest/com/vmware/cis/session",
        _ => near && (odd || !is_near_soap(path)),
    }
}

/// A step of a path with its `%XX` resolved; what is none stays.
fn decoded(step: &str) -> String {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = (first == b'%').then(|| behind.get(..2)).flatten().and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `{release}/{type}/{id}/{method or property}`.
fn vi_json(method: &str, rest: &str) -> Option<Meaning> {
    let mut pieces = rest.split('/');
    let (_release, kind, id, last) = (pieces.next()?, pieces.next()?, pieces.next()?, pieces.next()?);
    if pieces.next().is_some() || !is_name(kind) || !is_name(last) || id.is_empty() {
        return None;
    }
    let operation = match method {
        "POST" => last,
        "GET" => "Fetch",
        _ => return None,
    };
    Some(Meaning::ViJson { operation: operation.to_owned(), kind: kind.to_owned(), id: id.to_owned() })
}

fn create(api: Api, authorization: Option<&[u8]>) -> Meaning {
    match authorization.and_then(basic) {
        Some((user, password)) => Meaning::SessionCreate { user, password, api },
        None => Meaning::SessionCreateOther(api),
    }
}

/// User and password of `Authorization: Basic` (RFC 7617).
fn basic(value: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = value.trim_ascii().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || encoded.len() > CREDENTIALS_MAX {
        return None;
    }
    let decoded = base64(encoded.trim_ascii())?;
    let text = std::str::from_utf8(&decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Zeroizing::new(password.to_owned())))
}

/// Strict base64 with padding (RFC 4648, 4), into memory that is overwritten when dropped.
fn base64(encoded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if encoded.is_empty() || !encoded.len().is_multiple_of(4) {
        return None;
    }
    let data = encoded.strip_suffix(b"==").or_else(|| encoded.strip_suffix(b"=")).unwrap_or(encoded);
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    for four in data.chunks(4) {
        let mut bits = 0_u32;
        for byte in four {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let missing = 4 - four.len();
        let [_, a, b, c] = (bits << (6 * missing)).to_be_bytes();
        decoded.extend_from_slice(&[a, b, c][..3 - missing]);
    }
    Some(decoded)
}

/// The token in the answer to a login: the text of the body, of whose JSON it is all or the `value`.
pub fn token(api: Api, body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let token = match api {
        Api::New => answer.as_str(),
        Api::Old => answer.get("value")?.as_str(),
    };
    token.filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())).map(str::to_owned)
}

/// The body of the answer to a login, with this token.
pub fn created(api: Api, token: &str) -> String {
    let token = serde_json::Value::from(token);
    match api {
        Api::New => token.to_string(),
        Api::Old => serde_json::json!({ "value": token }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meaning(method: &str, target: &str) -> Meaning {
        read(method, target, None)
    }

    #[test]
    fn sessions_of_both_apis() {
        for (method, target, expected) in [
            ("POST", "/api/session", Meaning::SessionCreateOther(Api::New)),
            ("GET", "/api/session", Meaning::SessionGet(Api::New)),
            ("DELETE", "/api/session", Meaning::SessionDelete(Api::New)),
            ("POST", "/rest/com/vmware/cis/session", Meaning::SessionCreateOther(Api::Old)),
            ("POST", "/rest/com/vmware/cis/session?~action=get", Meaning::SessionGet(Api::Old)),
            ("DELETE", "/rest/com/vmware/cis/session", Meaning::SessionDelete(Api::Old)),
            ("GET", "/api/vcenter/vm?names=a", Meaning::Call(Api::New)),
            ("GET", "/rest/vcenter/vm", Meaning::Call(Api::Old)),
            ("PUT", "/api/session", Meaning::Call(Api::New)),
            ("GET", "/apis", Meaning::Elsewhere),
            ("POST", "/sdk", Meaning::Elsewhere),
            ("POST", "/sdk/vim25/8.0.1.0/SessionManager/SessionManager", Meaning::Elsewhere),
            ("POST", "/sdk/vim25/8.0.1.0/A/b/C/d", Meaning::Elsewhere),
            ("DELETE", "/sdk/vim25/8.0.1.0/A/b/C", Meaning::Elsewhere),
        ] {
            assert!(meaning(method, target) == expected, "{method} {target}: {:?}", meaning(method, target));
        }
    }

    #[test]
    fn a_path_that_may_be_taken_for_another_is_told() {
        for path in [
            "//sdk",
            "/./sdk",
            "/x/../sdk",
            "/%73dk",
            "/sdk%2f",
            "/SDK",
            "/sdk;x",
            "/sdk//",
            "/pbm/../sdk",
            "/sdk;x/y",
            "/%2e%2e/sdk",
            "/x%2f..%2fsdk",
            "/x\\..\\sdk",
            "/sdk/vim25/8/a/../b",
            "/Sdk/vim25/8/A/b/C",
            "/api//session",
            "/api/./session",
            "/API/session",
            "/api/session/",
            "/rest/com/vmware/cis/x/../session",
            "/vsanhealth",
            "/sdk/%2573dk",
        ] {
            assert!(is_disguised(path), "{path}");
        }
        for path in [
            "/sdk",
            "/sdk/",
            "/sdk/vimService",
            "/sdk/vimServiceVersions.xml",
            "/vsanHealth",
            "/pbm/sdk",
            "/x/../ui",
            "/sdk/vim25/8.0.1.0/ContainerView/session%5B52%5D7/view",
            "/api/session",
            "/api/vcenter/vm/vm-1",
            "/",
            "/ui//a",
            "/rest/com/vmware/cis/session",
            "/folder/a%20b/../c.vmdk",
            "/sdkx",
        ] {
            assert!(!is_disguised(path), "{path}");
        }
    }

    #[test]
    fn operations_as_json_have_the_names_of_soap() {
        let of = |operation: &str, kind: &str, id: &str| Meaning::ViJson {
            operation: operation.to_owned(),
            kind: kind.to_owned(),
            id: id.to_owned(),
        };
        assert!(
            meaning("POST", "/sdk/vim25/8.0.1.0/VirtualMachine/vm-42/PowerOnVM_Task")
                == of("PowerOnVM_Task", "VirtualMachine", "vm-42")
        );
        assert!(meaning("GET", "/sdk/vim25/8.0.1.0/Task/task-1/info") == of("Fetch", "Task", "task-1"));
    }

    #[test]
    fn reads_user_and_password() {
        for (value, expected) in [
            ("Basic b3BlcmF0b3I6Y29ycmVjdCBob3JzZQ==", Some(("operator", "correct horse"))),
            ("basic  b3BlcmF0b3I6YTpi", Some(("operator", "a:b"))),
            ("Basic b3BlcmF0b3I6", Some(("operator", ""))),
            ("Basic b3BlcmF0b3I", None),
            ("Basic b3BlcmF0b3I=", None),
            ("Basic b3Bl*mF0b3I6", None),
            ("Basic ====", None),
            ("Basic ", None),
            ("Bearer b3BlcmF0b3I6", None),
            ("", None),
        ] {
            let found = basic(value.as_bytes());
            let found = found.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            assert_eq!(found, expected, "{value}");
        }
        assert!(!format!("{:?}", read("POST", "/api/session", Some(b"Basic b3BlcmF0b3I6YTpi"))).contains("a:b"));
    }

    #[test]
    fn tokens_are_written_as_they_are_read() {
        for api in [Api::New, Api::Old] {
            assert_eq!(token(api, created(api, "b4e2a1").as_bytes()).as_deref(), Some("b4e2a1"));
            for bad in ["", "\"\"", "{}", "{\"value\": 1}", "{\"value\": \"a\\r\\nb\"}", "\"a\\r\\nb\"", "[]"] {
                assert_eq!(token(api, bad.as_bytes()), None, "{bad}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(method in "GET|POST|DELETE", target in "\\PC{0,60}", value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&method, &target, Some(&value));
            let _ = basic(&[b"Basic ".as_slice(), &value].concat());
            let _ = is_disguised(&target);
        }
    }
}
