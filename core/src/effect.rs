//! What the machine asks of the outside.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files::FileJob;
use crate::process::ProcessRequest;
use crate::search::SearchRequest;
use crate::secret::Secret;
use crate::telemetry::Telemetry;

/// Names one timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// Names one call; never used twice in a session, so that a late answer finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Names one question to the host; on the wire it is the request's integer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub i64);

/// One thing to do. Carried out in order; drained to `None` before the next input.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub enum Effect {
    /// Bytes for the host lie in [`Machine::pending_output`](crate::Machine::pending_output).
    Send,
    /// An in-process host is asked for new tokens; answered with
    /// [`Input::AuthRefreshed`](crate::Input::AuthRefreshed). Only with
    /// [`Refresh::Embedder`](crate::Refresh::Embedder).
    RefreshAuth(AskId, RefreshAuth),
    /// Fire `TimerId` once, `Duration` from now.
    StartTimer(TimerId, Duration),
    /// The timer need not fire any more; firing all the same does no harm.
    CancelTimer(TimerId),
    /// Begin a call.
    Start(CallId, Box<Call>),
    /// Hand something to a call that runs.
    Feed(CallId, Feed),
    /// Stop a call; answers that still come are dropped.
    Cancel(CallId),
    /// Something was measured; only where the configuration sends measurements somewhere.
    Telemetry(Box<Telemetry>),
    /// Write what is pending, then end.
    Exit(ExitStatus),
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// In order: status 0.
    Clean,
    /// Work was cut off because the time for ending was over: status 0, said in the log.
    OutOfTime,
    /// The machine could not begin, for this reason: status 1, with the reason on the error output.
    /// The command line is at fault ([`Setup::overrides`](crate::Setup)), or the backend failed.
    Failed(String),
}

/// The question that [`Effect::RefreshAuth`] puts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshAuth {
    /// The account whose token the backend refused.
    pub previous_account_id: Option<String>,
    /// How long the answer is waited for.
    pub limit: Duration,
}

/// Work for a backend. It moves bytes; what to send where, when and how often is decided here.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub enum Call {
    /// One HTTP exchange.
    Http(HttpRequest),
    /// Work on files, run on a thread that may block.
    Files(FileJob),
    /// Accept HTTP requests of the user's browser on a loopback port until the call is cancelled.
    /// Answers: [`Outcome::Listening`](crate::Outcome::Listening), then one
    /// [`Outcome::Visit`](crate::Outcome::Visit) a request, each answered by [`Feed::Answer`]; or
    /// [`Outcome::ListenFailed`](crate::Outcome::ListenFailed).
    Listen(Listen),
    /// Hold an advisory lock until the call is cancelled. Answer:
    /// [`Outcome::Held`](crate::Outcome::Held), also when it could not be had.
    Hold(PathBuf),
    /// Run a program. Answers: [`Outcome::ProcessOutput`](crate::Outcome::ProcessOutput) as it
    /// comes, then [`Outcome::ProcessExited`](crate::Outcome::ProcessExited) when it has ended and
    /// its streams have, or [`limits::PROCESS_DRAIN`](crate::limits::PROCESS_DRAIN) after its end;
    /// or [`Outcome::ProcessFailed`](crate::Outcome::ProcessFailed). To cancel the call kills the
    /// whole process group.
    Process(Box<ProcessRequest>),
    /// The last lines of the log, at most [`limits::LOG_BYTES_MAX`](crate::limits::LOG_BYTES_MAX).
    /// Answer: [`Outcome::Logs`](crate::Outcome::Logs).
    Logs,
    /// Look for files by their names, beside the file jobs and until the call is cancelled. Answer:
    /// [`Outcome::Found`](crate::Outcome::Found).
    Search(Box<SearchRequest>),
}

/// Where [`Call::Listen`] listens: IPv4 loopback only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The port of 127.0.0.1.
    pub port: u16,
    /// A request whose head is longer is answered 431 by the backend and not passed on.
    pub head_bytes_max: usize,
}

/// What [`Effect::Feed`] hands to a call.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub enum Feed {
    /// The answer to a request of the browser; the connection is closed after it.
    Answer(VisitId, PageAnswer),
    /// Bytes for a program's terminal; a program with pipes hears nothing.
    Stdin(Vec<u8>),
    /// The program's whole process group is killed; how it ended is still told.
    Kill,
}

/// Names one request of the browser within its [`Call::Listen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VisitId(pub u64);

/// A small HTTP answer. The backend adds `Content-Length` and `Connection: close`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAnswer {
    /// Status code.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// One HTTP request. No redirects are followed and nothing is retried by the backend.
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, HeaderText)>,
    /// The body, in pieces that may be shared with other requests; sent with a content length.
    pub body: Vec<Arc<str>>,
    /// Limit for connecting and the response head together; none means the transport's own.
    pub head_limit: Option<Duration>,
    /// Limit for the whole exchange.
    pub total_limit: Option<Duration>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body_len())
            .finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// Length of the body in bytes.
    pub fn body_len(&self) -> usize {
        self.body.iter().map(|piece| piece.len()).sum()
    }
}

/// An HTTP method that the server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

impl Method {
    /// The method as it stands in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// A header's value.
#[derive(Clone, Debug)]
pub enum HeaderText {
    /// Anybody may see it.
    Plain(String),
    /// Only the server it is sent to may see it.
    Secret(Secret),
}

impl HeaderText {
    /// The text to put on the wire.
    pub fn expose(&self) -> &str {
        match self {
            HeaderText::Plain(text) => text,
            HeaderText::Secret(text) => text.expose(),
        }
    }
}
