//! Owns: the HTTP client on reqwest.
//!
//! Invariants: the client is built with the first request, so that a server which only answers its
//! host never loads certificates. No text that leaves here holds a URL's query or a header.
//! Never: follows a redirect, tries again, unpacks a body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, redirect, retry};
use tokio::sync::OnceCell;
use understudy_core::{HttpFailure, HttpFailureKind, HttpHead, HttpRequest, Method};
use understudy_std::backend::{body, body_failure, failure, head, headers, root_cause};
use understudy_std::runtime::{self, Sending};
use understudy_std::{Trust, tls_for};

/// The transport's own limit for a connection, where the request sets none. Without it the
/// operating system tries for two minutes and more.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

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
        let limit = request.total_limit.unwrap_or(Duration::MAX);
        let late = |_| failure(HttpFailureKind::Timeout, "operation timed out");
        let answered = tokio::time::timeout(limit, self.request(request)).await;
        Ok(answered.map_err(late)??.0.status)
    }

    /// The client itself, which is built if nobody has used it yet.
    async fn client(&self) -> Result<&Client, HttpFailure> {
        self.client.get_or_try_init(build_client).await
    }

    async fn request(&self, request: HttpRequest) -> Result<(HttpHead, HttpBody), HttpFailure> {
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
        answer(builder).await
    }
}

async fn answer(request: RequestBuilder) -> Result<(HttpHead, HttpBody), HttpFailure> {
    let response = request.send().await.map_err(send_failure)?;
    let head = head(response.status().as_u16(), response.headers());
    Ok((head, HttpBody { body: response.into(), trailers: HeaderMap::new() }))
}

impl runtime::Http for Http {
    type Body = HttpBody;

    fn send(&self, request: HttpRequest) -> Sending<HttpBody> {
        let http = self.clone();
        Box::pin(async move { http.request(request).await })
    }

    fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Sending<HttpBody> {
        let (http, url) = (self.clone(), url.to_owned());
        Box::pin(async move {
            let client = http.client().await?;
            answer(client.post(url).headers(headers).body(body)).await
        })
    }

    fn special(trust: &Trust<'_>, is_http2: bool) -> Result<Self, String> {
        let client = OnceCell::new_with(Some(client_for(trust, is_http2)?));
        Ok(Self { client: Arc::new(client) })
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct HttpBody {
    body: reqwest::Body,
    trailers: HeaderMap,
}

impl runtime::Body for HttpBody {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpFailure>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                Some(Ok(Ok(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                Some(Ok(Err(other))) => {
                    if let Ok(trailers) = other.into_trailers() {
                        self.trailers = trailers;
                    }
                }
                Some(Err(error)) => {
                    let kind = if error.is_timeout() {
                        HttpFailureKind::Timeout
                    } else {
                        HttpFailureKind::Body
                    };
                    return Poll::Ready(Some(Err(body_failure(&error, kind))));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }
}

/// A request that has no response.
fn send_failure(error: reqwest::Error) -> HttpFailure {
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
    match root_cause(&error) {
        Some(cause) => failure(kind, format!("{error}: {cause}")),
        None => failure(kind, error.to_string()),
    }
}

/// Builds the client on a thread that may block: it reads the certificates of the system.
async fn build_client() -> Result<Client, HttpFailure> {
    let built = tokio::task::spawn_blocking(|| client_for(&Trust::SYSTEM, false)).await;
    let built = built.unwrap_or_else(|_| Err("building the HTTP client panicked".to_owned()));
    built.map_err(|text| {
        tracing::error!("{text}");
        failure(HttpFailureKind::Request, text)
    })
}

/// Builds a client; with `is_http2` it speaks HTTP/2 from the first byte. May block.
fn client_for(trust: &Trust<'_>, is_http2: bool) -> Result<Client, String> {
    let mut tls = tls_for(trust)?;
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(CONNECT_LIMIT)
        .tcp_nodelay(true);
    if is_http2 {
        tls.alpn_protocols = vec![b"h2".to_vec()];
        builder = builder.http2_prior_knowledge();
    }
    builder
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| format!("the HTTP client cannot be built: {error}"))
}
