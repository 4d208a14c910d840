//! Questions about stored threads, and what changes them without opening them.

use std::path::PathBuf;

use uuid::Uuid;

use super::archive::{ArchiveError, ArchiveJob, UnarchiveJob};
use super::list::{ThreadListError, ThreadListJob, ThreadListPage};
use super::locate::locate;
use super::name::NameJob;
use super::rollout::rebuild::{RebuildError, RebuildJob, Rebuilt};
use super::stored::StoredThread;
use crate::files::{FileError, Files};
use crate::wire::refusal::Refusal;
use crate::wire::v2::turn::Turn;

/// One question.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub enum Question {
    /// A page of threads.
    List(ThreadListJob),
    /// One thread, perhaps with its turns.
    Read(ReadJob),
    /// A thread's history and turns.
    Rebuild(RebuildJob),
    /// A thread is put away.
    Archive(ArchiveJob),
    /// A thread is brought back.
    Unarchive(UnarchiveJob),
    /// A thread gets a name.
    Name(NameJob),
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::List`].
    List(Result<ThreadListPage, ThreadListError>),
    /// To [`Question::Read`].
    Read(Read),
    /// To [`Question::Rebuild`].
    Rebuilt(Result<Box<Rebuilt>, RebuildError>),
    /// To [`Question::Archive`].
    Archived(Result<PathBuf, ArchiveError>),
    /// To [`Question::Unarchive`].
    Unarchived(Result<Box<StoredThread>, ArchiveError>),
    /// To [`Question::Name`].
    Named(Result<(), FileError>),
}

/// Reads one stored thread without opening it.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct ReadJob {
    /// The state folder.
    pub home: PathBuf,
    /// The thread.
    pub id: Uuid,
    /// Its file, where that is known.
    pub path: Option<PathBuf>,
    /// With its turns.
    pub include_turns: bool,
    /// The provider that owns threads which name none.
    pub default_provider: String,
}

/// What a [`ReadJob`] found.
#[derive(Debug)]
pub enum Read {
    /// The thread with the turns that were asked for.
    Found(Box<StoredThread>, Vec<Turn>),
    /// There is no such file.
    NotFound,
    /// It cannot be read, with the text for the client.
    Failed(String),
}

impl Question {
    pub(crate) fn run(self, files: &dyn Files) -> Answer {
        match self {
            Question::List(job) => Answer::List(job.run(files)),
            Question::Read(job) => Answer::Read(job.run(files)),
            Question::Rebuild(job) => Answer::Rebuilt(job.run(files, |_| ()).map(Box::new)),
            Question::Archive(job) => Answer::Archived(job.run(files)),
            Question::Unarchive(job) => Answer::Unarchived(job.run(files).map(Box::new)),
            Question::Name(job) => Answer::Named(job.run(files)),
        }
    }
}

impl ReadJob {
    fn run(self, files: &dyn Files) -> Read {
        let found = match self.path {
            Some(path) => Ok(Some(path)),
            None => locate(files, &self.home, self.id, false),
        };
        let path = match found {
            Ok(Some(path)) => path,
            Ok(None) => return Read::NotFound,
            Err(err) => {
                return Read::Failed(format!("failed to locate thread id {}: {err}", self.id));
            }
        };
        let fault = |text: String| {
            let path = path.display();
            Read::Failed(format!("failed to load rollout `{path}` for thread {}: {text}", self.id))
        };
        if !self.include_turns {
            return match StoredThread::load(files, &path, &self.default_provider) {
                Ok(Some(stored)) => Read::Found(Box::new(stored), Vec::new()),
                Ok(None) => fault("it is no rollout".to_owned()),
                Err(err) => fault(err.text),
            };
        }
        let job = RebuildJob {
            path: path.clone(),
            initial_context: Vec::new(),
            default_provider: self.default_provider.clone(),
            wants_history: false,
            wants_turns: true,
            wants_events: false,
        };
        match job.run(files, |_| ()) {
            Ok(rebuilt) => Read::Found(Box::new(rebuilt.stored), rebuilt.turns),
            Err(err) => fault(err.to_string()),
        }
    }
}

/// How a fault of the archive reads on the wire.
pub(crate) fn archive_refusal(error: &ArchiveError) -> Refusal {
    if error.is_internal() {
        Refusal::internal(error.to_string())
    } else {
        Refusal::invalid(error.to_string())
    }
}
