//! The configuration in use: every setting with its final value.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// The model and what it is asked for.
    pub model: ModelSettings,
    /// Key of the active provider.
    pub provider_id: String,
    /// The active provider.
    pub provider: Arc<Provider>,
    /// Every provider by its key.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// What may be done without asking, and at all.
    pub permissions: Permissions,
    /// What the model is told besides the user's input.
    pub instructions: Instructions,
    /// How users log in.
    pub login: Login,
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
    /// What is told to others of what happens here.
    pub telemetry: Box<Telemetry>,
    /// MCP servers.
    pub mcp: McpSettings,
    /// Most sub-agents of a thread; at least 1.
    pub max_agent_threads: usize,
    /// How long a thread is not used before its history is put away; none means the machine's own
    /// limit. Ours: `[understudy] thread_idle_ms`.
    pub thread_idle: Option<Duration>,
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

/// The model and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSettings {
    /// The model's slug; none means the catalogue's default.
    pub slug: Option<String>,
    /// The model for reviews; none means the thread's.
    pub review_slug: Option<String>,
    /// Overrides the model's window, in tokens.
    pub context_window: Option<i64>,
    /// Overrides the number of tokens at which history is compacted.
    pub auto_compact_token_limit: Option<i64>,
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
}

/// What may be done without asking, and at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// When a person is asked.
    pub approval_policy: AskForApproval,
    /// What commands may touch.
    pub sandbox_mode: SandboxMode,
    /// More about [`SandboxMode::WorkspaceWrite`].
    pub workspace_write: WorkspaceWrite,
    /// What the administrator allows; checked again whenever the other fields change.
    pub requirements: Requirements,
    /// What the user thinks of the project.
    pub trust: Option<TrustLevel>,
}

/// What the model is told besides the user's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// Replaces the model's own.
    pub base: Option<Arc<str>>,
    /// A developer message for every thread.
    pub developer: Option<Arc<str>>,
    /// Replaces the prompt for compaction.
    pub compact_prompt: Option<Arc<str>>,
    /// Budget for AGENTS.md files, in bytes; 0 switches them off.
    pub project_doc_max_bytes: usize,
    /// Other names for AGENTS.md, none blank.
    pub project_doc_fallback_filenames: Vec<String>,
}

/// How users log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The only way that is allowed.
    pub forced_method: Option<LoginMethod>,
    /// The only workspace that is allowed; never blank.
    pub forced_workspace_id: Option<String>,
    /// Where credentials are kept.
    pub store: CredentialStore,
    /// The backend for what concerns the account.
    pub chatgpt_base_url: String,
    /// How long a host has to hand in new tokens; none means the setup's own limit. Ours:
    /// `[understudy] refresh_limit_ms`, for hosts that ask a person.
    pub refresh_limit: Option<Duration>,
}

/// MCP servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpSettings {
    /// The servers by name, disabled ones included.
    pub servers: BTreeMap<String, McpServer>,
    /// Where their credentials are kept.
    pub credential_store: McpCredentialStore,
    /// The port for their logins; none means any.
    pub callback_port: Option<u16>,
}

/// What is told to others of what happens here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Where logs and spans go.
    pub otel: Otel,
    /// Whether measures are sent; none leaves it to the command line.
    pub analytics: Option<bool>,
    /// Whether feedback can be sent.
    pub feedback: bool,
    /// Where feedback is sent; none means nowhere. Ours: `[understudy] feedback_url`.
    pub feedback_url: Option<String>,
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
