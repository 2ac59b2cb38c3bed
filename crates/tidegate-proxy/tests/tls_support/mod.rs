//! TLS ends for the tests of passthrough: a server whose connections are in the hands of the test, and its clients.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

use crate::support::{length, plan};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_proxy::wire::proxy_header::{self, Progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// A plan with one passthrough service in front of one server.
pub fn passthrough(server: SocketAddr, limit: u32) -> Value {
    let mut plan = plan(server, limit);
    plan["services"][0]["tls"] = json!({"kind": "passthrough", "names": ["vp.lab"], "settle_ns": 50_000_000});
    plan
}

/// One end of a TLS connection.
pub struct Secure {
    pub stream: TlsStream<TcpStream>,
    buf: Vec<u8>,
}

impl Secure {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("send");
        self.stream.flush().await.expect("flush");
    }

    async fn more(&mut self) -> usize {
        let mut part = vec![0; 65536];
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut part)).await.expect("in time");
        let n = read.unwrap_or(0);
        self.buf.extend_from_slice(&part[..n]);
        n
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

    pub async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.buf.len() < n {
            assert!(self.more().await > 0, "ended after {} of {n} bytes", self.buf.len());
        }
        self.buf.drain(..n).collect()
    }

    /// The body of a whole answer.
    pub async fn answer(&mut self) -> String {
        let head = self.head().await.expect("an answer");
        String::from_utf8_lossy(&self.exactly(length(&head)).await).into_owned()
    }

    pub async fn reply(&mut self, body: &str) {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }

    pub async fn shutdown(&mut self) {
        let _the_other_side_may_be_gone = self.stream.shutdown().await;
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(self.stream.get_ref().0);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// A server, its CA, and a certificate for its clients.
pub struct World {
    pub address: SocketAddr,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

fn certificate(name: &str, issuer: &Issuer<'_, KeyPair>) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    (vec![signed.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

impl World {
    /// A server that speaks this version, sends so many tickets, and asks for clients' certificates or not.
    pub async fn start(version: &str, tickets: usize, certificates: bool) -> World {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        let issuer = Issuer::new(params, key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());

        let version = if version == "1.2" { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let builder = match certificates {
            true => builder.with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.with_no_client_auth(),
        };
        let (chain, key) = certificate("vp.lab", &issuer);
        let mut server = builder.with_single_cert(chain, key).unwrap();
        server.send_tls13_tickets = tickets;
        if tickets > 0 {
            server.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
        }
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = certificate("esx-17.lab", &issuer);
        let client = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        World { address, listener, acceptor, connector: TlsConnector::from(Arc::new(client)) }
    }

    pub fn connector(&self) -> TlsConnector {
        self.connector.clone()
    }

    async fn tcp(&self) -> TcpStream {
        let accepted = tokio::time::timeout(Duration::from_secs(20), self.listener.accept()).await;
        accepted.expect("in time").expect("accepted").0
    }

    /// The next connection, after its handshake.
    pub async fn accept(&mut self) -> Secure {
        let tcp = self.tcp().await;
        self.shake(tcp).await
    }

    /// As [`World::accept`]; `None` when the handshake fails.
    pub async fn try_accept(&self) -> Option<Secure> {
        let tcp = self.tcp().await;
        let stream = self.acceptor.accept(tcp).await.ok()?;
        Some(Secure { stream: TlsStream::Server(stream), buf: Vec::new() })
    }

    pub async fn shake(&self, tcp: TcpStream) -> Secure {
        let stream = self.acceptor.accept(tcp).await.expect("a handshake");
        Secure { stream: TlsStream::Server(stream), buf: Vec::new() }
    }

    /// The next connection, and the client that the PROXY header in front of it names.
    pub async fn accept_behind_proxy_header(&self) -> (SocketAddr, TcpStream) {
        let mut tcp = self.tcp().await;
        let mut bytes = Vec::new();
        loop {
            if let Progress::Header(header, _) = proxy_header::parse(&bytes).expect("a PROXY header") {
                return (header.source().expect("a source"), tcp);
            }
            bytes.push(tcp.read_u8().await.unwrap());
        }
    }

    /// Whether a connection waits that nobody has accepted.
    pub fn accepted_more(&self) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        self.listener.poll_accept(&mut cx).is_ready()
    }
}

/// Connects and shakes hands.
pub async fn connect(connector: TlsConnector, to: SocketAddr, name: &str) -> std::io::Result<Secure> {
    let tcp = TcpStream::connect(to).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = connector.connect(name, tcp).await?;
    Ok(Secure { stream: TlsStream::Client(stream), buf: Vec::new() })
}
