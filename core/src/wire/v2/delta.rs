//! Notifications of growth: the hot path. All borrow what they write.

use serde::Serialize;

/// Params of `item/agentMessage/delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentMessageDeltaNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// Text to append.
    pub delta: &'a str,
}

/// Params of `item/plan/delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanDeltaNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// Text to append.
    pub delta: &'a str,
}

/// Params of `item/reasoning/summaryTextDelta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReasoningSummaryTextDeltaNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// Text to append.
    pub delta: &'a str,
    /// Section that it belongs to.
    pub summary_index: i64,
}

/// Params of `item/reasoning/summaryPartAdded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReasoningSummaryPartAddedNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// Section that begins.
    pub summary_index: i64,
}

/// Params of `item/reasoning/textDelta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReasoningTextDeltaNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// Text to append.
    pub delta: &'a str,
    /// Part that it belongs to.
    pub content_index: i64,
}

/// Params of `item/commandExecution/outputDelta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommandExecutionOutputDeltaNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// What the command wrote.
    pub delta: &'a str,
}

/// Params of `item/commandExecution/terminalInteraction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TerminalInteractionNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// Process.
    pub process_id: &'a str,
    /// What was typed.
    pub stdin: &'a str,
}

/// Params of `item/fileChange/outputDelta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileChangeOutputDeltaNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// What applying the change reported.
    pub delta: &'a str,
}

/// Params of `item/mcpToolCall/progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct McpToolCallProgressNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Item.
    pub item_id: &'a str,
    /// What the tool reports.
    pub message: &'a str,
}
