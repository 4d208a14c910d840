//! What a scripted backend has to say: responses as text, and how far each open call is.

use serde_json::Value;
use understudy_core::{CallId, HttpRequest};

use super::fact::{Purpose, Sent};
use std::rc::Rc;

/// What a response is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// A spoken answer, whole.
    Say,
    /// Reasoning, then a spoken answer, with an item that has no id.
    Think,
    /// The model calls a tool; the turn goes on with another request.
    Call,
    /// An answer of several hundred kilobytes.
    Flood,
    /// An answer in several thousand small pieces.
    Babble,
    /// The stream reports an error that may pass.
    Failed,
    /// The stream reports an error that will not pass.
    OutOfContext,
    /// The answer was cut off by the backend.
    Incomplete,
    /// A stream that ends before it is complete.
    Short,
    /// A stream that holds nonsense, then an answer.
    Noise,
    /// A status that is no success, with a body.
    Status(u16),
    /// 429 with the body of a used-up plan.
    UsedUp,
    /// 503 with `retry-after: 1`.
    Busy,
    /// 429 with `retry-after: 1`.
    Later,
    /// 429, because the model is at capacity.
    Capped,
    /// 400, because of an image.
    BadImage,
    /// The stream reports that there is no quota left.
    Quota,
    /// The stream reports a prompt that is not taken.
    BadPrompt,
    /// The stream reports a limit that passes soon.
    Limited,
}

impl Response {
    /// The status line's number.
    pub fn status(self) -> u16 {
        match self {
            Response::Status(status) => status,
            Response::UsedUp | Response::Later | Response::Capped => 429,
            Response::Busy => 503,
            Response::BadImage => 400,
            _ => 200,
        }
    }

    /// The kind of fault that it is, if it is one.
    pub fn fault(self) -> Option<&'static str> {
        Some(match self {
            Response::Say | Response::Think | Response::Call => return None,
            Response::Flood | Response::Babble => "backend: a flood",
            Response::Status(401) => "backend: 401",
            Response::Status(500..) => "backend: 5xx",
            Response::UsedUp
            | Response::Busy
            | Response::Later
            | Response::Capped
            | Response::Status(429) => "backend: 429 and the like",
            Response::Status(_) | Response::BadImage => "backend: another 4xx",
            Response::Failed
            | Response::OutOfContext
            | Response::Incomplete
            | Response::Quota
            | Response::BadPrompt
            | Response::Limited => "backend: the stream says that it failed",
            Response::Short => "backend: the stream is cut off",
            Response::Noise => "backend: nonsense in the stream",
        })
    }

    /// Headers that go with it.
    pub fn headers(self) -> Vec<(String, String)> {
        match self {
            Response::Busy | Response::Later => {
                vec![("retry-after".to_owned(), "1".to_owned())]
            }
            Response::Capped => {
                vec![("x-codex-model-cap-model".to_owned(), "gpt-5".to_owned())]
            }
            Response::Think => vec![("x-codex-turn-state".to_owned(), "sticky".to_owned())],
            _ => Vec::new(),
        }
    }

    /// The body. `n` tells one response from another.
    pub fn body(self, n: u64, purpose: Purpose) -> String {
        match self {
            Response::Status(status) => {
                format!(r#"{{"error":{{"message":"scripted refusal {status}"}}}}"#)
            }
            Response::UsedUp => {
                r#"{"error":{"type":"usage_limit_reached","plan_type":"plus"}}"#.to_owned()
            }
            Response::Busy | Response::Later | Response::Capped => "busy".to_owned(),
            Response::BadImage => {
                "The image data you provided does not represent a valid image".to_owned()
            }
            _ if purpose == Purpose::Turn => self.stream(n),
            _ if purpose == Purpose::Usage => r#"{"plan_type":"pro"}"#.to_owned(),
            _ => r#"{"models":[]}"#.to_owned(),
        }
    }

    fn stream(self, n: u64) -> String {
        let mut out = Events::begin(n);
        match self {
            Response::Say => out.message(n, "fine").complete(n),
            Response::Flood => out.message(n, &"flood ".repeat(1 << 16)).complete(n),
            Response::Babble => out.babble(n).complete(n),
            Response::Think => out.reasoning().message(n, "thought").complete(n),
            Response::Call => out.call(n, "none", "{}").complete(n),
            Response::Failed => {
                out.open_message(n, "half");
                out.event(r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"scripted"}}}"#)
            }
            Response::OutOfContext => out.event(
                r#"{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"scripted"}}}"#,
            ),
            Response::Incomplete => out.open_message(n, "half").event(
                r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            ),
            Response::Short => out.open_message(n, "half"),
            Response::Noise => {
                out.event("no json").event("{}").event(r#"{"type":"response.unheard_of"}"#);
                out.text.push_str(": a comment\r\n\r\nevent: x\r\ndata:\r\n\r\n");
                out.message(n, "after noise").complete(n)
            }
            Response::Quota => out.failed("insufficient_quota", "scripted"),
            Response::BadPrompt => out.failed("invalid_prompt", "scripted"),
            Response::Limited => out.failed("rate_limit_exceeded", "Please try again in 1s."),
            Response::Status(_)
            | Response::UsedUp
            | Response::Busy
            | Response::Later
            | Response::Capped
            | Response::BadImage => &mut out,
        };
        out.text
    }
}

/// Pieces that fill a host's backlog twice over, each of them small.
const BABBLES: usize = 3000;

/// A stream of events in the making (engine.md §2.2).
#[derive(Clone, Debug)]
pub struct Events {
    text: String,
}

impl Events {
    /// The `n`th response has begun.
    pub fn begin(n: u64) -> Self {
        let mut events = Self { text: String::new() };
        events.event(&format!(r#"{{"type":"response.created","response":{{"id":"resp-{n}"}}}}"#));
        events
    }

    /// Any event, as JSON.
    pub fn event(&mut self, data: &str) -> &mut Self {
        self.text.push_str("data: ");
        self.text.push_str(data);
        self.text.push_str("\n\n");
        self
    }

    fn item(&mut self, kind: &str, n: u64, text: &str) -> &mut Self {
        let text = Value::from(text);
        self.event(&format!(
            r#"{{"type":"response.output_item.{kind}","item":{{"type":"message","role":"assistant","id":"msg-{n}","content":[{{"type":"output_text","text":{text}}}]}}}}"#
        ))
    }

    /// A message begins with this text.
    pub fn open_message(&mut self, n: u64, text: &str) -> &mut Self {
        self.item("added", n, "");
        let text = Value::from(text);
        self.event(&format!(r#"{{"type":"response.output_text.delta","delta":{text}}}"#))
    }

    /// A whole message.
    pub fn message(&mut self, n: u64, text: &str) -> &mut Self {
        self.open_message(n, text).item("done", n, text)
    }

    fn babble(&mut self, n: u64) -> &mut Self {
        self.item("added", n, "");
        for _ in 0..BABBLES {
            self.event(r#"{"type":"response.output_text.delta","delta":"more and more "}"#);
        }
        self.item("done", n, &"more and more ".repeat(BABBLES))
    }

    /// A call of a tool, with its arguments as JSON text.
    pub fn call(&mut self, n: u64, name: &str, arguments: &str) -> &mut Self {
        let (name, arguments) = (Value::from(name), Value::from(arguments));
        self.event(&format!(
            r#"{{"type":"response.output_item.done","item":{{"type":"function_call","name":{name},"arguments":{arguments},"call_id":"c{n}"}}}}"#
        ))
    }

    /// A thought of the model's.
    pub fn reasoning(&mut self) -> &mut Self {
        self.event(r#"{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}"#)
            .event(r#"{"type":"response.reasoning_summary_part.added","summary_index":0}"#)
            .event(r#"{"type":"response.reasoning_summary_text.delta","delta":"hm","summary_index":0}"#)
            .event(r#"{"type":"response.output_item.done","item":{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]}}"#)
    }

    fn failed(&mut self, code: &str, message: &str) -> &mut Self {
        self.event(&format!(
            r#"{{"type":"response.failed","response":{{"error":{{"code":"{code}","message":"{message}"}}}}}}"#
        ))
    }

    /// The response is complete.
    pub fn complete(&mut self, n: u64) -> &mut Self {
        self.event(&format!(
            r#"{{"type":"response.completed","response":{{"id":"resp-{n}","usage":{{"input_tokens":12,"input_tokens_details":null,"output_tokens":8,"output_tokens_details":null,"total_tokens":20}}}}}}"#
        ))
    }

    /// The stream as text.
    pub fn text(&self) -> String {
        self.text.clone()
    }
}

/// An HTTP call that has not ended.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Its call.
    pub call: CallId,
    /// What was asked.
    pub sent: Rc<Sent>,
    /// The request itself.
    pub request: HttpRequest,
    /// What is being answered, once the head is out, and how much of the body has gone.
    pub answer: Option<Answering>,
}

/// A response on its way.
#[derive(Clone, Debug)]
pub struct Answering {
    /// Its whole body.
    pub body: String,
    /// Bytes of the body that arrived.
    pub done: usize,
}
