//! Towards a server: how the gate shows who it is, and how it knows that the server is the right one.

use super::verify::{Anchored, Leaf};
use super::{ALPN, TlsError, pem, provider};
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use std::path::Path;
use std::sync::Arc;

/// How a server is verified.
#[derive(Clone, Copy, Debug)]
pub enum Verify<'a> {
    /// Its certificate comes from a CA in this PEM file, or is itself in it, is valid now and carries the name.
    Ca(&'a Path),
    /// Its certificate has this SHA-256 thumbprint. Its name and its dates do not matter: appliances have certificates
    /// with neither right, and exactly this one was agreed on.
    Thumbprint(Thumbprint),
    /// Not at all: anyone in between can read and change everything. Say so loudly.
    Nothing,
}

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// 64 hex digits, with a colon between each two of them or without any.
    pub fn parse(text: &str) -> Option<Thumbprint> {
        let digits: Vec<u8> = if text.contains(':') {
            let pairs: Vec<&str> = text.split(':').collect();
            pairs.iter().all(|p| p.len() == 2).then(|| pairs.concat().into_bytes())?
        } else {
            text.as_bytes().to_vec()
        };
        let digits: Vec<u8> =
            digits.iter().map(|b| char::from(*b).to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
        (digits.len() == 64).then(|| bytes.try_into().ok()).flatten().map(Thumbprint)
    }

    /// Of this certificate.
    pub fn of(certificate: &[u8]) -> Thumbprint {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Thumbprint(bytes)
    }
}

impl std::fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// What is needed to connect to a server over TLS.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// For `tokio_rustls::TlsConnector`.
    pub config: Arc<ClientConfig>,
    /// Which name to ask for (SNI) and to verify.
    pub name: ServerName<'static>,
    /// Whether anyone could be at the other end; warn about it.
    pub unverified: bool,
}

/// The gate's own certificate towards a server: PEM files of the chain and of the key.
#[derive(Clone, Copy, Debug)]
pub struct OwnCertificate<'a> {
    /// The certificate first, then its issuers.
    pub certificate: &'a Path,
    /// The key of the first one.
    pub key: &'a Path,
}

/// Prepares connections to the server at `address` (`host:port`). `name`: the name in its certificate when that is not
/// its host. TLS 1.2 and 1.3, `http/1.1` only, sessions are resumed.
///
/// # Errors
/// Says which file or name, what is wrong with it and what to do.
pub fn upstream(
    address: &str,
    name: Option<&str>,
    verify: Verify,
    own: Option<OwnCertificate>,
) -> Result<Upstream, TlsError> {
    let name = server_name(name.unwrap_or_else(|| host_of(address)))?;
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = match verify {
        Verify::Ca(path) => {
            let (roots, listed) = pem::roots(path)?;
            let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
            let chain = chain.map_err(|e| TlsError::at(path, e, "check it with openssl x509"))?;
            Arc::new(Anchored { chain, listed })
        }
        Verify::Thumbprint(pin) => Arc::new(Leaf::new(Some(pin), &provider)),
        Verify::Nothing => Arc::new(Leaf::new(None, &provider)),
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::new(e.to_string(), "this is a defect of the gate"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let pair = pem::certified_key(own.certificate, own.key, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Upstream { config: Arc::new(config), name, unverified: matches!(verify, Verify::Nothing) })
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        TlsError::new(format!("{name:?} is neither a host name nor an address"), "write the name in the certificate")
    })
}

/// `host` of `host:port`, `[v6]:port` or either without a port.
pub(crate) fn host_of(address: &str) -> &str {
    if let Some(rest) = address.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match address.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => address,
    }
}
