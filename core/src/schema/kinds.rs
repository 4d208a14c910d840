//! Which types the wire has, in which folder each is described, and which method carries which.

use schemars::{Schema, SchemaGenerator};

use crate::wire::legacy::{approval as old_approval, auth, config as old_config};
use crate::wire::legacy::{conversation as conv, event};
use crate::wire::v2::{
    account, approval, apps, command, config, delta, feedback, initialize, item, mcp, model,
    notice, review, skills, thread, turn, turn_error,
};

/// Where a type's description lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// Beside the unions: questions to the host, and what both dialects share.
    Root,
    V1,
    V2,
}

/// A type of the wire.
pub(super) struct Kind {
    pub(super) folder: Folder,
    pub(super) name: &'static str,
    /// Describes it by itself.
    pub(super) whole: fn(SchemaGenerator) -> Schema,
    /// Describes it among others.
    pub(super) part: fn(&mut SchemaGenerator) -> Schema,
}

macro_rules! kinds {
    ($($folder:ident $room:ident: $($name:ident $(<$l:lifetime>)?),+;)+) => {
        /// Every type that is the whole of params, a result, or an event.
        pub(super) const KINDS: &[Kind] = &[$($(Kind {
            folder: Folder::$folder,
            name: stringify!($name),
            whole: |generator| generator.into_root_schema_for::<$room::$name$(<$l>)?>(),
            part: |generator| generator.subschema_for::<$room::$name$(<$l>)?>(),
        },)+)+];
    };
}

kinds! {
    V2 account: AccountLoginCompletedNotification, AccountRateLimitsUpdatedNotification<'static>,
        AccountUpdatedNotification, CancelLoginAccountParams, CancelLoginAccountResponse,
        GetAccountParams, GetAccountRateLimitsResponse, GetAccountResponse, LoginAccountParams,
        LoginAccountResponse, LogoutAccountResponse;
    Root account: ChatgptAuthTokensRefreshParams, ChatgptAuthTokensRefreshResponse;
    Root approval: CommandExecutionRequestApprovalParams, CommandExecutionRequestApprovalResponse,
        DynamicToolCallParams, DynamicToolCallResponse, FileChangeRequestApprovalParams,
        FileChangeRequestApprovalResponse, ToolRequestUserInputParams,
        ToolRequestUserInputResponse;
    V2 apps: AppsListParams, AppsListResponse;
    V2 command: CommandExecParams, CommandExecResponse;
    Root command: FuzzyFileSearchParams, FuzzyFileSearchResponse;
    V2 config: ConfigBatchWriteParams, ConfigReadParams, ConfigReadResponse,
        ConfigRequirementsReadResponse, ConfigValueWriteParams, ConfigWriteResponse;
    V2 delta: AgentMessageDeltaNotification<'static>, PlanDeltaNotification<'static>,
        CommandExecutionOutputDeltaNotification<'static>,
        FileChangeOutputDeltaNotification<'static>, McpToolCallProgressNotification<'static>,
        ReasoningSummaryPartAddedNotification<'static>,
        ReasoningSummaryTextDeltaNotification<'static>, ReasoningTextDeltaNotification<'static>,
        TerminalInteractionNotification<'static>;
    V2 feedback: FeedbackUploadParams, FeedbackUploadResponse;
    V1 initialize: InitializeParams, InitializeResponse;
    V2 item: ItemCompletedNotification<'static>, ItemStartedNotification<'static>,
        RawResponseItemCompletedNotification<'static>;
    V2 mcp: ListMcpServerStatusParams, ListMcpServerStatusResponse,
        McpServerOauthLoginCompletedNotification, McpServerOauthLoginParams,
        McpServerOauthLoginResponse, McpServerRefreshResponse;
    V2 model: CollaborationModeListParams, CollaborationModeListResponse, ModelListParams,
        ModelListResponse;
    V2 notice: ConfigWarningNotification, DeprecationNoticeNotification,
        WindowsWorldWritableWarningNotification;
    V2 review: ReviewStartParams, ReviewStartResponse;
    V2 skills: SkillsConfigWriteParams, SkillsConfigWriteResponse, SkillsListParams,
        SkillsListResponse;
    V2 thread: ContextCompactedNotification<'static>, ThreadArchiveParams, ThreadArchiveResponse,
        ThreadForkParams, ThreadForkResponse, ThreadListParams, ThreadListResponse,
        ThreadLoadedListParams, ThreadLoadedListResponse, ThreadNameUpdatedNotification<'static>,
        ThreadReadParams, ThreadReadResponse, ThreadResumeParams, ThreadResumeResponse,
        ThreadRollbackParams, ThreadRollbackResponse, ThreadSetNameParams, ThreadSetNameResponse,
        ThreadStartParams, ThreadStartResponse, ThreadStartedNotification<'static>,
        ThreadUnarchiveParams, ThreadUnarchiveResponse;
    V2 turn: ThreadTokenUsageUpdatedNotification<'static>, TurnCompletedNotification<'static>,
        TurnDiffUpdatedNotification<'static>, TurnInterruptParams, TurnInterruptResponse,
        TurnPlanUpdatedNotification<'static>, TurnStartParams, TurnStartResponse,
        TurnStartedNotification<'static>;
    V2 turn_error: ErrorNotification<'static>;
    Root old_approval: ApplyPatchApprovalParams, ApplyPatchApprovalResponse,
        ExecCommandApprovalParams, ExecCommandApprovalResponse;
    V1 auth: AuthStatusChangeNotification, CancelLoginChatGptParams, CancelLoginChatGptResponse,
        GetAuthStatusParams, GetAuthStatusResponse, LoginApiKeyParams, LoginApiKeyResponse,
        LoginChatGptCompleteNotification, LoginChatGptResponse, LogoutChatGptResponse,
        UserInfoResponse;
    V1 old_config: GetUserSavedConfigResponse;
    V1 conv: AddConversationListenerParams, AddConversationSubscriptionResponse,
        ArchiveConversationParams, ArchiveConversationResponse, ExecOneOffCommandParams,
        ExecOneOffCommandResponse, ForkConversationParams, ForkConversationResponse,
        GetConversationSummaryParams, GetConversationSummaryResponse, GetUserAgentResponse,
        GitDiffToRemoteParams, GitDiffToRemoteResponse, InterruptConversationParams,
        InterruptConversationResponse, ListConversationsParams, ListConversationsResponse,
        NewConversationParams, NewConversationResponse, RemoveConversationListenerParams,
        RemoveConversationSubscriptionResponse, ResumeConversationParams,
        ResumeConversationResponse, SendUserMessageParams, SendUserMessageResponse,
        SendUserTurnParams, SendUserTurnResponse, SessionConfiguredNotification,
        SetDefaultModelParams, SetDefaultModelResponse;
    Root event: EventMsg<'static>;
}

/// The type of a method's params by the method's name; a method that is missing has none.
pub(super) const REQUESTS: &[(&str, &str)] = &[
    ("initialize", "InitializeParams"),
    ("thread/start", "ThreadStartParams"),
    ("thread/resume", "ThreadResumeParams"),
    ("thread/fork", "ThreadForkParams"),
    ("thread/archive", "ThreadArchiveParams"),
    ("thread/name/set", "ThreadSetNameParams"),
    ("thread/unarchive", "ThreadUnarchiveParams"),
    ("thread/rollback", "ThreadRollbackParams"),
    ("thread/list", "ThreadListParams"),
    ("thread/loaded/list", "ThreadLoadedListParams"),
    ("thread/read", "ThreadReadParams"),
    ("skills/list", "SkillsListParams"),
    ("app/list", "AppsListParams"),
    ("skills/config/write", "SkillsConfigWriteParams"),
    ("turn/start", "TurnStartParams"),
    ("turn/interrupt", "TurnInterruptParams"),
    ("review/start", "ReviewStartParams"),
    ("model/list", "ModelListParams"),
    ("collaborationMode/list", "CollaborationModeListParams"),
    ("mcpServer/oauth/login", "McpServerOauthLoginParams"),
    ("mcpServerStatus/list", "ListMcpServerStatusParams"),
    ("account/login/start", "LoginAccountParams"),
    ("account/login/cancel", "CancelLoginAccountParams"),
    ("feedback/upload", "FeedbackUploadParams"),
    ("command/exec", "CommandExecParams"),
    ("config/read", "ConfigReadParams"),
    ("config/value/write", "ConfigValueWriteParams"),
    ("config/batchWrite", "ConfigBatchWriteParams"),
    ("account/read", "GetAccountParams"),
    ("newConversation", "NewConversationParams"),
    ("getConversationSummary", "GetConversationSummaryParams"),
    ("listConversations", "ListConversationsParams"),
    ("resumeConversation", "ResumeConversationParams"),
    ("forkConversation", "ForkConversationParams"),
    ("archiveConversation", "ArchiveConversationParams"),
    ("sendUserMessage", "SendUserMessageParams"),
    ("sendUserTurn", "SendUserTurnParams"),
    ("interruptConversation", "InterruptConversationParams"),
    ("addConversationListener", "AddConversationListenerParams"),
    ("removeConversationListener", "RemoveConversationListenerParams"),
    ("gitDiffToRemote", "GitDiffToRemoteParams"),
    ("loginApiKey", "LoginApiKeyParams"),
    ("cancelLoginChatGpt", "CancelLoginChatGptParams"),
    ("getAuthStatus", "GetAuthStatusParams"),
    ("setDefaultModel", "SetDefaultModelParams"),
    ("fuzzyFileSearch", "FuzzyFileSearchParams"),
    ("execOneOffCommand", "ExecOneOffCommandParams"),
];

/// Questions of the server to the host, with the type of their params.
pub(super) const QUESTIONS: &[(&str, &str)] = &[
    ("item/commandExecution/requestApproval", "CommandExecutionRequestApprovalParams"),
    ("item/fileChange/requestApproval", "FileChangeRequestApprovalParams"),
    ("item/tool/requestUserInput", "ToolRequestUserInputParams"),
    ("item/tool/call", "DynamicToolCallParams"),
    ("account/chatgptAuthTokens/refresh", "ChatgptAuthTokensRefreshParams"),
    ("applyPatchApproval", "ApplyPatchApprovalParams"),
    ("execCommandApproval", "ExecCommandApprovalParams"),
];

/// What the server tells the host, with the type of its params.
pub(super) const NOTICES: &[(&str, &str)] = &[
    ("error", "ErrorNotification"),
    ("thread/started", "ThreadStartedNotification"),
    ("thread/name/updated", "ThreadNameUpdatedNotification"),
    ("thread/tokenUsage/updated", "ThreadTokenUsageUpdatedNotification"),
    ("turn/started", "TurnStartedNotification"),
    ("turn/completed", "TurnCompletedNotification"),
    ("turn/diff/updated", "TurnDiffUpdatedNotification"),
    ("turn/plan/updated", "TurnPlanUpdatedNotification"),
    ("item/started", "ItemStartedNotification"),
    ("item/completed", "ItemCompletedNotification"),
    ("rawResponseItem/completed", "RawResponseItemCompletedNotification"),
    ("item/agentMessage/delta", "AgentMessageDeltaNotification"),
    ("item/plan/delta", "PlanDeltaNotification"),
    ("item/commandExecution/outputDelta", "CommandExecutionOutputDeltaNotification"),
    ("item/commandExecution/terminalInteraction", "TerminalInteractionNotification"),
    ("item/fileChange/outputDelta", "FileChangeOutputDeltaNotification"),
    ("item/mcpToolCall/progress", "McpToolCallProgressNotification"),
    ("mcpServer/oauthLogin/completed", "McpServerOauthLoginCompletedNotification"),
    ("account/updated", "AccountUpdatedNotification"),
    ("account/rateLimits/updated", "AccountRateLimitsUpdatedNotification"),
    ("item/reasoning/summaryTextDelta", "ReasoningSummaryTextDeltaNotification"),
    ("item/reasoning/summaryPartAdded", "ReasoningSummaryPartAddedNotification"),
    ("item/reasoning/textDelta", "ReasoningTextDeltaNotification"),
    ("thread/compacted", "ContextCompactedNotification"),
    ("deprecationNotice", "DeprecationNoticeNotification"),
    ("configWarning", "ConfigWarningNotification"),
    ("windows/worldWritableWarning", "WindowsWorldWritableWarningNotification"),
    ("account/login/completed", "AccountLoginCompletedNotification"),
    ("authStatusChange", "AuthStatusChangeNotification"),
    ("loginChatGptComplete", "LoginChatGptCompleteNotification"),
    ("sessionConfigured", "SessionConfiguredNotification"),
];

/// What the host may tell the server; none of it has params.
pub(super) const HOST_NOTICES: &[&str] = &["initialized"];

/// The type of this name.
pub(super) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
