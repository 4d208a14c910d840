//! Why a turn failed, or goes on after a failure (protocol.md §4.6).

use serde::{Deserialize, Serialize};

/// What went wrong in a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnError {
    /// Text for people.
    pub message: String,
    /// Kind of the error, for programs.
    pub codex_error_info: Option<CodexErrorInfo>,
    /// The cause behind the message.
    #[serde(default)]
    pub additional_details: Option<String>,
}

/// Kinds of errors. The legacy spelling of the same is
/// [`legacy::policy::CodexErrorInfo`](crate::wire::legacy::policy::CodexErrorInfo).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CodexErrorInfo {
    /// The history does not fit into the model's window.
    ContextWindowExceeded,
    /// The account's limit is reached.
    UsageLimitExceeded,
    /// This model is at capacity.
    ModelCap {
        /// The model's slug.
        model: String,
        /// When to try again, in seconds from now. Snake case on the wire.
        reset_after_seconds: Option<u64>,
    },
    /// No connection.
    HttpConnectionFailed {
        /// The response's status, if there was a response.
        #[serde(rename = "httpStatusCode")]
        http_status_code: Option<u16>,
    },
    /// The stream could not be opened.
    ResponseStreamConnectionFailed {
        /// The response's status, if there was a response.
        #[serde(rename = "httpStatusCode")]
        http_status_code: Option<u16>,
    },
    /// The backend failed.
    InternalServerError,
    /// The backend refuses the credentials.
    Unauthorized,
    /// The backend refuses the request.
    BadRequest,
    /// A rollback was refused.
    ThreadRollbackFailed,
    /// The sandbox could not be set up, or stopped a command.
    SandboxError,
    /// The stream broke off.
    ResponseStreamDisconnected {
        /// The response's status, if there was a response.
        #[serde(rename = "httpStatusCode")]
        http_status_code: Option<u16>,
    },
    /// Every allowed try failed.
    ResponseTooManyFailedAttempts {
        /// Status of the last response, if there was one.
        #[serde(rename = "httpStatusCode")]
        http_status_code: Option<u16>,
    },
    /// Anything else.
    Other,
}

/// Params of `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorNotification<'a> {
    /// What went wrong.
    pub error: &'a TurnError,
    /// Whether the turn goes on by itself.
    pub will_retry: bool,
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
}
