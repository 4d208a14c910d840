//! Owns: what the pretended backend answers, as data: a JSON body or a stream of events.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::locked;

/// The longest that anybody waits at a gate: a forgotten one fails a test, it does not hang it.
const GATE_LIMIT: Duration = Duration::from_secs(15);

/// Holds an answer back until somebody opens it. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        *locked(&self.0.0) = true;
        self.0.1.notify_all();
    }

    pub(super) fn wait(&self) {
        let guard = locked(&self.0.0);
        // After the limit things go on, too: whoever scripted the gate sees it in the order.
        let _ = self
            .0
            .1
            .wait_timeout_while(guard, GATE_LIMIT, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// One HTTP answer.
#[derive(Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) gate: Option<Gate>,
}

#[derive(Clone)]
pub(super) enum Body {
    Json(Value),
    Events(Vec<Step>, Ending),
}

#[derive(Clone)]
pub(super) enum Step {
    Event(Value),
    Pause(Duration),
    Gate(Gate),
}

#[derive(Clone)]
pub(super) enum Ending {
    Whole,
    Cut,
    Open,
}

impl Reply {
    /// A plain answer.
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body), gate: None }
    }

    /// A refusal in the form that model backends use.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, json!({"error": {"message": message}}))
    }

    /// A whole spoken answer in one piece.
    pub fn say(n: u32, text: &str) -> Self {
        Speech::new(n).delta(text).done()
    }

    /// A whole answer that calls a tool and says nothing; the call is `call-n`.
    pub fn call(n: u32, tool: &str, arguments: &Value) -> Self {
        Self::item(
            n,
            &json!({
                "type": "function_call", "call_id": format!("call-{n}"), "name": tool,
                "arguments": arguments.to_string(),
            }),
        )
    }

    /// The same for a tool that takes text in a form of its own, as `apply_patch` does.
    pub fn call_freeform(n: u32, tool: &str, input: &str) -> Self {
        Self::item(
            n,
            &json!({
                "type": "custom_tool_call", "call_id": format!("call-{n}"), "name": tool,
                "input": input,
            }),
        )
    }

    /// A whole answer of one item.
    fn item(n: u32, item: &Value) -> Self {
        let done = json!({"type": "response.output_item.done", "item": item});
        let whole = json!({"type": "response.completed", "response": {"id": format!("resp-{n}")}});
        let steps = [done, whole].map(Step::Event).into();
        let body = Body::Events(steps, Ending::Whole);
        Self { status: 200, headers: Vec::new(), body, gate: None }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Answers only when the gate is open.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

/// A model's spoken answer in the making: events of the Responses API (engine.md §2.2).
pub struct Speech {
    response: String,
    item: String,
    text: String,
    steps: Vec<Step>,
}

impl Speech {
    /// Begins the `n`th answer; its item is `msg-n`.
    pub fn new(n: u32) -> Self {
        let speech = Self {
            response: format!("resp-{n}"),
            item: format!("msg-{n}"),
            text: String::new(),
            steps: Vec::new(),
        };
        let response = json!({"id": speech.response});
        let item = speech.message();
        speech
            .event(json!({"type": "response.created", "response": response}))
            .event(json!({"type": "response.output_item.added", "item": item}))
    }

    /// Says one more piece.
    pub fn delta(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self.event(json!({"type": "response.output_text.delta", "delta": text}))
    }

    /// Is silent for a while.
    pub fn pause(mut self, time: Duration) -> Self {
        self.steps.push(Step::Pause(time));
        self
    }

    /// Goes on when the gate is open.
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Gate(gate.clone()));
        self
    }

    /// Ends in order.
    pub fn done(self) -> Reply {
        let item = self.message();
        let usage = json!({
            "input_tokens": 12, "input_tokens_details": null,
            "output_tokens": 8, "output_tokens_details": null, "total_tokens": 20,
        });
        let response = json!({"id": self.response, "usage": usage});
        self.event(json!({"type": "response.output_item.done", "item": item}))
            .event(json!({"type": "response.completed", "response": response}))
            .end(Ending::Whole)
    }

    /// Breaks off: the connection closes in the middle.
    pub fn cut(self) -> Reply {
        self.end(Ending::Cut)
    }

    /// Says nothing more, and keeps the connection open until the other end closes it.
    pub fn hang(self) -> Reply {
        self.end(Ending::Open)
    }

    fn message(&self) -> Value {
        json!({
            "type": "message", "role": "assistant", "id": self.item,
            "content": [{"type": "output_text", "text": self.text}],
        })
    }

    fn event(mut self, event: Value) -> Self {
        self.steps.push(Step::Event(event));
        self
    }

    fn end(self, ending: Ending) -> Reply {
        let body = Body::Events(self.steps, ending);
        Reply { status: 200, headers: Vec::new(), body, gate: None }
    }
}
