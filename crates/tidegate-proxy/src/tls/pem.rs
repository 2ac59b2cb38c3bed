//! Certificates and keys from PEM files, with errors that name the file and say what is in it instead.

use super::TlsError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use std::path::Path;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longest file that is read. A bundle of all public roots has a quarter of that.
const FILE_MAX: u64 = 1024 * 1024;

/// All certificates of a file, in its order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| broken(path, &e))?;
    if found.is_empty() {
        return Err(TlsError::at(path, "no certificate in it", "a PEM file with BEGIN CERTIFICATE is needed"));
    }
    for (index, certificate) in found.iter().enumerate() {
        if !matches!(X509Certificate::from_der(certificate), Ok((rest, _)) if rest.is_empty()) {
            let problem = format!("certificate {} of {} is not X.509", index + 1, found.len());
            return Err(TlsError::at(path, problem, "write the file again with openssl x509 -in FILE"));
        }
    }
    Ok(found)
}

/// A certificate with its chain, and the key that belongs to it.
pub(super) fn certified_key(path: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(path)?;
    let loaded = CertifiedKey::from_der(chain, private_key(key)?, provider);
    let matched = loaded.and_then(|pair| match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(error) => Err(error),
    });
    matched.map_err(|error| match error {
        Error::InconsistentKeys(_) => TlsError::at(
            key,
            format!("this key does not belong to the first certificate in {}", path.display()),
            "put the certificate of its own first, then its issuers, and take the key that it was made with",
        ),
        error => TlsError::at(key, format!("the key cannot be used: {error}"), "RSA, ECDSA P-256/P-384 or Ed25519"),
    })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) if memchr::memmem::find(&text, b"ENCRYPTED").is_some() => Err(TlsError::at(
            path,
            "the key is encrypted",
            "write it in clear: openssl pkey -in FILE -out NEW, mode 0600",
        )),
        Err(PemError::NoItemsFound) => {
            Err(TlsError::at(path, "no private key in it", "a PEM file with BEGIN PRIVATE KEY is needed"))
        }
        Err(error) => Err(broken(path, &error)),
    }
}

/// The certificates of a file as trust anchors.
pub(super) fn roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let certificates = certificates(path)?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|error| {
            let problem = format!("certificate {} cannot be a trust anchor: {error}", index + 1);
            TlsError::at(path, problem, "put only CA certificates of X.509 version 3 into it")
        })?;
    }
    Ok((store, certificates))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |e: std::io::Error| {
        TlsError::at(path, format!("cannot be read: {e}"), "check the path, and that the gate's user may read it")
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_MAX {
        return Err(TlsError::at(path, "more than 1 MiB", "a PEM file of certificates or a key is needed"));
    }
    std::fs::read(path).map_err(unreadable)
}

fn broken(path: &Path, error: &PemError) -> TlsError {
    let problem = match error {
        PemError::MissingSectionEnd { .. } => "cut off: a BEGIN line without its END line".to_owned(),
        PemError::Base64Decode(_) => "damaged: not base64 between BEGIN and END".to_owned(),
        other => format!("not PEM: {other}"),
    };
    TlsError::at(path, problem, "copy the file again, whole")
}
