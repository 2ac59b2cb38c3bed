//! TLS for both sides: rustls with ring, client certificates required, files as [`crate::certificates`] writes them.

use crate::LabError;
use crate::certificates::{AUTHORITY, PROVIDER, host_name};
use crate::spec::{ProviderTls, StormTls, Version, Versions};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a host needs to connect.
pub struct ClientTls {
    /// Its certificate and whom it trusts.
    pub connector: TlsConnector,
    /// Whom it connects to.
    pub name: ServerName<'static>,
}

/// A server's side: only clients of the directory's authority are let in.
pub fn acceptor(tls: &ProviderTls) -> Result<TlsAcceptor, LabError> {
    let provider = provider();
    let roots = Arc::new(roots(&tls.dir)?);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().map_err(unusable)?;
    let (chain, key) = identity(&tls.dir, PROVIDER)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(&tls.versions))
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if tls.tickets {
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    } else {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The sides of `hosts` hosts, in order.
pub fn clients(tls: &StormTls, hosts: u32) -> Result<Vec<ClientTls>, LabError> {
    let (provider, roots) = (provider(), Arc::new(roots(&tls.dir)?));
    let name = ServerName::try_from(tls.name.clone()).map_err(unusable)?;
    (0..hosts)
        .map(|index| {
            let (chain, key) = identity(&tls.dir, &host_name(index))?;
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&versions(&tls.versions))
                .map_err(unusable)?
                .with_root_certificates(Arc::clone(&roots))
                .with_client_auth_cert(chain, key)
                .map_err(unusable)?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            if !tls.tickets {
                config.resumption = Resumption::disabled();
            }
            Ok(ClientTls { connector: TlsConnector::from(Arc::new(config)), name: name.clone() })
        })
        .collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn versions(versions: &Versions) -> Vec<&'static SupportedProtocolVersion> {
    let version = |version: &Version| match version {
        Version::Tls12 => &TLS12,
        Version::Tls13 => &TLS13,
    };
    versions.0.iter().map(version).collect()
}

fn roots(dir: &Path) -> Result<RootCertStore, LabError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&dir.join(format!("{AUTHORITY}.pem")))? {
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

fn identity(dir: &Path, name: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), LabError> {
    let path = dir.join(format!("{name}.key"));
    let key = PrivateKeyDer::from_pem_file(&path).map_err(|error| unreadable(&path, &error))?;
    Ok((certificates(&dir.join(format!("{name}.pem")))?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LabError> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> LabError {
    let path = path.display();
    LabError(format!("cannot read {path}: {error}: write the files with `tidegate-lab certificates DIR --hosts N`"))
}

fn unusable(error: impl std::fmt::Display) -> LabError {
    LabError(format!("TLS cannot be set up: {error}: look at the spec's tls"))
}
