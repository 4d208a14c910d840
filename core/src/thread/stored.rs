//! A thread as its file shows it, without its turns.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::rollout::head::Head;
use super::rollout::meta::{GitFacts, view_of_source};
use super::rollout::name::RolloutName;
use crate::files::{FileError, Files, Stat};
use crate::wire::legacy::conversation::{ConversationGitInfo, ConversationSummary, SessionSource};
use crate::wire::legacy::id::ThreadId;
use crate::wire::v2::thread::{Thread, ThreadStatus};

/// A thread as its file shows it, without its turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredThread {
    /// The thread.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// What the user said first; empty if nothing.
    pub preview: String,
    /// Where its model runs.
    pub model_provider: String,
    /// When it began, as the file spells it; empty if it does not say.
    pub begun_text: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When its file last changed.
    pub updated_at: Timestamp,
    /// Its working directory.
    pub cwd: String,
    /// Version of the server that began it.
    pub cli_version: String,
    /// Who began it.
    pub source: SessionSource,
    /// The repository it worked in when it began.
    pub git: Option<GitFacts>,
}

impl StoredThread {
    /// Puts together what the beginning of a file says and what the file system knows.
    ///
    /// `default_provider` stands in where a file, being old, names none.
    pub fn new(path: &Path, stat: Stat, head: Head, default_provider: &str) -> Self {
        let meta = head.meta;
        let updated_at = Timestamp::from_nanosecond(stat.modified_ns).unwrap_or_default();
        let begun = meta.timestamp.parse().ok().or_else(|| time_in_name(path));
        Self {
            id: meta.id,
            path: path.to_owned(),
            preview: head.preview,
            model_provider: meta.model_provider.unwrap_or_else(|| default_provider.to_owned()),
            begun_text: meta.timestamp,
            created_at: begun.unwrap_or(updated_at),
            updated_at,
            cwd: meta.cwd,
            cli_version: meta.cli_version,
            source: meta.source,
            git: meta.git,
        }
    }

    /// Reads the beginning of the file at `path`; none if it is no rollout.
    pub fn load(
        files: &dyn Files,
        path: &Path,
        default_provider: &str,
    ) -> Result<Option<Self>, FileError> {
        let stat = files.stat(path)?;
        let head = Head::read(files, path)?;
        Ok(head.map(|head| Self::new(path, stat, head, default_provider)))
    }

    /// The thread as clients see it, not loaded and without turns.
    pub fn view(&self) -> Thread {
        Thread {
            id: self.id.clone(),
            session_id: self.id.clone(),
            preview: self.preview.clone(),
            model_provider: self.model_provider.clone(),
            created_at: self.created_at.as_second(),
            updated_at: self.updated_at.as_second(),
            status: ThreadStatus::NotLoaded,
            ephemeral: false,
            path: Some(self.path.to_string_lossy().into_owned()),
            cwd: self.cwd.clone(),
            cli_version: self.cli_version.clone(),
            source: view_of_source(&self.source),
            git_info: self.git.clone().map(Into::into),
            project_id: None,
            turns: Vec::new(),
        }
    }

    /// The thread as the older methods show it; none if its id is not a UUID.
    pub fn summary(&self) -> Option<ConversationSummary> {
        let begun = (!self.begun_text.is_empty()).then(|| self.begun_text.clone());
        Some(ConversationSummary {
            conversation_id: ThreadId(Uuid::try_parse(&self.id).ok()?),
            path: self.path.to_string_lossy().into_owned(),
            preview: self.preview.clone(),
            timestamp: begun,
            updated_at: Some(format!("{:.0}", self.updated_at)),
            model_provider: self.model_provider.clone(),
            cwd: self.cwd.clone(),
            cli_version: self.cli_version.clone(),
            source: self.source.clone(),
            git_info: self.git.clone().map(|git| ConversationGitInfo {
                sha: git.commit_hash,
                branch: git.branch,
                origin_url: git.repository_url,
            }),
        })
    }
}

/// The digits of the name, taken for UTC as lists do (protocol.md §3.2).
fn time_in_name(path: &Path) -> Option<Timestamp> {
    let name = RolloutName::parse(path.file_name()?.to_str()?)?;
    name.begun.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
