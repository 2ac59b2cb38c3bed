//! For tests: certificates in a temporary folder, and two rustls ends joined in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConnection, ServerConnection};
use std::path::{Path, PathBuf};

/// A CA, and PEM files of certificates that it signed.
pub(crate) struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of one certificate.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let key = KeyPair::generate().unwrap();
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { dir, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// A certificate for these names; the first one is its common name too.
    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names).signed_by(&key, &self.issuer).unwrap();
        self.write(names[0], &certificate.pem(), &key)
    }

    /// A certificate that is its own issuer and, as openssl makes them, calls itself a CA.
    pub(crate) fn self_signed(&self, names: &[&str]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("self-{}", names[0]), &certificate.pem(), &key)
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) -> Pair {
        let pair =
            Pair { certificate: self.path().join(format!("{name}.pem")), key: self.path().join(format!("{name}.key")) };
        std::fs::write(&pair.certificate, certificate).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params
}

/// Passes what each end wants to send to the other until both have nothing to say. `seen` gets every piece:
/// (whether the client sent it, the bytes).
pub(crate) fn pump(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
    mut seen: impl FnMut(bool, &[u8]),
) -> Result<(), rustls::Error> {
    loop {
        let mut moved = false;
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        if !bytes.is_empty() {
            moved = true;
            seen(true, &bytes);
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets()?;
            }
        }
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        if !bytes.is_empty() {
            moved = true;
            seen(false, &bytes);
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets()?;
            }
        }
        if !moved {
            return Ok(());
        }
    }
}
