//! What happened in a world, in order: what went into the machine, and what came out of it.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use understudy_core::{AskId, CallId, ExitStatus, HttpFailureKind, TimerId};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Fact {
    // --- what went in ---
    /// The clock shows this time since its start.
    At(Duration),
    /// A line of the host arrived whole; the number is the one it was said with.
    Said(usize),
    /// The host's input ended.
    Eof,
    /// A timer fired that was set and not cancelled.
    Fired(TimerId),
    /// A part of a response arrived.
    Backend(CallId, Part),
    /// A file job ended.
    Filed(CallId, Job, bool),
    /// The embedding program answered.
    Embedder(AskId, usize),
    /// The host has read this many bytes in all.
    Read(u64),

    // --- what came out ---
    /// An HTTP request was sent.
    Sent(Rc<Sent>),
    /// A file job was started.
    FilesAsked(CallId, Job),
    /// A call was cancelled.
    Dropped(CallId),
    /// A timer was set, to fire after this long.
    TimerSet(TimerId, Duration),
    /// A timer was cancelled.
    TimerGone(TimerId),
    /// The embedding program was asked for tokens.
    AskedEmbedder(AskId, Option<String>, Duration),
    /// A line for the host was queued. The number is the place in the output where it ends.
    Heard(Rc<Heard>, u64),
    /// The machine ended.
    Exited(ExitStatus),
    /// All that one input led to stands above.
    Settled,
}

/// A part of an HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Status and headers.
    Head(u16),
    /// So many bytes of the body.
    Bytes(usize),
    /// The end, in order.
    End,
    /// The end, for this reason.
    Failed(HttpFailureKind),
    /// The backend of the machine broke down.
    Lost,
}

/// The kind of a file job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Configuration and credentials at the start.
    Startup,
    /// Saving or deleting credentials.
    Credentials,
    /// What a thread needs to know.
    Thread,
    /// Any other file.
    Write,
}

/// An HTTP request as it left.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its call.
    pub call: CallId,
    /// Where to.
    pub url: String,
    /// The text after `Bearer `, if there is such a header.
    pub bearer: Option<String>,
    /// The account header.
    pub account: Option<String>,
    /// The thread it is for; none for requests that are for no thread.
    pub thread: Option<String>,
    /// Bytes of its body.
    pub body_len: usize,
}

/// A message of the server.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A reply.
    Reply {
        /// To which request, as JSON text.
        id: String,
        /// The result.
        result: Value,
    },
    /// A refusal.
    Refused {
        /// Of which request, as JSON text; `null` for a line that was none.
        id: String,
        /// The error code.
        code: i64,
        /// The error's text.
        message: String,
    },
    /// A question to the host.
    Ask {
        /// Its id.
        id: i64,
        /// What is asked.
        method: String,
        /// With which params.
        params: Value,
    },
    /// A notification.
    Notice {
        /// Of what.
        method: String,
        /// With which params.
        params: Value,
    },
}

impl Heard {
    /// Reads one line. The error says in what way it is no message of the protocol.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line).map_err(|err| err.to_string())?;
        let Value::Object(mut members) = value else { return Err("not an object".to_owned()) };
        let shape: Vec<&str> = members.keys().map(String::as_str).collect();
        // Members are sorted here, whatever their order on the wire.
        match shape.as_slice() {
            ["id", "result"] => {
                let id = members.remove("id").unwrap_or_default().to_string();
                Ok(Heard::Reply { id, result: members.remove("result").unwrap_or_default() })
            }
            ["error", "id"] => {
                let error = members.get("error");
                let code = error.and_then(|e| e["code"].as_i64()).ok_or("an error without code")?;
                let text = error.and_then(|e| e["message"].as_str());
                let message = text.ok_or("an error without message")?.to_owned();
                let id = members.remove("id").unwrap_or_default().to_string();
                Ok(Heard::Refused { id, code, message })
            }
            ["method", "params"] | ["id", "method", "params"] => {
                let method = members.get("method").and_then(Value::as_str);
                let method = method.ok_or("a method that is no string")?.to_owned();
                let params = members.remove("params").unwrap_or_default();
                match members.get("id") {
                    None => Ok(Heard::Notice { method, params }),
                    Some(id) => {
                        let id = id.as_i64().ok_or("a question whose id is no integer")?;
                        Ok(Heard::Ask { id, method, params })
                    }
                }
            }
            other => Err(format!("a message with the members {other:?}")),
        }
    }

    /// The params, if this is a notification of `method`.
    pub fn notice(&self, name: &str) -> Option<&Value> {
        match self {
            Heard::Notice { method, params } if method == name => Some(params),
            _ => None,
        }
    }
}
