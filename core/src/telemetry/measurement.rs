//! Measurements as data: what a runtime is told, and turns into spans, metrics and log records.

use std::sync::Arc;

use jiff::Timestamp;

use super::Sinks;
use crate::clock::Now;
use crate::secret::Secret;

/// What [`Effect::Telemetry`](crate::Effect::Telemetry) tells.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub enum Telemetry {
    /// Measuring begins. Told once, before everything else, and only where somebody wants it.
    Begin(Box<Sinks>),
    /// A piece of work is over.
    Measured(Measurement),
    /// Something has happened.
    Happened(Event),
}

/// Names a piece of work among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// All work that belongs together. A turn's is its own id, unless the process was started
    /// within a trace of somebody else's.
    pub trace: u128,
    /// This piece; never 0.
    pub span: u64,
}

/// A piece of work that is over, told once when it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Names it.
    pub scope: Scope,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// When it began.
    pub begin: Now,
    /// When it ended; how long it took is the difference in `mono`.
    pub end: Now,
    /// What it was.
    pub work: Work,
}

/// The kinds of work that are measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A request of the host, from its line to its reply.
    Request {
        /// One of the methods that are served, or `unknown`.
        method: &'static str,
        /// The code of the refusal, if it was refused.
        refused: Option<i64>,
    },
    /// A turn.
    Turn {
        /// Where.
        place: TurnPlace,
        /// How it ended.
        end: TurnEnd,
    },
    /// One HTTP exchange with the model.
    ModelCall(Box<ModelCall>),
    /// New tokens were asked for.
    Refresh {
        /// Who needed them first.
        cause: RefreshCause,
        /// Who was asked.
        way: RefreshWay,
        /// How it ended.
        end: RefreshEnd,
    },
    /// A call of a tool by the model.
    Tool {
        /// Where.
        place: TurnPlace,
        /// The tool's name.
        tool: String,
        /// Names the call, as the model does.
        call_id: String,
        /// How it ended.
        end: ToolEnd,
    },
}

/// The turn that something belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnPlace {
    /// The thread's id.
    pub thread: Arc<str>,
    /// The turn's id.
    pub turn: Arc<str>,
    /// The model that the thread has.
    pub model: String,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// It was completed.
    Completed,
    /// Somebody stopped it.
    Interrupted,
    /// It failed.
    Failed,
}

/// One HTTP exchange with the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCall {
    /// Where.
    pub place: TurnPlace,
    /// Key of the provider.
    pub provider: String,
    /// How the user is signed in: `chatgpt`, `apikey`, or nobody.
    pub auth_mode: Option<&'static str>,
    /// What the model was asked for.
    pub wish: ModelWish,
    /// Counts the exchanges for one sampling request, from 1.
    pub attempt: u32,
    /// The response's status, if there was a response.
    pub status: Option<u16>,
    /// What the response cost, if it came whole and said so.
    pub tokens: Option<Tokens>,
    /// How it ended.
    pub end: CallEnd,
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelWish {
    /// To go on with the turn.
    Sample,
    /// To make the history short.
    Compact,
}

/// Counts of tokens, none of them negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Those of the request, cached ones included.
    pub input: i64,
    /// Those of them that the backend had in its cache.
    pub cached: i64,
    /// Those that the model wrote, reasoning included.
    pub output: i64,
    /// Those of them that were reasoning.
    pub reasoning: i64,
    /// All of them, as the backend counts.
    pub total: i64,
}

/// How an exchange with the model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The response came whole.
    Completed,
    /// The response is an error, or tells of one.
    Refused,
    /// There was no connection, or it broke off.
    Disconnected,
    /// The backend was silent for too long.
    TimedOut,
    /// Somebody stopped the turn.
    Interrupted,
}

/// Who needed new tokens first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshCause {
    /// A turn.
    Turn,
    /// A request of the server's own.
    Errand,
    /// A request of the host.
    Request,
}

/// Who was asked for new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshWay {
    /// The host, who owns them.
    Host,
    /// The token authority.
    Authority,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshEnd {
    /// With new tokens.
    Renewed,
    /// With tokens that another process has got.
    Adopted,
    /// Without, and none will come.
    Refused,
    /// Without.
    Failed,
    /// No answer came in time.
    TimedOut,
    /// The login that it was for is gone, or the server ends.
    Abandoned,
}

/// How a call of a tool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolEnd {
    /// It was answered.
    Answered,
    /// It did what it was to do.
    Succeeded,
    /// It did not.
    Failed,
    /// The turn ended first.
    Stopped,
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The work it happened in.
    pub within: Option<Scope>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// The kinds of events (config.md §6.3).
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A thread was opened.
    ThreadOpened(Box<ThreadOpened>),
    /// The user said something.
    Prompt {
        /// Where.
        place: TurnPlace,
        /// Characters of its text.
        chars: usize,
        /// The text, where the user wants it to be told.
        text: Option<Secret>,
    },
    /// It was decided whether a tool does what the model calls it for.
    ToolDecision {
        /// Where.
        place: TurnPlace,
        /// The tool's name.
        tool: String,
        /// Names the call.
        call_id: String,
        /// The decision.
        decision: Decision,
        /// The user decided, not the settings.
        by_user: bool,
    },
}

/// The settings that a thread begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadOpened {
    /// The thread's id.
    pub thread: Arc<str>,
    /// Its model.
    pub model: String,
    /// Key of the provider.
    pub provider: String,
    /// How hard the model thinks.
    pub effort: Option<&'static str>,
    /// How it tells of that.
    pub summary: &'static str,
    /// The size of its window, in tokens.
    pub window: Option<i64>,
    /// At how many tokens the history is made short.
    pub compact_limit: Option<i64>,
    /// When the user is asked.
    pub approval_policy: &'static str,
    /// What commands may touch.
    pub sandbox: &'static str,
    /// The names of MCP servers.
    pub mcp_servers: Vec<String>,
    /// The profile in use.
    pub profile: Option<String>,
}

/// A decision about a call of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This once.
    Approved,
    /// For the session.
    ApprovedForSession,
    /// From now on, by a rule.
    ApprovedByRule,
    /// No.
    Denied,
    /// No, and the turn is to end.
    Abort,
}

/// Gives each kind its word in measurements.
macro_rules! words {
    ($($kind:ty { $($variant:ident => $word:literal),+ $(,)? })+) => {$(
        impl $kind {
            /// Its word in measurements.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+};
}

words! {
    TurnEnd { Completed => "completed", Interrupted => "interrupted", Failed => "failed" }
    ModelWish { Sample => "sample", Compact => "compact" }
    CallEnd {
        Completed => "completed", Refused => "refused", Disconnected => "disconnected",
        TimedOut => "timed_out", Interrupted => "interrupted",
    }
    RefreshCause { Turn => "turn", Errand => "errand", Request => "request" }
    RefreshWay { Host => "host", Authority => "authority" }
    RefreshEnd {
        Renewed => "renewed", Adopted => "adopted", Refused => "refused", Failed => "failed",
        TimedOut => "timed_out", Abandoned => "abandoned",
    }
    ToolEnd {
        Answered => "answered", Succeeded => "succeeded", Failed => "failed", Stopped => "stopped",
    }
    Decision {
        Approved => "approved", ApprovedForSession => "approved_for_session",
        ApprovedByRule => "approved_execpolicy_amendment", Denied => "denied", Abort => "abort",
    }
}
