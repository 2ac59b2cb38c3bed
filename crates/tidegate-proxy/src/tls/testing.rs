//! For tests: certificates in a temporary folder, and two rustls ends joined in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        roots
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

impl Pair {
    fn load(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = vec![CertificateDer::from_pem_file(&self.certificate).unwrap()];
        (chain, PrivateKeyDer::from_pem_file(&self.key).unwrap())
    }
}

/// A server such as stands behind passthrough: one version, so many tickets (TLS 1.2: any or none), clients'
/// certificates required or not.
pub(crate) fn plain_server(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    tickets: usize,
    client_certificates: bool,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(super::provider()).with_protocol_versions(&[version]).unwrap();
    let builder = if client_certificates {
        let roots = Arc::new(authority.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, super::provider()).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (chain, key) = authority.sign(&["vp.lab"]).load();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.send_tls13_tickets = tickets;
    if tickets > 0 {
        config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    }
    config
}

/// A client of such a server.
pub(crate) fn plain_client(authority: &Authority, certificate: bool) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(super::provider()).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(authority.roots());
    if certificate {
        let (chain, key) = authority.sign(&["esx-17.lab"]).load();
        builder.with_client_auth_cert(chain, key).unwrap()
    } else {
        builder.with_no_client_auth()
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
