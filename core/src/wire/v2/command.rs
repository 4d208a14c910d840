//! Commands without a thread, and the search for files (protocol.md §8).

use serde::{Deserialize, Serialize};

use super::common::SandboxPolicy;

/// Params of `command/exec`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommandExecParams {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Time limit in milliseconds; none or below zero means 10 s.
    pub timeout_ms: Option<i64>,
    /// Where it runs.
    pub cwd: Option<String>,
    /// What it may do.
    pub sandbox_policy: Option<SandboxPolicy>,
}

/// Result of `command/exec` and of `execOneOffCommand`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommandExecResponse {
    /// Exit code.
    pub exit_code: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Params of `fuzzyFileSearch`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FuzzyFileSearchParams {
    /// Characters that the path has to have in this order.
    pub query: String,
    /// Where to look.
    pub roots: Vec<String>,
    /// A later search with the same token ends this one.
    pub cancellation_token: Option<String>,
}

/// Result of `fuzzyFileSearch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FuzzyFileSearchResponse {
    /// Files, best first.
    pub files: Vec<FuzzyFileSearchResult>,
}

/// A file that was found. Snake case on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FuzzyFileSearchResult {
    /// The root as it was given.
    pub root: String,
    /// Its path below the root.
    pub path: String,
    /// Its name.
    pub file_name: String,
    /// How well it fits.
    pub score: u32,
    /// Which characters of the path fit.
    pub indices: Option<Vec<u32>>,
}
