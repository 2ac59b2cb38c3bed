//! Certificates for a test: an authority, a provider, a gate, one per host, and some of an authority that nobody trusts.
//!
//! `NAME.pem` is a certificate, `NAME.key` its key; every file has mode 0600. The authorities' own keys are not kept.

use crate::LabError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use serde::Serialize;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The authority's file.
pub const AUTHORITY: &str = "ca";
/// The provider's name.
pub const PROVIDER: &str = "vp.lab";
/// The gate's name: a server to hosts, a client to the provider.
pub const GATE: &str = "gate.lab";
/// Where the certificates are that the provider must refuse: those of another authority (`own-ca`), beside the right
/// one, so that their owners do trust the provider.
pub const UNTRUSTED: &str = "untrusted";

const SERVES: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth];
const CALLS: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ClientAuth];
const BOTH: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    kind: &'static str,
    dir: String,
    hosts: u32,
}

/// The name of host number `index` (from 0): `host-001`.
pub fn host_name(index: u32) -> String {
    format!("host-{:03}", index + 1)
}

/// Writes them all into `dir`, which it makes if need be; existing files are replaced.
pub fn write(dir: &Path, hosts: u32) -> Result<Written, LabError> {
    make(dir)?;
    let authority = Authority::new("tidegate lab authority")?;
    authority.write_own(dir, AUTHORITY)?;
    authority.sign(dir, PROVIDER, SERVES)?;
    authority.sign(dir, GATE, BOTH)?;
    for index in 0..hosts {
        authority.sign(dir, &host_name(index), CALLS)?;
    }
    let untrusted = dir.join(UNTRUSTED);
    make(&untrusted)?;
    let stranger = Authority::new("authority that nobody trusts")?;
    stranger.write_own(&untrusted, "own-ca")?;
    authority.write_own(&untrusted, AUTHORITY)?;
    stranger.sign(&untrusted, &host_name(0), CALLS)?;
    Ok(Written { kind: "certificates", dir: dir.display().to_string(), hosts })
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Authority, LabError> {
        let mut params = params(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let pem = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    fn write_own(&self, dir: &Path, name: &str) -> Result<(), LabError> {
        save(&dir.join(format!("{name}.pem")), &self.pem)
    }

    /// A certificate for `name`; one that serves is also good for loopback.
    fn sign(&self, dir: &Path, name: &str, usages: &[ExtendedKeyUsagePurpose]) -> Result<(), LabError> {
        let mut names = vec![name];
        if usages.contains(&ExtendedKeyUsagePurpose::ServerAuth) {
            names.extend(["localhost", "127.0.0.1"]);
        }
        let mut params = params(name, &names)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        save(&dir.join(format!("{name}.pem")), &certificate.pem())?;
        save(&dir.join(format!("{name}.key")), &key.serialize_pem())
    }
}

fn params(common_name: &str, names: &[&str]) -> Result<CertificateParams, LabError> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    Ok(params)
}

fn make(dir: &Path) -> Result<(), LabError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| unwritable(dir, &error))
}

fn save(path: &Path, pem: &str) -> Result<(), LabError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(pem.as_bytes())).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> LabError {
    LabError(format!("cannot write {}: {error}: give a directory of your own", path.display()))
}

fn failed(error: rcgen::Error) -> LabError {
    LabError(format!("cannot make a certificate: {error}"))
}
