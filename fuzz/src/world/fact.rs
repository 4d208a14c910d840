//! What happened in a world, in order: what went into the machine, and what came out of it.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use understudy_core::{AskId, CallId, ExitStatus, HttpFailureKind, TimerId};

use super::Fault;
use super::process::Spawned;

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
    /// A file job ended, after it was done with this fault; whether it was done.
    Filed(CallId, Job, Fault, bool),
    /// The listener has its port, or not.
    Listened(CallId, Port),
    /// A browser came; the number is the one it was sent with.
    Visited(CallId, usize),
    /// The lock was granted or refused.
    Held(CallId),
    /// The embedding program answered.
    Embedder(AskId, usize),
    /// A program has said so many bytes.
    ProgramSaid(CallId, usize),
    /// A program has ended, or never began.
    ProgramEnded(CallId),
    /// The host has read this many bytes in all.
    Read(u64),

    // --- what came out ---
    /// An HTTP request was sent.
    Sent(Rc<Sent>),
    /// A file job was started.
    FilesAsked(CallId, Job),
    /// The login port was asked for.
    ListenAsked(CallId),
    /// The lock between processes was asked for.
    HoldAsked(CallId),
    /// A browser got a page: its status and body.
    Page(u16, Rc<String>),
    /// A program was started.
    Spawned(Rc<Spawned>),
    /// A program was killed.
    Killed(CallId),
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

/// What becomes of a listener that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// It has the port.
    Granted,
    /// Somebody else has it.
    InUse,
    /// It may not have it.
    Refused,
    /// The runtime loses it.
    Lost,
}

/// What an HTTP request is for, as its address and its form tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A turn's request to the model.
    Turn,
    /// The model list.
    Models,
    /// How much of the account is used.
    Usage,
    /// A login's code for tokens.
    Exchange,
    /// A login's tokens for an API key.
    Key,
    /// A refresh token for tokens.
    Refresh,
    /// A token is taken back.
    Revoke,
    /// A code that is typed elsewhere.
    UserCode,
    /// Whether it was typed.
    Poll,
    /// Whoever has the login port should go.
    Oust,
    /// None that is known.
    Other,
}

impl Purpose {
    /// What a request is for.
    pub(super) fn of(url: &str, is_turn: bool, body: &str) -> Self {
        let has = |part: &str| url.contains(part);
        match () {
            () if is_turn => Purpose::Turn,
            () if has("/oauth/token") && body.contains("grant_type=authorization_code") => {
                Purpose::Exchange
            }
            () if has("/oauth/token") && body.contains("token-exchange") => Purpose::Key,
            () if has("/oauth/token") && body.contains(r#""refresh_token""#) => Purpose::Refresh,
            () if has("/oauth/revoke") => Purpose::Revoke,
            () if has("/deviceauth/usercode") => Purpose::UserCode,
            () if has("/deviceauth/token") => Purpose::Poll,
            () if url.ends_with(":1455/cancel") => Purpose::Oust,
            () if has("/models?") => Purpose::Models,
            () if url.ends_with("/usage") => Purpose::Usage,
            () => Purpose::Other,
        }
    }

    /// Whether it goes to the server that issues tokens.
    pub fn is_authority(self) -> bool {
        match self {
            Purpose::Exchange
            | Purpose::Key
            | Purpose::Refresh
            | Purpose::Revoke
            | Purpose::UserCode
            | Purpose::Poll => true,
            Purpose::Turn | Purpose::Models | Purpose::Usage | Purpose::Oust | Purpose::Other => {
                false
            }
        }
    }

    /// Whether it carries the account's own credential.
    pub fn is_call(self) -> bool {
        matches!(self, Purpose::Turn | Purpose::Models | Purpose::Usage)
    }
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
    /// Any other job.
    Other,
}

/// An HTTP request as it left.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its call.
    pub call: CallId,
    /// What it is for.
    pub purpose: Purpose,
    /// Where to.
    pub url: String,
    /// The text after `Bearer `, if there is such a header.
    pub bearer: Option<String>,
    /// The account header.
    pub account: Option<String>,
    /// The thread it is for; none for requests that are for no thread.
    pub thread: Option<String>,
    /// Its body; not kept of requests to a model.
    pub body: String,
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
