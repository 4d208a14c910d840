//! The shape of `config.toml`: every key that this server uses, with its type (config.md §3).
//! Everything is optional, and unknown keys are let through: a file may serve other versions too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::kinds::{
    AskForApproval, CredentialStore, Inherit, LoginMethod, McpCredentialStore, Persistence,
    Personality, ReasoningEffort, ReasoningSummary, SandboxMode, TrustLevel, Verbosity,
    WebSearchMode,
};
use super::mcp::McpServer;
use super::otel::OtelDocument;
use super::provider::ProviderDocument;

/// A whole `config.toml`, or several merged.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    pub model: Option<String>,
    pub review_model: Option<String>,
    pub model_provider: Option<String>,
    pub model_context_window: Option<i64>,
    pub model_auto_compact_token_limit: Option<i64>,
    pub approval_policy: Option<AskForApproval>,
    pub sandbox_mode: Option<SandboxMode>,
    pub sandbox_workspace_write: Option<WorkspaceWriteDocument>,
    pub shell_environment_policy: Option<ShellEnvironmentDocument>,
    pub notify: Option<Vec<String>>,
    pub instructions: Option<String>,
    pub developer_instructions: Option<String>,
    pub model_instructions_file: Option<PathBuf>,
    pub experimental_instructions_file: Option<PathBuf>,
    pub compact_prompt: Option<String>,
    pub experimental_compact_prompt_file: Option<PathBuf>,
    pub forced_chatgpt_workspace_id: Option<String>,
    pub understudy: Option<UnderstudyDocument>,
    pub forced_login_method: Option<LoginMethod>,
    pub cli_auth_credentials_store: Option<CredentialStore>,
    pub mcp_servers: BTreeMap<String, McpServer>,
    pub mcp_oauth_credentials_store: Option<McpCredentialStore>,
    pub mcp_oauth_callback_port: Option<u16>,
    pub model_providers: BTreeMap<String, ProviderDocument>,
    pub project_doc_max_bytes: Option<usize>,
    pub project_doc_fallback_filenames: Option<Vec<String>>,
    pub tool_output_token_limit: Option<usize>,
    pub profile: Option<String>,
    pub profiles: BTreeMap<String, ProfileDocument>,
    pub history: Option<HistoryDocument>,
    pub hide_agent_reasoning: Option<bool>,
    pub show_raw_agent_reasoning: Option<bool>,
    pub model_reasoning_effort: Option<ReasoningEffort>,
    pub model_reasoning_summary: Option<ReasoningSummary>,
    pub model_verbosity: Option<Verbosity>,
    pub model_supports_reasoning_summaries: Option<bool>,
    pub model_personality: Option<Personality>,
    pub chatgpt_base_url: Option<String>,
    pub projects: BTreeMap<String, ProjectDocument>,
    pub web_search: Option<WebSearchMode>,
    pub tools: Option<ToolsDocument>,
    pub agents: Option<AgentsDocument>,
    pub skills: Option<SkillsDocument>,
    pub features: BTreeMap<String, bool>,
    pub suppress_unstable_features_warning: Option<bool>,
    pub ghost_snapshot: Option<GhostSnapshotDocument>,
    pub project_root_markers: Option<Vec<String>>,
    pub analytics: Option<Switch>,
    pub feedback: Option<Switch>,
    pub otel: Option<OtelDocument>,
    pub experimental_use_unified_exec_tool: Option<bool>,
    pub experimental_use_freeform_apply_patch: Option<bool>,
}

/// `[profiles.<name>]`. Decoded for its types; its settings are laid over the others as a table.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ProfileDocument {
    model: Option<String>,
    model_provider: Option<String>,
    approval_policy: Option<AskForApproval>,
    sandbox_mode: Option<SandboxMode>,
    model_reasoning_effort: Option<ReasoningEffort>,
    model_reasoning_summary: Option<ReasoningSummary>,
    model_verbosity: Option<Verbosity>,
    model_personality: Option<Personality>,
    chatgpt_base_url: Option<String>,
    model_instructions_file: Option<PathBuf>,
    experimental_instructions_file: Option<PathBuf>,
    experimental_compact_prompt_file: Option<PathBuf>,
    include_apply_patch_tool: Option<bool>,
    experimental_use_unified_exec_tool: Option<bool>,
    experimental_use_freeform_apply_patch: Option<bool>,
    tools_web_search: Option<bool>,
    tools_view_image: Option<bool>,
    web_search: Option<WebSearchMode>,
    analytics: Option<Switch>,
    features: BTreeMap<String, bool>,
    oss_provider: Option<String>,
}

/// Keys of a profile that take the place of the top-level key of the same name.
const PROFILE_KEYS: &[&str] = &[
    "model",
    "model_provider",
    "approval_policy",
    "sandbox_mode",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
    "model_personality",
    "chatgpt_base_url",
    "model_instructions_file",
    "experimental_instructions_file",
    "experimental_compact_prompt_file",
    "web_search",
    "analytics",
];

/// Old keys of a profile with the feature that each switches, in the order they are applied.
const PROFILE_TOGGLES: &[(&str, &str)] = &[
    ("include_apply_patch_tool", "apply_patch_freeform"),
    ("experimental_use_freeform_apply_patch", "apply_patch_freeform"),
    ("experimental_use_unified_exec_tool", "unified_exec"),
    ("tools_web_search", "web_search_request"),
];

/// A profile's settings as top-level ones.
pub(super) fn profile_overlay(profile: &Table) -> Table {
    let mut overlay: Table = PROFILE_KEYS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), profile.get(*key)?.clone())))
        .collect();
    let mut features: Table = PROFILE_TOGGLES
        .iter()
        .filter_map(|(key, feature)| Some(((*feature).to_owned(), profile.get(*key)?.clone())))
        .collect();
    if let Some(Value::Table(own)) = profile.get("features") {
        features.extend(own.clone());
    }
    if !features.is_empty() {
        overlay.insert("features".to_owned(), Value::Table(features));
    }
    overlay
}

/// `[understudy]`: what the reference has no setting for.
#[derive(Clone, Deserialize)]
pub(super) struct UnderstudyDocument {
    pub refresh_limit_ms: Option<u64>,
    pub feedback_url: Option<String>,
    pub thread_idle_ms: Option<u64>,
}

/// `[sandbox_workspace_write]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct WorkspaceWriteDocument {
    pub writable_roots: Vec<PathBuf>,
    pub network_access: bool,
    pub exclude_tmpdir_env_var: bool,
    pub exclude_slash_tmp: bool,
}

/// `[shell_environment_policy]`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ShellEnvironmentDocument {
    pub inherit: Option<Inherit>,
    pub ignore_default_excludes: Option<bool>,
    pub exclude: Vec<String>,
    pub set: BTreeMap<String, String>,
    pub include_only: Vec<String>,
}

/// `[history]`
#[derive(Deserialize)]
pub(super) struct HistoryDocument {
    pub persistence: Persistence,
    pub max_bytes: Option<usize>,
}

/// `[projects."<path>"]`
#[derive(Deserialize)]
pub(super) struct ProjectDocument {
    pub trust_level: Option<TrustLevel>,
}

/// `[tools]`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolsDocument {
    #[serde(alias = "web_search_request")]
    pub web_search: Option<bool>,
    /// Has a type and no effect.
    view_image: Option<bool>,
}

/// `[agents]`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AgentsDocument {
    pub max_threads: Option<usize>,
}

/// `[skills]`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SkillsDocument {
    pub config: Vec<SkillDocument>,
}

/// `[[skills.config]]`
#[derive(Deserialize)]
pub(super) struct SkillDocument {
    pub path: PathBuf,
    pub enabled: bool,
}

/// `[ghost_snapshot]`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct GhostSnapshotDocument {
    #[serde(alias = "ignore_untracked_files_over_bytes")]
    pub ignore_large_untracked_files: Option<i64>,
    #[serde(alias = "large_untracked_dir_warning_threshold")]
    pub ignore_large_untracked_dirs: Option<i64>,
    pub disable_warnings: Option<bool>,
}

/// A table with nothing but `enabled`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Switch {
    pub enabled: Option<bool>,
}

/// Makes the paths in a layer absolute and its durations floats, as the typed keys want them
/// (config.md §2.4). `resolve` gets each path as written.
pub(super) fn normalise(table: &mut Table, resolve: &dyn Fn(&Path) -> PathBuf) {
    resolve_files(table, resolve);
    let tables = |table: &mut Table, key: &str, each: &mut dyn FnMut(&mut Table)| {
        if let Some(Value::Table(entries)) = table.get_mut(key) {
            entries.iter_mut().filter_map(|(_, v)| v.as_table_mut()).for_each(each);
        }
    };
    tables(table, "profiles", &mut |profile| resolve_files(profile, resolve));
    tables(table, "mcp_servers", &mut |server| {
        for key in ["startup_timeout_sec", "tool_timeout_sec"] {
            if let Some(value) = server.get_mut(key)
                && let Value::Integer(n) = *value
            {
                // Seconds that a float cannot hold exactly are out of any range that makes sense.
                *value = Value::Float(n as f64);
            }
        }
    });
    if let Some(Value::Table(write)) = table.get_mut("sandbox_workspace_write")
        && let Some(Value::Array(roots)) = write.get_mut("writable_roots")
    {
        roots.iter_mut().for_each(|root| resolve_value(root, resolve));
    }
    if let Some(Value::Table(skills)) = table.get_mut("skills")
        && let Some(Value::Array(entries)) = skills.get_mut("config")
    {
        let paths = entries.iter_mut().filter_map(|entry| entry.as_table_mut()?.get_mut("path"));
        paths.for_each(|path| resolve_value(path, resolve));
    }
    tables(table, "otel", &mut |exporter| {
        for kind in exporter.iter_mut().filter_map(|(_, v)| v.as_table_mut()) {
            if let Some(Value::Table(tls)) = kind.get_mut("tls") {
                for key in ["ca-certificate", "client-certificate", "client-private-key"] {
                    tls.get_mut(key).into_iter().for_each(|path| resolve_value(path, resolve));
                }
            }
        }
    });
}

fn resolve_files(table: &mut Table, resolve: &dyn Fn(&Path) -> PathBuf) {
    for key in [
        "model_instructions_file",
        "experimental_instructions_file",
        "experimental_compact_prompt_file",
    ] {
        table.get_mut(key).into_iter().for_each(|path| resolve_value(path, resolve));
    }
}

fn resolve_value(value: &mut Value, resolve: &dyn Fn(&Path) -> PathBuf) {
    if let Value::String(text) = value {
        *text = resolve(Path::new(text.as_str())).to_string_lossy().into_owned();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::Table;

    use super::{normalise, profile_overlay};

    fn table(text: &str) -> Table {
        toml::from_str(text).expect("TOML")
    }

    #[test]
    fn typed_paths_and_durations_are_normalised_and_others_left() {
        let mut given = table(
            "model_instructions_file = 'a'\nnotify = ['b']\n\
             sandbox_workspace_write.writable_roots = ['c', 3]\n\
             skills.config = [{path = 'd', enabled = true}]\n\
             profiles.p.model_instructions_file = 'e'\n\
             mcp_servers.m = {command = 'x', cwd = 'f', startup_timeout_sec = 2}\n\
             otel.exporter.otlp-http.tls.ca-certificate = 'g'",
        );
        normalise(&mut given, &|path| Path::new("/base").join(path));
        let expected = table(
            "model_instructions_file = '/base/a'\nnotify = ['b']\n\
             sandbox_workspace_write.writable_roots = ['/base/c', 3]\n\
             skills.config = [{path = '/base/d', enabled = true}]\n\
             profiles.p.model_instructions_file = '/base/e'\n\
             mcp_servers.m = {command = 'x', cwd = 'f', startup_timeout_sec = 2.0}\n\
             otel.exporter.otlp-http.tls.ca-certificate = '/base/g'",
        );
        assert_eq!(given, expected);
    }

    #[test]
    fn a_profile_becomes_top_level_settings() {
        let profile = table(
            "model = 'm'\nunknown = 1\ntools_web_search = true\n\
             experimental_use_unified_exec_tool = true\nfeatures.unified_exec = false",
        );
        let expected =
            table("model = 'm'\nfeatures = {web_search_request = true, unified_exec = false}");
        assert_eq!(profile_overlay(&profile), expected);
    }
}
