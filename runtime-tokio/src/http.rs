//! Owns: the HTTP client, and one exchange with it.
//!
//! Invariants: the client is built with the first request, so that a server which only answers its
//! host never loads certificates. No text that leaves here holds a URL's query or a header.
//! Never: follows a redirect, tries again, unpacks a body.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect, retry};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{OnceCell, mpsc};
use tokio::time::{Instant, timeout_at};
use understudy_core::{CallId, HttpFailure, HttpFailureKind, HttpHead, HttpRequest, Method};

use crate::backend::Answer;

/// The transport's own limit for a connection, where the request sets none. Without it the
/// operating system tries for two minutes and more.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// What a body that broke off is called; clients of the reference know this text.
const BODY_BROKE_OFF: &str = "error decoding response body";

/// Variables that name files with more certificate authorities. `SSL_CERT_FILE` stands in the
/// place of the system's own, as everywhere; the others add to them.
const SYSTEM_CA_VARIABLE: &str = "SSL_CERT_FILE";
const EXTRA_CA_VARIABLES: [&str; 2] = ["CODEX_CA_CERTIFICATE", "UNDERSTUDY_CA_FILE"];

/// An HTTP client with its pool of connections. Clones share both, so that all sessions of a
/// process can.
///
/// Proxies come from the environment, certificate authorities from the system and from the files
/// that `SSL_CERT_FILE`, `CODEX_CA_CERTIFICATE` and `UNDERSTUDY_CA_FILE` name.
#[derive(Clone, Debug, Default)]
pub struct Http {
    client: Arc<OnceCell<Client>>,
}

impl Http {
    /// A client that is built when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// The status of the answer to a request, whose body is not read.
    ///
    /// # Errors
    ///
    /// There is no answer within the request's time.
    pub async fn status(&self, request: HttpRequest) -> Result<u16, HttpFailure> {
        let moment = request.total_limit.and_then(|limit| Instant::now().checked_add(limit));
        let response = within(moment, self.send(request)).await??;
        Ok(response.status().as_u16())
    }

    /// Sends `request` and hands on head and body; the caller says that the exchange is over.
    pub(crate) async fn exchange(
        &self,
        id: CallId,
        request: HttpRequest,
        answers: &mpsc::Sender<(CallId, Answer)>,
    ) -> Result<(), HttpFailure> {
        let started = Instant::now();
        let total = request.total_limit.and_then(|limit| started.checked_add(limit));
        let head = request.head_limit.and_then(|limit| started.checked_add(limit));
        let first = [head, total].into_iter().flatten().min();
        let mut response = within(first, self.send(request)).await??;
        if answers.send((id, Answer::Head(head_of(&response)))).await.is_err() {
            return Ok(());
        }
        loop {
            let chunk = within(total, response.chunk()).await?.map_err(body_failure)?;
            let Some(bytes) = chunk else { return Ok(()) };
            if answers.send((id, Answer::Bytes(bytes))).await.is_err() {
                return Ok(());
            }
        }
    }

    /// The client itself, which is built if nobody has used it yet.
    pub(crate) async fn client(&self) -> Result<&Client, HttpFailure> {
        self.client.get_or_try_init(build_client).await
    }

    async fn send(&self, request: HttpRequest) -> Result<Response, HttpFailure> {
        let client = self.client().await?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = client.request(method, &request.url).headers(headers(&request)?);
        if request.method == Method::Post || request.body_len() > 0 {
            builder = builder.body(body(&request));
        }
        drop(request);
        builder.send().await.map_err(send_failure)
    }
}

/// `work`, unless the moment passes first.
async fn within<T>(
    moment: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, HttpFailure> {
    let Some(moment) = moment else {
        return Ok(work.await);
    };
    let late = |_| failure(HttpFailureKind::Timeout, "operation timed out");
    timeout_at(moment, work).await.map_err(late)
}

/// The body in one piece, so that it goes with a content length.
fn body(request: &HttpRequest) -> Bytes {
    let mut body = Vec::with_capacity(request.body_len());
    for piece in &request.body {
        body.extend_from_slice(piece.as_bytes());
    }
    body.into()
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, HttpFailure> {
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, text) in &request.headers {
        let bad = || failure(HttpFailureKind::Request, format!("illegal header {name:?}"));
        let key = HeaderName::try_from(name).map_err(|_| bad())?;
        let mut value = HeaderValue::try_from(text.expose()).map_err(|_| bad())?;
        value.set_sensitive(matches!(text, understudy_core::HeaderText::Secret(_)));
        headers.append(key, value);
    }
    Ok(headers)
}

fn head_of(response: &Response) -> HttpHead {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    HttpHead {
        status: response.status().as_u16(),
        headers: response.headers().iter().filter_map(text).collect(),
    }
}

fn failure(kind: HttpFailureKind, text: impl Into<String>) -> HttpFailure {
    HttpFailure { kind, text: text.into() }
}

/// A request that has no response.
pub(crate) fn send_failure(error: reqwest::Error) -> HttpFailure {
    let kind = if error.is_timeout() {
        HttpFailureKind::Timeout
    } else if error.is_connect() {
        HttpFailureKind::Connect
    } else if error.is_builder() {
        HttpFailureKind::Request
    } else {
        HttpFailureKind::Body
    };
    let error = error.without_url();
    match root(&error) {
        Some(cause) => failure(kind, format!("{error}: {cause}")),
        None => failure(kind, error.to_string()),
    }
}

fn body_failure(error: reqwest::Error) -> HttpFailure {
    let kind = if error.is_timeout() { HttpFailureKind::Timeout } else { HttpFailureKind::Body };
    tracing::debug!(cause = root(&error).map(tracing::field::display), "a body broke off");
    failure(kind, BODY_BROKE_OFF)
}

/// The first cause, as in `Connection refused (os error 111)`.
fn root(error: &dyn Error) -> Option<&dyn Error> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause)
}

/// Builds the client on a thread that may block: it reads the certificates of the system.
async fn build_client() -> Result<Client, HttpFailure> {
    let trust = Trust { has_system: true, more: None, identity: None, is_http2: false };
    let built = tokio::task::spawn_blocking(move || client_for(&trust)).await;
    let built = built.unwrap_or_else(|_| Err("building the HTTP client panicked".to_owned()));
    built.map_err(|text| {
        tracing::error!("{text}");
        failure(HttpFailureKind::Request, text)
    })
}

/// Whom a client trusts, and what it shows of itself. All texts are PEM.
pub(crate) struct Trust<'a> {
    /// The authorities of the system, and those that the environment names.
    pub(crate) has_system: bool,
    /// More authorities.
    pub(crate) more: Option<&'a [u8]>,
    /// A certificate and its key.
    pub(crate) identity: Option<(&'a [u8], &'a [u8])>,
    /// HTTP/2 is spoken from the first byte.
    pub(crate) is_http2: bool,
}

/// Builds a client. May block.
pub(crate) fn client_for(trust: &Trust<'_>) -> Result<Client, String> {
    let mut store = if trust.has_system { roots()? } else { RootCertStore::empty() };
    if let Some(pem) = trust.more {
        add_pem(&mut store, pem)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store);
    let mut tls = match trust.identity {
        None => tls.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificates: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(certificate).collect();
            let certificates = certificates.map_err(|error| error.to_string())?;
            // The text of this error would be about the key, so it is not told.
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| "the private key cannot be read".to_owned())?;
            tls.with_client_auth_cert(certificates, key).map_err(|error| error.to_string())?
        }
    };
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(CONNECT_LIMIT)
        .tcp_nodelay(true);
    if trust.is_http2 {
        tls.alpn_protocols = vec![b"h2".to_vec()];
        builder = builder.http2_prior_knowledge();
    }
    builder
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| format!("the HTTP client cannot be built: {error}"))
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
