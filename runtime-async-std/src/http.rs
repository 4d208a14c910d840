//! Owns: the HTTP client on hyper.
//!
//! Invariants: the client is built with the first request, so that a server which only answers its
//! host never loads certificates. No text that leaves here holds a URL's query or a header. What a
//! server sees and what a failure is called are the same as with the client on tokio.
//! Never: follows a redirect, tries again what was sent, unpacks a body.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::rt::Executor;
use hyper::{Request, Uri};
use hyper_util::client::legacy::{self, Client};
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use smol_hyper::rt::SmolTimer;
use understudy_core::{HttpFailure, HttpFailureKind, HttpHead, HttpRequest, Method};
use understudy_std::backend::{body, body_failure, failure, head, headers, root_cause};
use understudy_std::runtime::{self, Runtime, Sending};
use understudy_std::{Trust, tls_for};
use url::Url;

use crate::connect::Connector;
use crate::reactor::AsyncStd;

/// How long a connection that nobody uses is kept.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// An HTTP client with its pool of connections. Clones share both, so that all sessions of a
/// process can.
///
/// Proxies come from the environment, certificate authorities from the system and from the files
/// that `SSL_CERT_FILE`, `CODEX_CA_CERTIFICATE` and `UNDERSTUDY_CA_FILE` name.
#[derive(Clone, Default)]
pub struct Http {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    built: OnceLock<Built>,
    /// Held while the client is built, on a thread that may block.
    building: Mutex<()>,
}

#[derive(Clone)]
struct Built {
    client: Client<Connector, Full<Bytes>>,
    proxies: Arc<Matcher>,
}

impl Http {
    /// A client that is built when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    async fn request(self, request: HttpRequest) -> Result<(HttpHead, HttpBody), HttpFailure> {
        let built = self.built().await?;
        let method = match request.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
        };
        let made = built.request(method, &request.url, headers(&request)?, body(&request))?;
        drop(request);
        built.answer(made).await
    }

    async fn posted(
        self,
        url: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(HttpHead, HttpBody), HttpFailure> {
        let built = self.built().await?;
        let made = built.request(hyper::Method::POST, &url, headers, body)?;
        built.answer(made).await
    }

    /// The client; reading the certificates of the system blocks.
    async fn built(&self) -> Result<Built, HttpFailure> {
        if let Some(built) = self.shared.built.get() {
            return Ok(built.clone());
        }
        let shared = Arc::clone(&self.shared);
        blocking::unblock(move || shared.build()).await.map_err(|text| {
            tracing::error!("{text}");
            failure(HttpFailureKind::Request, text)
        })
    }
}

impl Shared {
    /// A failure is not kept: the next request tries again.
    fn build(&self) -> Result<Built, String> {
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = self.built.get() {
            return Ok(built.clone());
        }
        let built = Built::new(&Trust::SYSTEM, false)?;
        Ok(self.built.get_or_init(|| built).clone())
    }
}

impl Built {
    /// With `is_http2` it speaks HTTP/2 from the first byte. May block.
    fn new(trust: &Trust<'_>, is_http2: bool) -> Result<Self, String> {
        let mut tls = tls_for(trust)?;
        if is_http2 {
            tls.alpn_protocols = vec![b"h2".to_vec()];
        }
        let proxies = Arc::new(Matcher::from_system());
        let client = Client::builder(Tasks)
            .timer(SmolTimer::new())
            .pool_timer(SmolTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .http2_only(is_http2)
            .build(Connector::new(Arc::clone(&proxies), tls));
        Ok(Self { client, proxies })
    }

    fn request(
        &self,
        method: hyper::Method,
        url: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpFailure> {
        let bad = |cause: &dyn fmt::Display| {
            failure(HttpFailureKind::Request, format!("builder error: {cause}"))
        };
        let mut url = Url::parse(url).map_err(|error| bad(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(&"URL scheme is not allowed"));
        }
        if !headers.contains_key(ACCEPT) {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        move_user(&mut url, &mut headers);
        let uri: Uri = url.as_str().parse().map_err(|_| bad(&"invalid URI"))?;
        if url.scheme() == "http"
            && !headers.contains_key(PROXY_AUTHORIZATION)
            && let Some(proxy) = self.proxies.intercept(&uri)
            && let Some(auth) = proxy.basic_auth()
        {
            headers.insert(PROXY_AUTHORIZATION, auth.clone());
        }
        let mut made = Request::new(Full::new(body));
        *made.method_mut() = method;
        *made.uri_mut() = uri;
        *made.headers_mut() = headers;
        Ok(made)
    }

    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(HttpHead, HttpBody), HttpFailure> {
        let answered = self.client.request(request).await;
        let (parts, incoming) = answered.map_err(|error| send_failure(&error))?.into_parts();
        let body = HttpBody { incoming, trailers: HeaderMap::new() };
        Ok((head(parts.status.as_u16(), &parts.headers), body))
    }
}

/// Connections are tasks.
#[derive(Clone)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, connection: F) {
        AsyncStd::spawn(connection);
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl runtime::Http for Http {
    type Body = HttpBody;

    fn send(&self, request: HttpRequest) -> Sending<HttpBody> {
        Box::pin(self.clone().request(request))
    }

    fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Sending<HttpBody> {
        Box::pin(self.clone().posted(url.to_owned(), headers, body))
    }

    fn special(trust: &Trust<'_>, is_http2: bool) -> Result<Self, String> {
        let built = OnceLock::from(Built::new(trust, is_http2)?);
        Ok(Self { shared: Arc::new(Shared { built, building: Mutex::default() }) })
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct HttpBody {
    incoming: Incoming,
    trailers: HeaderMap,
}

impl runtime::Body for HttpBody {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpFailure>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                Some(Ok(Err(other))) => {
                    if let Ok(trailers) = other.into_trailers() {
                        self.trailers = trailers;
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(body_failure(&error, HttpFailureKind::Body))));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }
}

/// A user in the URL goes into a header, unless there is one.
fn move_user(url: &mut Url, headers: &mut HeaderMap) {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return;
    }
    let plain = |text| percent_decode_str(text).decode_utf8_lossy();
    let user = format!("{}:{}", plain(url.username()), plain(password));
    let value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(user)));
    if let Ok(mut value) = value {
        value.set_sensitive(true);
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    // Neither can fail where there was one.
    let _done = (url.set_username(""), url.set_password(None));
}

fn send_failure(error: &legacy::Error) -> HttpFailure {
    let kind = if is_timeout(error) {
        HttpFailureKind::Timeout
    } else if error.is_connect() {
        HttpFailureKind::Connect
    } else {
        HttpFailureKind::Body
    };
    match root_cause(error) {
        Some(cause) => failure(kind, format!("error sending request: {cause}")),
        None => failure(kind, "error sending request"),
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
