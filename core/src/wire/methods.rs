//! The one table of methods: every name of the reference's `ClientRequest`, in its order, and those
//! that it does not have.
//!
//! Nothing else in the crate spells a client method's name. The order matters: an unknown method's
//! error lists those of the reference (protocol.md §1.3).

/// A method that a host may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant is its row's name; the table below says what it is.
pub enum Method {
    Initialize,
    ThreadStart,
    ThreadResume,
    ThreadFork,
    ThreadArchive,
    ThreadNameSet,
    ThreadUnarchive,
    ThreadRollback,
    ThreadList,
    ThreadLoadedList,
    ThreadRead,
    SkillsList,
    AppList,
    SkillsConfigWrite,
    TurnStart,
    TurnInterrupt,
    ReviewStart,
    ModelList,
    CollaborationModeList,
    McpServerOauthLogin,
    ConfigMcpServerReload,
    McpServerStatusList,
    AccountLoginStart,
    AccountLoginCancel,
    AccountLogout,
    AccountRateLimitsRead,
    FeedbackUpload,
    CommandExec,
    ConfigRead,
    ConfigValueWrite,
    ConfigBatchWrite,
    ConfigRequirementsRead,
    AccountRead,
    NewConversation,
    GetConversationSummary,
    ListConversations,
    ResumeConversation,
    ForkConversation,
    ArchiveConversation,
    SendUserMessage,
    SendUserTurn,
    InterruptConversation,
    AddConversationListener,
    RemoveConversationListener,
    GitDiffToRemote,
    LoginApiKey,
    LoginChatGpt,
    CancelLoginChatGpt,
    LogoutChatGpt,
    GetAuthStatus,
    GetUserSavedConfig,
    SetDefaultModel,
    GetUserAgent,
    UserInfo,
    FuzzyFileSearch,
    ExecOneOffCommand,
    CustomPromptsList,
}

/// What a method's `params` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Params {
    /// An object, also an empty one.
    Object,
    /// Absent, `null` or `{}`.
    None,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name on the wire.
    pub name: &'static str,
    /// What it stands for.
    pub method: Method,
    /// What params it takes.
    pub params: Params,
}

const fn row(name: &'static str, method: Method) -> Row {
    Row { name, method, params: Params::Object }
}

const fn bare(name: &'static str, method: Method) -> Row {
    Row { name, method, params: Params::None }
}

/// Every method of the reference.
pub const METHODS: &[Row] = &[
    row("initialize", Method::Initialize),
    row("thread/start", Method::ThreadStart),
    row("thread/resume", Method::ThreadResume),
    row("thread/fork", Method::ThreadFork),
    row("thread/archive", Method::ThreadArchive),
    row("thread/name/set", Method::ThreadNameSet),
    row("thread/unarchive", Method::ThreadUnarchive),
    row("thread/rollback", Method::ThreadRollback),
    row("thread/list", Method::ThreadList),
    row("thread/loaded/list", Method::ThreadLoadedList),
    row("thread/read", Method::ThreadRead),
    row("skills/list", Method::SkillsList),
    row("app/list", Method::AppList),
    row("skills/config/write", Method::SkillsConfigWrite),
    row("turn/start", Method::TurnStart),
    row("turn/interrupt", Method::TurnInterrupt),
    row("review/start", Method::ReviewStart),
    row("model/list", Method::ModelList),
    row("collaborationMode/list", Method::CollaborationModeList),
    row("mcpServer/oauth/login", Method::McpServerOauthLogin),
    bare("config/mcpServer/reload", Method::ConfigMcpServerReload),
    row("mcpServerStatus/list", Method::McpServerStatusList),
    row("account/login/start", Method::AccountLoginStart),
    row("account/login/cancel", Method::AccountLoginCancel),
    bare("account/logout", Method::AccountLogout),
    bare("account/rateLimits/read", Method::AccountRateLimitsRead),
    row("feedback/upload", Method::FeedbackUpload),
    row("command/exec", Method::CommandExec),
    row("config/read", Method::ConfigRead),
    row("config/value/write", Method::ConfigValueWrite),
    row("config/batchWrite", Method::ConfigBatchWrite),
    bare("configRequirements/read", Method::ConfigRequirementsRead),
    row("account/read", Method::AccountRead),
    row("newConversation", Method::NewConversation),
    row("getConversationSummary", Method::GetConversationSummary),
    row("listConversations", Method::ListConversations),
    row("resumeConversation", Method::ResumeConversation),
    row("forkConversation", Method::ForkConversation),
    row("archiveConversation", Method::ArchiveConversation),
    row("sendUserMessage", Method::SendUserMessage),
    row("sendUserTurn", Method::SendUserTurn),
    row("interruptConversation", Method::InterruptConversation),
    row("addConversationListener", Method::AddConversationListener),
    row("removeConversationListener", Method::RemoveConversationListener),
    row("gitDiffToRemote", Method::GitDiffToRemote),
    row("loginApiKey", Method::LoginApiKey),
    bare("loginChatGpt", Method::LoginChatGpt),
    row("cancelLoginChatGpt", Method::CancelLoginChatGpt),
    bare("logoutChatGpt", Method::LogoutChatGpt),
    row("getAuthStatus", Method::GetAuthStatus),
    bare("getUserSavedConfig", Method::GetUserSavedConfig),
    row("setDefaultModel", Method::SetDefaultModel),
    bare("getUserAgent", Method::GetUserAgent),
    bare("userInfo", Method::UserInfo),
    row("fuzzyFileSearch", Method::FuzzyFileSearch),
    row("execOneOffCommand", Method::ExecOneOffCommand),
];

/// Methods that the reference does not have, and that its schemas and errors do not name.
pub const EXTENSIONS: &[Row] = &[row("customPrompts/list", Method::CustomPromptsList)];

/// The row of a method, by its name on the wire.
pub fn find(name: &str) -> Option<&'static Row> {
    METHODS.iter().chain(EXTENSIONS).find(|row| row.name == name)
}

/// The reference's text for a name that is not in the table.
pub(crate) fn unknown(name: &str) -> String {
    let names: Vec<String> = METHODS.iter().map(|row| format!("`{}`", row.name)).collect();
    format!("unknown variant `{name}`, expected one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{EXTENSIONS, METHODS, find, unknown};

    #[test]
    fn names_are_unique_and_each_method_has_its_place() {
        for (place, row) in METHODS.iter().chain(EXTENSIONS).enumerate() {
            assert_eq!(row.method as usize, place, "{}", row.name);
            assert_eq!(find(row.name).map(|found| found.method), Some(row.method));
        }
        assert!(find("no/such/method").is_none());
    }

    #[test]
    fn an_error_names_the_methods_of_the_reference() {
        let error = unknown("x");
        assert!(METHODS.iter().all(|row| error.contains(&format!("`{}`", row.name))));
        assert!(!EXTENSIONS.iter().any(|row| error.contains(row.name)));
    }
}
