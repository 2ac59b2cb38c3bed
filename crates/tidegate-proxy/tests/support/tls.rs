//! Certificates, and TLS ends for clients and servers of the tests.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A CA and what it signed, in a folder of its own.
pub struct Authority {
    pub folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// PEM files of a certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let key = KeyPair::generate().expect("a key");
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).expect("signed").pem()).expect("written");
        Authority { folder, issuer: Issuer::new(params, key) }
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_string()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        let file = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        let pair = Pair { certificate: file("pem"), key: file("key") };
        std::fs::write(&pair.certificate, certificate).expect("written");
        std::fs::write(&pair.key, key.serialize_pem()).expect("written");
        pair
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).expect("the CA")).expect("a root");
        Arc::new(roots)
    }

    /// Connects to the gate over TLS.
    pub async fn connect(
        &self,
        to: std::net::SocketAddr,
        name: &str,
        own: Option<&Pair>,
        version: &'static SupportedProtocolVersion,
    ) -> std::io::Result<TlsPeer<client::TlsStream<TcpStream>>> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(self.roots());
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (chain, key) = pair.load();
                builder.with_client_auth_cert(chain, key).expect("a certificate")
            }
        };
        let tcp = TcpStream::connect(to).await?;
        let name = ServerName::try_from(name.to_string()).expect("a name");
        Ok(TlsPeer { stream: TlsConnector::from(Arc::new(config)).connect(name, tcp).await?, buf: Vec::new() })
    }

    /// Accepts the gate's connection over TLS; asks for its certificate when `mutual`.
    pub async fn accept(
        &self,
        tcp: TcpStream,
        pair: &Pair,
        mutual: bool,
    ) -> std::io::Result<TlsPeer<server::TlsStream<TcpStream>>> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().expect("versions");
        let builder = if mutual {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(self.roots(), provider()).build().expect("roots");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = pair.load();
        let config = builder.with_single_cert(chain, key).expect("a certificate");
        Ok(TlsPeer { stream: TlsAcceptor::from(Arc::new(config)).accept(tcp).await?, buf: Vec::new() })
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Pair {
    fn load(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = vec![CertificateDer::from_pem_file(&self.certificate).expect("a certificate")];
        (chain, PrivateKeyDer::from_pem_file(&self.key).expect("a key"))
    }
}

/// One end of a TLS connection, in the hands of the test.
pub struct TlsPeer<S> {
    pub stream: S,
    buf: Vec<u8>,
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> TlsPeer<S> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("send");
        self.stream.flush().await.expect("flush");
    }

    pub async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.buf.len() < n {
            assert!(self.more().await > 0, "ended after {} of {n} bytes", self.buf.len());
        }
        self.buf.drain(..n).collect()
    }

    async fn more(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.buf);
        tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("in time").unwrap_or(0)
    }

    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buf.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.buf.drain(..at + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    pub async fn answer(&mut self) -> (String, String) {
        let head = self.head().await.expect("an answer");
        let body = self.exactly(super::length(&head)).await;
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    pub async fn reply(&mut self, body: &str) {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }
}
