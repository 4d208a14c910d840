//! Turns: started, interrupted, completed, and what they did as a whole (protocol.md §4).

use serde::{Deserialize, Serialize};

use super::common::{
    AskForApproval, CollaborationMode, Empty, Json, Personality, ReasoningEffort, ReasoningSummary,
    SandboxPolicy,
};
use super::item::{ThreadItem, UserInput};
use super::turn_error::TurnError;

/// One piece of work of the agent, begun by input or a review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Its id, unique over all threads (clients.md §6).
    pub id: String,
    /// What it consists of, where the message says so; otherwise empty.
    pub items: Vec<ThreadItem>,
    /// How it stands.
    pub status: TurnStatus,
    /// Why it failed; only with [`TurnStatus::Failed`].
    pub error: Option<TurnError>,
}

/// How a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum TurnStatus {
    /// Done.
    Completed,
    /// Stopped by somebody.
    Interrupted,
    /// Ended by an error.
    Failed,
    /// Still running.
    InProgress,
}

/// Params of `turn/start`. Settings stay in force for later turns, but for the output schema.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnStartParams {
    /// Thread.
    pub thread_id: String,
    /// What the user says.
    pub input: Vec<UserInput>,
    /// New working directory.
    pub cwd: Option<String>,
    /// New approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// New sandbox policy.
    pub sandbox_policy: Option<SandboxPolicy>,
    /// New model.
    pub model: Option<String>,
    /// New reasoning effort.
    pub effort: Option<ReasoningEffort>,
    /// New amount of reasoning summaries.
    pub summary: Option<ReasoningSummary>,
    /// New tone.
    pub personality: Option<Personality>,
    /// JSON schema of this turn's answer.
    pub output_schema: Option<Json>,
    /// New mode; outranks `model` and `effort`.
    pub collaboration_mode: Option<CollaborationMode>,
}

/// Result of `turn/start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnStartResponse {
    /// The turn, in progress and without items.
    pub turn: Turn,
}

/// Params of `turn/interrupt`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnInterruptParams {
    /// Thread.
    pub thread_id: String,
    /// Turn.
    pub turn_id: String,
}

/// Result of `turn/interrupt`.
pub type TurnInterruptResponse = Empty;

/// Params of `turn/started`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnStartedNotification<'a> {
    /// Thread, spelled as the client spelled it.
    pub thread_id: &'a str,
    /// The turn.
    pub turn: &'a Turn,
}

/// Params of `turn/completed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnCompletedNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// The turn with its items.
    pub turn: &'a Turn,
}

/// Params of `turn/diff/updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnDiffUpdatedNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Everything that the turn changed so far, as one unified diff.
    pub diff: &'a str,
}

/// Params of `turn/plan/updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnPlanUpdatedNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// Why the plan is as it is.
    pub explanation: Option<&'a str>,
    /// The plan.
    pub plan: Vec<TurnPlanStep<'a>>,
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnPlanStep<'a> {
    /// What is to be done.
    pub step: &'a str,
    /// How far it is.
    pub status: TurnPlanStepStatus,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum TurnPlanStepStatus {
    /// Not begun.
    Pending,
    /// Being done.
    InProgress,
    /// Done.
    Completed,
}

/// Params of `thread/tokenUsage/updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadTokenUsageUpdatedNotification<'a> {
    /// Thread.
    pub thread_id: &'a str,
    /// Turn.
    pub turn_id: &'a str,
    /// What is used.
    pub token_usage: ThreadTokenUsage,
}

/// Tokens that a thread has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThreadTokenUsage {
    /// Of all requests together.
    pub total: TokenUsageBreakdown,
    /// Of the last request.
    pub last: TokenUsageBreakdown,
    /// The model's window in tokens, if it is known.
    pub model_context_window: Option<i64>,
}

/// Tokens by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenUsageBreakdown {
    /// All.
    pub total_tokens: i64,
    /// Sent.
    pub input_tokens: i64,
    /// Of those sent, answered from the backend's cache.
    pub cached_input_tokens: i64,
    /// Received.
    pub output_tokens: i64,
    /// Of those received, spent on reasoning.
    pub reasoning_output_tokens: i64,
}
