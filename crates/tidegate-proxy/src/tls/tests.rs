//! Handshakes in memory between the gate's two sides and against plain rustls ends; every kind of bad file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::client::{OwnCertificate, Thumbprint, Upstream, Verify, upstream};
use super::server::{ClientAuth, config};
use super::testing::{Authority, Pair, pump};
use super::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};

fn own(pair: &Pair) -> OwnCertificate<'_> {
    OwnCertificate { certificate: &pair.certificate, key: &pair.key }
}

fn handshake(to: &Upstream, at: &Arc<ServerConfig>) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let mut client = ClientConnection::new(to.config.clone(), to.name.clone()).unwrap();
    let mut server = ServerConnection::new(at.clone()).unwrap();
    pump(&mut client, &mut server, |_, _| {})?;
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn thumbprint(pair: &Pair) -> Thumbprint {
    Thumbprint::of(&CertificateDer::from_pem_file(&pair.certificate).unwrap())
}

#[test]
fn by_ca_and_name() {
    let authority = Authority::new();
    let pair = authority.sign(&["vp.lab", "127.0.0.1"]);
    let at = config(&pair.certificate, &pair.key, None).unwrap();
    let ca = authority.ca();
    for (address, name) in [("10.0.0.1:443", Some("vp.lab")), ("vp.lab:443", None), ("127.0.0.1:443", None)] {
        let (client, _) = handshake(&upstream(address, name, Verify::Ca(&ca), None).unwrap(), &at).unwrap();
        assert_eq!(client.alpn_protocol(), Some(ALPN));
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    }
    let wrong_name = upstream("other.lab:443", None, Verify::Ca(&ca), None).unwrap();
    assert!(handshake(&wrong_name, &at).is_err());
    let other = Authority::new();
    assert!(handshake(&upstream("vp.lab:443", None, Verify::Ca(&other.ca()), None).unwrap(), &at).is_err());
}

#[test]
fn by_listing_a_self_signed_certificate() {
    let authority = Authority::new();
    let pair = authority.self_signed(&["vp.lab"]);
    let at = config(&pair.certificate, &pair.key, None).unwrap();
    let listed = |name: &str| upstream(name, None, Verify::Ca(&pair.certificate), None).unwrap();
    assert!(handshake(&listed("vp.lab:443"), &at).is_ok());
    assert!(handshake(&listed("other.lab:443"), &at).is_err(), "the name still counts");
}

#[test]
fn by_thumbprint_or_not_at_all() {
    let authority = Authority::new();
    let pair = authority.self_signed(&["vp.lab"]);
    let at = config(&pair.certificate, &pair.key, None).unwrap();
    let pin = thumbprint(&pair);
    assert_eq!(Thumbprint::parse(&pin.to_string()), Some(pin));
    assert!(handshake(&upstream("any:1", None, Verify::Thumbprint(pin), None).unwrap(), &at).is_ok());
    let wrong = upstream("any:1", None, Verify::Thumbprint(Thumbprint([7; 32])), None).unwrap();
    let error = handshake(&wrong, &at).err().unwrap().to_string();
    assert!(error.contains(&pin.to_string()), "{error}");
    let nothing = upstream("any:1", None, Verify::Nothing, None).unwrap();
    assert!(nothing.unverified && handshake(&nothing, &at).is_ok());
}

/// A server that shows a certificate whose key it does not have.
#[test]
fn a_thumbprint_without_its_key_proves_nothing() {
    let authority = Authority::new();
    let (shown, held) = (authority.sign(&["vp.lab"]), authority.sign(&["thief.lab"]));
    let chain = vec![CertificateDer::from_pem_file(&shown.certificate).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&held.key).unwrap();
    let signing = provider().key_provider.load_private_key(key).unwrap();
    let stolen = Arc::new(rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(chain, signing)));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let at = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let mut at = at.with_no_client_auth().with_cert_resolver(stolen.clone());
        at.alpn_protocols = vec![ALPN.to_vec()];
        let to = upstream("vp.lab:1", None, Verify::Thumbprint(thumbprint(&shown)), None).unwrap();
        assert!(handshake(&to, &Arc::new(at)).is_err());
    }
}

#[test]
fn clients_show_certificates() {
    let authority = Authority::new();
    let (pair, host) = (authority.sign(&["vp.lab"]), authority.sign(&["esx-17.lab", "10.0.0.17"]));
    let others = Authority::new();
    let stranger = others.sign(&["esx-17.lab"]);
    let ca = authority.ca();
    let at = |required| config(&pair.certificate, &pair.key, Some(ClientAuth { ca: &ca, required })).unwrap();
    let to = |own| upstream("vp.lab:1", None, Verify::Ca(&ca), own).unwrap();
    for required in [true, false] {
        let (_, server) = handshake(&to(Some(own(&host))), &at(required)).unwrap();
        let identity = identity::of_certificate(&server.peer_certificates().unwrap()[0]).unwrap();
        assert_eq!(identity.canonical, "CN=esx-17.lab;DNS=esx-17.lab;IP=10.0.0.17");
        assert!(identity.is("ESX-17.lab") && identity.is("10.0.0.17") && identity.is(&identity.canonical));
        assert!(!identity.is("esx-17") && !identity.is(""));
        assert!(handshake(&to(Some(own(&stranger))), &at(required)).is_err());
    }
    assert!(handshake(&to(None), &at(true)).is_err());
    let (_, server) = handshake(&to(None), &at(false)).unwrap();
    assert!(server.peer_certificates().is_none());
}

#[test]
fn sessions_are_resumed_with_the_certificate_of_the_client() {
    let authority = Authority::new();
    let (pair, host) = (authority.sign(&["vp.lab"]), authority.sign(&["esx-17.lab"]));
    let ca = authority.ca();
    let at = config(&pair.certificate, &pair.key, Some(ClientAuth { ca: &ca, required: true })).unwrap();
    let to = upstream("vp.lab:1", None, Verify::Ca(&ca), Some(own(&host))).unwrap();
    let (_, first) = handshake(&to, &at).unwrap();
    assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
    let (_, second) = handshake(&to, &at).unwrap();
    assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(second.peer_certificates().is_some());
}

#[test]
fn only_http_1_1() {
    let authority = Authority::new();
    let pair = authority.sign(&["vp.lab"]);
    let at = config(&pair.certificate, &pair.key, None).unwrap();
    let mut to = upstream("vp.lab:1", None, Verify::Nothing, None).unwrap();
    for (offered, taken) in [(vec![], true), (vec![b"h2".to_vec(), ALPN.to_vec()], true), (vec![b"h2".to_vec()], false)]
    {
        let mut config = (*to.config).clone();
        config.alpn_protocols = offered;
        to.config = Arc::new(config);
        assert_eq!(handshake(&to, &at).is_ok(), taken);
    }
}

#[test]
fn bad_files_are_named() {
    let authority = Authority::new();
    let (a, b) = (authority.sign(&["a.lab"]), authority.sign(&["b.lab"]));
    let file = |name: &str, text: &str| {
        let path = authority.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = std::fs::read_to_string(&a.certificate).unwrap();
    let cases = [
        (authority.path().join("missing.pem"), a.key.clone(), "missing.pem: cannot be read"),
        (a.certificate.clone(), authority.path().join("missing.key"), "missing.key: cannot be read"),
        (a.key.clone(), a.key.clone(), "a.lab.key: no certificate in it"),
        (a.certificate.clone(), a.certificate.clone(), "a.lab.pem: no private key in it"),
        (a.certificate.clone(), b.key.clone(), "b.lab.key: this key does not belong"),
        (file("empty.pem", ""), a.key.clone(), "empty.pem: no certificate in it"),
        (file("cut.pem", &good[..good.len() / 2]), a.key.clone(), "cut.pem: cut off"),
        (file("bad.pem", &good.replace("MII", "!!!")), a.key.clone(), "bad.pem: damaged"),
        (
            file("der.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            a.key.clone(),
            "der.pem: certificate 1 of 1 is not X.509",
        ),
        (
            a.certificate.clone(),
            file("enc.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
            "enc.key: the key is encrypted",
        ),
    ];
    for (certificate, key, expected) in cases {
        let error = config(&certificate, &key, None).unwrap_err();
        assert!(error.message.contains(expected) && !error.hint.is_empty(), "{expected}: {error}");
        let own = OwnCertificate { certificate: &certificate, key: &key };
        assert_eq!(upstream("a:1", None, Verify::Nothing, Some(own)).unwrap_err(), error);
    }
    let clients = ClientAuth { ca: &a.key, required: true };
    assert!(config(&a.certificate, &a.key, Some(clients)).unwrap_err().message.contains("no certificate in it"));
    assert!(upstream("a b:1", None, Verify::Nothing, None).unwrap_err().message.contains("neither a host name"));
}

#[test]
fn thumbprints_are_64_hex_digits() {
    let plain = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    assert_eq!(Thumbprint::parse(&plain), Some(Thumbprint([0xab; 32])));
    assert_eq!(Thumbprint::parse(&colons), Some(Thumbprint([0xab; 32])));
    for bad in ["", "ab", &plain[1..], &format!("{plain}ab"), &colons[1..], &plain.replace('a', "g"), "é"] {
        assert_eq!(Thumbprint::parse(bad), None, "{bad}");
    }
}

#[test]
fn identities_cannot_pass_for_others() {
    let authority = Authority::new();
    let der = |names: &[&str]| CertificateDer::from_pem_file(authority.sign(names).certificate).unwrap();
    let of = |names: &[&str]| identity::of_certificate(&der(names)).unwrap().canonical;
    assert_eq!(of(&["B.lab", "a.lab"]), "CN=B.lab;DNS=a.lab;DNS=b.lab");
    assert_eq!(of(&["a.lab", "a.lab"]), "CN=a.lab;DNS=a.lab");
    assert_eq!(of(&["x;DNS=a.lab"]), "CN=x%3BDNS%3Da.lab;DNS=x%3Bdns%3Da.lab");
    assert_eq!(identity::of_certificate(b"garbage"), None);
}
