//! Owns: what a failed model request means (engine.md §2.3): the text and the kind a client gets,
//! whether it is worth another try, and when.
//! Invariant: a quoted body is at most [`limits::ERROR_TEXT_BYTES_MAX`]; a quoted URL has no query.
//! Never: counts retries (see retry) or refreshes credentials.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;

use crate::input::{HttpFailure, HttpFailureKind, HttpHead};
use crate::limits;

/// Text of a turn that ran out of context.
const CONTEXT_FULL: &str = "Codex ran out of room in the model's context window. \
    Start a new thread or clear earlier history before retrying.";
const QUOTA: &str = "Quota exceeded. Check your plan and billing details.";
const NOT_INCLUDED: &str = "To use Codex with your ChatGPT plan, upgrade to Plus: \
    https://openai.com/chatgpt/pricing.";
const HIGH_DEMAND: &str =
    "We're currently experiencing high demand, which may cause temporary errors.";
const INVALID_IMAGE: &str = "Invalid image in your last message. Please remove it and try again.";
const CLOUDFLARE: &str = "Access blocked by Cloudflare. \
    This usually happens when connecting from a restricted region";
/// What the API says of an image that it cannot read.
const INVALID_IMAGE_MARK: &str = "The image data you provided does not represent a valid image";

/// The kind of an error, as `codexErrorInfo` tells it to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorInfo {
    /// The context is full.
    ContextWindowExceeded,
    /// The plan or the account has nothing left.
    UsageLimitExceeded,
    /// The model is overloaded.
    ModelCap {
        /// Which.
        model: String,
        /// For how many seconds, if known.
        reset_after_seconds: Option<u64>,
    },
    /// The stream broke off, or could not begin.
    ResponseStreamDisconnected {
        /// Status of the response, if there was one.
        http_status: Option<u16>,
    },
    /// The backend wants no more tries.
    ResponseTooManyFailedAttempts {
        /// Status of the last response.
        http_status: Option<u16>,
    },
    /// The backend failed.
    InternalServerError,
    /// The credentials were refused for good.
    Unauthorized,
    /// What was asked for cannot be done.
    BadRequest,
    /// Anything else.
    Other,
}

/// A model request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ModelError {
    /// For people.
    pub(crate) message: String,
    /// For programs.
    pub(crate) info: ErrorInfo,
    /// Whether the same request may succeed later.
    pub(crate) retryable: bool,
    /// How long the backend asked to wait before that.
    pub(crate) delay: Option<Duration>,
    /// Status of the response, if it is what failed.
    pub(crate) http_status: Option<u16>,
}

impl ModelError {
    fn fatal(message: impl Into<String>, info: ErrorInfo) -> Self {
        Self { message: message.into(), info, retryable: false, delay: None, http_status: None }
    }

    fn passing(message: impl Into<String>, info: ErrorInfo) -> Self {
        Self { retryable: true, ..Self::fatal(message, info) }
    }

    /// The stream is cut off, for this reason.
    fn stream(detail: &str) -> Self {
        let detail = cut(detail, limits::ERROR_TEXT_BYTES_MAX);
        Self::passing(format!("stream disconnected before completion: {detail}"), ErrorInfo::Other)
    }

    /// The credentials were refused, or could not be renewed, for this reason.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::fatal(message, ErrorInfo::Unauthorized)
    }

    /// There is no credential to send the request with, for this reason (auth.md §13.3).
    pub(crate) fn no_credential(message: impl Into<String>) -> Self {
        Self::fatal(message, ErrorInfo::Other)
    }

    /// The kind that the notice before another try carries.
    pub(crate) fn retry_info(&self) -> ErrorInfo {
        ErrorInfo::ResponseStreamDisconnected { http_status: self.http_status }
    }

    /// Obeys a pause that the backend asked for; one that is too long ends the turn.
    fn after(mut self, delay: Option<Duration>) -> Self {
        if delay.is_some_and(|delay| delay > limits::RETRY_AFTER_MAX) {
            self.retryable = false;
        } else {
            self.delay = delay;
        }
        self
    }
}

/// How a stream ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disconnect {
    /// The body broke off.
    Cut,
    /// The body ended in order, but the response was not complete.
    Closed,
    /// Nothing came for too long.
    Idle,
}

/// The stream ended before the response was complete.
pub(crate) fn disconnected(how: Disconnect) -> ModelError {
    ModelError::stream(match how {
        Disconnect::Cut => "Transport error: network error: error decoding response body",
        Disconnect::Closed => "stream closed before response.completed",
        Disconnect::Idle => "idle timeout waiting for SSE",
    })
}

/// The stream held something that no honest backend sends.
pub(crate) fn malformed_stream(detail: &str) -> ModelError {
    ModelError::stream(detail)
}

/// There was no response, or the body broke off.
pub(crate) fn transport(failure: &HttpFailure) -> ModelError {
    match failure.kind {
        HttpFailureKind::Body => disconnected(Disconnect::Cut),
        HttpFailureKind::Timeout => ModelError::stream("request timed out"),
        HttpFailureKind::Connect => ModelError::stream(&failure.text),
        HttpFailureKind::Request => {
            ModelError { retryable: false, ..ModelError::stream(&failure.text) }
        }
    }
}

/// `response.failed` or `error` came in the stream (engine.md §2.3, second table).
pub(crate) fn failed(code: Option<&str>, message: Option<&str>) -> ModelError {
    let words = message.filter(|m| !m.is_empty());
    match code {
        Some("context_length_exceeded") => {
            ModelError::fatal(CONTEXT_FULL, ErrorInfo::ContextWindowExceeded)
        }
        Some("insufficient_quota") => ModelError::fatal(QUOTA, ErrorInfo::UsageLimitExceeded),
        Some("usage_not_included") => {
            ModelError::fatal(NOT_INCLUDED, ErrorInfo::UsageLimitExceeded)
        }
        Some("invalid_prompt") => {
            let text = cut(words.unwrap_or("Invalid request."), limits::ERROR_TEXT_BYTES_MAX);
            ModelError::fatal(text, ErrorInfo::Other)
        }
        code => {
            let delay = match code {
                Some("rate_limit_exceeded") => words.and_then(try_again_in),
                _ => None,
            };
            ModelError::stream(words.unwrap_or("the backend reported a failure")).after(delay)
        }
    }
}

/// `response.incomplete` came: the backend cut the answer off. A repetition would end the same
/// way (engine.md §13 no. 22).
pub(crate) fn incomplete(reason: Option<&str>) -> ModelError {
    let reason = cut(reason.unwrap_or("no reason given"), limits::ERROR_TEXT_BYTES_MAX);
    ModelError::fatal(
        format!("stream disconnected before completion: incomplete response: {reason}"),
        ErrorInfo::Other,
    )
}

/// What the classification of a response needs to know besides it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorScene<'a> {
    /// Where the request went.
    pub(crate) url: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
    /// The zone of times that a person reads.
    pub(crate) zone: &'a TimeZone,
}

/// A response with a status that is no success. `body` may be cut
/// ([`limits::ERROR_BODY_BYTES_MAX`]).
pub(crate) fn status(head: &HttpHead, body: &[u8], scene: ErrorScene<'_>) -> ModelError {
    let text = String::from_utf8_lossy(body);
    let error = match head.status {
        400 if text.contains(INVALID_IMAGE_MARK) => {
            ModelError::fatal(INVALID_IMAGE, ErrorInfo::BadRequest)
        }
        400 => ModelError::fatal(cut(&text, limits::ERROR_TEXT_BYTES_MAX), ErrorInfo::Other),
        401 => ModelError::unauthorized(format!(
            "unexpected status 401 Unauthorized: {}",
            words_of(&text)
        )),
        429 => too_many(head, &text, scene),
        500 => ModelError::passing(HIGH_DEMAND, ErrorInfo::InternalServerError),
        503 => unexpected(head, &text, scene.url).after(retry_after(head, scene.now)),
        _ => unexpected(head, &text, scene.url),
    };
    ModelError { http_status: Some(head.status), ..error }
}

fn unexpected(head: &HttpHead, body: &str, url: &str) -> ModelError {
    let status = head.status;
    let url = cut(url.split(['?', '#']).next().unwrap_or(url), limits::ERROR_TEXT_BYTES_MAX);
    let request = request_id(head).map_or(String::new(), |id| format!(", request id: {id}"));
    let message = if status == 403 && body.contains("Cloudflare") && body.contains("blocked") {
        format!("{CLOUDFLARE} (status {}), url: {url}{request}", named(status))
    } else {
        let body = cut(body, limits::ERROR_TEXT_BYTES_MAX);
        format!("unexpected status {}: {body}, url: {url}{request}", named(status))
    };
    // Of the 4xx only these may go away by themselves (engine.md §13 no. 25).
    let retryable = !(400..500).contains(&status) || matches!(status, 408 | 409 | 425);
    ModelError { retryable, ..ModelError::fatal(message, ErrorInfo::Other) }
}

#[derive(Deserialize)]
struct LimitBody {
    error: LimitError,
}

#[derive(Deserialize)]
struct LimitError {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    plan_type: Option<String>,
    #[serde(default)]
    resets_at: Option<i64>,
}

fn too_many(head: &HttpHead, body: &str, scene: ErrorScene<'_>) -> ModelError {
    if let Some(model) = head.header("x-codex-model-cap-model") {
        return model_cap(model, head.header("x-codex-model-cap-reset-after-seconds"));
    }
    let limit = serde_json::from_str::<LimitBody>(body).ok().map(|body| body.error);
    match limit.as_ref().and_then(|limit| limit.kind.as_deref()) {
        Some("usage_limit_reached") => {
            let plan = limit.as_ref().and_then(|limit| limit.plan_type.as_deref());
            let resets_at = limit.as_ref().and_then(|limit| limit.resets_at);
            let text = usage_limit_text(plan, resets_at, scene);
            return ModelError::fatal(text, ErrorInfo::UsageLimitExceeded);
        }
        Some("usage_not_included") => {
            return ModelError::fatal(NOT_INCLUDED, ErrorInfo::UsageLimitExceeded);
        }
        _ => {}
    }
    let request = request_id(head).map_or(String::new(), |id| format!(", request id: {id}"));
    let message = format!("exceeded retry limit, last status: {}{request}", named(429));
    let info = ErrorInfo::ResponseTooManyFailedAttempts { http_status: Some(429) };
    match retry_after(head, scene.now) {
        Some(delay) => ModelError::passing(message, info).after(Some(delay)),
        None => ModelError::fatal(message, info),
    }
}

fn model_cap(model: &str, reset_after: Option<&str>) -> ModelError {
    let model = cut(model, 256).to_owned();
    let reset_after_seconds = reset_after.and_then(|text| text.trim().parse().ok());
    let again = match reset_after_seconds {
        Some(seconds) => format!("Try again in {}.", roughly(seconds)),
        None => "Try again later.".to_owned(),
    };
    ModelError::fatal(
        format!("Model {model} is at capacity. Please try a different model. {again}"),
        ErrorInfo::ModelCap { model, reset_after_seconds },
    )
}

fn roughly(seconds: u64) -> String {
    match seconds {
        0..60 => "less than a minute".to_owned(),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The text for a used-up plan (engine.md §2.3.1).
fn usage_limit_text(plan: Option<&str>, resets_at: Option<i64>, scene: ErrorScene<'_>) -> String {
    let time = resets_at.and_then(|seconds| local_time(seconds, scene));
    let or_again = match &time {
        Some(time) => format!(" or try again at {time}."),
        None => " or try again later.".to_owned(),
    };
    let rest = match plan.map(str::to_ascii_lowercase).as_deref() {
        Some("plus") => format!(
            ". Upgrade to Pro (https://chatgpt.com/explore/pro), visit \
             https://chatgpt.com/codex/settings/usage to purchase more credits{or_again}"
        ),
        Some("team" | "business") => {
            format!(". To get more access now, send a request to your admin{or_again}")
        }
        Some("free") => {
            ". Upgrade to Plus to continue using Codex (https://openai.com/chatgpt/pricing)."
                .to_owned()
        }
        Some("pro") => format!(
            ". Visit https://chatgpt.com/codex/settings/usage to purchase more credits{or_again}"
        ),
        _ => match &time {
            Some(time) => format!(". Try again at {time}."),
            None => ". Try again later.".to_owned(),
        },
    };
    format!("You've hit your usage limit{rest}")
}

/// `2:13 AM` today, `Jan 1st, 2030 12:00 AM` on another day.
fn local_time(seconds: i64, scene: ErrorScene<'_>) -> Option<String> {
    let then = Timestamp::from_second(seconds).ok()?.to_zoned(scene.zone.clone());
    let clock = then.strftime("%-I:%M %p");
    if then.date() == scene.now.to_zoned(scene.zone.clone()).date() {
        return Some(clock.to_string());
    }
    let day = then.day();
    let ending = match (day, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    Some(format!("{} {day}{ending}, {} {clock}", then.strftime("%b"), then.year()))
}

/// The pause that a `Retry-After` header asks for, in seconds or as a date.
fn retry_after(head: &HttpHead, now: Timestamp) -> Option<Duration> {
    let text = head.header("retry-after")?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// The pause in a text like `Please try again in 1.5s.`
fn try_again_in(text: &str) -> Option<Duration> {
    const MARK: &str = "try again in";
    // Lower-casing ASCII keeps every byte where it was.
    let lower = text.to_ascii_lowercase();
    lower.match_indices(MARK).find_map(|(at, _)| pause_of(lower.get(at + MARK.len()..)?))
}

fn pause_of(text: &str) -> Option<Duration> {
    let text = text.trim_start();
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut len = digits(text);
    if len == 0 {
        return None;
    }
    if let Some(fraction) = text.get(len..)?.strip_prefix('.') {
        match digits(fraction) {
            0 => {}
            more => len += 1 + more,
        }
    }
    let (number, unit) = text.split_at_checked(len)?;
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim_start();
    let seconds = if unit.starts_with("ms") {
        number / 1000.0
    } else if unit.starts_with('s') {
        number
    } else {
        return None;
    };
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// The backend's own words in an error body: its message, or the body as it is.
fn words_of(body: &str) -> String {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        error: Option<serde_json::Value>,
        #[serde(default)]
        message: Option<serde_json::Value>,
        #[serde(default)]
        detail: Option<serde_json::Value>,
    }
    let words = serde_json::from_str::<Body>(body).ok().and_then(|body| {
        let nested = body.error.as_ref().and_then(|error| error.get("message"));
        [nested, body.error.as_ref(), body.message.as_ref(), body.detail.as_ref()]
            .into_iter()
            .flatten()
            .find_map(serde_json::Value::as_str)
            .map(str::to_owned)
    });
    cut(words.as_deref().unwrap_or(body.trim()), limits::ERROR_TEXT_BYTES_MAX).to_owned()
}

fn request_id(head: &HttpHead) -> Option<&str> {
    ["cf-ray", "x-request-id", "x-oai-request-id"]
        .into_iter()
        .find_map(|name| head.header(name))
        .map(|id| cut(id, 256))
}

/// The first `max` bytes of a text, or fewer so as not to split a character.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    // A character has at most four bytes.
    (max.saturating_sub(3)..=max).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// `404 Not Found`.
pub(crate) fn named(status: u16) -> String {
    let reason = match status {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "<unknown status code>",
    };
    format!("{status} {reason}")
}

#[cfg(test)]
mod tests;
