//! Owns: reading one event of a response stream (engine.md §2.2).
//! Invariant: a delta costs one pass over its JSON, and an allocation only if it holds escapes.
//! Never: keeps anything; what an event does to a turn is the turn's.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::items::OutputItem;
use super::usage::{TokenUsage, WireUsage};

/// One event of a response stream.
#[derive(Debug)]
pub(crate) enum ResponseEvent<'a> {
    /// The backend has begun.
    Created,
    /// An item has begun; it is not whole yet.
    ItemAdded(Box<OutputItem>),
    /// More text of the message that has begun.
    TextDelta(Cow<'a, str>),
    /// A new part of the reasoning summary.
    SummaryPartAdded {
        /// Its number.
        index: i64,
    },
    /// More of the reasoning summary.
    SummaryDelta {
        /// The text.
        delta: Cow<'a, str>,
        /// The part's number.
        index: i64,
    },
    /// More of the reasoning itself.
    ReasoningDelta {
        /// The text.
        delta: Cow<'a, str>,
        /// The part's number.
        index: i64,
    },
    /// An item is whole.
    ItemDone {
        /// The item.
        item: Box<OutputItem>,
    },
    /// The response is whole.
    Completed {
        /// What it cost, if the server says so.
        usage: Option<TokenUsage>,
    },
    /// The response ends here, cut off by the backend (engine.md §13 no. 22).
    Incomplete {
        /// `max_output_tokens`, `content_filter`, …
        reason: Option<String>,
    },
    /// The backend gives up; see [`super::errors::failed`].
    Failed {
        /// Its error code.
        code: Option<String>,
        /// Its words.
        message: Option<String>,
    },
    /// Nothing that matters here.
    Ignored,
}

/// A string that is borrowed unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    summary_index: Option<i64>,
    content_index: Option<i64>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    /// Of the plain `error` event.
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CompletedResponse {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct FailedResponse {
    #[serde(default)]
    error: Option<FailedError>,
}

#[derive(Deserialize)]
struct FailedError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct IncompleteResponse {
    #[serde(default)]
    incomplete_details: Option<IncompleteDetails>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    #[serde(default)]
    reason: Option<String>,
}

/// Reads the data of one event. What is no JSON or lacks what it needs is
/// [`ResponseEvent::Ignored`].
pub(crate) fn decode(data: &str) -> ResponseEvent<'_> {
    match serde_json::from_str::<Envelope<'_>>(data) {
        Ok(envelope) => envelope.into_event().unwrap_or_else(|| {
            tracing::debug!("event of the stream lacks a member");
            ResponseEvent::Ignored
        }),
        Err(error) => {
            // `[DONE]` comes this way too. The error's own text may quote what the model said.
            tracing::debug!(column = error.column(), "event of the stream left out");
            ResponseEvent::Ignored
        }
    }
}

impl<'a> Envelope<'a> {
    fn into_event(self) -> Option<ResponseEvent<'a>> {
        Some(match &*self.kind.0 {
            "response.output_text.delta" => ResponseEvent::TextDelta(self.delta?.0),
            "response.reasoning_summary_text.delta" => {
                ResponseEvent::SummaryDelta { delta: self.delta?.0, index: self.summary_index? }
            }
            "response.reasoning_text.delta" => {
                ResponseEvent::ReasoningDelta { delta: self.delta?.0, index: self.content_index? }
            }
            "response.reasoning_summary_part.added" => {
                ResponseEvent::SummaryPartAdded { index: self.summary_index? }
            }
            "response.output_item.added" => {
                ResponseEvent::ItemAdded(Box::new(OutputItem::parse(self.item?.get())))
            }
            "response.output_item.done" => {
                ResponseEvent::ItemDone { item: Box::new(OutputItem::parse(self.item?.get())) }
            }
            "response.created" => ResponseEvent::Created,
            "response.completed" => completed(self.response?.get()),
            "response.done" => match self.response {
                Some(response) => completed(response.get()),
                None => ResponseEvent::Completed { usage: None },
            },
            "response.failed" => failed(self.response.map(RawValue::get)),
            "response.incomplete" => incomplete(self.response.map(RawValue::get)),
            "error" => ResponseEvent::Failed {
                code: self.code.and_then(string_of),
                message: self.message.and_then(string_of),
            },
            _ => ResponseEvent::Ignored,
        })
    }
}

/// A response that does not parse counts as broken: nobody could tell what it cost.
fn completed(json: &str) -> ResponseEvent<'static> {
    match serde_json::from_str::<CompletedResponse>(json) {
        Ok(response) => ResponseEvent::Completed { usage: response.usage.map(TokenUsage::from) },
        Err(error) => ResponseEvent::Failed {
            code: None,
            message: Some(format!(
                "the completed response is malformed at byte {}",
                error.column()
            )),
        },
    }
}

fn failed(json: Option<&str>) -> ResponseEvent<'static> {
    let error = json
        .and_then(|json| serde_json::from_str::<FailedResponse>(json).ok())
        .and_then(|response| response.error);
    match error {
        Some(error) => ResponseEvent::Failed { code: error.code, message: error.message },
        None => ResponseEvent::Failed { code: None, message: None },
    }
}

fn incomplete(json: Option<&str>) -> ResponseEvent<'static> {
    let reason = json
        .and_then(|json| serde_json::from_str::<IncompleteResponse>(json).ok())
        .and_then(|response| response.incomplete_details)
        .and_then(|details| details.reason);
    ResponseEvent::Incomplete { reason }
}

fn string_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(item: &OutputItem) -> String {
        item.history_json().map_or_else(|| "-".to_owned(), |json| json.to_string())
    }

    /// The event in short.
    fn short(data: &str) -> String {
        match decode(data) {
            ResponseEvent::Created => "created".to_owned(),
            ResponseEvent::ItemAdded(item) => format!("added {}", json(&item)),
            ResponseEvent::TextDelta(Cow::Borrowed(text)) => format!("text borrowed {text}"),
            ResponseEvent::TextDelta(Cow::Owned(text)) => format!("text owned {text}"),
            ResponseEvent::SummaryPartAdded { index } => format!("part {index}"),
            ResponseEvent::SummaryDelta { delta, index } => format!("summary {index} {delta}"),
            ResponseEvent::ReasoningDelta { delta, index } => format!("reasoning {index} {delta}"),
            ResponseEvent::ItemDone { item } => format!("done {}", json(&item)),
            ResponseEvent::Completed { usage } => {
                format!("completed {:?}", usage.map(|u| u.total_tokens))
            }
            ResponseEvent::Incomplete { reason } => format!("incomplete {reason:?}"),
            ResponseEvent::Failed { code, message } => format!("failed {code:?} {message:?}"),
            ResponseEvent::Ignored => "ignored".to_owned(),
        }
    }

    #[track_caller]
    fn check(data: &str, expect: &str) {
        assert_eq!(short(data), expect);
    }

    #[test]
    fn deltas() {
        check(
            r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"delta":"hä","logprobs":[]}"#,
            "text borrowed hä",
        );
        check(r#"{"delta":"a\nb","type":"response.output_text.delta"}"#, "text owned a\nb");
        check(r#"{"type":"response\u002eoutput_text.delta","delta":"x"}"#, "text borrowed x");
        check(
            r#"{"type":"response.reasoning_summary_text.delta","delta":"t","summary_index":2}"#,
            "summary 2 t",
        );
        check(
            r#"{"type":"response.reasoning_text.delta","delta":"t","content_index":1}"#,
            "reasoning 1 t",
        );
        check(r#"{"type":"response.reasoning_summary_part.added","summary_index":0}"#, "part 0");
    }

    #[test]
    fn items() {
        check(
            r#"{"type":"response.output_item.added","item":{"type":"message","id":"m","role":"assistant","content":[]}}"#,
            r#"added {"type":"message","role":"assistant","content":[]}"#,
        );
        check(
            r#"{"type":"response.output_item.done","item":{"type":"reasoning","id":"r"}}"#,
            r#"done {"type":"reasoning","summary":[],"content":null,"encrypted_content":null}"#,
        );
        check(r#"{"type":"response.output_item.done","item":{"type":"new"}}"#, "done -");
    }

    #[test]
    fn ends() {
        check(
            r#"{"type":"response.completed","response":{"id":"r","usage":{"total_tokens":7}}}"#,
            "completed Some(7)",
        );
        check(
            r#"{"type":"response.completed","response":{"id":"r","usage":null}}"#,
            "completed None",
        );
        check(r#"{"type":"response.done"}"#, "completed None");
        assert!(
            short(r#"{"type":"response.completed","response":{"usage":5}}"#)
                .starts_with("failed None")
        );
        check(
            r#"{"type":"response.failed","response":{"error":{"code":"c","message":"m"}}}"#,
            r#"failed Some("c") Some("m")"#,
        );
        check(r#"{"type":"response.failed","response":{"error":null}}"#, "failed None None");
        check(
            r#"{"type":"error","code":"server_error","message":"m","param":null}"#,
            r#"failed Some("server_error") Some("m")"#,
        );
        check(
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            r#"incomplete Some("max_output_tokens")"#,
        );
        check(r#"{"type":"response.incomplete"}"#, "incomplete None");
    }

    #[test]
    fn what_is_left_out() {
        for data in [
            "[DONE]",
            "",
            "{}",
            "{not json",
            r#"{"type":"response.output_text.delta"}"#,
            r#"{"type":"response.output_text.delta","delta":5}"#,
            r#"{"type":"response.reasoning_text.delta","delta":"x"}"#,
            r#"{"type":"response.output_item.done"}"#,
            r#"{"type":"response.completed"}"#,
            r#"{"type":"response.in_progress","response":{}}"#,
            r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#,
        ] {
            check(data, "ignored");
        }
        check(r#"{"type":"response.created","response":{}}"#, "created");
    }

    proptest::proptest! {
        /// Members with values of every kind, under every type: read or left out, never a panic.
        #[test]
        fn odd_members_do_no_harm(
            kind in proptest::sample::select(vec![
                "response.output_text.delta", "response.reasoning_text.delta",
                "response.output_item.done", "response.completed", "response.done",
                "response.failed", "response.incomplete", "error",
            ]),
            member in proptest::sample::select(vec![
                "delta", "item", "response", "code", "message", "content_index",
            ]),
            value in proptest::sample::select(vec![
                "null", "5", "-1e300", "\"x\"", "[]", "{}", "{\"type\":7}", "{\"type\":\"message\"}",
                "{\"usage\":[]}", "{\"error\":\"x\"}", "{\"incomplete_details\":3}", "{", "",
            ]),
        ) {
            let data = format!(r#"{{"type":"{kind}","{member}":{value}}}"#);
            let whole = serde_json::from_str::<serde_json::Value>(&data).is_ok();
            let ignored = matches!(decode(&data), ResponseEvent::Ignored);
            proptest::prop_assert!(whole || ignored, "{}", data);
        }
    }
}
