//! Owns: the way to one collector: HTTP with protocol buffers or JSON, or gRPC.
//!
//! A call in gRPC is one POST over HTTP/2, with a frame of five bytes around the message and its
//! status behind the answer; that is all of it that is needed here.
//!
//! Invariants: one request at a time, each within its limit. What a collector refuses or does not
//! answer is lost, and said once until it works again. No text of it holds an address or a header.

use std::future::poll_fn;
use std::sync::Arc;

use futures_channel::oneshot;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use prost::Message;
use serde::Serialize;
use understudy_core::HttpHead;
use understudy_core::telemetry::{Collector, CollectorWire};

use crate::runtime::{Alarm, Body, Http, Runtime, before};
use crate::tls::Trust;

/// Most of an answer that is read: it says only whether all went well.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where a call in gRPC says how it went, and what it says when it went well.
const GRPC_STATUS: &str = "grpc-status";
const GRPC_OK: &str = "0";

/// The way to a collector.
pub(super) struct Sink<R: Runtime> {
    collector: Arc<Collector>,
    headers: HeaderMap,
    /// The session's own client, for collectors that want nothing special.
    http: R::Http,
    /// One for those that do; made with the first request.
    special: Option<R::Http>,
    has_failed: bool,
}

impl<R: Runtime> Sink<R> {
    pub(super) fn new(collector: Collector, http: R::Http) -> Self {
        let headers = headers(&collector);
        Self { collector: Arc::new(collector), headers, http, special: None, has_failed: false }
    }

    /// Sends a request; `method` is its path in gRPC.
    pub(super) async fn send(&mut self, method: &str, request: impl Message + Serialize) {
        let end = R::Alarm::now() + self.collector.limit;
        let sent = before::<R::Alarm, _>(end, self.exchange(method, request)).await;
        match sent.unwrap_or_else(|| Err("no answer in time".to_owned())) {
            Ok(()) => self.has_failed = false,
            Err(error) if self.has_failed => tracing::debug!(error, "measurements were lost again"),
            Err(error) => {
                self.has_failed = true;
                tracing::warn!(error, "measurements were lost");
            }
        }
    }

    async fn exchange(
        &mut self,
        method: &str,
        request: impl Message + Serialize,
    ) -> Result<(), String> {
        let client = self.client().await?;
        let Collector { url, wire, .. } = &*self.collector;
        let mut headers = self.headers.clone();
        let kind = |kind| HeaderValue::from_static(kind);
        let sending = match wire {
            CollectorWire::Binary => {
                headers.insert(CONTENT_TYPE, kind("application/x-protobuf"));
                client.post(url, headers, request.encode_to_vec().into())
            }
            CollectorWire::Json => {
                headers.insert(CONTENT_TYPE, kind("application/json"));
                let json = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
                client.post(url, headers, json.into())
            }
            CollectorWire::Grpc => {
                headers.insert(CONTENT_TYPE, kind("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                client.post(&format!("{url}{method}"), headers, framed(&request).into())
            }
        };
        drop(request);
        let (head, body) = sending.await.map_err(|failure| failure.text)?;
        if !(200..300).contains(&head.status) {
            return Err(format!("the collector answers {}", head.status));
        }
        match wire {
            CollectorWire::Binary | CollectorWire::Json => Ok(()),
            CollectorWire::Grpc => well(&head, body).await,
        }
    }

    async fn client(&mut self) -> Result<R::Http, String> {
        let collector = &self.collector;
        let is_grpc = collector.wire == CollectorWire::Grpc;
        if !is_grpc && collector.authorities.is_none() && collector.identity.is_none() {
            return Ok(self.http.clone());
        }
        if let Some(special) = &self.special {
            return Ok(special.clone());
        }
        let built = special::<R>(Arc::clone(collector)).await?;
        Ok(self.special.insert(built).clone())
    }
}

/// Builds a client on a thread that may block: it may read the certificates of the system.
async fn special<R: Runtime>(collector: Arc<Collector>) -> Result<R::Http, String> {
    let (built, client) = oneshot::channel();
    R::run_blocking(move || {
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
        // Nobody waits for it when the time for the request is over.
        let _late = built.send(R::Http::special(&trust, is_grpc));
    });
    client.await.unwrap_or_else(|_| Err("building the HTTP client panicked".to_owned()))
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
async fn well(head: &HttpHead, mut body: impl Body) -> Result<(), String> {
    let broke_off = || "the collector's answer broke off".to_owned();
    let mut left = ANSWER_BYTES_MAX;
    while let Some(bytes) = poll_fn(|cx| body.poll_bytes(cx)).await {
        let bytes = bytes.map_err(|_| broke_off())?;
        left = left.checked_sub(bytes.len()).ok_or_else(broke_off)?;
    }
    let late = body.trailers().get(GRPC_STATUS).and_then(|status| status.to_str().ok());
    let mut early = head.headers.iter().filter(|(name, _)| name == GRPC_STATUS);
    match late.or_else(|| early.next().map(|(_, status)| status.as_str())) {
        Some(GRPC_OK) => Ok(()),
        Some(status) => Err(format!("the collector answers with gRPC status {status}")),
        None => Err("the collector's answer has no gRPC status".to_owned()),
    }
}
