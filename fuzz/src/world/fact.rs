//! What happened in a world, in order: what went into the machine, and what came out of it.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use understudy_core::{AskId, CallId, ExitStatus, HttpFailureKind, TimerId};

use super::Fault;
use super::process::Spawned;
use super::skimmed::Skimmed;

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

/// The older dialect's word for a turn that has begun, which is all that its hosts are told of it.
pub const TASK_STARTED: &str = "codex/event/task_started";

/// How a line begins that says once more, in the older dialect, what others say.
const REPEATED_LINE: &str = r#"{"method":"codex/event/"#;

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
        result: Rc<Value>,
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
        /// With which params; `null` if they were left unread.
        params: Value,
    },
}

/// A line by its members. Which of them stand in it says what it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
struct Members<'a, T> {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    params: Option<T>,
    #[serde(default, deserialize_with = "present")]
    result: Option<T>,
    #[serde(default)]
    error: Option<RefusedWith>,
}

/// `null` stands there, too.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

#[derive(Deserialize)]
struct RefusedWith {
    code: i64,
    message: String,
}

impl<'a, T: Deserialize<'a>> Members<'a, T> {
    fn read(line: &'a str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|err| err.to_string())
    }

    fn map<U>(self, value: impl Fn(T) -> U) -> Members<'a, U> {
        let Self { id, method, params, result, error } = self;
        Members { id, method, params: params.map(&value), result: result.map(&value), error }
    }
}

impl Heard {
    /// Reads one line. The error says in what way it is no message of the protocol. When it is
    /// skimmed, what is not about credentials is left unread, and what the older dialect repeats.
    pub fn read(line: &[u8], skims: bool) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|err| err.to_string())?;
        if skims && line.starts_with(REPEATED_LINE) {
            let members: Members<'_, IgnoredAny> = Members::read(line)?;
            match members {
                Members {
                    id: None,
                    method: Some(method),
                    params: Some(_),
                    result: None,
                    error: None,
                } if method != TASK_STARTED => {
                    let method = method.into_owned();
                    return Ok(Heard::Notice { method, params: Value::Null });
                }
                _ => {}
            }
        }
        let members = match skims {
            true => Members::<Skimmed>::read(line)?.map(|Skimmed(value)| value),
            false => Members::<Value>::read(line)?,
        };
        let Members { id, method, params, result, error } = members;
        match (id, method, params, result, error) {
            (Some(id), None, None, Some(result), None) => {
                Ok(Heard::Reply { id: id.to_string(), result: Rc::new(result) })
            }
            (Some(id), None, None, None, Some(RefusedWith { code, message })) => {
                Ok(Heard::Refused { id: id.to_string(), code, message })
            }
            (None, Some(method), Some(params), None, None) => {
                Ok(Heard::Notice { method: method.into_owned(), params })
            }
            (Some(id), Some(method), Some(params), None, None) => {
                let id = id.as_i64().ok_or("a question whose id is no integer")?;
                Ok(Heard::Ask { id, method: method.into_owned(), params })
            }
            _ => Err("a message with other members".to_owned()),
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
