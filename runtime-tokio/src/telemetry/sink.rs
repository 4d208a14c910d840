//! Owns: the way to one collector: HTTP with protocol buffers or JSON, or gRPC.
//!
//! A call in gRPC is one POST over HTTP/2, with a frame of five bytes around the message and its
//! status behind the answer; that is all of it that is needed here.
//!
//! Invariants: one request at a time, each within its limit. What a collector refuses or does not
//! answer is lost, and said once until it works again. No text of it holds an address or a header.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use reqwest::{Body, Client, RequestBuilder, Response};
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use understudy_core::telemetry::{Collector, CollectorWire};
use understudy_std::Trust;

use crate::http::{Http, client_for, send_failure};

/// Most of an answer that is read: it says only whether all went well.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A call in gRPC went well.
const GRPC_OK: &str = "0";

/// The way to a collector.
pub(super) struct Sink {
    collector: Arc<Collector>,
    headers: HeaderMap,
    /// The session's own client, for collectors that want nothing special.
    http: Http,
    /// One for those that do; made with the first request.
    special: OnceCell<Client>,
    has_failed: bool,
}

impl Sink {
    pub(super) fn new(collector: Collector, http: Http) -> Self {
        let headers = headers(&collector);
        Self {
            collector: Arc::new(collector),
            headers,
            http,
            special: OnceCell::new(),
            has_failed: false,
        }
    }

    /// Sends a request; `method` is its path in gRPC.
    pub(super) async fn send(&mut self, method: &str, request: impl Message + Serialize) {
        let sent = timeout(self.collector.limit, self.exchange(method, request)).await;
        match sent.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(()) => self.has_failed = false,
            Err(error) if self.has_failed => tracing::debug!(error, "measurements were lost again"),
            Err(error) => {
                self.has_failed = true;
                tracing::warn!(error, "measurements were lost");
            }
        }
    }

    async fn exchange(
        &self,
        method: &str,
        request: impl Message + Serialize,
    ) -> Result<(), String> {
        let client = self.client().await?;
        let post = |url: &str, kind: &'static str| {
            let kind = HeaderValue::from_static(kind);
            client.post(url).headers(self.headers.clone()).header(CONTENT_TYPE, kind)
        };
        let url = self.collector.url.as_str();
        match self.collector.wire {
            CollectorWire::Binary => {
                let post = post(url, "application/x-protobuf");
                accepted(&answer(post.body(request.encode_to_vec())).await?)
            }
            CollectorWire::Json => {
                let json = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
                accepted(&answer(post(url, "application/json").body(json)).await?)
            }
            CollectorWire::Grpc => {
                let post = post(&format!("{url}{method}"), "application/grpc");
                let post = post.header(TE, HeaderValue::from_static("trailers"));
                let response = answer(post.body(framed(&request))).await?;
                accepted(&response)?;
                well(response).await
            }
        }
    }

    async fn client(&self) -> Result<&Client, String> {
        let collector = &self.collector;
        let is_grpc = collector.wire == CollectorWire::Grpc;
        if !is_grpc && collector.authorities.is_none() && collector.identity.is_none() {
            return self.http.client().await.map_err(|failure| failure.text);
        }
        self.special.get_or_try_init(|| special(Arc::clone(collector))).await
    }
}

/// Builds a client on a thread that may block: it may read the certificates of the system.
async fn special(collector: Arc<Collector>) -> Result<Client, String> {
    let build = move || {
        let is_grpc = collector.wire == CollectorWire::Grpc;
        let trust = Trust {
            // With gRPC they stand beside the system's (config.md §6.3).
            has_system: collector.authorities.is_none() || is_grpc,
            more: collector.authorities.as_deref(),
            identity: collector
                .identity
                .as_ref()
                .map(|identity| (&*identity.certificate, identity.key.expose().as_bytes())),
        };
        client_for(&trust, is_grpc)
    };
    let built = tokio::task::spawn_blocking(build).await;
    built.unwrap_or_else(|_| Err("building the HTTP client panicked".to_owned()))
}

fn headers(collector: &Collector) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &collector.headers {
        let value = HeaderValue::try_from(value.expose());
        match (HeaderName::try_from(name.as_str()), value) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => tracing::warn!(name, "a header for a collector is illegal and is left out"),
        }
    }
    headers
}

async fn answer(post: RequestBuilder) -> Result<Response, String> {
    post.send().await.map_err(|error| send_failure(error).text)
}

fn accepted(response: &Response) -> Result<(), String> {
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("the collector answers {status}")) }
}

/// The message in the one frame that it needs: not compressed, its length, itself.
fn framed(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0; 5];
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(place) = frame.get_mut(1..) {
        place.copy_from_slice(&length);
    }
    frame.extend(body);
    frame
}

/// Whether a call in gRPC went well: its status comes behind the answer, or, where there is none,
/// before it.
async fn well(response: Response) -> Result<(), String> {
    let response: http::Response<Body> = response.into();
    let (head, body) = response.into_parts();
    let status = |headers: &HeaderMap| {
        headers.get("grpc-status").and_then(|status| status.to_str().ok()).map(str::to_owned)
    };
    let early = status(&head.headers);
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|_| "the collector's answer broke off".to_owned())?;
    let late = body.trailers().and_then(status);
    match late.or(early) {
        Some(status) if status == GRPC_OK => Ok(()),
        Some(status) => Err(format!("the collector answers with gRPC status {status}")),
        None => Err("the collector's answer has no gRPC status".to_owned()),
    }
}
