//! Feedback (config.md §6).

use serde::{Deserialize, Serialize};

/// Params of `feedback/upload`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedbackUploadParams {
    /// `bug`, `bad_result`, `good_result` or any other.
    pub classification: String,
    /// In the user's words.
    pub reason: Option<String>,
    /// The thread it is about.
    pub thread_id: Option<String>,
    /// Whether to send logs with it.
    pub include_logs: bool,
}

/// Result of `feedback/upload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedbackUploadResponse {
    /// Names the report.
    pub thread_id: String,
}
