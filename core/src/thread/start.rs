//! Opening a thread: its configuration is read again from the files, then it is there at once
//! (protocol.md §3.1, config.md §2.8).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::conversation::{Conversation, Settings};
use super::instructions::user_instructions;
use super::{Thread, ThreadId};
use crate::config::{self, Choices, Config, ConfigAsk};
use crate::files::Files;
use crate::model::catalogue::Catalogue;
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::setup::Setup;
use crate::thread::rollout_path;
use crate::wire::v2::thread::{ApprovalsReviewer, ThreadStartParams, ThreadStartResponse};

/// A `thread/start` that waits for its configuration.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) ticket: Ticket,
    cwd: PathBuf,
    ephemeral: bool,
}

/// Reads what a thread needs to know from files.
#[derive(Debug)]
pub struct ThreadSettingJob {
    ask: ConfigAsk,
}

/// What a [`ThreadSettingJob`] found.
#[derive(Debug)]
pub struct ThreadSetting {
    /// The configuration, or why the request is wrong.
    pub(crate) config: Result<Arc<Config>, String>,
    pub(crate) user_instructions: Option<String>,
}

impl ThreadSettingJob {
    pub(crate) fn run(self, files: &dyn Files) -> ThreadSetting {
        match config::load_or_default(files, &self.ask) {
            Err(error) => {
                ThreadSetting { config: Err(error.to_string()), user_instructions: None }
            }
            Ok(loaded) => {
                let cwd = self.ask.cwd.as_deref().unwrap_or(Path::new("/"));
                let text = user_instructions(files, &self.ask.home, cwd, &loaded.config);
                ThreadSetting { config: Ok(loaded.config), user_instructions: text }
            }
        }
    }
}

impl Starting {
    /// The request, and the job whose answer it waits for.
    pub(crate) fn new(
        setup: &Setup,
        ticket: Ticket,
        params: ThreadStartParams,
    ) -> (Self, ThreadSettingJob) {
        // Relative to the server's own folder; whether it exists is not checked (protocol.md §3.1).
        let cwd = match &params.cwd {
            Some(cwd) => setup.cwd.join(cwd),
            None => setup.cwd.clone(),
        };
        let ask = ConfigAsk {
            overrides: setup.overrides.clone(),
            env: setup.env.clone(),
            request: params.config.into_iter().flatten().collect(),
            choices: Choices {
                model: params.model,
                model_provider: params.model_provider,
                approval_policy: params.approval_policy,
                sandbox_mode: params.sandbox,
                personality: params.personality,
                base_instructions: params.base_instructions,
                developer_instructions: params.developer_instructions,
                ..Choices::default()
            },
            ..ConfigAsk::new(&setup.home, &cwd)
        };
        let ephemeral = params.ephemeral.unwrap_or(false);
        (Self { ticket, cwd, ephemeral }, ThreadSettingJob { ask })
    }

    /// The thread, with the first messages that the model will see.
    pub(crate) fn finish(
        self,
        out: &mut Outside,
        setup: &Setup,
        catalogue: &Catalogue,
        chatgpt: bool,
        config: Arc<Config>,
        user_instructions: Option<&str>,
    ) -> (Ticket, Thread) {
        let id = ThreadId(out.rng.uuid_v7(out.now));
        let settings = Settings::of(&config, catalogue, chatgpt, self.cwd);
        let mut conversation = Conversation::new(id, setup, config, settings, catalogue);
        conversation.record_initial_context(user_instructions);
        let created = out.now.wall;
        let path =
            (!self.ephemeral).then(|| rollout_path(&setup.home, created, &setup.zone, id));
        let thread = Thread {
            conversation,
            turn: None,
            created,
            updated: created,
            path,
            preview: String::new(),
        };
        (self.ticket, thread)
    }
}

impl Thread {
    /// The reply to `thread/start`.
    pub(crate) fn start_response(&self) -> ThreadStartResponse {
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
}
