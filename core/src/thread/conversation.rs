//! What the model has been told and has said, and the settings in force.
//!
//! Invariant: the model is told of a changed setting once, before the next input (engine.md §1.4).

use std::path::PathBuf;
use std::sync::Arc;

use super::ThreadId;
use crate::config::kinds::{
    AskForApproval, Personality, ReasoningEffort, ReasoningSummary, SandboxMode, WebSearchMode,
};
use crate::config::features::Stage;
use crate::config::{Config, Provider};
use crate::input::HttpHead;
use crate::model::catalogue::{Catalogue, ModelRecord};
use crate::model::context::{self, PermissionFacts};
use crate::model::rate_limits::Snapshot;
use crate::model::request::{self, Request};
use crate::model::usage::{TokenUsage, TokenUsageInfo};
use crate::model::headers::ProviderFacts;
use crate::model::usage;
use crate::setup::Setup;
use crate::wire::v2::account::RateLimitSnapshot;
use crate::wire::v2::common::{CollaborationMode, Json, NetworkAccess, SandboxPolicy};
use crate::wire::v2::turn::{ThreadTokenUsage, TurnStartParams};

/// Settings that a turn may change for itself and all later ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) model: String,
    /// As configured; none means the model's own default.
    pub(crate) effort: Option<ReasoningEffort>,
    pub(crate) summary: ReasoningSummary,
    pub(crate) approval_policy: AskForApproval,
    pub(crate) sandbox: SandboxPolicy,
    pub(crate) cwd: PathBuf,
    pub(crate) personality: Option<Personality>,
    pub(crate) mode: Option<CollaborationMode>,
}

/// One thread's conversation with the model.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) id: ThreadId,
    pub(crate) id_text: Arc<str>,
    pub(crate) config: Arc<Config>,
    pub(crate) settings: Settings,
    /// For times in error texts.
    pub(crate) zone: jiff::tz::TimeZone,
    /// What the model was told last.
    told: Settings,
    model: Arc<ModelRecord>,
    /// The system prompt, as a JSON string.
    instructions: Arc<str>,
    /// The tools, as a JSON array.
    tools: Arc<str>,
    history: Vec<Arc<str>>,
    usage: Option<TokenUsageInfo>,
    rate_limits: Snapshot,
    shell: Arc<str>,
    tmpdir: Option<String>,
    /// The backend counts earlier reasoning itself (engine.md §2.1).
    counts_reasoning: bool,
}

impl Settings {
    /// The settings that the configuration gives a new thread.
    pub(crate) fn of(config: &Config, catalogue: &Catalogue, chatgpt: bool, cwd: PathBuf) -> Self {
        let write = &config.permissions.workspace_write;
        let sandbox = match config.permissions.sandbox_mode {
            SandboxMode::ReadOnly => SandboxPolicy::ReadOnly,
            SandboxMode::DangerFullAccess => SandboxPolicy::DangerFullAccess,
            SandboxMode::WorkspaceWrite => SandboxPolicy::WorkspaceWrite {
                writable_roots: write
                    .writable_roots
                    .iter()
                    .filter_map(|root| root.to_string_lossy().into_owned().try_into().ok())
                    .collect(),
                network_access: write.network_access,
                exclude_tmpdir_env_var: write.exclude_tmpdir_env_var,
                exclude_slash_tmp: write.exclude_slash_tmp,
            },
        };
        Self {
            model: config.model.slug.clone().unwrap_or_else(|| catalogue.default_model(chatgpt).into_owned()),
            effort: config.model.reasoning_effort,
            summary: config.model.reasoning_summary,
            approval_policy: config.permissions.approval_policy,
            sandbox,
            cwd,
            personality: config.model.personality,
            mode: None,
        }
    }
}

impl Conversation {
    /// A conversation with nothing in it.
    pub(crate) fn new(
        id: ThreadId,
        setup: &Setup,
        config: Arc<Config>,
        settings: Settings,
        catalogue: &Catalogue,
    ) -> Self {
        let model = catalogue.find(&settings.model);
        let instructions = match &config.instructions.base {
            Some(text) => request::json_string(text),
            None => {
                let personality = settings.personality.map(Personality::as_str);
                request::json_string(&model.instructions(personality))
            }
        };
        Self {
            id,
            id_text: id.0.to_string().into(),
            told: settings.clone(),
            settings,
            zone: setup.zone.clone(),
            model,
            instructions,
            tools: "[]".into(),
            history: Vec::new(),
            usage: None,
            rate_limits: Snapshot::default(),
            shell: setup.host.shell.as_str().into(),
            tmpdir: setup.env.filled("TMPDIR").map(str::to_owned),
            counts_reasoning: false,
            config,
        }
    }

    // --- settings ---

    /// Takes over what a `turn/start` changes. `null` changes nothing; a mode outranks the model
    /// and effort beside it (protocol.md §4.1).
    pub(crate) fn apply(&mut self, params: &TurnStartParams, catalogue: &Catalogue) {
        let settings = &mut self.settings;
        if let Some(cwd) = &params.cwd {
            settings.cwd = settings.cwd.join(cwd);
        }
        if let Some(policy) = params.approval_policy {
            settings.approval_policy = policy;
        }
        if let Some(policy) = &params.sandbox_policy {
            settings.sandbox = policy.clone();
        }
        if let Some(model) = &params.model {
            settings.model.clone_from(model);
        }
        settings.effort = params.effort.or(settings.effort);
        settings.summary = params.summary.unwrap_or(settings.summary);
        settings.personality = params.personality.or(settings.personality);
        if let Some(mode) = &params.collaboration_mode {
            settings.model.clone_from(&mode.settings.model);
            settings.effort = mode.settings.reasoning_effort;
            settings.mode = Some(mode.clone());
        }
        if *self.model.slug != *self.settings.model {
            self.model = catalogue.find(&self.settings.model);
        }
    }

    /// Tells the model of settings that have changed since it was told last.
    pub(crate) fn announce_settings(&mut self) {
        let before = std::mem::replace(&mut self.told, self.settings.clone());
        let now = &self.settings;
        let mut messages = Vec::new();
        if before.cwd != now.cwd {
            messages.push(self.environment());
        }
        if (&before.sandbox, before.approval_policy) != (&now.sandbox, now.approval_policy) {
            messages.push(self.permissions());
        }
        if before.mode != now.mode {
            messages.extend(self.mode_message());
        }
        if before.personality != now.personality
            && let Some(words) = now.personality.and_then(|p| self.model.personality_words(p.as_str()))
        {
            messages.push(context::personality_json(words));
        }
        self.history.extend(messages);
    }

    /// The messages that a new thread begins with, in the order of engine.md §1.2.
    pub(crate) fn record_initial_context(&mut self, user_instructions: Option<&str>) {
        let mut messages = vec![self.permissions()];
        messages.extend(self.config.instructions.developer.as_deref().map(context::developer_json));
        messages.extend(self.mode_message());
        messages.extend(
            user_instructions.map(|text| context::user_instructions_json(&self.cwd_text(), text)),
        );
        messages.push(self.environment());
        self.history.extend(messages);
    }

    fn cwd_text(&self) -> String {
        self.settings.cwd.to_string_lossy().into_owned()
    }

    fn environment(&self) -> Arc<str> {
        context::environment_json(&self.cwd_text(), &self.shell)
    }

    fn mode_message(&self) -> Option<Arc<str>> {
        let text = self.settings.mode.as_ref()?.settings.developer_instructions.as_deref()?;
        context::mode_json(text)
    }

    fn permissions(&self) -> Arc<str> {
        let (sandbox, network) = match &self.settings.sandbox {
            SandboxPolicy::ReadOnly => (SandboxMode::ReadOnly, false),
            SandboxPolicy::DangerFullAccess => (SandboxMode::DangerFullAccess, true),
            SandboxPolicy::ExternalSandbox { network_access } => {
                (SandboxMode::DangerFullAccess, *network_access == NetworkAccess::Enabled)
            }
            SandboxPolicy::WorkspaceWrite { network_access, .. } => {
                (SandboxMode::WorkspaceWrite, *network_access)
            }
        };
        context::permissions_json(&PermissionFacts {
            sandbox,
            network,
            approval: self.settings.approval_policy,
            writable_roots: &self.writable_roots(),
            prefix_rules: false,
            allowed_prefixes: &[],
        })
    }

    /// Where commands may write: the configured roots, the working folder, `/tmp`, `$TMPDIR`.
    fn writable_roots(&self) -> Vec<String> {
        let SandboxPolicy::WorkspaceWrite {
            writable_roots,
            exclude_tmpdir_env_var,
            exclude_slash_tmp,
            ..
        } = &self.settings.sandbox
        else {
            return Vec::new();
        };
        let mut roots: Vec<String> =
            writable_roots.iter().map(|root| root.as_str().to_owned()).collect();
        roots.push(self.cwd_text());
        roots.extend((!exclude_slash_tmp).then(|| "/tmp".to_owned()));
        roots.extend(self.tmpdir.clone().filter(|_| !exclude_tmpdir_env_var));
        roots
    }

    // --- the provider ---

    pub(crate) fn provider(&self) -> &Provider {
        &self.config.provider
    }

    pub(crate) fn provider_facts(&self) -> ProviderFacts<'_> {
        self.config.provider.facts(&self.config.provider_id)
    }

    /// Experimental features that are on, as the backend is told.
    pub(crate) fn beta_features(&self) -> String {
        let keys = self.config.features.iter().filter(|row| row.stage == Stage::Experimental);
        keys.map(|row| row.key).collect::<Vec<_>>().join(",")
    }

    /// Whether the backend may search the web in this turn.
    pub(crate) fn may_search_web(&self) -> bool {
        self.config.web_search != Some(WebSearchMode::Disabled)
    }

    // --- the history ---

    pub(crate) fn record(&mut self, item: Arc<str>) {
        self.history.push(item);
    }

    pub(crate) fn record_abort(&mut self) {
        self.history.push(context::turn_aborted_json());
    }

    /// The next request's body: the history in it is shared, not copied.
    pub(crate) fn request_body(&self, output_schema: Option<&Json>) -> Vec<Arc<str>> {
        Request {
            model: &self.model,
            instructions: &self.instructions,
            input: &self.history,
            tools: &self.tools,
            parallel: self.model.supports_parallel_tool_calls,
            effort: self.settings.effort,
            summary: self.settings.summary,
            verbosity: self.config.model.verbosity,
            output_schema: output_schema.map(Json::raw),
            cache_key: &self.id_text,
            store: request::wants_store(&self.provider_facts()),
        }
        .body()
    }

    // --- what it costs ---

    /// Takes the limits that a response's headers tell; gives them back when the host should know.
    pub(crate) fn take_rate_limits(&mut self, head: &HttpHead) -> Option<RateLimitSnapshot> {
        self.rate_limits.merge(Snapshot::from_headers(head)).then(|| (&self.rate_limits).into())
    }

    pub(crate) fn see_reasoning_header(&mut self, head: &HttpHead) {
        self.counts_reasoning |= head.header("x-reasoning-included").is_some();
    }

    /// Counts what a response cost; gives the sum for the host.
    pub(crate) fn add_usage(&mut self, usage: Option<TokenUsage>) -> Option<ThreadTokenUsage> {
        let window = self.window();
        if let Some(usage) = usage {
            self.usage.get_or_insert_default().add(usage, window);
        }
        self.usage.as_ref().map(ThreadTokenUsage::from)
    }

    /// The backend says that the window is full.
    pub(crate) fn fill_window(&mut self) -> Option<ThreadTokenUsage> {
        let window = self.window()?;
        let info = self.usage.get_or_insert_default();
        info.fill_window(window);
        Some((&*info).into())
    }

    fn window(&self) -> Option<i64> {
        let percent = self.model.effective_context_window_percent;
        match self.config.model.context_window {
            Some(window) => Some(usage::usable_window(window, percent)),
            None => self.model.usable_window(),
        }
    }
}
