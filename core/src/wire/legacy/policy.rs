//! The older spelling of what [`v2`] has as well, with conversions.
//!
//! It lives on in `codex/event/*` notifications, in stored threads and in the older methods:
//! kebab-case and snake-case where v2 has camel case.

use serde::{Deserialize, Serialize};

use crate::wire::v2;
use crate::wire::v2::common::{AbsolutePathBuf, NetworkAccess};

/// What a command may do, with settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SandboxPolicy {
    /// No sandbox.
    DangerFullAccess,
    /// Read everything, write nothing, no network.
    ReadOnly,
    /// The whole server runs in a sandbox of the host's making.
    ExternalSandbox {
        /// Whether that sandbox has a network.
        #[serde(default)]
        network_access: NetworkAccess,
    },
    /// Write below the working directory and the named places.
    WorkspaceWrite {
        /// Places besides the working directory that may be written; left out if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writable_roots: Vec<AbsolutePathBuf>,
        /// Whether commands reach the network.
        #[serde(default)]
        network_access: bool,
        /// Keep `$TMPDIR` read-only.
        #[serde(default)]
        exclude_tmpdir_env_var: bool,
        /// Keep `/tmp` read-only.
        #[serde(default)]
        exclude_slash_tmp: bool,
    },
}

impl From<SandboxPolicy> for v2::common::SandboxPolicy {
    fn from(policy: SandboxPolicy) -> Self {
        match policy {
            SandboxPolicy::DangerFullAccess => Self::DangerFullAccess,
            SandboxPolicy::ReadOnly => Self::ReadOnly,
            SandboxPolicy::ExternalSandbox { network_access } => {
                Self::ExternalSandbox { network_access }
            }
            SandboxPolicy::WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            } => Self::WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            },
        }
    }
}

impl From<v2::common::SandboxPolicy> for SandboxPolicy {
    fn from(policy: v2::common::SandboxPolicy) -> Self {
        use v2::common::SandboxPolicy as V2;
        match policy {
            V2::DangerFullAccess => Self::DangerFullAccess,
            V2::ReadOnly => Self::ReadOnly,
            V2::ExternalSandbox { network_access } => Self::ExternalSandbox { network_access },
            V2::WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            } => Self::WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            },
        }
    }
}

/// Kinds of errors; what they mean stands at [`v2::turn_error::CodexErrorInfo`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CodexErrorInfo {
    /// The history does not fit into the model's window.
    ContextWindowExceeded,
    /// The account's limit is reached.
    UsageLimitExceeded,
    /// This model is at capacity.
    ModelCap {
        /// The model's slug.
        model: String,
        /// When to try again, in seconds from now.
        reset_after_seconds: Option<u64>,
    },
    /// No connection.
    HttpConnectionFailed {
        /// The response's status, if there was a response.
        http_status_code: Option<u16>,
    },
    /// The stream could not be opened.
    ResponseStreamConnectionFailed {
        /// The response's status, if there was a response.
        http_status_code: Option<u16>,
    },
    /// The backend failed.
    InternalServerError,
    /// The backend refuses the credentials.
    Unauthorized,
    /// The backend refuses the request.
    BadRequest,
    /// The sandbox could not be set up, or stopped a command.
    SandboxError,
    /// The stream broke off.
    ResponseStreamDisconnected {
        /// The response's status, if there was a response.
        http_status_code: Option<u16>,
    },
    /// Every allowed try failed.
    ResponseTooManyFailedAttempts {
        /// Status of the last response, if there was one.
        http_status_code: Option<u16>,
    },
    /// A rollback was refused.
    ThreadRollbackFailed,
    /// Anything else.
    Other,
}

impl From<v2::turn_error::CodexErrorInfo> for CodexErrorInfo {
    fn from(info: v2::turn_error::CodexErrorInfo) -> Self {
        use v2::turn_error::CodexErrorInfo as V2;
        match info {
            V2::ContextWindowExceeded => Self::ContextWindowExceeded,
            V2::UsageLimitExceeded => Self::UsageLimitExceeded,
            V2::ModelCap { model, reset_after_seconds } => {
                Self::ModelCap { model, reset_after_seconds }
            }
            V2::HttpConnectionFailed { http_status_code } => {
                Self::HttpConnectionFailed { http_status_code }
            }
            V2::ResponseStreamConnectionFailed { http_status_code } => {
                Self::ResponseStreamConnectionFailed { http_status_code }
            }
            V2::InternalServerError => Self::InternalServerError,
            V2::Unauthorized => Self::Unauthorized,
            V2::BadRequest => Self::BadRequest,
            V2::SandboxError => Self::SandboxError,
            V2::ResponseStreamDisconnected { http_status_code } => {
                Self::ResponseStreamDisconnected { http_status_code }
            }
            V2::ResponseTooManyFailedAttempts { http_status_code } => {
                Self::ResponseTooManyFailedAttempts { http_status_code }
            }
            V2::ThreadRollbackFailed => Self::ThreadRollbackFailed,
            V2::Other => Self::Other,
        }
    }
}
