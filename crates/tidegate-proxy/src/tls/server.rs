//! Towards clients: the configuration of a service that terminates TLS.

use super::{ALPN, TlsError, pem, provider};
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use std::path::Path;
use std::sync::Arc;

/// Sessions of TLS 1.2 clients without tickets that can be resumed; the oldest is forgotten first.
const SESSIONS_MAX: usize = 2048;

/// Which clients must show a certificate.
#[derive(Clone, Copy, Debug)]
pub struct ClientAuth<'a> {
    /// PEM file of the CAs that clients' certificates come from.
    pub ca: &'a Path,
    /// Whether a client without a certificate is refused. One with a bad certificate always is.
    pub required: bool,
}

/// The configuration of a terminating service: TLS 1.2 and 1.3, session tickets (keys rotate every 6 hours and end with
/// the value returned), `http/1.1` only. Without `clients` no certificate is asked for.
///
/// # Errors
/// Says which file, what is wrong with it and what to do.
pub fn config(certificate: &Path, key: &Path, clients: Option<ClientAuth>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let pair = pem::certified_key(certificate, key, &provider)?;
    let unusable =
        |e: rustls::Error| TlsError::at(certificate, format!("cannot be used: {e}"), "check it with openssl x509");
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let (roots, _) = pem::roots(clients.ca)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if clients.required { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|e| TlsError::at(clients.ca, e, "check it with openssl x509"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.ticketer = Ticketer::new().map_err(unusable)?;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    Ok(Arc::new(config))
}
