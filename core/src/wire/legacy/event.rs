//! Events: params of `codex/event/*`, and lines of stored threads (protocol.md §5).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::collab_event::{
    CollabAgentInteractionBeginEvent, CollabAgentInteractionEndEvent, CollabAgentSpawnBeginEvent,
    CollabAgentSpawnEndEvent, CollabCloseBeginEvent, CollabCloseEndEvent, CollabWaitingBeginEvent,
    CollabWaitingEndEvent,
};
use super::event_part::{
    ApplyPatchApprovalRequestEvent, CallToolResult, CustomPrompt, Duration, DynamicToolCallRequest,
    EnteredReviewModeEvent, ExecApprovalRequestEvent, ExecCommandBeginEvent, ExecCommandEndEvent,
    ExecOutputStream, HistoryEntry, McpInvocation, McpStartupFailure, McpStartupStatus,
    PatchApplyBeginEvent, PatchApplyEndEvent, PlanItemArg, RequestUserInputQuestion,
    ReviewOutputEvent, SessionConfiguredEvent,
};
use super::id::RequestId;
use super::policy::CodexErrorInfo;
use super::rate_limit::{RateLimitSnapshot, TokenUsageInfo};
use super::skills::SkillsListEntry;
use super::turn_item::{TextElement, TurnItem};
use crate::wire::response_item::{ResponseItem, WebSearchAction};
use crate::wire::v2::common::ModeKind;

/// An event. What comes in floods borrows its texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventMsg<'a> {
    /// A turn failed.
    Error {
        /// Text for people.
        message: String,
        /// Kind of the error.
        #[serde(default)]
        codex_error_info: Option<CodexErrorInfo>,
    },
    /// Something is worth knowing.
    Warning {
        /// Text for people.
        message: String,
    },
    /// The history was made shorter.
    ContextCompacted,
    /// Turns were taken back.
    ThreadRolledBack {
        /// How many.
        num_turns: u32,
    },
    /// A turn begins.
    #[serde(alias = "turn_started")]
    TaskStarted {
        /// The model's window in tokens.
        model_context_window: Option<i64>,
        /// Mode.
        #[serde(default)]
        collaboration_mode_kind: ModeKind,
    },
    /// A turn is done.
    #[serde(alias = "turn_complete")]
    TaskComplete {
        /// What the agent said last.
        last_agent_message: Option<String>,
    },
    /// Tokens were used.
    TokenCount {
        /// How many.
        info: Option<TokenUsageInfo>,
        /// How much of the limits that is.
        rate_limits: Option<RateLimitSnapshot>,
    },
    /// The agent said something.
    AgentMessage {
        /// The text.
        message: Cow<'a, str>,
    },
    /// The user said something.
    UserMessage(UserMessageEvent),
    /// The agent says more.
    AgentMessageDelta {
        /// Text to append.
        delta: Cow<'a, str>,
    },
    /// The agent thought something, in short.
    AgentReasoning {
        /// The text.
        text: Cow<'a, str>,
    },
    /// The agent thinks more, in short.
    AgentReasoningDelta {
        /// Text to append.
        delta: Cow<'a, str>,
    },
    /// The agent thought something, as the model wrote it.
    AgentReasoningRawContent {
        /// The text.
        text: Cow<'a, str>,
    },
    /// The agent thinks more, as the model writes it.
    AgentReasoningRawContentDelta {
        /// Text to append.
        delta: Cow<'a, str>,
    },
    /// A section of reasoning begins.
    AgentReasoningSectionBreak {
        /// Item.
        #[serde(default)]
        item_id: Cow<'a, str>,
        /// Section.
        #[serde(default)]
        summary_index: i64,
    },
    /// A thread was loaded.
    SessionConfigured(Box<SessionConfiguredEvent>),
    /// A thread has a new name.
    ThreadNameUpdated {
        /// Thread.
        thread_id: String,
        /// Its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread_name: Option<String>,
    },
    /// The start of an MCP server goes on.
    McpStartupUpdate {
        /// The server.
        server: String,
        /// How it stands.
        status: McpStartupStatus,
    },
    /// The start of all MCP servers is over.
    McpStartupComplete {
        /// Those that started.
        ready: Vec<String>,
        /// Those that did not.
        failed: Vec<McpStartupFailure>,
        /// Those that were given up.
        cancelled: Vec<String>,
    },
    /// A call of a tool of an MCP server begins.
    McpToolCallBegin {
        /// The call.
        call_id: String,
        /// What is called.
        invocation: McpInvocation,
    },
    /// A call of a tool of an MCP server ended.
    McpToolCallEnd {
        /// The call.
        call_id: String,
        /// What was called.
        invocation: McpInvocation,
        /// How long it took.
        duration: Duration,
        /// The answer, or why there is none.
        result: Result<CallToolResult, String>,
    },
    /// A search in the web begins.
    WebSearchBegin {
        /// Item.
        call_id: String,
    },
    /// A search in the web ended.
    WebSearchEnd {
        /// Item.
        call_id: String,
        /// What was looked for.
        query: String,
        /// What was done.
        action: WebSearchAction,
    },
    /// A command begins.
    ExecCommandBegin(Box<ExecCommandBeginEvent>),
    /// A command writes something.
    ExecCommandOutputDelta {
        /// The call of the tool.
        call_id: Cow<'a, str>,
        /// Where.
        stream: ExecOutputStream,
        /// What, in Base64.
        chunk: Cow<'a, str>,
    },
    /// Something is typed into a command.
    TerminalInteraction {
        /// The call of the tool.
        call_id: String,
        /// Process.
        process_id: String,
        /// What.
        stdin: String,
    },
    /// A command ended.
    ExecCommandEnd(Box<ExecCommandEndEvent>),
    /// The agent looks at a picture.
    ViewImageToolCall {
        /// The call of the tool.
        call_id: String,
        /// Its path.
        path: String,
    },
    /// The user is asked about a command.
    ExecApprovalRequest(Box<ExecApprovalRequestEvent>),
    /// The user is asked something.
    RequestUserInput {
        /// The call of the tool.
        call_id: String,
        /// Turn.
        #[serde(default)]
        turn_id: String,
        /// What.
        questions: Vec<RequestUserInputQuestion>,
    },
    /// A tool that the client runs is called.
    DynamicToolCallRequest(DynamicToolCallRequest),
    /// An MCP server asks the user something.
    ElicitationRequest {
        /// The server.
        server_name: String,
        /// Its question.
        id: RequestId,
        /// What it asks.
        message: String,
    },
    /// The user is asked about a change of files.
    ApplyPatchApprovalRequest(Box<ApplyPatchApprovalRequestEvent>),
    /// Something goes away.
    DeprecationNotice {
        /// What.
        summary: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<String>,
    },
    /// Something happens beside the turn.
    BackgroundEvent {
        /// What.
        message: String,
    },
    /// A turn's changes are being taken back.
    UndoStarted {
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A turn's changes were taken back.
    UndoCompleted {
        /// Whether it worked.
        success: bool,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A request failed and is repeated.
    StreamError {
        /// Text for people.
        message: String,
        /// Kind of the error.
        #[serde(default)]
        codex_error_info: Option<CodexErrorInfo>,
        /// The cause.
        #[serde(default)]
        additional_details: Option<String>,
    },
    /// A change of files begins.
    PatchApplyBegin(PatchApplyBeginEvent),
    /// A change of files ended.
    PatchApplyEnd(PatchApplyEndEvent),
    /// What the turn changed so far.
    TurnDiff {
        /// As one diff.
        unified_diff: Cow<'a, str>,
    },
    /// A message of the log.
    GetHistoryEntryResponse {
        /// Which.
        offset: usize,
        /// Of which log.
        log_id: u64,
        /// The message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<HistoryEntry>,
    },
    /// What the MCP servers offer.
    McpListToolsResponse {
        /// Tools.
        tools: BTreeMap<String, Value>,
        /// Resources by server.
        resources: BTreeMap<String, Vec<Value>>,
        /// Resource templates by server.
        resource_templates: BTreeMap<String, Vec<Value>>,
        /// Whether somebody is logged in, by server.
        auth_statuses: BTreeMap<String, McpAuthStatus>,
    },
    /// The user's prompts.
    ListCustomPromptsResponse {
        /// All of them.
        custom_prompts: Vec<CustomPrompt>,
    },
    /// Skills.
    ListSkillsResponse {
        /// By working directory.
        skills: Vec<SkillsListEntry>,
    },
    /// Files of skills changed.
    SkillsUpdateAvailable,
    /// The agent changed its plan.
    PlanUpdate {
        /// Why.
        #[serde(default)]
        explanation: Option<String>,
        /// The plan.
        plan: Vec<PlanItemArg>,
    },
    /// A turn was stopped.
    TurnAborted {
        /// Why.
        reason: TurnAbortReason,
    },
    /// A thread was closed.
    ShutdownComplete,
    /// A review begins.
    EnteredReviewMode(EnteredReviewModeEvent),
    /// A review ended.
    ExitedReviewMode {
        /// What it found.
        review_output: Option<ReviewOutputEvent>,
    },
    /// What the model said, as it said it.
    RawResponseItem {
        /// The item.
        item: Cow<'a, ResponseItem>,
    },
    /// An item begins.
    ItemStarted {
        /// Thread.
        thread_id: Cow<'a, str>,
        /// Turn.
        turn_id: Cow<'a, str>,
        /// The item as it stands now.
        item: Cow<'a, TurnItem>,
    },
    /// An item is done.
    ItemCompleted {
        /// Thread.
        thread_id: Cow<'a, str>,
        /// Turn.
        turn_id: Cow<'a, str>,
        /// The item as it stays.
        item: Cow<'a, TurnItem>,
    },
    /// A message grows.
    AgentMessageContentDelta {
        /// Thread.
        thread_id: Cow<'a, str>,
        /// Turn.
        turn_id: Cow<'a, str>,
        /// Item.
        item_id: Cow<'a, str>,
        /// Text to append.
        delta: Cow<'a, str>,
    },
    /// A plan grows.
    PlanDelta {
        /// Thread.
        thread_id: Cow<'a, str>,
        /// Turn.
        turn_id: Cow<'a, str>,
        /// Item.
        item_id: Cow<'a, str>,
        /// Text to append.
        delta: Cow<'a, str>,
    },
    /// Reasoning in short grows.
    ReasoningContentDelta {
        /// Thread.
        thread_id: Cow<'a, str>,
        /// Turn.
        turn_id: Cow<'a, str>,
        /// Item.
        item_id: Cow<'a, str>,
        /// Text to append.
        delta: Cow<'a, str>,
        /// Section.
        #[serde(default)]
        summary_index: i64,
    },
    /// Reasoning in full grows.
    ReasoningRawContentDelta {
        /// Thread.
        thread_id: Cow<'a, str>,
        /// Turn.
        turn_id: Cow<'a, str>,
        /// Item.
        item_id: Cow<'a, str>,
        /// Text to append.
        delta: Cow<'a, str>,
        /// Part.
        #[serde(default)]
        content_index: i64,
    },
    /// An agent is being started.
    CollabAgentSpawnBegin(CollabAgentSpawnBeginEvent),
    /// An agent was started.
    CollabAgentSpawnEnd(CollabAgentSpawnEndEvent),
    /// An agent is being told something.
    CollabAgentInteractionBegin(CollabAgentInteractionBeginEvent),
    /// An agent was told something.
    CollabAgentInteractionEnd(CollabAgentInteractionEndEvent),
    /// The end of agents is waited for.
    CollabWaitingBegin(CollabWaitingBeginEvent),
    /// The end of agents was waited for.
    CollabWaitingEnd(CollabWaitingEndEvent),
    /// An agent is being closed.
    CollabCloseBegin(CollabCloseBeginEvent),
    /// An agent was closed.
    CollabCloseEnd(CollabCloseEndEvent),
}

/// Params of `codex/event/<type>`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventNotification<'a> {
    /// The turn, or the operation that the event belongs to; may be empty.
    pub id: &'a str,
    /// The event.
    pub msg: &'a EventMsg<'a>,
    /// Thread.
    pub conversation_id: &'a str,
}

/// The user said something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserMessageEvent {
    /// All texts as one.
    pub message: String,
    /// Pictures by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// Pictures by path.
    #[serde(default)]
    pub local_images: Vec<String>,
    /// Pieces of the message that a client draws in its own way.
    #[serde(default)]
    pub text_elements: Vec<TextElement>,
}

/// Why a turn was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TurnAbortReason {
    /// Somebody stopped it.
    Interrupted,
    /// Another took its place.
    Replaced,
    /// Its review ended.
    ReviewEnded,
}

/// Whether somebody is logged in at an MCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum McpAuthStatus {
    /// It has no login.
    Unsupported,
    /// Nobody is.
    NotLoggedIn,
    /// A token is configured.
    BearerToken,
    /// Somebody is.
    OAuth,
}
