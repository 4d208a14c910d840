//! What events carry ([`EventMsg`], engine.md Appendix A). Snake case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::approval::{FileChange, ParsedCommand};
use super::event::EventMsg;
use super::policy::SandboxPolicy;
use crate::wire::v2::common::{AskForApproval, ReasoningEffort};
use crate::wire::v2::review::ReviewTarget;

/// A span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Duration {
    /// Whole seconds.
    pub secs: u64,
    /// The rest in nanoseconds.
    pub nanos: u32,
}

/// The settings of a thread that was just loaded. Written to no client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionConfiguredEvent {
    /// Thread.
    pub session_id: String,
    /// The thread that it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from_id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_name: Option<String>,
    /// Model.
    pub model: String,
    /// Where the model runs.
    pub model_provider_id: String,
    /// Approval policy.
    pub approval_policy: AskForApproval,
    /// Sandbox policy.
    pub sandbox_policy: SandboxPolicy,
    /// Working directory.
    pub cwd: String,
    /// How long the model thinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Names the log of messages.
    pub history_log_id: u64,
    /// Entries of that log.
    pub history_entry_count: usize,
    /// Events as they are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_messages: Option<Vec<EventMsg<'static>>>,
    /// Its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_path: Option<String>,
}

/// How the start of an MCP server stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum McpStartupStatus {
    /// Being started.
    Starting,
    /// Started.
    Ready,
    /// Not started.
    Failed {
        /// Why.
        error: String,
    },
    /// Given up.
    Cancelled,
}

/// An MCP server that did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct McpStartupFailure {
    /// The server.
    pub server: String,
    /// Why.
    pub error: String,
}

/// A call of a tool of an MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct McpInvocation {
    /// Server.
    pub server: String,
    /// Tool.
    pub tool: String,
    /// Arguments.
    pub arguments: Option<Value>,
}

/// What a tool of an MCP server answered. Camel case, as that protocol has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CallToolResult {
    /// Content blocks.
    pub content: Vec<Value>,
    /// Whether the tool says that it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// The same as data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_content: Option<Value>,
}

/// A command begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecCommandBeginEvent {
    /// The call of the tool.
    pub call_id: String,
    /// Its process, if input can be sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_id: Option<String>,
    /// Turn.
    pub turn_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub cwd: String,
    /// What it does, as far as can be told.
    pub parsed_cmd: Vec<ParsedCommand>,
    /// Who runs it.
    #[serde(default)]
    pub source: ExecCommandSource,
    /// What is typed into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction_input: Option<String>,
}

/// A command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecCommandEndEvent {
    /// The call of the tool.
    pub call_id: String,
    /// Its process, if input could be sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_id: Option<String>,
    /// Turn.
    pub turn_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it ran.
    pub cwd: String,
    /// What it did, as far as can be told.
    pub parsed_cmd: Vec<ParsedCommand>,
    /// Who ran it.
    #[serde(default)]
    pub source: ExecCommandSource,
    /// What was typed into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction_input: Option<String>,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Both in order.
    #[serde(default)]
    pub aggregated_output: String,
    /// Exit code.
    pub exit_code: i32,
    /// How long it ran.
    pub duration: Duration,
    /// What the model gets.
    pub formatted_output: String,
}

/// Who runs a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExecCommandSource {
    /// The model.
    #[default]
    Agent,
    /// The user.
    UserShell,
    /// The model, in a session that stays open.
    UnifiedExecStartup,
    /// The model, in a session that was open.
    UnifiedExecInteraction,
}

/// Where output was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExecOutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The user is asked about a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecApprovalRequestEvent {
    /// The call of the tool.
    pub call_id: String,
    /// Turn.
    #[serde(default)]
    pub turn_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it would run.
    pub cwd: String,
    /// Why it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Prefix of the command that a new rule could allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_execpolicy_amendment: Option<Vec<String>>,
    /// What it would do, as far as can be told.
    pub parsed_cmd: Vec<ParsedCommand>,
}

/// The user is asked about a change of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApplyPatchApprovalRequestEvent {
    /// The call of the tool.
    pub call_id: String,
    /// Turn.
    #[serde(default)]
    pub turn_id: String,
    /// What would change, by path.
    pub changes: BTreeMap<String, FileChange>,
    /// Why it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A directory that could be opened for writing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_root: Option<String>,
}

/// A change of files begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PatchApplyBeginEvent {
    /// The call of the tool.
    pub call_id: String,
    /// Turn.
    #[serde(default)]
    pub turn_id: String,
    /// Whether nobody was asked.
    pub auto_approved: bool,
    /// What changes, by path.
    pub changes: BTreeMap<String, FileChange>,
}

/// A change of files ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PatchApplyEndEvent {
    /// The call of the tool.
    pub call_id: String,
    /// Turn.
    #[serde(default)]
    pub turn_id: String,
    /// What it reported.
    pub stdout: String,
    /// What went wrong.
    pub stderr: String,
    /// Whether it was made.
    pub success: bool,
    /// What changed, by path.
    #[serde(default)]
    pub changes: BTreeMap<String, FileChange>,
}

/// A question to the user. Camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestUserInputQuestion {
    /// Names the answer.
    pub id: String,
    /// In a word or two.
    pub header: String,
    /// In full.
    pub question: String,
    /// Whether an answer of the user's own is welcome.
    #[serde(default)]
    pub is_other: bool,
    /// Whether the answer should not be shown.
    #[serde(default)]
    pub is_secret: bool,
    /// Answers to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<RequestUserInputQuestionOption>>,
}

/// An answer to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestUserInputQuestionOption {
    /// The answer.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// A tool that the client runs is called. Camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DynamicToolCallRequest {
    /// The call.
    pub call_id: String,
    /// Turn.
    pub turn_id: String,
    /// The tool.
    pub tool: String,
    /// What the model gives it.
    pub arguments: Value,
}

/// A message of the user in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// Thread.
    pub conversation_id: String,
    /// Unix time in seconds.
    pub ts: u64,
    /// The message.
    pub text: String,
}

/// A prompt that the user keeps in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomPrompt {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its text.
    pub content: String,
    /// What it is good for.
    pub description: Option<String>,
    /// What can be filled in.
    pub argument_hint: Option<String>,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanItemArg {
    /// What is to be done.
    pub step: String,
    /// How far it is.
    pub status: StepStatus,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Being done.
    InProgress,
    /// Done.
    Completed,
}

/// A review begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnteredReviewModeEvent {
    /// What it looks at.
    pub target: ReviewTarget,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_facing_hint: Option<String>,
}

/// What a review found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewOutputEvent {
    /// One by one.
    pub findings: Vec<ReviewFinding>,
    /// In a word.
    pub overall_correctness: String,
    /// In a few sentences.
    pub overall_explanation: String,
    /// How sure the reviewer is, 0 to 1.
    pub overall_confidence_score: f32,
}

/// Something that a review found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewFinding {
    /// In short.
    pub title: String,
    /// In full.
    pub body: String,
    /// How sure the reviewer is, 0 to 1.
    pub confidence_score: f32,
    /// How much it matters; 0 most.
    pub priority: i32,
    /// Where.
    pub code_location: ReviewCodeLocation,
}

/// A place in the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewCodeLocation {
    /// The file.
    pub absolute_file_path: String,
    /// The lines.
    pub line_range: ReviewLineRange,
}

/// Lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewLineRange {
    /// The first, from 1.
    pub start: u32,
    /// The last.
    pub end: u32,
}

/// How another agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Not begun.
    PendingInit,
    /// At work.
    Running,
    /// Done, with its last words.
    Completed(Option<String>),
    /// Ended by an error.
    Errored(String),
    /// Closed.
    Shutdown,
    /// There is none.
    NotFound,
}
