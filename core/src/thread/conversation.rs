//! What the model has been told and has said, and the settings in force.

mod aside;
mod compacting;
mod shelf;
mod told;
mod working;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::recorder::Recorder;
use super::rollout::line::{NewLine, Note, TruncationMode, TruncationPolicy, TurnContext};
use super::rollout::meta::SessionMeta;
use super::rollout::said::ItemPeek;
use super::{Audience, ThreadId};
use crate::approval::SessionApprovals;
use crate::config::features::Stage;
use crate::config::kinds::{
    AskForApproval, Personality, ReasoningEffort, ReasoningSummary, WebSearchMode,
};
use crate::config::{Config, Provider};
use crate::input::HttpHead;
use crate::model::catalogue::{Catalogue, ModelRecord, Truncation};
use crate::model::context;
use crate::model::headers::ProviderFacts;
use crate::model::rate_limits::Snapshot;
use crate::model::request::{self, Request};
use crate::model::usage;
use crate::model::usage::{TokenUsage, TokenUsageInfo};
use crate::outside::Outside;
use crate::rules::RuleSet;
use crate::setup::{Environment, Setup};
use crate::skills::SkillPlace;
use crate::tools;
use crate::turn::{Changed, Sessions, Voice};
use crate::wire::legacy::event::{EventMsg, TurnAbortReason};
use crate::wire::v2::common::{
    CollaborationMode, Json, ModeKind, SandboxPolicy, Settings as ModeSettings,
};
use crate::wire::v2::thread::DynamicToolSpec;
use crate::wire::v2::turn::TurnStartParams;
use aside::Aside;

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

/// What a search in the web may reach: where nothing is configured, what the sandbox leaves open
/// (engine.md §3.1).
fn web_search(config: &Config, settings: &Settings) -> WebSearchMode {
    config.web_search.unwrap_or(match settings.sandbox {
        SandboxPolicy::DangerFullAccess => WebSearchMode::Live,
        SandboxPolicy::ReadOnly
        | SandboxPolicy::ExternalSandbox { .. }
        | SandboxPolicy::WorkspaceWrite { .. } => WebSearchMode::Cached,
    })
}

/// How much of a tool's output the model sees, as the file says it.
fn truncation(model: &ModelRecord) -> TruncationPolicy {
    match model.truncation_policy {
        Truncation::Bytes(limit) => TruncationPolicy { mode: TruncationMode::Bytes, limit },
        Truncation::Tokens(limit) => TruncationPolicy { mode: TruncationMode::Tokens, limit },
    }
}

/// One thread's conversation with the model.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Conversation {
    pub(crate) id: ThreadId,
    pub(crate) id_text: Arc<str>,
    pub(crate) config: Arc<Config>,
    pub(crate) settings: Settings,
    pub(crate) audience: Audience,
    /// For times in error texts.
    pub(crate) zone: jiff::tz::TimeZone,
    /// What the model was told last.
    told: Settings,
    model: Arc<ModelRecord>,
    /// The system prompt, as a JSON string.
    instructions: Arc<str>,
    /// The tools, as a JSON array.
    tools: Arc<str>,
    /// Those of them that the client runs, as it gave them.
    dynamic_tools: Arc<[DynamicToolSpec]>,
    /// What the user approved for the rest of the session.
    pub(crate) approvals: SessionApprovals,
    /// Which commands may run.
    pub(crate) rules: RuleSet,
    /// What the model has left running.
    pub(crate) sessions: Sessions,
    history: Vec<Arc<str>>,
    /// How many items the history had when it was put away; none if it is here.
    shelved: Option<usize>,
    /// What the history has gained and a host that wants raw items was not told yet.
    pub(crate) unsaid: Vec<Arc<str>>,
    /// Where in the history each turn of the user began.
    turn_marks: Vec<usize>,
    /// What the user and the project say; part of the context.
    user_instructions: Arc<str>,
    /// Skills that the user may name.
    pub(crate) skills: Arc<[SkillPlace]>,
    /// The context is recorded with the first turn: opening a stored thread leaves its file as it
    /// is (engine.md §1.2).
    is_context_due: bool,
    /// The thread's file; none if it is kept in memory only.
    pub(crate) recorder: Option<Recorder>,
    usage: Option<TokenUsageInfo>,
    rate_limits: Snapshot,
    shell: Arc<str>,
    /// Where that shell is.
    shell_path: Arc<str>,
    env: Arc<Environment>,
    pub(crate) home: Arc<Path>,
    /// The backend counts earlier reasoning itself (engine.md §2.1).
    counts_reasoning: bool,
    /// What is put by while a reviewer works here.
    aside: Option<Box<Aside>>,
}

#[cfg(feature = "sim")]
impl Conversation {
    /// Who listens and what is being done, without what the model is told.
    pub(crate) fn state(&self) -> impl std::fmt::Debug + '_ {
        let Self { id, audience, approvals, sessions, shelved, is_context_due, recorder, .. } =
            self;
        let recorder = recorder.as_ref().map(Recorder::state);
        let aside = self.aside.is_some();
        (id, audience, approvals, sessions, shelved.is_some(), is_context_due, recorder, aside)
    }
}

impl Settings {
    /// The settings that the configuration gives a new thread.
    pub(crate) fn of(config: &Config, catalogue: &Catalogue, chatgpt: bool, cwd: PathBuf) -> Self {
        Self {
            model: config
                .model
                .slug
                .clone()
                .unwrap_or_else(|| catalogue.default_model(chatgpt).into_owned()),
            effort: config.model.reasoning_effort,
            summary: config.model.reasoning_summary,
            approval_policy: config.permissions.approval_policy,
            sandbox: SandboxPolicy::configured(&config.permissions),
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
                request::instructions_json(&model.instructions(personality))
            }
        };
        Self {
            id,
            id_text: id.0.to_string().into(),
            told: settings.clone(),
            audience: Audience::default(),
            zone: setup.zone.clone(),
            tools: tools::offered(&model, &config, web_search(&config, &settings)),
            dynamic_tools: Arc::default(),
            settings,
            model,
            instructions,
            approvals: SessionApprovals::default(),
            rules: RuleSet::default(),
            sessions: Sessions::default(),
            history: Vec::new(),
            shelved: None,
            unsaid: Vec::new(),
            turn_marks: Vec::new(),
            user_instructions: "".into(),
            skills: Arc::default(),
            is_context_due: true,
            recorder: None,
            usage: None,
            rate_limits: Snapshot::default(),
            shell: setup.host.shell.as_str().into(),
            shell_path: setup.host.shell_path.as_str().into(),
            env: setup.env.clone(),
            home: setup.home.as_path().into(),
            counts_reasoning: false,
            aside: None,
            config,
        }
    }

    // --- instructions ---

    pub(crate) fn set_user_instructions(&mut self, text: &str) {
        self.user_instructions = text.into();
    }

    /// The instructions that the thread began with hold for its life, unless the client replaces
    /// them (engine.md §1.1). So do the tools that its client runs, if they still pass.
    pub(crate) fn keep_what_is_stored(&mut self, meta: &SessionMeta) {
        if let Some(stored) = &meta.base_instructions
            && self.config.instructions.base.is_none()
        {
            self.instructions = request::instructions_json(&stored.text);
        }
        let mut stored = meta.dynamic_tools.clone().unwrap_or_default();
        if let Err(refusal) = tools::dynamic::check(&stored) {
            tracing::warn!(fault = %refusal.message, "the tools of a stored thread are left out");
            stored.clear();
        }
        self.set_dynamic_tools(stored);
    }

    pub(crate) fn base_instructions(&self) -> String {
        serde_json::from_str(&self.instructions).unwrap_or_default()
    }

    // --- tools ---

    /// Takes over tools that the client runs; they were checked before.
    pub(crate) fn set_dynamic_tools(&mut self, tools: Vec<DynamicToolSpec>) {
        self.dynamic_tools = tools.into();
        self.offer_tools();
    }

    /// Tools that the client runs.
    pub(crate) fn dynamic_tools(&self) -> &[DynamicToolSpec] {
        &self.dynamic_tools
    }

    fn offer_tools(&mut self) {
        self.tools = tools::dynamic::offered_with(self.own_tools(), &self.dynamic_tools);
    }

    fn own_tools(&self) -> Arc<str> {
        tools::offered(&self.model, &self.config, web_search(&self.config, &self.settings))
    }

    // --- settings ---

    /// Takes over what a `turn/start` changes. `null` changes nothing; a mode outranks the model
    /// and effort beside it (protocol.md §4.1).
    pub(crate) fn apply(&mut self, params: &TurnStartParams, catalogue: &Catalogue) {
        let reach = web_search(&self.config, &self.settings);
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
        if let Some(aside) = &mut self.aside {
            aside.follow(&self.settings.model, catalogue);
        } else if *self.model.slug != *self.settings.model {
            self.model = catalogue.find(&self.settings.model);
            self.offer_tools();
        } else if reach != web_search(&self.config, &self.settings) {
            self.offer_tools();
        }
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

    /// An item of the history, kept in memory and in the thread's file.
    pub(crate) fn record(&mut self, at: Timestamp, item: Arc<str>) {
        self.store(at, &NewLine::RawItem(&item));
        if self.audience.hears_raw() {
            self.unsaid.push(item.clone());
        }
        self.history.push(item);
    }

    /// A line of the thread's file that is none of the history. A reviewer's are not kept: the
    /// thread goes on without them.
    pub(crate) fn store(&mut self, at: Timestamp, line: &NewLine<'_>) {
        if let Some(recorder) = self.recorder.as_mut().filter(|_| self.aside.is_none()) {
            recorder.line(at, line);
        }
    }

    pub(crate) fn store_event(&mut self, at: Timestamp, event: &EventMsg<'_>) {
        self.store(at, &NewLine::Event(event));
    }

    /// Notes what only this server knows beside the last line.
    pub(crate) fn note(&mut self, at: Timestamp, note: &Note<'_>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.note(at, note);
        }
    }

    /// Notes it beside the line that comes next.
    pub(crate) fn note_before(&mut self, note: &Note<'_>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.note_before(note);
        }
    }

    /// Begins to write what waits.
    pub(crate) fn flush(&mut self, out: &mut Outside) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush(out, self.id);
        }
    }

    /// The same, for the last time.
    pub(crate) fn flush_all(&mut self, out: &mut Outside) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush_all(out, self.id);
        }
    }

    /// Whether everything is stored, or cannot be.
    pub(crate) fn is_stored(&self) -> bool {
        self.recorder.as_ref().is_none_or(Recorder::is_clean)
    }

    /// The turn was stopped. The model is told if that was because of what it did.
    pub(crate) fn record_abort(&mut self, at: Timestamp, reason: TurnAbortReason) {
        if reason == TurnAbortReason::Interrupted {
            self.record(at, context::turn_aborted_json());
        }
        self.store_event(at, &EventMsg::TurnAborted { reason });
    }

    /// The settings that a request is made with.
    pub(crate) fn store_turn_context(&mut self, at: Timestamp, output_schema: Option<&Json>) {
        let Some(recorder) = self.recorder.as_mut().filter(|_| self.aside.is_none()) else {
            return;
        };
        let settings = &self.settings;
        let schema = output_schema.and_then(|schema| serde_json::from_str(schema.get()).ok());
        let mode = settings.mode.clone().unwrap_or_else(|| CollaborationMode {
            mode: ModeKind::Custom,
            settings: ModeSettings {
                model: settings.model.clone(),
                reasoning_effort: settings.effort,
                developer_instructions: None,
            },
        });
        let context = TurnContext {
            cwd: &settings.cwd.to_string_lossy(),
            approval_policy: settings.approval_policy,
            sandbox_policy: &settings.sandbox.clone().into(),
            model: &settings.model,
            personality: Some(settings.personality.unwrap_or(Personality::Friendly)),
            collaboration_mode: Some(&mode),
            effort: settings.effort,
            summary: settings.summary,
            user_instructions: Some(&self.user_instructions),
            developer_instructions: self.config.instructions.developer.as_deref(),
            final_output_json_schema: schema.as_ref(),
            truncation_policy: Some(truncation(&self.model)),
        };
        recorder.line(at, &NewLine::TurnContext(&context));
    }

    /// Takes over a history that was stored.
    pub(crate) fn restore(&mut self, history: Vec<Arc<str>>, usage: Option<TokenUsageInfo>) {
        self.history = history;
        self.mark_turns();
        self.usage = usage;
    }

    /// Takes the last turns back; gives how many messages of the user went with them, which is how
    /// the reference counts (engine.md §1.10).
    pub(crate) fn roll_back(&mut self, turns: usize) -> u32 {
        let left = self.turn_marks.len().saturating_sub(turns);
        let Some(cut) = self.turn_marks.get(left).copied() else { return 0 };
        self.turn_marks.truncate(left);
        let begins = |item: &Arc<str>| ItemPeek::new(item).is_some_and(|i| i.begins_user_turn());
        let messages = self.history.drain(cut..).filter(begins).count();
        let tokens = usage::estimate_prompt(&self.instructions, self.history.iter().map(|i| &**i));
        if let Some(usage) = &mut self.usage {
            usage.set_estimate(tokens);
        }
        u32::try_from(messages).unwrap_or(u32::MAX)
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
            cache_key: self.session_text(),
            store: request::wants_store(&self.provider_facts()),
        }
        .body()
    }

    // --- what it costs ---

    /// Takes the limits that a response's headers tell; says whether the host should know.
    pub(crate) fn take_rate_limits(&mut self, head: &HttpHead) -> bool {
        self.rate_limits.merge(Snapshot::from_headers(head))
    }

    /// Tells what is known of tokens and limits; of a reviewer, whose tokens are none of the
    /// thread's window, only what concerns the account (protocol.md §4.7).
    pub(crate) fn tell_tokens(&mut self, out: &mut Outside, voice: &Voice, changed: Changed) {
        if self.aside.is_some() {
            return voice.limits_changed(out, &self.rate_limits, changed);
        }
        let event = EventMsg::TokenCount {
            info: self.usage.as_ref().map(Into::into),
            rate_limits: Some((&self.rate_limits).into()),
        };
        self.store_event(out.now.wall, &event);
        voice.token_count(out, self.usage.as_ref(), &self.rate_limits, changed);
    }

    pub(crate) fn see_reasoning_header(&mut self, head: &HttpHead) {
        self.counts_reasoning |= head.header("x-reasoning-included").is_some();
    }

    /// Counts what a response cost.
    pub(crate) fn add_usage(&mut self, usage: Option<TokenUsage>) {
        let window = self.window();
        if let Some(usage) = usage.filter(|_| self.aside.is_none()) {
            self.usage.get_or_insert_default().add(usage, window);
        }
    }

    /// The backend says that the window is full.
    pub(crate) fn fill_window(&mut self) {
        if let Some(window) = self.window().filter(|_| self.aside.is_none()) {
            self.usage.get_or_insert_default().fill_window(window);
        }
    }

    /// The tokens that the thread may use, if that is known.
    pub(crate) fn window(&self) -> Option<i64> {
        let percent = self.model.effective_context_window_percent;
        match self.config.model.context_window {
            Some(window) => Some(usage::usable_window(window, percent)),
            None => self.model.usable_window(),
        }
    }
}
