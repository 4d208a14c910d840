//! Conversations: threads in the older spelling (protocol.md §3.3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::TurnAbortReason;
use super::id::{Id, ThreadId};
use super::policy::SandboxPolicy;
use crate::wire::response_item::ResponseItem;
use crate::wire::v2::command::CommandExecResponse;
use crate::wire::v2::common::{
    AskForApproval, Empty, Json, ReasoningEffort, ReasoningSummary, SandboxMode, null_is_default,
};
use crate::wire::v2::item::TextElement;

/// Params of `newConversation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewConversationParams {
    /// Model.
    pub model: Option<String>,
    /// Where the model runs.
    pub model_provider: Option<String>,
    /// Profile of the configuration.
    pub profile: Option<String>,
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
    /// What to ask when the history is made shorter.
    pub compact_prompt: Option<String>,
    /// Whether to offer the tool for patches.
    pub include_apply_patch_tool: Option<bool>,
}

/// Result of `newConversation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewConversationResponse {
    /// The thread.
    pub conversation_id: ThreadId,
    /// Model.
    pub model: String,
    /// How long the model thinks.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Its file.
    pub rollout_path: String,
}

/// Params of `resumeConversation`. `path` outranks `conversationId`, which outranks `history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResumeConversationParams {
    /// A thread's file.
    pub path: Option<String>,
    /// The thread.
    pub conversation_id: Option<ThreadId>,
    /// Begin a new thread with these items.
    pub history: Option<Vec<ResponseItem>>,
    /// Settings.
    pub overrides: Option<NewConversationParams>,
}

/// Result of `resumeConversation` and of `forkConversation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResumeConversationResponse {
    /// The thread.
    pub conversation_id: ThreadId,
    /// Model.
    pub model: String,
    /// Events as they are stored, each an `EventMsg`.
    pub initial_messages: Option<Vec<Json>>,
    /// Its file.
    pub rollout_path: String,
}

/// Params of `forkConversation`. `path` outranks `conversationId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForkConversationParams {
    /// A thread's file.
    pub path: Option<String>,
    /// The thread.
    pub conversation_id: Option<ThreadId>,
    /// Settings.
    pub overrides: Option<NewConversationParams>,
}

/// Result of `forkConversation`.
pub type ForkConversationResponse = ResumeConversationResponse;

/// Params of `sessionConfigured`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionConfiguredNotification {
    /// The thread.
    pub session_id: ThreadId,
    /// Model.
    pub model: String,
    /// How long the model thinks.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Names the log of messages.
    pub history_log_id: u64,
    /// Entries of that log.
    pub history_entry_count: usize,
    /// Events as they are stored, each an `EventMsg`.
    pub initial_messages: Option<Vec<Json>>,
    /// Its file.
    pub rollout_path: String,
}

/// Params of `addConversationListener`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddConversationListenerParams {
    /// The thread.
    pub conversation_id: ThreadId,
    /// Send what the model says also as it says it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub experimental_raw_events: bool,
}

/// Result of `addConversationListener`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddConversationSubscriptionResponse {
    /// Names the listener.
    pub subscription_id: Id,
}

/// Params of `removeConversationListener`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RemoveConversationListenerParams {
    /// The listener.
    pub subscription_id: Id,
}

/// Result of `removeConversationListener`.
pub type RemoveConversationSubscriptionResponse = Empty;

/// Params of `sendUserMessage`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendUserMessageParams {
    /// The thread.
    pub conversation_id: ThreadId,
    /// What the user says.
    pub items: Vec<InputItem>,
}

/// Result of `sendUserMessage`.
pub type SendUserMessageResponse = Empty;

/// Params of `sendUserTurn`. Every setting is set, also to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendUserTurnParams {
    /// The thread.
    pub conversation_id: ThreadId,
    /// What the user says.
    pub items: Vec<InputItem>,
    /// Working directory.
    pub cwd: String,
    /// Approval policy.
    pub approval_policy: AskForApproval,
    /// Sandbox policy.
    pub sandbox_policy: SandboxPolicy,
    /// Model.
    pub model: String,
    /// How long the model thinks.
    pub effort: Option<ReasoningEffort>,
    /// How much it tells about that.
    pub summary: ReasoningSummary,
    /// JSON schema of this turn's answer.
    pub output_schema: Option<Json>,
}

/// Result of `sendUserTurn`.
pub type SendUserTurnResponse = Empty;

/// One part of what the user says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", content = "data", rename_all = "camelCase")]
pub enum InputItem {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Pieces of it that a client draws in its own way. Snake case on the wire.
        #[serde(default, deserialize_with = "null_is_default")]
        text_elements: Vec<TextElement>,
    },
    /// A picture by URL.
    Image {
        /// `https:` or `data:`. Snake case on the wire.
        image_url: String,
    },
    /// A picture by path.
    LocalImage {
        /// Path.
        path: String,
    },
}

/// Params of `interruptConversation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InterruptConversationParams {
    /// The thread.
    pub conversation_id: ThreadId,
}

/// Result of `interruptConversation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InterruptConversationResponse {
    /// Why the turn ended.
    pub abort_reason: TurnAbortReason,
}

/// Params of `archiveConversation`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ArchiveConversationParams {
    /// The thread.
    pub conversation_id: ThreadId,
    /// Its file.
    pub rollout_path: String,
}

/// Result of `archiveConversation`.
pub type ArchiveConversationResponse = Empty;

/// Params of `listConversations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ListConversationsParams {
    /// Most entries of a page.
    pub page_size: Option<usize>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Only those of these providers; empty means all, absent the configured one.
    pub model_providers: Option<Vec<String>>,
}

/// Result of `listConversations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ListConversationsResponse {
    /// One page, newest first.
    pub items: Vec<ConversationSummary>,
    /// Where this page ends, if more follows.
    pub next_cursor: Option<String>,
}

/// Params of `getConversationSummary`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum GetConversationSummaryParams {
    /// By file.
    Path(SummaryByPath),
    /// By id.
    Id(SummaryById),
}

/// A thread by its file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SummaryByPath {
    /// The file.
    pub rollout_path: String,
}

/// A thread by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SummaryById {
    /// The thread.
    pub conversation_id: ThreadId,
}

/// Result of `getConversationSummary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetConversationSummaryResponse {
    /// The thread.
    pub summary: ConversationSummary,
}

/// A thread in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    /// Its id.
    pub conversation_id: ThreadId,
    /// Its file.
    pub path: String,
    /// What the user said first.
    pub preview: String,
    /// When it began, RFC 3339.
    pub timestamp: Option<String>,
    /// When it last changed, RFC 3339.
    pub updated_at: Option<String>,
    /// Where its model runs.
    pub model_provider: String,
    /// Its working directory.
    pub cwd: String,
    /// Version of the server that began it.
    pub cli_version: String,
    /// Who began it.
    pub source: SessionSource,
    /// The repository it works in.
    pub git_info: Option<ConversationGitInfo>,
}

/// The state of a repository. Snake case on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConversationGitInfo {
    /// Commit.
    pub sha: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// URL of the remote.
    pub origin_url: Option<String>,
}

/// Who began a thread, as stored threads spell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SessionSource {
    /// The terminal interface.
    Cli,
    /// A client of this server, whatever it is.
    #[default]
    VsCode,
    /// A run without interface.
    Exec,
    /// An app server, or a server of the MCP protocol.
    Mcp,
    /// Another thread.
    SubAgent(SubAgentSource),
    /// Not known.
    #[serde(other)]
    Unknown,
}

/// Why a thread began another.
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
        parent_thread_id: ThreadId,
        /// How deep the nesting is, from 1.
        depth: i32,
    },
    /// For something else.
    Other(String),
}

impl From<SessionSource> for crate::wire::v2::thread::SessionSource {
    fn from(source: SessionSource) -> Self {
        match source {
            SessionSource::Cli => Self::Cli,
            SessionSource::VsCode => Self::VsCode,
            SessionSource::Exec => Self::Exec,
            SessionSource::Mcp => Self::AppServer,
            SessionSource::SubAgent(why) => Self::SubAgent(why.into()),
            SessionSource::Unknown => Self::Unknown,
        }
    }
}

impl From<SubAgentSource> for crate::wire::v2::thread::SubAgentSource {
    fn from(why: SubAgentSource) -> Self {
        match why {
            SubAgentSource::Review => Self::Review,
            SubAgentSource::Compact => Self::Compact,
            SubAgentSource::ThreadSpawn {
                parent_thread_id,
                depth,
            } => Self::ThreadSpawn {
                parent_thread_id: parent_thread_id.to_string(),
                depth,
            },
            SubAgentSource::Other(why) => Self::Other(why),
        }
    }
}

/// Params of `setDefaultModel`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SetDefaultModelParams {
    /// Model; none removes the setting.
    pub model: Option<String>,
    /// How long it thinks; none removes the setting.
    pub reasoning_effort: Option<ReasoningEffort>,
}

/// Result of `setDefaultModel`.
pub type SetDefaultModelResponse = Empty;

/// Result of `getUserAgent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetUserAgentResponse {
    /// As in the result of `initialize`.
    pub user_agent: String,
}

/// Params of `gitDiffToRemote`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitDiffToRemoteParams {
    /// A directory of the repository.
    pub cwd: String,
}

/// Result of `gitDiffToRemote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitDiffToRemoteResponse {
    /// The nearest commit that a remote has.
    pub sha: String,
    /// What came after it.
    pub diff: String,
}

/// Params of `execOneOffCommand`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecOneOffCommandParams {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Time limit in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Where it runs.
    pub cwd: Option<String>,
    /// What it may do.
    pub sandbox_policy: Option<SandboxPolicy>,
}

/// Result of `execOneOffCommand`.
pub type ExecOneOffCommandResponse = CommandExecResponse;
