//! Threads: a conversation with its settings, and the turn that runs in it.
//!
//! Owns: what the model has been told and has said, what the settings are, what it cost.
//! States: idle, or one [`Turn`] running.
//!
//! Invariant: the history holds each item as the JSON that goes out, shared and never changed, so
//! that a request is made without copying it.

pub mod archive;
mod audience;
mod conversation;
pub mod index;
mod instructions;
pub mod list;
pub mod locate;
pub mod name;
pub mod rollout;
mod start;
pub mod stored;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::clock::Now;
use crate::turn::Turn;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::refusal::Refusal;
use crate::wire::v2::id::parse_uuid;
use crate::wire::v2::item::UserInput;
use crate::wire::v2::thread::{SessionSource, Thread as ThreadView, ThreadStatus};

pub(crate) use audience::Audience;
pub(crate) use conversation::Conversation;
pub(crate) use start::Starting;
pub use start::{ThreadSetting, ThreadSettingJob};

/// Names a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ThreadId(pub(crate) Uuid);

/// The threads that are open, by id.
pub(crate) type Threads = BTreeMap<ThreadId, Thread>;

/// A thread that is open.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) conversation: Conversation,
    pub(crate) turn: Option<Turn>,
    created: Timestamp,
    updated: Timestamp,
    /// Its file; none if it is kept in memory only.
    path: Option<PathBuf>,
    preview: String,
}

impl Thread {
    /// Takes note of what the user says: the first words stand for the thread in lists.
    pub(crate) fn note_input(&mut self, input: &[UserInput], now: Now) {
        self.updated = now.wall;
        if self.preview.is_empty() {
            let texts = input.iter().filter_map(|part| match part {
                UserInput::Text { text, .. } => Some(text.as_str()),
                _ => None,
            });
            self.preview = texts.collect();
        }
    }

    /// The thread as clients see it, without turns.
    pub(crate) fn view(&self) -> ThreadView {
        let id = self.conversation.id_text.to_string();
        let status = match &self.turn {
            None => ThreadStatus::Idle,
            Some(_) => ThreadStatus::Active { active_flags: Vec::new() },
        };
        ThreadView {
            session_id: id.clone(),
            id,
            preview: self.preview.clone(),
            model_provider: self.conversation.config.provider_id.clone(),
            created_at: self.created.as_second(),
            updated_at: self.updated.as_second(),
            status,
            ephemeral: self.path.is_none(),
            path: self.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
            cwd: self.conversation.settings.cwd.to_string_lossy().into_owned(),
            cli_version: PROTOCOL_VERSION.to_owned(),
            source: SessionSource::VsCode,
            git_info: None,
            project_id: None,
            turns: Vec::new(),
        }
    }
}

/// Reads a thread's id as clients write it, in any of a UUID's spellings (protocol.md §1.3).
pub(crate) fn parse_id(text: &str) -> Result<ThreadId, Refusal> {
    parse_uuid(text)
        .map(ThreadId)
        .map_err(|err| Refusal::invalid(format!("invalid thread id: {err}")))
}

/// The thread that a client names, which must be open.
pub(crate) fn find<'a>(threads: &'a mut Threads, text: &str) -> Result<&'a mut Thread, Refusal> {
    let id = parse_id(text)?;
    threads.get_mut(&id).ok_or_else(|| Refusal::invalid(format!("thread not found: {}", id.0)))
}

/// Where a thread is stored (engine.md §8.1): by the local time at which it began.
fn rollout_path(home: &Path, created: Timestamp, zone: &TimeZone, id: ThreadId) -> PathBuf {
    let local = zone.to_datetime(created);
    let folder = local.strftime("sessions/%Y/%m/%d").to_string();
    let name = format!("rollout-{}-{}.jsonl", local.strftime("%Y-%m-%dT%H-%M-%S"), id.0);
    home.join(folder).join(name)
}
