//! Questions to the user: approvals, input, and tools that the client runs (protocol.md §6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::common::{Json, null_is_default};
use super::item::CommandAction;

/// Params of the request `item/commandExecution/requestApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommandExecutionRequestApprovalParams {
    /// Thread.
    pub thread_id: String,
    /// Turn.
    pub turn_id: String,
    /// The command's item.
    pub item_id: String,
    /// When the question was put, in milliseconds of Unix time.
    pub started_at_ms: i64,
    /// Why it is asked.
    pub reason: Option<String>,
    /// The command as one line of shell.
    pub command: Option<String>,
    /// Where it would run.
    pub cwd: Option<String>,
    /// What it would do, as far as can be told.
    pub command_actions: Option<Vec<CommandAction>>,
    /// Prefix of the command that a new rule could allow.
    pub proposed_execpolicy_amendment: Option<Vec<String>>,
}

/// The client's answer to `item/commandExecution/requestApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandExecutionRequestApprovalResponse {
    /// The decision.
    pub decision: CommandExecutionApprovalDecision,
}

/// What the user decides about a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CommandExecutionApprovalDecision {
    /// Run it.
    Accept,
    /// Run it, and do not ask again for the same.
    AcceptForSession,
    /// Run it, and allow what begins like it from now on.
    AcceptWithExecpolicyAmendment {
        /// The beginning. Snake case on the wire.
        execpolicy_amendment: Vec<String>,
    },
    /// Do not run it; the turn goes on.
    Decline,
    /// Do not run it, and interrupt the turn.
    Cancel,
}

/// Params of the request `item/fileChange/requestApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileChangeRequestApprovalParams {
    /// Thread.
    pub thread_id: String,
    /// Turn.
    pub turn_id: String,
    /// The item of the change.
    pub item_id: String,
    /// When the question was put, in milliseconds of Unix time.
    pub started_at_ms: i64,
    /// Why it is asked.
    pub reason: Option<String>,
    /// A directory that could be opened for writing.
    pub grant_root: Option<String>,
}

/// The client's answer to `item/fileChange/requestApproval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileChangeRequestApprovalResponse {
    /// The decision.
    pub decision: FileChangeApprovalDecision,
}

/// What the user decides about a change of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum FileChangeApprovalDecision {
    /// Make it.
    Accept,
    /// Make it, and do not ask again for the same files.
    AcceptForSession,
    /// Do not make it; the turn goes on.
    Decline,
    /// Do not make it, and interrupt the turn.
    Cancel,
}

/// Params of the request `item/tool/requestUserInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ToolRequestUserInputParams {
    /// Thread.
    pub thread_id: String,
    /// Turn.
    pub turn_id: String,
    /// The call of the tool.
    pub item_id: String,
    /// The questions.
    pub questions: Vec<ToolRequestUserInputQuestion>,
}

/// A question to the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ToolRequestUserInputQuestion {
    /// Names the answer.
    pub id: String,
    /// In a word or two.
    pub header: String,
    /// In full.
    pub question: String,
    /// Whether an answer of the user's own is welcome.
    #[serde(default, deserialize_with = "null_is_default")]
    pub is_other: bool,
    /// Whether the answer should not be shown.
    #[serde(default, deserialize_with = "null_is_default")]
    pub is_secret: bool,
    /// Answers to choose from.
    pub options: Option<Vec<ToolRequestUserInputOption>>,
}

/// An answer to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolRequestUserInputOption {
    /// The answer.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// The client's answer to `item/tool/requestUserInput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolRequestUserInputResponse {
    /// Answers by the question's id.
    pub answers: BTreeMap<String, ToolRequestUserInputAnswer>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolRequestUserInputAnswer {
    /// What was chosen or written.
    pub answers: Vec<String>,
}

/// Params of the request `item/tool/call`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DynamicToolCallParams {
    /// Thread.
    pub thread_id: String,
    /// Turn.
    pub turn_id: String,
    /// The call.
    pub call_id: String,
    /// The tool.
    pub tool: String,
    /// What the model gives it.
    pub arguments: Json,
}

/// The client's answer to `item/tool/call`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DynamicToolCallResponse {
    /// What the model gets.
    pub output: String,
    /// Whether it worked.
    pub success: bool,
}
