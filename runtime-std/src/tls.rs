//! Owns: whom TLS trusts: certificate authorities of the system, and those of files that variables
//! name. Blocking, and slow enough (tens of milliseconds) to be done only when it is needed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Variables that name files with more certificate authorities. `SSL_CERT_FILE` stands in the
/// place of the system's own, as everywhere; the others add to them.
const SYSTEM_CA_VARIABLE: &str = "SSL_CERT_FILE";
const EXTRA_CA_VARIABLES: [&str; 2] = ["CODEX_CA_CERTIFICATE", "UNDERSTUDY_CA_FILE"];

/// Whom a client trusts, and what it shows of itself. All texts are PEM.
#[derive(Clone, Copy)]
pub struct Trust<'a> {
    /// The authorities of the system, and those that the environment names.
    pub has_system: bool,
    /// More authorities.
    pub more: Option<&'a [u8]>,
    /// A certificate and its key.
    pub identity: Option<(&'a [u8], &'a [u8])>,
}

impl Trust<'_> {
    /// What the system and the environment say, and no certificate of its own.
    pub const SYSTEM: Self = Self { has_system: true, more: None, identity: None };
}

impl fmt::Debug for Trust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("has_system", &self.has_system).finish_non_exhaustive()
    }
}

/// What a client of TLS is made with that trusts the system. It lets the server choose HTTP/2.
///
/// # Errors
///
/// A file that a variable names cannot be used; the text says which and why.
pub fn tls() -> Result<ClientConfig, String> {
    tls_for(&Trust::SYSTEM)
}

/// The same for others whom it trusts.
///
/// # Errors
///
/// A file that a variable names, a certificate or a key cannot be used; the text says which and
/// why, and nothing of the key.
pub fn tls_for(trust: &Trust<'_>) -> Result<ClientConfig, String> {
    let mut store = if trust.has_system { roots()? } else { RootCertStore::empty() };
    if let Some(pem) = trust.more {
        add_pem(&mut store, pem)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store);
    let mut config = match trust.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificates: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(certificate).collect();
            let certificates = certificates.map_err(|error| error.to_string())?;
            // The text of this error would be about the key, so it is not told.
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| "the private key cannot be read".to_owned())?;
            config.with_client_auth_cert(certificates, key).map_err(|error| error.to_string())?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots() -> Result<RootCertStore, String> {
    let named = |variable| std::env::var_os(variable).filter(|path| !path.is_empty());
    let mut store = RootCertStore::empty();
    if let Some(path) = named(SYSTEM_CA_VARIABLE) {
        add_file(&mut store, SYSTEM_CA_VARIABLE, Path::new(&path))?;
    } else {
        // A system without any still reaches servers that need none.
        let native = rustls_native_certs::load_native_certs();
        for error in native.errors {
            tracing::warn!("a certificate of the system cannot be read: {error}");
        }
        store.add_parsable_certificates(native.certs);
    }
    for variable in EXTRA_CA_VARIABLES {
        if let Some(path) = named(variable) {
            add_file(&mut store, variable, Path::new(&path))?;
        }
    }
    Ok(store)
}

fn add_file(store: &mut RootCertStore, variable: &str, path: &Path) -> Result<(), String> {
    let said = |reason: &dyn std::fmt::Display| {
        format!("{variable}: certificates in {} cannot be used: {reason}", path.display())
    };
    let pem = std::fs::read(path).map_err(|error| said(&error))?;
    add_pem(store, &pem).map_err(|reason| said(&reason))
}

fn add_pem(store: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| error.to_string())?;
    match store.add_parsable_certificates(certificates) {
        (0, _) => Err("there is none in it".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(content: Option<&str>) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        if let Some(content) = content {
            std::fs::write(&path, content).expect("written");
        }
        add_file(&mut RootCertStore::empty(), "UNDERSTUDY_CA_FILE", &path)
    }

    #[test]
    fn a_certificate_file_that_is_no_use_says_why() {
        let missing = added(None).expect_err("missing");
        assert!(missing.starts_with("UNDERSTUDY_CA_FILE: certificates in /"), "{missing}");
        assert!(missing.ends_with("No such file or directory (os error 2)"), "{missing}");
        assert!(added(Some("text")).expect_err("empty").ends_with("there is none in it"));
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(added(Some(broken)).is_err());
    }
}
