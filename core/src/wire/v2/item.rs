//! Items: what turns consist of, and the notifications about each of them (protocol.md §4.3–4.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{ByteRange, null_is_default};
use crate::wire::response_item::{MessagePhase, ResponseItem};

/// One part of what the user says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum UserInput {
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
        /// `https:` or `data:`.
        url: String,
    },
    /// A picture by path.
    LocalImage {
        /// Path.
        path: String,
    },
    /// A skill to be used.
    Skill {
        /// Its name.
        name: String,
        /// Path of its `SKILL.md`.
        path: String,
    },
    /// Something that the text talks about.
    Mention {
        /// Its name.
        name: String,
        /// Its path.
        path: String,
    },
}

/// A piece of a text that a client draws in its own way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TextElement {
    /// Which piece.
    pub byte_range: ByteRange,
    /// What is shown in its place.
    pub placeholder: Option<String>,
}

/// One part of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ThreadItem {
    /// What the user said.
    UserMessage {
        /// Item id.
        id: String,
        /// Its parts.
        content: Vec<UserInput>,
    },
    /// What the agent said.
    AgentMessage {
        /// Item id.
        id: String,
        /// The text, so far.
        text: String,
        /// Which part of the work it belongs to, where the backend says so.
        phase: Option<MessagePhase>,
    },
    /// A plan that the agent proposes.
    Plan {
        /// Item id.
        id: String,
        /// The plan.
        text: String,
    },
    /// What the agent thought.
    Reasoning {
        /// Item id.
        id: String,
        /// In short, by section.
        #[serde(default)]
        summary: Vec<String>,
        /// As the model wrote it.
        #[serde(default)]
        content: Vec<String>,
    },
    /// A command.
    CommandExecution {
        /// Item id.
        id: String,
        /// The command as one line of shell.
        command: String,
        /// Where it runs.
        cwd: String,
        /// Its process, if input can be sent to it.
        process_id: Option<String>,
        /// How it stands.
        status: CommandExecutionStatus,
        /// What it does, as far as can be told.
        command_actions: Vec<CommandAction>,
        /// What it wrote; none while it runs and if it wrote nothing.
        aggregated_output: Option<String>,
        /// Exit code.
        exit_code: Option<i32>,
        /// How long it ran.
        duration_ms: Option<i64>,
    },
    /// A change of files.
    FileChange {
        /// Item id.
        id: String,
        /// What changes, by path.
        changes: Vec<FileUpdateChange>,
        /// How it stands.
        status: PatchApplyStatus,
    },
    /// A call of a tool of an MCP server.
    McpToolCall {
        /// Item id.
        id: String,
        /// Server.
        server: String,
        /// Tool.
        tool: String,
        /// How it stands.
        status: McpToolCallStatus,
        /// Arguments; `null` if there are none.
        arguments: Value,
        /// What the tool answered, also when it says that it failed.
        result: Option<McpToolCallResult>,
        /// Why there is no answer.
        error: Option<McpToolCallError>,
        /// How long it took.
        duration_ms: Option<i64>,
    },
    /// Work with another agent.
    CollabAgentToolCall {
        /// Item id.
        id: String,
        /// What is done.
        tool: CollabAgentTool,
        /// How it stands.
        status: CollabAgentToolCallStatus,
        /// The thread that does it.
        sender_thread_id: String,
        /// The threads it is done to.
        receiver_thread_ids: Vec<String>,
        /// What they are told.
        prompt: Option<String>,
        /// How they are, by thread id.
        agents_states: BTreeMap<String, CollabAgentState>,
    },
    /// A search in the web.
    WebSearch {
        /// Item id.
        id: String,
        /// What is looked for; empty until it is known.
        query: String,
        /// What is done.
        action: Option<WebSearchAction>,
    },
    /// The agent looked at a picture.
    ImageView {
        /// Item id.
        id: String,
        /// Its path.
        path: String,
    },
    /// A review begins.
    EnteredReviewMode {
        /// Item id.
        id: String,
        /// What is reviewed.
        review: String,
    },
    /// A review ends.
    ExitedReviewMode {
        /// Item id.
        id: String,
        /// What it found.
        review: String,
    },
    /// The history was made shorter.
    ContextCompaction {
        /// Item id.
        id: String,
    },
}

impl ThreadItem {
    /// The item's id.
    pub fn id(&self) -> &str {
        match self {
            Self::UserMessage { id, .. }
            | Self::AgentMessage { id, .. }
            | Self::Plan { id, .. }
            | Self::Reasoning { id, .. }
            | Self::CommandExecution { id, .. }
            | Self::FileChange { id, .. }
            | Self::McpToolCall { id, .. }
            | Self::CollabAgentToolCall { id, .. }
            | Self::WebSearch { id, .. }
            | Self::ImageView { id, .. }
            | Self::EnteredReviewMode { id, .. }
            | Self::ExitedReviewMode { id, .. }
            | Self::ContextCompaction { id } => id,
        }
    }
}

/// How a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CommandExecutionStatus {
    /// Waits for approval, or runs.
    InProgress,
    /// Ended with code 0.
    Completed,
    /// Ended otherwise, or did not run.
    Failed,
    /// The user said no.
    Declined,
}

/// What a command does, as far as can be told from its text (engine.md §3.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum CommandAction {
    /// Shows a file.
    Read {
        /// The command.
        command: String,
        /// The file's name.
        name: String,
        /// The file's path.
        path: String,
    },
    /// Lists files.
    ListFiles {
        /// The command.
        command: String,
        /// Where.
        path: Option<String>,
    },
    /// Searches in files.
    Search {
        /// The command.
        command: String,
        /// What for.
        query: Option<String>,
        /// Where.
        path: Option<String>,
    },
    /// Something else.
    Unknown {
        /// The command.
        command: String,
    },
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileUpdateChange {
    /// The file.
    pub path: String,
    /// What happens to it.
    pub kind: PatchChangeKind,
    /// Its whole content if added or deleted, otherwise the hunks.
    pub diff: String,
}

/// What happens to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum PatchChangeKind {
    /// It is new.
    Add,
    /// It goes.
    Delete,
    /// It changes.
    Update {
        /// Where it moves to. Snake case on the wire.
        move_path: Option<String>,
    },
}

/// How a change of files stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum PatchApplyStatus {
    /// Waits for approval, or is being made.
    InProgress,
    /// Made.
    Completed,
    /// Not made.
    Failed,
    /// The user said no.
    Declined,
}

/// How a call of a tool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum McpToolCallStatus {
    /// Runs.
    InProgress,
    /// Worked.
    Completed,
    /// Failed.
    Failed,
}

/// What a tool of an MCP server answered. Content blocks are handed on as they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct McpToolCallResult {
    /// Content blocks.
    pub content: Vec<Value>,
    /// The same as data; `null` if there is none.
    #[serde(default)]
    pub structured_content: Value,
}

/// Why a tool of an MCP server did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct McpToolCallError {
    /// Text for people.
    pub message: String,
}

/// What is done with another agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CollabAgentTool {
    /// It is started.
    SpawnAgent,
    /// It is told something.
    SendInput,
    /// Its end is waited for.
    Wait,
    /// It is closed.
    CloseAgent,
}

/// How work with another agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CollabAgentToolCallStatus {
    /// Runs.
    InProgress,
    /// Worked.
    Completed,
    /// Failed.
    Failed,
}

/// How another agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabAgentState {
    /// State.
    pub status: CollabAgentStatus,
    /// Its last words, or its error.
    pub message: Option<String>,
}

/// State of another agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CollabAgentStatus {
    /// Not begun.
    PendingInit,
    /// At work.
    Running,
    /// Done.
    Completed,
    /// Ended by an error.
    Errored,
    /// Closed.
    Shutdown,
    /// There is none.
    NotFound,
}

/// What is done in the web.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum WebSearchAction {
    /// A search.
    Search {
        /// What for.
        query: Option<String>,
        /// What for, if several.
        queries: Option<Vec<String>>,
    },
    /// A page is opened.
    OpenPage {
        /// Its URL.
        url: Option<String>,
    },
    /// A search in a page.
    FindInPage {
        /// Its URL.
        url: Option<String>,
        /// What for.
        pattern: Option<String>,
    },
    /// Something else.
    #[serde(other)]
    Other,
}

/// Params of `item/started`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ItemStartedNotification<'a> {
    /// The item as it stands now.
    pub item: &'a ThreadItem,
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Unix time in milliseconds.
    pub started_at_ms: i64,
}

/// Params of `item/completed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ItemCompletedNotification<'a> {
    /// The item as it stays.
    pub item: &'a ThreadItem,
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Unix time in milliseconds.
    pub completed_at_ms: i64,
}

/// Params of `rawResponseItem/completed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RawResponseItemCompletedNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// The item as the model knows it.
    pub item: &'a ResponseItem,
}
