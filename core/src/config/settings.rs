//! The configuration in use: every setting with its final value.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::features::Features;
use super::kinds::{
    AskForApproval, CredentialStore, Inherit, LoginMethod, McpCredentialStore, Persistence,
    Personality, ReasoningEffort, ReasoningSummary, SandboxMode, TrustLevel, Verbosity,
    WebSearchMode,
};
use super::mcp::McpServer;
use super::otel::Otel;
use super::provider::Provider;
use super::requirements::Requirements;

/// The configuration in use (config.md §3.1). Made once and shared in an `Arc`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The model; none means the catalogue's default.
    pub model: Option<String>,
    /// The model for reviews; none means the thread's.
    pub review_model: Option<String>,
    /// Key of the active provider.
    pub provider_id: String,
    /// The active provider.
    pub provider: Arc<Provider>,
    /// Every provider by its key.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// Overrides the model's window, in tokens.
    pub model_context_window: Option<i64>,
    /// Overrides the number of tokens at which history is compacted.
    pub model_auto_compact_token_limit: Option<i64>,
    /// Overrides how much of a tool's output the model sees, in tokens.
    pub tool_output_token_limit: Option<usize>,
    /// How hard the model thinks; none means the model's own default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// How it tells of that.
    pub reasoning_summary: ReasoningSummary,
    /// Overrides whether the model can tell of it.
    pub supports_reasoning_summaries: Option<bool>,
    /// How wordy it is; none means the model's own default.
    pub verbosity: Option<Verbosity>,
    /// Its tone; none means the model's own default.
    pub personality: Option<Personality>,
    /// When a person is asked.
    pub approval_policy: AskForApproval,
    /// What commands may touch.
    pub sandbox_mode: SandboxMode,
    /// More about [`SandboxMode::WorkspaceWrite`].
    pub workspace_write: WorkspaceWrite,
    /// What the administrator allows.
    pub requirements: Requirements,
    /// What the user thinks of the project.
    pub trust: Option<TrustLevel>,
    /// Replaces the model's instructions.
    pub base_instructions: Option<Arc<str>>,
    /// A developer message for every thread.
    pub developer_instructions: Option<Arc<str>>,
    /// Replaces the prompt for compaction.
    pub compact_prompt: Option<Arc<str>>,
    /// The only login that is allowed.
    pub forced_login_method: Option<LoginMethod>,
    /// The only workspace that is allowed; never blank.
    pub forced_chatgpt_workspace_id: Option<String>,
    /// The backend for what concerns the account.
    pub chatgpt_base_url: String,
    /// Where credentials are kept.
    pub credential_store: CredentialStore,
    /// Budget for AGENTS.md files, in bytes; 0 switches them off.
    pub project_doc_max_bytes: usize,
    /// Other names for AGENTS.md, none blank.
    pub project_doc_fallback_filenames: Vec<String>,
    /// Which features are on.
    pub features: Features,
    /// What the web search tool may reach; none is decided by the sandbox of each turn.
    pub web_search: Option<WebSearchMode>,
    /// The environment of child processes.
    pub shell_environment: ShellEnvironment,
    /// The program that is told of completed turns, with its arguments.
    pub notify: Option<Vec<String>>,
    /// Whether reasoning is passed on as it is.
    pub show_raw_agent_reasoning: bool,
    /// Whether clients are asked to hide reasoning.
    pub hide_agent_reasoning: bool,
    /// The prompt history of terminals.
    pub history: History,
    /// Where telemetry goes.
    pub otel: Box<Otel>,
    /// Whether measures are sent; none leaves it to the command line.
    pub analytics: Option<bool>,
    /// Whether feedback can be sent.
    pub feedback: bool,
    /// MCP servers by name, disabled ones included.
    pub mcp_servers: BTreeMap<String, McpServer>,
    /// Where their credentials are kept.
    pub mcp_credential_store: McpCredentialStore,
    /// The port for their logins; none means any.
    pub mcp_callback_port: Option<u16>,
    /// Most sub-agents of a thread; at least 1.
    pub max_agent_threads: usize,
    /// Skills that the user switched on or off, by path.
    pub skills: BTreeMap<PathBuf, bool>,
    /// Ghost commits.
    pub ghost_snapshot: GhostSnapshot,
    /// The profile in use.
    pub active_profile: Option<String>,
    /// The names of all profiles.
    pub profiles: Vec<String>,
    /// Deprecated settings in use, to be told once for each thread, in order.
    pub deprecations: Vec<Deprecation>,
    /// The warning about unfinished features that are switched on.
    pub unstable_features_warning: Option<String>,
}

/// More about [`SandboxMode::WorkspaceWrite`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceWrite {
    /// Folders that may be written besides the working folder; absolute.
    pub writable_roots: Vec<PathBuf>,
    /// Whether there is a network.
    pub network_access: bool,
    /// Whether the folder in `TMPDIR` may not be written.
    pub exclude_tmpdir_env_var: bool,
    /// Whether `/tmp` may not be written.
    pub exclude_slash_tmp: bool,
}

/// The environment of child processes (config.md §3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellEnvironment {
    /// What it starts from.
    pub inherit: Inherit,
    /// Whether variables whose names hold `KEY`, `SECRET` or `TOKEN` stay.
    pub ignore_default_excludes: bool,
    /// Patterns of names that go.
    pub exclude: Vec<String>,
    /// Variables that are set. They may be secret, but the user hands them to every command.
    pub set: BTreeMap<String, crate::secret::Secret>,
    /// Patterns of the only names that stay; empty means all.
    pub include_only: Vec<String>,
}

/// The prompt history of terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether it is kept.
    pub persistence: Persistence,
    /// Its greatest size in bytes.
    pub max_bytes: Option<usize>,
}

/// Ghost commits, for undoing turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GhostSnapshot {
    /// Untracked files over this many bytes are left out.
    pub max_file_bytes: Option<u64>,
    /// Untracked folders with more files than this are left out.
    pub max_dir_files: Option<u64>,
    /// Whether nothing is said of what is left out.
    pub disable_warnings: bool,
}

/// A deprecated setting in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// What it is.
    pub summary: String,
    /// What to do instead.
    pub details: Option<String>,
}
