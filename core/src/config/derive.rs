//! From merged settings to the configuration in use (config.md §2.9).
//!
//! Highest first: what the request chose, the managed file, the session, the active profile, the
//! other layers, what trust implies, the built-in default. (The reference lets the profile beat the
//! managed file and the session; config.md §10 6 and 17 count that as faults.)

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::{Table, Value};

use super::document::{
    Document, GhostSnapshotDocument, ShellEnvironmentDocument, SkillsDocument, profile_overlay,
};
use super::error::ConfigError;
use super::kinds::{
    AskForApproval, CredentialStore, Inherit, McpCredentialStore, Persistence, ReasoningSummary,
    SandboxMode, TrustLevel,
};
use super::layers::{LayerSource, at_path, merge, rank};
use super::otel::Otel;
use super::provider::{self, DEFAULT_PROVIDER};
use super::requirements::{NotAllowed, Requirements};
use super::settings::{
    Config, GhostSnapshot, History, Instructions, Login, McpSettings, ModelSettings, Permissions,
    ShellEnvironment, Telemetry, WorkspaceWrite,
};
use super::stack::Stack;
use super::{Choices, ConfigAsk, read, switches};
use crate::files::Files;
use crate::secret::Secret;

/// The backend for what concerns the account, unless configured.
const CHATGPT_BASE_URL: &str = "https://chatgpt.com/backend-api/";
/// Settings that say what may be done without asking.
const PERMISSION_KEYS: [&str; 3] = ["approval_policy", "sandbox_mode", "sandbox_workspace_write"];

/// What has to be worked out before a configuration can be put together.
#[derive(Default)]
struct Parts {
    profile: Option<String>,
    permissions: Option<(AskForApproval, SandboxMode)>,
    base_instructions: Option<Arc<str>>,
    compact_prompt: Option<Arc<str>>,
    skills: SkillsDocument,
    trust: Option<TrustLevel>,
    requirements: Requirements,
}

/// The configuration that a stack amounts to. When `strict` is off something was wrong with it:
/// then what files below the session permit counts only where it is stricter than the default.
pub(super) fn derive(
    files: &dyn Files,
    ask: &ConfigAsk,
    stack: &Stack,
    strict: bool,
) -> Result<Config, ConfigError> {
    let (doc, below, profile) = settings(ask, stack, strict)?;
    check_agents(stack, &doc)?;
    let parts = Parts {
        permissions: Some(permissions(ask, stack, &doc, &below, strict)?),
        base_instructions: match &ask.choices.base_instructions {
            Some(text) => Some(text.as_str().into()),
            None => file_text(files, doc.model_instructions_file.as_deref(), "model instructions")?,
        },
        compact_prompt: match filled(doc.compact_prompt.as_deref()) {
            Some(text) => Some(text.into()),
            None => file_text(
                files,
                doc.experimental_compact_prompt_file.as_deref(),
                "experimental compact prompt",
            )?,
        },
        skills: user_skills(stack),
        profile,
        trust: stack.trust,
        requirements: stack.requirements.clone(),
    };
    let provider = ask.choices.model_provider.as_ref().or(doc.model_provider.as_ref()).cloned();
    let config = build(ask, doc, parts);
    // An unknown provider was replaced by the default one.
    match provider.filter(|id| *id != config.provider_id) {
        None => Ok(config),
        Some(id) => {
            let error = ConfigError::plain(format!("Model provider `{id}` not found"));
            Err(blamed(stack, error, &["model_provider"]))
        }
    }
}

/// The settings with the active profile among them; what they permit below the session, where that
/// does not count; and the profile's name.
fn settings(
    ask: &ConfigAsk,
    stack: &Stack,
    strict: bool,
) -> Result<(Document, Table, Option<String>), ConfigError> {
    // The layers as they are, for their types and the profile's name.
    let plain = stack.decode(stack.layers.effective())?;
    let profile = active_profile(ask, stack, &plain)?;
    if strict && profile.is_none() {
        return Ok((plain, Table::new(), None));
    }
    let mut merged = Table::new();
    let session = rank(&LayerSource::SessionFlags);
    for layer in stack.layers.enabled().filter(|layer| rank(&layer.source) < session) {
        merge(&mut merged, &layer.value);
    }
    if let Some((_, overlay)) = &profile {
        merge(&mut merged, overlay);
    }
    let below = if strict { Table::new() } else { take_permissions(&mut merged) };
    for layer in stack.layers.enabled().filter(|layer| rank(&layer.source) >= session) {
        merge(&mut merged, &layer.value);
    }
    Ok((stack.decode(merged)?, below, profile.map(|(name, _)| name)))
}

/// The configuration without any settings, for when even the command line's are at fault.
pub(super) fn bare(ask: &ConfigAsk, requirements: Requirements) -> Config {
    build(ask, Document::default(), Parts { requirements, ..Parts::default() })
}

/// The error, with the layer that set the value at `path`.
fn blamed(stack: &Stack, error: ConfigError, path: &[&str]) -> ConfigError {
    match stack.layers.setter(path) {
        Some(layer) => error.by(layer.source.clone()),
        None => error,
    }
}

/// The name of the active profile, and its settings as top-level ones.
fn active_profile(
    ask: &ConfigAsk,
    stack: &Stack,
    doc: &Document,
) -> Result<Option<(String, Table)>, ConfigError> {
    let Some(name) = ask.choices.profile.as_ref().or(doc.profile.as_ref()) else {
        return Ok(None);
    };
    let settings = stack.layers.effective();
    match at_path(&settings, &["profiles", name]).and_then(Value::as_table) {
        Some(profile) if doc.profiles.contains_key(name) => {
            Ok(Some((name.clone(), profile_overlay(profile))))
        }
        _ => {
            let error = ConfigError::plain(format!("config profile `{name}` not found"));
            Err(blamed(stack, error, &["profile"]))
        }
    }
}

fn check_agents(stack: &Stack, doc: &Document) -> Result<(), ConfigError> {
    match doc.agents.as_ref().and_then(|agents| agents.max_threads) {
        Some(0) => {
            let error = ConfigError::plain("agents.max_threads must be at least 1");
            Err(blamed(stack, error, &["agents", "max_threads"]))
        }
        _ => Ok(()),
    }
}

/// Takes out what a table permits.
fn take_permissions(table: &mut Table) -> Table {
    let take = |key: &str| Some((key.to_owned(), table.remove(key)?));
    PERMISSION_KEYS.into_iter().filter_map(take).collect()
}

/// When to ask and what to allow; everything that was asked for has to be allowed.
fn permissions(
    ask: &ConfigAsk,
    stack: &Stack,
    doc: &Document,
    below: &Table,
    strict: bool,
) -> Result<(AskForApproval, SandboxMode), ConfigError> {
    let not_allowed = |error: NotAllowed| {
        let field = error.field;
        blamed(stack, ConfigError::plain(error.to_string()), &[field])
    };
    let requirements = &stack.requirements;
    let approval = match ask.choices.approval_policy.or(doc.approval_policy) {
        Some(policy) => {
            requirements.check_approval(policy).map_err(not_allowed)?;
            policy
        }
        None => {
            let default = match stack.trust {
                Some(TrustLevel::Untrusted) => AskForApproval::Untrusted,
                Some(TrustLevel::Trusted) | None => AskForApproval::OnRequest,
            };
            let said = word::<AskForApproval>(below, "approval_policy").unwrap_or(default);
            requirements.default_approval(default.stricter(said))
        }
    };
    let sandbox = match ask.choices.sandbox_mode.or(doc.sandbox_mode) {
        Some(mode) => {
            requirements.check_sandbox(mode.into()).map_err(not_allowed)?;
            mode
        }
        // In doubt there is no trust either, so what is below cannot be stricter.
        None => match stack.trust.filter(|_| strict) {
            Some(_) => requirements.default_sandbox(SandboxMode::WorkspaceWrite),
            None => SandboxMode::ReadOnly,
        },
    };
    Ok((approval, sandbox))
}

fn word<T: serde::de::DeserializeOwned>(table: &Table, key: &str) -> Option<T> {
    table.get(key)?.clone().try_into().ok()
}

/// The trimmed text of a file that a setting names.
fn file_text(
    files: &dyn Files,
    path: Option<&Path>,
    what: &str,
) -> Result<Option<Arc<str>>, ConfigError> {
    let Some(path) = path else { return Ok(None) };
    let shown = path.display();
    let text = match read::text(files, path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            let error = "No such file or directory (os error 2)";
            return Err(ConfigError::plain(format!("failed to read {what} file {shown}: {error}")));
        }
        Err(error) => {
            return Err(ConfigError::plain(format!("failed to read {what} file {shown}: {error}")));
        }
    };
    match filled(Some(&text)) {
        Some(text) => Ok(Some(text.into())),
        None => Err(ConfigError::plain(format!("{what} file is empty: {shown}"))),
    }
}

/// Skills that the user switched; no other layer has a say (config.md §7.3).
fn user_skills(stack: &Stack) -> SkillsDocument {
    let user = stack.layers.user().filter(|layer| layer.disabled.is_none());
    user.and_then(|layer| word(&layer.value, "skills")).unwrap_or_default()
}

/// The text without white space around it; none if nothing is left.
fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Puts the configuration together. An unknown provider becomes the default one.
fn build(ask: &ConfigAsk, mut doc: Document, parts: Parts) -> Config {
    let choices = &ask.choices;
    let switches = switches::switches(&doc, choices, &ask.user_file());
    let providers = provider::providers(mem::take(&mut doc.model_providers), &ask.env);
    let wanted = choices.model_provider.clone().or(doc.model_provider.take());
    let provider_id = wanted
        .filter(|id| providers.contains_key(id))
        .unwrap_or_else(|| DEFAULT_PROVIDER.to_owned());
    let provider = match providers.get(&provider_id) {
        Some(provider) => Arc::clone(provider),
        None => Arc::new(provider::openai(&ask.env)),
    };
    let mut mcp = mcp(&mut doc);
    parts.requirements.restrict_mcp(&mut mcp.servers);
    Config {
        model: model(&mut doc, choices),
        provider_id,
        provider,
        providers,
        instructions: instructions(&mut doc, choices, &parts),
        login: login(&mut doc),
        features: switches.features,
        web_search: switches.web_search,
        shell_environment: shell_environment(doc.shell_environment_policy.take()),
        notify: doc.notify.take(),
        show_raw_agent_reasoning: doc.show_raw_agent_reasoning.unwrap_or(false),
        hide_agent_reasoning: doc.hide_agent_reasoning.unwrap_or(false),
        history: match &doc.history {
            Some(h) => History { persistence: h.persistence, max_bytes: h.max_bytes },
            None => History { persistence: Persistence::SaveAll, max_bytes: None },
        },
        telemetry: Box::new(telemetry(&mut doc)),
        mcp,
        thread_idle: doc
            .understudy
            .as_ref()
            .and_then(|own| own.thread_idle_ms)
            .map(Duration::from_millis),
        max_agent_threads: doc.agents.as_ref().and_then(|a| a.max_threads).unwrap_or(6),
        ghost_snapshot: ghost_snapshot(doc.ghost_snapshot.take().unwrap_or_default()),
        profiles: mem::take(&mut doc.profiles).into_keys().collect(),
        permissions: granted(&mut doc, parts.permissions, parts.requirements, parts.trust),
        skills: parts.skills.config.into_iter().map(|skill| (skill.path, skill.enabled)).collect(),
        active_profile: parts.profile,
        deprecations: switches.deprecations,
        unstable_features_warning: switches.unstable_warning,
    }
}

fn model(doc: &mut Document, choices: &Choices) -> ModelSettings {
    ModelSettings {
        slug: choices.model.clone().or(doc.model.take()),
        review_slug: doc.review_model.take(),
        context_window: doc.model_context_window,
        auto_compact_token_limit: doc.model_auto_compact_token_limit,
        tool_output_token_limit: doc.tool_output_token_limit,
        reasoning_effort: doc.model_reasoning_effort,
        reasoning_summary: doc.model_reasoning_summary.unwrap_or(ReasoningSummary::Auto),
        supports_reasoning_summaries: doc.model_supports_reasoning_summaries,
        verbosity: doc.model_verbosity,
        personality: choices.personality.or(doc.model_personality),
    }
}

fn granted(
    doc: &mut Document,
    permissions: Option<(AskForApproval, SandboxMode)>,
    requirements: Requirements,
    trust: Option<TrustLevel>,
) -> Permissions {
    let (approval_policy, sandbox_mode) = permissions.unwrap_or_else(|| {
        (requirements.default_approval(AskForApproval::OnRequest), SandboxMode::ReadOnly)
    });
    let write = doc.sandbox_workspace_write.take().unwrap_or_default();
    Permissions {
        approval_policy,
        sandbox_mode,
        workspace_write: WorkspaceWrite {
            writable_roots: write.writable_roots,
            network_access: write.network_access,
            exclude_tmpdir_env_var: write.exclude_tmpdir_env_var,
            exclude_slash_tmp: write.exclude_slash_tmp,
        },
        requirements,
        trust,
    }
}

fn instructions(doc: &mut Document, choices: &Choices, parts: &Parts) -> Instructions {
    let developer = choices.developer_instructions.clone().or(doc.developer_instructions.take());
    let fallbacks = doc.project_doc_fallback_filenames.take().unwrap_or_default();
    Instructions {
        base: parts.base_instructions.clone(),
        developer: developer.map(Arc::from),
        compact_prompt: parts.compact_prompt.clone(),
        project_doc_max_bytes: doc.project_doc_max_bytes.unwrap_or(32 << 10),
        project_doc_fallback_filenames: fallbacks
            .iter()
            .filter_map(|name| filled(Some(name)).map(str::to_owned))
            .collect(),
    }
}

fn login(doc: &mut Document) -> Login {
    let workspace = doc.forced_chatgpt_workspace_id.as_deref();
    Login {
        forced_method: doc.forced_login_method,
        forced_workspace_id: filled(workspace).map(str::to_owned),
        store: doc.cli_auth_credentials_store.unwrap_or(CredentialStore::File),
        chatgpt_base_url: doc
            .chatgpt_base_url
            .take()
            .unwrap_or_else(|| CHATGPT_BASE_URL.to_owned()),
        refresh_limit: doc
            .understudy
            .as_ref()
            .and_then(|own| own.refresh_limit_ms)
            .map(Duration::from_millis),
    }
}

fn mcp(doc: &mut Document) -> McpSettings {
    McpSettings {
        servers: mem::take(&mut doc.mcp_servers),
        credential_store: doc.mcp_oauth_credentials_store.unwrap_or(McpCredentialStore::Auto),
        callback_port: doc.mcp_oauth_callback_port,
    }
}

fn telemetry(doc: &mut Document) -> Telemetry {
    Telemetry {
        otel: doc.otel.take().map(Otel::from).unwrap_or_default(),
        analytics: doc.analytics.as_ref().and_then(|switch| switch.enabled),
        feedback: doc.feedback.as_ref().and_then(|switch| switch.enabled).unwrap_or(true),
        feedback_url: doc.understudy.as_ref().and_then(|own| own.feedback_url.clone()),
    }
}

fn shell_environment(doc: Option<ShellEnvironmentDocument>) -> ShellEnvironment {
    let doc = doc.unwrap_or_default();
    ShellEnvironment {
        inherit: doc.inherit.unwrap_or(Inherit::All),
        ignore_default_excludes: doc.ignore_default_excludes.unwrap_or(true),
        exclude: doc.exclude,
        set: doc.set.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        include_only: doc.include_only,
    }
}

fn ghost_snapshot(doc: GhostSnapshotDocument) -> GhostSnapshot {
    // Nothing and less than nothing mean that there is no limit.
    let limit =
        |n: Option<i64>, default| u64::try_from(n.unwrap_or(default)).ok().filter(|n| *n > 0);
    GhostSnapshot {
        max_file_bytes: limit(doc.ignore_large_untracked_files, 10 << 20),
        max_dir_files: limit(doc.ignore_large_untracked_dirs, 200),
        disable_warnings: doc.disable_warnings.unwrap_or(false),
    }
}
