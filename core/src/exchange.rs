//! One HTTP exchange whose body is collected whole, within a bound.

use crate::effect::{Call, CallId, HttpRequest};
use crate::input::{HttpFailure, HttpFailureKind, HttpHead, Outcome};
use crate::outside::Outside;
use crate::owner::CallOwner;

/// An exchange that runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Exchange {
    call: CallId,
    head: Option<HttpHead>,
    body: Vec<u8>,
    body_bytes_max: usize,
}

/// What came of an exchange.
pub(crate) type Reply = Result<Response, HttpFailure>;

/// A whole response.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Response {
    pub(crate) head: HttpHead,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.head.status)
    }

    /// The body as text, with what is no UTF-8 replaced.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl Exchange {
    /// Sends a request. A longer body than `body_bytes_max` is a failure.
    pub(crate) fn start(
        out: &mut Outside,
        request: HttpRequest,
        owner: CallOwner,
        body_bytes_max: usize,
    ) -> Self {
        let call = out.start(Call::Http(request), owner);
        Self { call, head: None, body: Vec::new(), body_bytes_max }
    }

    /// The call that carries it.
    pub(crate) fn id(&self) -> CallId {
        self.call
    }

    /// Whether an answer is to this exchange.
    pub(crate) fn is(&self, call: CallId) -> bool {
        self.call == call
    }

    /// A part of the response; gives the reply once there is one.
    pub(crate) fn on(&mut self, out: &mut Outside, outcome: Outcome<'_>) -> Option<Reply> {
        match outcome {
            Outcome::HttpHead(head) => {
                self.head = Some(head);
                None
            }
            Outcome::HttpBytes(bytes) => {
                if self.body.len() + bytes.len() > self.body_bytes_max {
                    self.stop(out);
                    let text = format!("the response is longer than {} bytes", self.body_bytes_max);
                    return Some(Err(HttpFailure { kind: HttpFailureKind::Body, text }));
                }
                self.body.extend_from_slice(bytes);
                None
            }
            Outcome::HttpEnd => {
                let head = self.head.take().unwrap_or_default();
                Some(Ok(Response { head, body: std::mem::take(&mut self.body) }))
            }
            Outcome::HttpFailed(failure) => Some(Err(failure)),
            _ => Some(Err(HttpFailure::lost())),
        }
    }

    /// Leaves the exchange behind.
    pub(crate) fn stop(&self, out: &mut Outside) {
        out.cancel(self.call);
    }
}
