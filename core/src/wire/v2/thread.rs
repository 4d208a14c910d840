//! Threads: begun, resumed, forked, listed, read, put away (protocol.md §3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{
    AskForApproval, Empty, Json, Personality, ReasoningEffort, SandboxMode, SandboxPolicy,
    null_is_default,
};
use super::turn::Turn;
use crate::wire::response_item::ResponseItem;

/// A thread as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// The id again, under the name that newer clients look for.
    pub session_id: String,
    /// What the user said first.
    pub preview: String,
    /// Where its model runs.
    pub model_provider: String,
    /// When it began, in seconds of Unix time.
    pub created_at: i64,
    /// When it last changed, in seconds of Unix time.
    pub updated_at: i64,
    /// How it stands.
    pub status: ThreadStatus,
    /// Whether it is kept in memory only.
    pub ephemeral: bool,
    /// Its file; none if it is kept in memory only.
    pub path: Option<String>,
    /// Its working directory.
    pub cwd: String,
    /// Version of the server that began it.
    pub cli_version: String,
    /// Who began it.
    pub source: SessionSource,
    /// The repository it works in.
    pub git_info: Option<GitInfo>,
    /// The project that it belongs to: always none here.
    pub project_id: Option<String>,
    /// Its turns, where the message says so; otherwise empty.
    pub turns: Vec<Turn>,
}

/// How a thread stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ThreadStatus {
    /// Stored, not open.
    NotLoaded,
    /// Open; no turn runs.
    Idle,
    /// It cannot go on.
    SystemError,
    /// A turn runs.
    Active {
        /// What it waits for.
        active_flags: Vec<ThreadActiveFlag>,
    },
}

/// What a running turn waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ThreadActiveFlag {
    /// A yes or no.
    WaitingOnApproval,
    /// An answer.
    WaitingOnUserInput,
}

/// Who began a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum SessionSource {
    /// The terminal interface.
    Cli,
    /// A client of this server, whatever it is (protocol.md §3.1).
    #[default]
    #[serde(rename = "vscode")]
    VsCode,
    /// A run without interface.
    Exec,
    /// An app server.
    AppServer,
    /// Another thread.
    SubAgent(SubAgentSource),
    /// Not known.
    #[serde(other)]
    Unknown,
}

/// Why a thread began another. Snake case on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubAgentSource {
    /// For a review.
    Review,
    /// To make a history shorter.
    Compact,
    /// Because the model asked for help.
    ThreadSpawn {
        /// The thread that asked.
        parent_thread_id: String,
        /// How deep the nesting is, from 1.
        depth: i32,
    },
    /// For something else.
    Other(String),
}

/// The state of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GitInfo {
    /// Commit.
    pub sha: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// URL of the remote.
    pub origin_url: Option<String>,
}

/// Params of `thread/start`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadStartParams {
    /// Model.
    pub model: Option<String>,
    /// Where the model runs.
    pub model_provider: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// Sandbox.
    pub sandbox: Option<SandboxMode>,
    /// Configuration by dotted key; outranks the files.
    pub config: Option<BTreeMap<String, Value>>,
    /// Instructions in place of the usual ones.
    pub base_instructions: Option<String>,
    /// Instructions besides the usual ones.
    pub developer_instructions: Option<String>,
    /// Tone.
    pub personality: Option<Personality>,
    /// Keep it in memory only.
    pub ephemeral: Option<bool>,
    /// Tools that the client runs itself.
    pub dynamic_tools: Option<Vec<DynamicToolSpec>>,
    /// Send what the model says also as it says it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub experimental_raw_events: bool,
}

/// A tool that the client runs itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DynamicToolSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON schema of its arguments.
    pub input_schema: Json,
}

/// Result of `thread/start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadStartResponse {
    /// The thread.
    pub thread: Thread,
    /// Model.
    pub model: String,
    /// Where the model runs.
    pub model_provider: String,
    /// Working directory.
    pub cwd: String,
    /// Approval policy.
    pub approval_policy: AskForApproval,
    /// Who answers approval requests.
    pub approvals_reviewer: ApprovalsReviewer,
    /// Sandbox.
    pub sandbox: SandboxPolicy,
    /// How long the model thinks.
    pub reasoning_effort: Option<ReasoningEffort>,
}

/// Result of `thread/resume`: as of `thread/start`, with turns.
pub type ThreadResumeResponse = ThreadStartResponse;

/// Result of `thread/fork`: as of `thread/start`, with turns.
pub type ThreadForkResponse = ThreadStartResponse;

/// Who answers approval requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApprovalsReviewer {
    /// The user.
    #[default]
    User,
}

/// Params of `thread/resume`. `history` outranks `path`, which outranks `threadId`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadResumeParams {
    /// The thread; has to be there even when another member outranks it.
    pub thread_id: String,
    /// Begin a new thread with these items.
    pub history: Option<Vec<ResponseItem>>,
    /// A thread's file.
    pub path: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Where the model runs.
    pub model_provider: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// Sandbox.
    pub sandbox: Option<SandboxMode>,
    /// Configuration by dotted key; outranks the files.
    pub config: Option<BTreeMap<String, Value>>,
    /// Instructions in place of the usual ones.
    pub base_instructions: Option<String>,
    /// Instructions besides the usual ones.
    pub developer_instructions: Option<String>,
    /// Tone.
    pub personality: Option<Personality>,
}

/// Params of `thread/fork`. `path` outranks `threadId`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadForkParams {
    /// The thread.
    pub thread_id: String,
    /// A thread's file.
    pub path: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Where the model runs.
    pub model_provider: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// Sandbox.
    pub sandbox: Option<SandboxMode>,
    /// Configuration by dotted key; outranks the files.
    pub config: Option<BTreeMap<String, Value>>,
    /// Instructions in place of the usual ones.
    pub base_instructions: Option<String>,
    /// Instructions besides the usual ones.
    pub developer_instructions: Option<String>,
}

/// Params of `thread/archive`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadArchiveParams {
    /// The thread.
    pub thread_id: String,
}

/// Result of `thread/archive`.
pub type ThreadArchiveResponse = Empty;

/// Params of `thread/unarchive`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadUnarchiveParams {
    /// The thread.
    pub thread_id: String,
}

/// Result of `thread/unarchive`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThreadUnarchiveResponse {
    /// The thread, without turns.
    pub thread: Thread,
}

/// Params of `thread/name/set`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadSetNameParams {
    /// The thread.
    pub thread_id: String,
    /// Its name from now on.
    pub name: String,
}

/// Result of `thread/name/set`.
pub type ThreadSetNameResponse = Empty;

/// Params of `thread/rollback`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadRollbackParams {
    /// The thread.
    pub thread_id: String,
    /// How many turns to take back, at least 1.
    pub num_turns: u32,
}

/// Result of `thread/rollback`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThreadRollbackResponse {
    /// The thread with the turns that are left.
    pub thread: Thread,
}

/// Params of `thread/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadListParams {
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Most entries of a page.
    pub limit: Option<u32>,
    /// Order.
    pub sort_key: Option<ThreadSortKey>,
    /// Only those of these providers; empty means all, absent the configured one.
    pub model_providers: Option<Vec<String>>,
    /// Only those begun by these; empty or absent means by people.
    pub source_kinds: Option<Vec<ThreadSourceKind>>,
    /// Those put away, instead of the others.
    pub archived: Option<bool>,
}

/// What a list of threads is sorted by, newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ThreadSortKey {
    /// When they began.
    #[default]
    CreatedAt,
    /// When they last changed.
    UpdatedAt,
}

/// Who began a thread, as a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ThreadSourceKind {
    /// The terminal interface.
    Cli,
    /// A client of this server.
    #[serde(rename = "vscode")]
    VsCode,
    /// A run without interface.
    Exec,
    /// An app server.
    AppServer,
    /// Another thread, for any reason.
    SubAgent,
    /// Another thread, for a review.
    SubAgentReview,
    /// Another thread, to make a history shorter.
    SubAgentCompact,
    /// Another thread, because the model asked for help.
    SubAgentThreadSpawn,
    /// Another thread, for something else.
    SubAgentOther,
    /// Not known.
    Unknown,
}

/// Result of `thread/list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadListResponse {
    /// One page.
    pub data: Vec<Thread>,
    /// Where this page ends, if more follows.
    pub next_cursor: Option<String>,
}

/// Params of `thread/loaded/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThreadLoadedListParams {
    /// The thread after which the page begins.
    pub cursor: Option<String>,
    /// Most entries of a page; all without it.
    pub limit: Option<u32>,
}

/// Result of `thread/loaded/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadLoadedListResponse {
    /// Ids of open threads, sorted.
    pub data: Vec<String>,
    /// The last of this page, if more follows.
    pub next_cursor: Option<String>,
}

/// Params of `thread/read`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadReadParams {
    /// The thread.
    pub thread_id: String,
    /// With its turns.
    #[serde(default, deserialize_with = "null_is_default")]
    pub include_turns: bool,
}

/// Result of `thread/read`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThreadReadResponse {
    /// The thread.
    pub thread: Thread,
}

/// Params of `thread/started`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThreadStartedNotification<'a> {
    /// The thread.
    pub thread: &'a Thread,
}

/// Params of `thread/name/updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadNameUpdatedNotification<'a> {
    /// The thread.
    pub thread_id: &'a str,
    /// Its name; left out if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_name: Option<&'a str>,
}

/// Params of `thread/compacted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ContextCompactedNotification<'a> {
    /// The thread.
    pub thread_id: &'a str,
    /// The turn in which it happened.
    pub turn_id: &'a str,
}
