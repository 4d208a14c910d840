//! Opening threads: new ones, stored ones, and copies (protocol.md §3.2, engine.md §1.2, §8.6).
//!
//! Two jobs at most: the first finds the file and reads the configuration, the second reads the
//! thread back. Between them the conversation is made, because what the history begins with depends
//! on the settings.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::conversation::{Conversation, Settings};
use super::instructions::user_instructions;
use super::locate::locate;
use super::recorder::Recorder;
use super::rollout::head::Head;
use super::rollout::line::NewLine;
use super::rollout::meta::{BaseInstructions, GitFacts, SessionMeta};
use super::rollout::name::RolloutName;
use super::rollout::rebuild::{RebuildJob, Rebuilt};
use super::rollout::said;
use super::{Audience, Thread, ThreadId, git};
use crate::config::features::Feature;
use crate::config::kinds::{AskForApproval, Personality, SandboxMode};
use crate::config::{self, Choices, Config, ConfigAsk, Loaded};
use crate::files::{FileError, Files, IfMissing};
use crate::limits;
use crate::model::catalogue::Catalogue;
use crate::model::review::ReviewOrder;
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::rules::{LoadedRules, RuleSet, RulesFolder, RulesJob};
use crate::setup::Setup;
use crate::skills::{self, Skill, SkillPlace};
use crate::wire::PROTOCOL_VERSION;
use crate::wire::legacy::conversation::{NewConversationParams, SessionSource};
use crate::wire::legacy::event::EventMsg;
use crate::wire::refusal::Refusal;
use crate::wire::response_item::ResponseItem;
use crate::wire::v2::item::UserInput;
use crate::wire::v2::thread::{
    ApprovalsReviewer, DynamicToolSpec, ThreadForkParams, ThreadResumeParams, ThreadStartParams,
    ThreadStartResponse,
};
use crate::wire::v2::turn::Turn;

/// What a thread is opened from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// Nothing: it is new.
    New,
    /// A stored thread.
    Id(ThreadId),
    /// A file anywhere.
    Path(PathBuf),
    /// Items that the client hands in: a new thread.
    History(Vec<ResponseItem>),
}

/// Which reply is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenKind {
    Start,
    Resume,
    Fork,
}

/// In which dialect the reply is given, and who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenDialect {
    V2 { raw: bool },
    Legacy,
}

/// A thread on its way.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Opening {
    pub(crate) ticket: Ticket,
    pub(crate) kind: OpenKind,
    pub(crate) dialect: OpenDialect,
    pub(crate) source: Source,
    pub(crate) ephemeral: bool,
    /// Tools that the client of a new thread runs.
    pub(crate) dynamic_tools: Vec<DynamicToolSpec>,
    /// The review that it is opened for; the reply is that of the review.
    pub(crate) review: Option<Box<ReviewOrder>>,
    pub(crate) stage: OpenStage,
}

/// What a thread on its way waits for.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) enum OpenStage {
    /// The file and the configuration.
    Setting,
    /// The history, for the conversation that is made.
    History(Box<Made>),
    /// The copy of the file that it is forked from.
    Copy(Box<Thread>, Vec<Turn>, Vec<EventMsg<'static>>),
}

/// A conversation whose history is being read.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Made {
    conversation: Conversation,
    git: Option<GitFacts>,
    pub(crate) from: PathBuf,
}

/// What a request to open a thread says.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) model: Option<String>,
    pub(crate) model_provider: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) cwd: Option<String>,
    pub(crate) approval_policy: Option<AskForApproval>,
    pub(crate) sandbox: Option<SandboxMode>,
    pub(crate) config: Vec<(String, Value)>,
    pub(crate) base_instructions: Option<String>,
    pub(crate) developer_instructions: Option<String>,
    pub(crate) personality: Option<Personality>,
    pub(crate) include_apply_patch_tool: Option<bool>,
}

/// Finds a thread's file and reads what the thread needs to know.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct ThreadSettingJob {
    home: PathBuf,
    /// The server's own folder, for what names none.
    cwd: PathBuf,
    source: Option<Result<PathBuf, ThreadId>>,
    ask: ConfigAsk,
    wants_git: bool,
}

/// What a [`ThreadSettingJob`] found, or why the request is refused.
#[derive(Debug)]
pub struct ThreadSetting(pub(crate) Result<Setting, Refusal>);

/// What a thread needs to know from files.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) config: Arc<Config>,
    user_instructions: String,
    /// Skills that may be used.
    skills: Vec<SkillPlace>,
    rules: RuleSet,
    cwd: PathBuf,
    git: Option<GitFacts>,
    /// The file that the thread is opened from, and its first line.
    from: Option<(PathBuf, SessionMeta)>,
}

/// Requests to open a thread have most members in common, and some have more.
macro_rules! wishes_from {
    ($($params:ty { $($more:ident),* })*) => {$(
        impl From<$params> for Wishes {
            fn from(params: $params) -> Self {
                Self {
                    model: params.model,
                    model_provider: params.model_provider,
                    cwd: params.cwd,
                    approval_policy: params.approval_policy,
                    sandbox: params.sandbox,
                    config: params.config.into_iter().flatten().collect(),
                    base_instructions: params.base_instructions,
                    developer_instructions: params.developer_instructions,
                    $($more: params.$more,)*
                    ..Self::default()
                }
            }
        }
    )*};
}

wishes_from! {
    ThreadStartParams { personality }
    ThreadResumeParams { personality }
    ThreadForkParams {}
    NewConversationParams { profile, include_apply_patch_tool }
}

impl ThreadSettingJob {
    pub(crate) fn new(setup: &Setup, source: &Source, wishes: Wishes) -> Self {
        let source_file = match source {
            Source::New | Source::History(_) => None,
            Source::Id(id) => Some(Err(*id)),
            Source::Path(path) => Some(Ok(path.clone())),
        };
        let ask = ConfigAsk {
            overrides: setup.overrides.clone(),
            env: setup.env.clone(),
            request: wishes.config,
            // Relative to the server's own folder; whether it exists is not checked.
            cwd: wishes.cwd.map(|cwd| setup.cwd.join(cwd)),
            choices: Choices {
                model: wishes.model,
                model_provider: wishes.model_provider,
                profile: wishes.profile,
                approval_policy: wishes.approval_policy,
                sandbox_mode: wishes.sandbox,
                personality: wishes.personality,
                base_instructions: wishes.base_instructions,
                developer_instructions: wishes.developer_instructions,
                include_apply_patch_tool: wishes.include_apply_patch_tool,
            },
            ..ConfigAsk::new(&setup.home, &setup.cwd)
        };
        Self {
            home: setup.home.clone(),
            cwd: setup.cwd.clone(),
            source: source_file,
            ask,
            wants_git: true,
        }
    }

    pub(crate) fn run(self, files: &dyn Files) -> ThreadSetting {
        ThreadSetting(self.find(files))
    }

    fn find(mut self, files: &dyn Files) -> Result<Setting, Refusal> {
        let from = self.source.take().map(|source| self.source_file(files, source)).transpose()?;
        let stored_cwd = from.as_ref().map(|(_, meta)| PathBuf::from(&meta.cwd));
        let cwd = self.ask.cwd.take().or(stored_cwd).unwrap_or_else(|| self.cwd.clone());
        self.ask.cwd = Some(cwd.clone());
        let loaded = config::load_or_default(files, &self.ask)
            .map_err(|error| Refusal::invalid(format!("error deriving config: {error}")))?;
        let rules = rules(files, &loaded);
        let config = loaded.config;
        config
            .provider
            .check_wire(&config.provider_id)
            .map_err(|error| Refusal::invalid(format!("error deriving config: {error}")))?;
        let git = if self.wants_git { git::facts(files, &cwd) } else { None };
        let skills = skills::usable(files, &self.home, &loaded.layers, &config);
        let section = skills::section(&skills);
        Ok(Setting {
            user_instructions: user_instructions(files, &self.home, &cwd, &config, section),
            skills: skills.iter().map(Skill::place).collect(),
            rules,
            config,
            cwd,
            git,
            from,
        })
    }

    fn source_file(
        &self,
        files: &dyn Files,
        source: Result<PathBuf, ThreadId>,
    ) -> Result<(PathBuf, SessionMeta), Refusal> {
        let path = match source {
            Ok(path) => path,
            Err(ThreadId(id)) => locate(files, &self.home, id, false)
                .map_err(|err| Refusal::invalid(format!("failed to locate thread id {id}: {err}")))?
                .ok_or_else(|| Refusal::invalid(format!("no rollout found for thread id {id}")))?,
        };
        let fault = |text: &str| {
            Refusal::invalid(format!("failed to load rollout `{}`: {text}", path.display()))
        };
        match Head::read(files, &path) {
            Err(err) => Err(fault(&err.text)),
            Ok(Some(head)) => Ok((path, head.meta)),
            Ok(None) => {
                let is_empty = files.stat(&path).is_ok_and(|stat| stat.len == 0);
                Err(fault(if is_empty {
                    "empty session file"
                } else {
                    "failed to parse thread ID from rollout file"
                }))
            }
        }
    }
}

/// The rules of a thread. What is wrong with their files was said when the process began, as far as
/// they are the process's own; rules in doubt allow nothing.
fn rules(files: &dyn Files, loaded: &Loaded) -> RuleSet {
    if !loaded.config.features.has(Feature::ExecPolicy) {
        return RuleSet::default();
    }
    let folders = RulesFolder::of(&loaded.layers, loaded.config.permissions.trust);
    let LoadedRules { rules, errors } = RulesJob { folders }.run(files);
    for error in errors {
        tracing::warn!(%error, "rules of a thread");
    }
    rules
}

/// What opening a thread leads to.
pub(crate) enum Opened {
    /// It is there.
    Ready(Box<Thread>),
    /// Its file has to be read first.
    Reading(Box<RebuildJob>),
}

impl Opening {
    /// The first step of opening a thread that is kept in a file.
    pub(crate) fn new(
        ticket: Ticket,
        kind: OpenKind,
        dialect: OpenDialect,
        source: Source,
    ) -> Self {
        Self {
            ticket,
            kind,
            dialect,
            source,
            ephemeral: false,
            dynamic_tools: Vec::new(),
            review: None,
            stage: OpenStage::Setting,
        }
    }

    /// Makes the conversation out of what the first job found.
    pub(crate) fn make(
        &mut self,
        out: &mut Outside,
        setup: &Setup,
        originator: &str,
        catalogue: &Catalogue,
        chatgpt: bool,
        setting: Setting,
    ) -> Opened {
        let Setting { config, user_instructions, rules, skills, cwd, git, from } = setting;
        let id = match (&from, self.kind) {
            (Some((_, meta)), OpenKind::Resume) => stored_id(meta),
            _ => None,
        };
        let id = id.unwrap_or_else(|| ThreadId(out.rng.uuid_v7(out.now)));
        let settings = Settings::of(&config, catalogue, chatgpt, cwd);
        let mut conversation = Conversation::new(id, setup, config, settings, catalogue);
        conversation.audience = self.audience();
        conversation.set_user_instructions(&user_instructions);
        conversation.skills = skills.into();
        conversation.rules = rules;
        if !self.dynamic_tools.is_empty() {
            conversation.set_dynamic_tools(std::mem::take(&mut self.dynamic_tools));
        }
        if let Some((path, _)) = from {
            let job = RebuildJob {
                path: path.clone(),
                initial_context: conversation.context(),
                default_provider: conversation.config.provider_id.clone(),
                wants_history: true,
                wants_turns: true,
                wants_events: self.dialect == OpenDialect::Legacy,
            };
            self.stage = OpenStage::History(Box::new(Made { conversation, git, from: path }));
            return Opened::Reading(Box::new(job));
        }
        let at = out.now.wall;
        if !self.ephemeral {
            let name = RolloutName::new(at, &setup.zone, id.0);
            conversation.recorder = Some(Recorder::new(name.path_in_sessions(&setup.home)));
            let meta = new_meta(&conversation, out, originator, git.clone(), None);
            conversation.store(at, &NewLine::SessionMeta(&meta));
        }
        match std::mem::replace(&mut self.source, Source::New) {
            Source::History(items) => {
                for item in &items {
                    if let Ok(json) = serde_json::to_string(item) {
                        conversation.record(at, json.into());
                    }
                }
            }
            _ => conversation.record_context(at),
        }
        conversation.flush(out);
        Opened::Ready(Box::new(Thread::new(conversation, at, git, String::new())))
    }

    fn audience(&self) -> Audience {
        match self.dialect {
            OpenDialect::V2 { raw } => Audience::v2(raw),
            OpenDialect::Legacy => Audience::default(),
        }
    }

    /// Puts what the second job read into the conversation.
    pub(crate) fn restore(
        out: &mut Outside,
        setup: &Setup,
        originator: &str,
        kind: OpenKind,
        made: Made,
        rebuilt: &mut Rebuilt,
    ) -> (Thread, Option<ForkJob>) {
        let Made { mut conversation, git, from } = made;
        conversation.keep_what_is_stored(&rebuilt.meta);
        let usage = rebuilt.token_info.take().map(Into::into);
        conversation.restore(std::mem::take(&mut rebuilt.history), usage);
        let stored = &rebuilt.stored;
        let preview = stored.preview.clone();
        if kind == OpenKind::Resume {
            conversation.recorder = Some(Recorder::found(from));
            let mut thread =
                Thread::new(conversation, stored.created_at, stored.git.clone(), preview);
            thread.updated = stored.updated_at;
            thread.source = stored.source.clone();
            thread.cli_version.clone_from(&stored.cli_version);
            return (thread, None);
        }
        let at = out.now.wall;
        let name = RolloutName::new(at, &setup.zone, conversation.id.0);
        let to = name.path_in_sessions(&setup.home);
        let source_id = Some(rebuilt.meta.id.clone());
        let meta = new_meta(&conversation, out, originator, git.clone(), source_id);
        let mut first = Vec::new();
        NewLine::SessionMeta(&meta).write(at, &mut first);
        // The copy makes the file.
        conversation.recorder = Some(Recorder::found(to.clone()));
        let copy = ForkJob { from, to, first, len: rebuilt.bytes_read };
        (Thread::new(conversation, at, git, preview), Some(copy))
    }
}

fn stored_id(meta: &SessionMeta) -> Option<ThreadId> {
    uuid::Uuid::try_parse(&meta.id).ok().map(ThreadId)
}

fn new_meta(
    conversation: &Conversation,
    out: &Outside,
    originator: &str,
    git: Option<GitFacts>,
    forked_from_id: Option<String>,
) -> SessionMeta {
    SessionMeta {
        id: conversation.id_text.to_string(),
        forked_from_id,
        timestamp: format!("{:.3}", out.now.wall),
        cwd: conversation.settings.cwd.to_string_lossy().into_owned(),
        originator: originator.to_owned(),
        cli_version: PROTOCOL_VERSION.to_owned(),
        source: SessionSource::VsCode,
        model_provider: Some(conversation.config.provider_id.clone()),
        base_instructions: Some(BaseInstructions { text: conversation.base_instructions() }),
        dynamic_tools: Some(conversation.dynamic_tools().to_vec())
            .filter(|tools| !tools.is_empty()),
        git,
    }
}

/// Copies what a thread was forked from behind the new file's own first line (engine.md §8.6).
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct ForkJob {
    from: PathBuf,
    to: PathBuf,
    /// The new file's own first line.
    first: Vec<u8>,
    /// How much of it is copied: what was read. A turn of the other thread may have gone on.
    len: u64,
}

impl ForkJob {
    pub(crate) fn run(self, files: &dyn Files) -> Result<(), FileError> {
        files.append(&self.to, &self.first, IfMissing::Make)?;
        let mut at = 0;
        let mut ends_whole = true;
        while at < self.len {
            let rest = usize::try_from(self.len - at).unwrap_or(usize::MAX);
            let piece = files.read_at(&self.from, at, rest.min(limits::COPY_BYTES))?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            ends_whole = piece.ends_with(b"\n");
            files.append(&self.to, &piece, IfMissing::Fail)?;
        }
        if ends_whole { Ok(()) } else { files.append(&self.to, b"\n", IfMissing::Fail) }
    }
}

impl Thread {
    /// The reply to opening it.
    pub(crate) fn open_response(&self) -> ThreadStartResponse {
        let settings = &self.conversation.settings;
        ThreadStartResponse {
            thread: self.view(),
            model: settings.model.clone(),
            model_provider: self.conversation.config.provider_id.clone(),
            cwd: settings.cwd.to_string_lossy().into_owned(),
            approval_policy: settings.approval_policy,
            approvals_reviewer: ApprovalsReviewer::User,
            sandbox: settings.sandbox.clone(),
            reasoning_effort: settings.effort,
        }
    }

    /// Takes note of what the user says: the first words stand for the thread in lists.
    pub(crate) fn note_input(&mut self, input: &[UserInput], now: Timestamp) {
        let texts = input.iter().filter_map(|part| match part {
            UserInput::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        self.note_said(&texts.collect::<String>(), now);
    }

    /// The same of a text.
    pub(crate) fn note_said(&mut self, text: &str, now: Timestamp) {
        self.updated = now;
        if self.preview.is_empty() {
            self.preview = said::preview(text);
        }
    }
}
