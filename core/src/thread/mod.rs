//! Threads: a conversation with its settings, and the turn that runs in it.
//!
//! Owns: what the model has been told and has said, what the settings are, what it cost.
//! States: idle, or one `Turn` running.
//!
//! Invariant: the history holds each item as the JSON that goes out, shared and never changed, so
//! that a request is made without copying it.

pub mod archive;
mod audience;
mod conversation;
mod git;
pub mod index;
mod instructions;
pub mod list;
pub mod locate;
pub mod name;
pub mod open;
pub mod question;
pub mod recorder;
pub mod rollout;
pub mod stored;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::limits;
use crate::model::review::ReviewOrder;
use crate::pending::Ticket;
use crate::turn::Turn;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::legacy::conversation::SessionSource;
use crate::wire::refusal::Refusal;
use crate::wire::v2::id::parse_uuid;
use crate::wire::v2::thread::{Thread as ThreadView, ThreadStatus};
use crate::wire::v2::turn::TurnStartParams;
use rollout::meta::{GitFacts, view_of_source};

pub(crate) use audience::Audience;
pub(crate) use conversation::Conversation;
pub(crate) use recorder::Recorder;

/// Names a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ThreadId(pub(crate) Uuid);

/// The threads that are open, by id. Boxed, because a node of the map has room for eleven of them,
/// and most sessions have one.
pub(crate) type Threads = BTreeMap<ThreadId, Box<Thread>>;

/// A thread that is open.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Thread {
    pub(crate) conversation: Conversation,
    pub(crate) turn: Option<Turn>,
    created: Timestamp,
    updated: Timestamp,
    preview: String,
    git: Option<GitFacts>,
    source: SessionSource,
    cli_version: String,
    /// A rollback that waits for the file.
    pub(crate) is_rolling_back: bool,
    /// The history is being read back.
    pub(crate) is_loading: bool,
    /// When it was used last, in time since the runtime's start.
    pub(crate) used: Duration,
    /// What was asked for and waits until the thread is ready for it.
    pub(crate) starts: VecDeque<Start>,
}

/// What waits for a thread that is ending a turn, or has to read its history back.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) enum Start {
    /// Input; older clients have their reply already.
    Input(Option<Ticket>, Box<TurnStartParams>),
    /// A review.
    Review(Ticket, Box<ReviewOrder>),
    /// So many turns are taken back.
    RollBack(Ticket, u32),
}

impl Start {
    /// The request that waits for a reply.
    pub(crate) fn ticket(self) -> Option<Ticket> {
        match self {
            Self::Input(ticket, _) => ticket,
            Self::Review(ticket, _) | Self::RollBack(ticket, _) => Some(ticket),
        }
    }
}

impl Thread {
    fn new(
        conversation: Conversation,
        created: Timestamp,
        git: Option<GitFacts>,
        preview: String,
    ) -> Self {
        Self {
            conversation,
            turn: None,
            created,
            updated: created,
            preview,
            git,
            source: SessionSource::VsCode,
            cli_version: PROTOCOL_VERSION.to_owned(),
            is_rolling_back: false,
            is_loading: false,
            used: Duration::ZERO,
            starts: VecDeque::new(),
        }
    }

    /// What it is doing, without what the model is told and what lists show.
    #[cfg(feature = "sim")]
    pub(crate) fn state(&self) -> impl std::fmt::Debug + '_ {
        let Self { turn, is_rolling_back, is_loading, starts, .. } = self;
        let turn = turn.as_ref().map(Turn::state);
        (self.conversation.state(), turn, is_rolling_back, is_loading, starts)
    }

    /// Whether one more request may wait for the thread, or for its turn.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        if self.starts.len() >= limits::PENDING_INPUTS_MAX {
            return Err(Refusal::invalid("too many inputs wait for the thread"));
        }
        self.turn.as_ref().map_or(Ok(()), Turn::check_room)
    }

    /// Whether nobody would notice if the history were put away.
    pub(crate) fn can_rest(&self) -> bool {
        self.turn.is_none()
            && self.starts.is_empty()
            && !self.is_rolling_back
            && !self.is_loading
            && self.conversation.can_shelve()
    }

    /// How it stands.
    pub(crate) fn status(&self) -> ThreadStatus {
        match &self.turn {
            None => ThreadStatus::Idle,
            Some(_) => ThreadStatus::Active { active_flags: Vec::new() },
        }
    }

    /// The thread's file; none if it is kept in memory only.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        self.conversation.recorder.as_ref().map(Recorder::path)
    }

    /// The thread as clients see it, without turns.
    pub(crate) fn view(&self) -> ThreadView {
        let id = self.conversation.id_text.to_string();
        let path = self.path();
        ThreadView {
            session_id: id.clone(),
            id,
            preview: self.preview.clone(),
            model_provider: self.conversation.config.provider_id.clone(),
            created_at: self.created.as_second(),
            updated_at: self.updated.as_second(),
            status: self.status(),
            ephemeral: path.is_none(),
            path: path.map(|path| path.to_string_lossy().into_owned()),
            cwd: self.conversation.settings.cwd.to_string_lossy().into_owned(),
            cli_version: self.cli_version.clone(),
            source: view_of_source(&self.source),
            git_info: self.git.clone().map(Into::into),
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
    let found = threads.get_mut(&id).map(Box::as_mut);
    found.ok_or_else(|| not_found(id))
}

/// What whoever names a thread that is not open is told.
pub(crate) fn not_found(id: ThreadId) -> Refusal {
    Refusal::invalid(format!("thread not found: {}", id.0))
}
