//! What the outside tells the machine.

use serde::{Deserialize, Serialize};

use crate::effect::{AskId, CallId, TimerId, VisitId};
use crate::files::{FileAnswer, FileError};
use crate::process::{OutputStream, ProcessExit, ProcessFailure};
use crate::secret::Secret;
use crate::wire::v2::command::FuzzyFileSearchResult;

/// One thing that happened outside. See [`Machine::handle`](crate::Machine::handle).
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes from the host, cut anywhere.
    Bytes(&'a [u8]),
    /// The host will send nothing more.
    Eof,
    /// A timer started with [`Effect::StartTimer`](crate::Effect::StartTimer) is due.
    TimerFired(TimerId),
    /// An answer, whole or partial, to a call.
    Done(CallId, Outcome<'a>),
    /// An in-process host answers [`Effect::RefreshAuth`](crate::Effect::RefreshAuth).
    AuthRefreshed(AskId, Result<FreshTokens, RefreshDenied>),
    /// The operating system asks the process to end, or the host is gone.
    Signal(Signal),
}

/// Why the process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signal {
    /// SIGINT or SIGTERM.
    Terminate,
    /// Nothing can be written to the host any more.
    OutputClosed,
    /// The process that started this one is gone.
    ParentGone,
}

/// New tokens of the host's user, in either shape that hosts send.
#[derive(Clone, Debug)]
pub struct FreshTokens {
    /// The bearer for the backend.
    pub access_token: Secret,
    /// A JWT with the user's claims; without it the claims are read from the access token.
    pub id_token: Option<Secret>,
    /// The account (workspace) the tokens belong to, if the host names it.
    pub account_id: Option<String>,
    /// The user's plan, if the host names it.
    pub plan_type: Option<String>,
}

/// A host that has no tokens to give says why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshDenied {
    /// A JSON-RPC style code; any number.
    pub code: i64,
    /// Text that reaches whoever reads the turn's error.
    pub message: String,
}

/// The answer to a [`Call`](crate::Call).
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The response's status and headers; bytes follow.
    HttpHead(HttpHead),
    /// Some bytes of the response's body.
    HttpBytes(&'a [u8]),
    /// The body is complete. Ends the call.
    HttpEnd,
    /// No response, or the body broke off. Ends the call.
    HttpFailed(HttpFailure),
    /// A file job is done. Ends the call.
    Files(Box<FileAnswer>),
    /// The listener is there.
    Listening,
    /// There is no listener. Ends the call.
    ListenFailed(ListenFailure),
    /// The browser asks for something.
    Visit(Visit),
    /// The lock is held, or could not be had.
    Held(Result<(), FileError>),
    /// Some bytes of what a program says; never more than
    /// [`limits::PROCESS_CHUNK_BYTES`](crate::limits::PROCESS_CHUNK_BYTES).
    ProcessOutput(OutputStream, &'a [u8]),
    /// The program has ended. Ends the call.
    ProcessExited(ProcessExit),
    /// The program was not started. Ends the call.
    ProcessFailed(ProcessFailure),
    /// The last lines of the log; empty where none is kept. Ends the call.
    Logs(String),
    /// A search is done: what was found, in no order. Ends the call.
    Found(Vec<FuzzyFileSearchResult>),
    /// The backend itself failed and has no answer. Ends the call.
    Lost,
}

impl Outcome<'_> {
    /// Whether nothing follows this answer.
    pub fn is_last(&self) -> bool {
        match self {
            Outcome::HttpHead(_)
            | Outcome::HttpBytes(_)
            | Outcome::Listening
            | Outcome::Visit(_)
            | Outcome::Held(_)
            | Outcome::ProcessOutput(..) => false,
            Outcome::HttpEnd
            | Outcome::HttpFailed(_)
            | Outcome::Files(_)
            | Outcome::ListenFailed(_)
            | Outcome::ProcessExited(_)
            | Outcome::ProcessFailed(_)
            | Outcome::Found(_)
            | Outcome::Logs(_)
            | Outcome::Lost => true,
        }
    }
}

/// One request of the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    /// Names it for the answer.
    pub id: VisitId,
    /// The method as it stands in the request line.
    pub method: String,
    /// The target as it stands in the request line: path and query, not decoded.
    pub target: String,
}

/// Why there is no listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenFailure {
    /// Somebody else has the port.
    pub is_in_use: bool,
    /// The operating system's text.
    pub text: String,
}

/// The head of an HTTP response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpHead {
    /// Status code, 100 to 599.
    pub status: u16,
    /// Header names in lower case with their values; values that are no text are left out.
    pub headers: Vec<(String, String)>,
}

impl HttpHead {
    /// The first value of header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Why an HTTP call has no, or no whole, response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpFailure {
    /// What kind of failure it was.
    pub kind: HttpFailureKind,
    /// The library's text, without secrets.
    pub text: String,
}

impl HttpFailure {
    /// The backend failed before it could answer.
    pub(crate) fn lost() -> Self {
        Self { kind: HttpFailureKind::Body, text: "the HTTP backend failed".to_owned() }
    }
}

/// The kinds of [`HttpFailure`] that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpFailureKind {
    /// No connection, or TLS failed.
    Connect,
    /// The call's time limit passed.
    Timeout,
    /// The connection ended before the body was complete.
    Body,
    /// The request itself could not be made (a bad URL or header).
    Request,
}
