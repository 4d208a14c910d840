//! Owns: one HTTP exchange: its limits, and what both runtimes make of its head and its failures.
//!
//! There is no task and no queue: it is polled in place, so what nobody polls for stays in the
//! socket, and dropping it is the end of it. No text that leaves here holds a URL's query or a
//! header.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use understudy_core::{HeaderText, HttpFailure, HttpFailureKind, HttpHead, HttpRequest};

use crate::runtime::{Alarm, Body, Http, Runtime, Sending};

/// What a body that broke off is called; clients of the reference know this text.
const BODY_BROKE_OFF: &str = "error decoding response body";

/// A limit that is noticed so late passed while nobody polled, because the host does not read: then
/// the exchange gets [`GRACE`] for what has come meanwhile. An answer that is lost for a pause could
/// be the only one with a new token.
const LATE: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(1);

/// An exchange that runs.
pub(super) struct Exchange<R: Runtime> {
    stage: Stage<<R::Http as Http>::Body>,
    /// When it must be over.
    end: Option<Instant>,
    /// When its head must be there.
    head: Option<Instant>,
    alarm: R::Alarm,
}

enum Stage<B> {
    Sending(Sending<B>),
    Reading(B),
    Over,
}

/// What an exchange has to tell.
pub(super) enum Told {
    Head(HttpHead),
    Bytes(Bytes),
    End,
    Failed(HttpFailure),
}

impl<R: Runtime> Exchange<R> {
    pub(super) fn start(http: &R::Http, request: HttpRequest) -> Self {
        let now = R::Alarm::now();
        let end = request.total_limit.and_then(|limit| now.checked_add(limit));
        let head = request.head_limit.and_then(|limit| now.checked_add(limit));
        let head = [head, end].into_iter().flatten().min();
        Self { stage: Stage::Sending(http.send(request)), end, head, alarm: R::Alarm::default() }
    }

    /// The next that it has to tell; nothing after the last. A client that panics, which is our
    /// mistake, fails this exchange and nothing else.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Told> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll_stage(cx)));
        let told = match polled {
            Ok(told) => ready!(told),
            Err(_) => Told::Failed(failure(HttpFailureKind::Request, "an HTTP exchange panicked")),
        };
        if matches!(told, Told::End | Told::Failed(_)) {
            self.stage = Stage::Over;
        }
        Poll::Ready(told)
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Told> {
        let limit = match &mut self.stage {
            Stage::Sending(sending) => match sending.as_mut().poll(cx) {
                Poll::Ready(Ok((head, body))) => {
                    self.stage = Stage::Reading(body);
                    return Poll::Ready(Told::Head(head));
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(Told::Failed(failure)),
                Poll::Pending => &mut self.head,
            },
            Stage::Reading(body) => match poll_some(body, cx) {
                Poll::Ready(told) => return Poll::Ready(told),
                Poll::Pending => &mut self.end,
            },
            Stage::Over => return Poll::Pending,
        };
        let Some(moment) = limit else { return Poll::Pending };
        ready!(self.alarm.poll(cx, *moment));
        let now = R::Alarm::now();
        if now.saturating_duration_since(*moment) > LATE {
            *moment = now + GRACE;
            ready!(self.alarm.poll(cx, *moment));
        }
        Poll::Ready(Told::Failed(failure(HttpFailureKind::Timeout, "operation timed out")))
    }
}

fn poll_some(body: &mut impl Body, cx: &mut Context<'_>) -> Poll<Told> {
    loop {
        match ready!(body.poll_bytes(cx)) {
            Some(Ok(bytes)) if bytes.is_empty() => {}
            Some(Ok(bytes)) => return Poll::Ready(Told::Bytes(bytes)),
            Some(Err(failure)) => return Poll::Ready(Told::Failed(failure)),
            None => return Poll::Ready(Told::End),
        }
    }
}

/// A failure with its text.
pub fn failure(kind: HttpFailureKind, text: impl Into<String>) -> HttpFailure {
    HttpFailure { kind, text: text.into() }
}

/// A body that broke off for this reason, which only the log tells.
pub fn body_failure(error: &dyn Error, kind: HttpFailureKind) -> HttpFailure {
    tracing::debug!(cause = root_cause(error).map(tracing::field::display), "a body broke off");
    failure(kind, BODY_BROKE_OFF)
}

/// The first cause, as in `Connection refused (os error 111)`.
pub fn root_cause<'e>(error: &'e (dyn Error + 'e)) -> Option<&'e (dyn Error + 'e)> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause)
}

/// The request's body in one piece, so that it goes with a content length.
pub fn body(request: &HttpRequest) -> Bytes {
    let mut body = Vec::with_capacity(request.body_len());
    for piece in &request.body {
        body.extend_from_slice(piece.as_bytes());
    }
    body.into()
}

/// The request's headers.
///
/// # Errors
///
/// One of them cannot be sent; the text names it and not its value.
pub fn headers(request: &HttpRequest) -> Result<HeaderMap, HttpFailure> {
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, text) in &request.headers {
        let bad = || failure(HttpFailureKind::Request, format!("illegal header {name:?}"));
        let key = HeaderName::try_from(name).map_err(|_| bad())?;
        let mut value = HeaderValue::try_from(text.expose()).map_err(|_| bad())?;
        value.set_sensitive(matches!(text, HeaderText::Secret(_)));
        headers.append(key, value);
    }
    Ok(headers)
}

/// A response's head, without the headers that are no text.
pub fn head(status: u16, headers: &HeaderMap) -> HttpHead {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    HttpHead { status, headers: headers.iter().filter_map(text).collect() }
}
