//! The lab under TLS: both versions, tickets or not, who is let in and whose sessions are whose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Lab, storm};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tidegate_lab::certificates;
use tidegate_lab::spec::{StormTls, Version, Versions};
use tidegate_lab::tls::clients;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A directory of its own per test, removed at the end.
struct Certificates(PathBuf);

impl Certificates {
    fn new(test: &str, hosts: u32) -> Certificates {
        let dir = std::env::temp_dir().join(format!("tidegate-lab-{test}-{}", std::process::id()));
        certificates::write(&dir, hosts).unwrap();
        Certificates(dir)
    }

    fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn provider(dir: &Path) -> Value {
    json!({"speed": 20, "start_down": true, "tls": {"dir": dir}})
}

fn hosts(dir: &Path, count: u32) -> Value {
    json!({"hosts": count, "speed": 20, "window_s": 60, "linger_s": 1, "tls": {"dir": dir}})
}

#[test]
fn hosts_get_in_with_either_version_with_tickets_or_without() {
    let certificates = Certificates::new("versions", 8);
    for version in ["1.2", "1.3"] {
        for tickets in [true, false] {
            let (mut provider, mut hosts) = (provider(certificates.dir()), hosts(certificates.dir(), 8));
            provider["tls"]["tickets"] = tickets.into();
            (hosts["tls"]["versions"], hosts["tls"]["tickets"]) = (json!([version]), tickets.into());
            let (server, hosts) = storm(provider, hosts);
            assert_eq!(hosts["connected"], 8, "{version} {tickets} {hosts}");
            assert_eq!((&server["handshakes"], &server["handshakes_failed"]), (&json!(8), &json!(0)));
        }
    }
}

#[test]
fn a_stranger_is_refused() {
    let certificates = Certificates::new("stranger", 1);
    for version in ["1.2", "1.3"] {
        let untrusted = certificates.dir().join(certificates::UNTRUSTED);
        let mut stranger = hosts(&untrusted, 1);
        stranger["tls"]["versions"] = json!([version]);
        let (server, hosts) = storm(provider(certificates.dir()), stranger);
        assert_eq!((&hosts["connected"], &server["handshakes"]), (&json!(0), &json!(0)), "{hosts}");
        assert!(hosts["resets"].as_u64() >= Some(1) && server["handshakes_failed"].as_u64() >= Some(1), "{server}");
    }
}

#[test]
fn keys_are_for_their_owner_only() {
    let certificates = Certificates::new("modes", 1);
    for name in ["vp.lab.key", "gate.lab.key", "host-001.key"] {
        let mode = std::fs::metadata(certificates.dir().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// Sends one request as host number `index`; gives the whole answer.
async fn ask(address: &str, dir: &Path, index: usize, request: &str) -> String {
    let versions = Versions(vec![Version::Tls13]);
    let tls = StormTls { dir: dir.to_owned(), name: "vp.lab".into(), versions, tickets: false };
    let client = clients(&tls, 2).unwrap().remove(index);
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = client.connector.connect(client.name, stream).await.unwrap();
    stream.write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await; // the server closes without close_notify
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_bound_session_is_of_no_use_to_another_certificate() {
    let certificates = Certificates::new("bound", 2);
    for (bound, status) in [(true, "401"), (false, "200")] {
        let mut provider = provider(certificates.dir());
        (provider["protocol"], provider["start_down"]) = ("http".into(), false.into());
        provider["bind_session_to_certificate"] = bound.into();
        let server = Lab::start("provider", &provider);
        let address = server.address();
        let opened = ask(&address, certificates.dir(), 0, "POST /session HTTP/1.1\r\n\r\n").await;
        let session = opened.split("SESSION=").nth(1).unwrap().split(';').next().unwrap();
        let call = format!("GET /call HTTP/1.1\r\nCookie: SESSION={session}\r\n\r\n");
        let own = ask(&address, certificates.dir(), 0, &call).await;
        assert!(own.starts_with("HTTP/1.1 200"), "{own}");
        let others = ask(&address, certificates.dir(), 1, &call).await;
        assert!(others.starts_with(&format!("HTTP/1.1 {status}")), "{others}");
        server.stop();
    }
}
