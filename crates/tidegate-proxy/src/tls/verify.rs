//! How a server's certificate is judged: by its CA ([`Anchored`]) or by its thumbprint ([`Leaf`]).
//!
//! Both check that the server holds the key of the certificate that it shows (the signature over the handshake):
//! without that a thumbprint would prove nothing, for a certificate is public.

use super::client::Thumbprint;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// By CA and name. A certificate that is itself in the CA file is trusted too, whatever it says about being a CA: that
/// is how self-signed servers are listed, and `openssl req -x509` marks what it makes as a CA, which the usual rules
/// then refuse as a server.
#[derive(Debug)]
pub(super) struct Anchored {
    pub(super) chain: Arc<WebPkiServerVerifier>,
    pub(super) listed: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Anchored {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.listed.iter().any(|listed| listed == end_entity) {
            return self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        valid_now(end_entity, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

fn valid_now(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let time = ASN1Time::from_timestamp(seconds).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.validity();
    if time < validity.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if time > validity.not_after {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// By thumbprint, or not at all.
#[derive(Debug)]
pub(super) struct Leaf {
    pin: Option<Thumbprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Leaf {
    pub(super) fn new(pin: Option<Thumbprint>, provider: &CryptoProvider) -> Leaf {
        Leaf { pin, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Leaf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Thumbprint::of(end_entity);
        match self.pin {
            Some(pin) if pin != shown => {
                Err(Error::General(format!("the server's certificate has the SHA-256 thumbprint {shown}, not {pin}")))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
