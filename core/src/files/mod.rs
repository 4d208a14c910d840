//! Work on files: straight-line code over a small trait, run by the backend on a thread that may block.
//!
//! A job is data ([`FileJob`]) and so is its answer ([`FileAnswer`]). The real files, and files in
//! memory with injected faults, both stand behind [`Files`].

mod job;
mod keyring;
#[cfg(any(test, feature = "sim"))]
mod memory;
#[cfg(any(test, feature = "sim"))]
mod memory_watch;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use crate::auth::{StoreAnswer, StoreJob};
pub use crate::machine::{ConfigFound, ConfigJob, StartupFound, StartupJob};
pub use crate::tools::{
    CheckedPatch, CommittedPatch, ImageJob, ImagesRead, LookJob, PatchCheck, PatchCommit,
};
pub use job::{FileAnswer, FileJob};
pub use keyring::{Keyring, KeyringError, NoKeyring};
#[cfg(any(test, feature = "sim"))]
pub use memory::{FaultHook, FileOp, MemoryFiles};
pub use watch::{FolderChange, FolderWatch};

/// What a job works on.
#[derive(Clone, Copy)]
pub struct Disk<'a> {
    /// The files.
    pub files: &'a dyn Files,
    /// The keyring.
    pub keyring: &'a dyn Keyring,
}

/// What a job may do to files. Implemented by the runtimes (real files) and by simulators.
pub trait Files: Send + Sync {
    /// The whole content. A file over `limit` bytes is [`FileErrorKind::TooLarge`].
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError>;
    /// At most `len` bytes from `offset`; fewer at the end of the file.
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError>;
    /// The entries of a folder, in no order.
    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError>;
    /// The files of a folder with their facts, in no order, without its folders and without what
    /// vanishes meanwhile. For folders so large that asking for one file after the other is slow.
    fn list_files(&self, path: &Path) -> Result<Vec<(String, Stat)>, FileError> {
        let files = self.list(path)?.into_iter().filter(|entry| !entry.is_dir);
        let with_facts = files.filter_map(|Entry { name, .. }| {
            let stat = self.stat(&path.join(&name)).ok()?;
            Some((name, stat))
        });
        Ok(with_facts.collect())
    }
    /// Facts about a file or folder; follows links.
    fn stat(&self, path: &Path) -> Result<Stat, FileError>;
    /// Replaces the file, or makes it, in one step; missing folders are made. A reader sees the
    /// old content or the new, and the new survives a crash of the machine.
    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError>;
    /// Appends. Whether there is a file to append to is seen in the same step.
    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError>;
    /// Moves a file; missing folders are made.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<(), FileError>;
    /// The path with links resolved.
    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError>;
    /// Waits for, then holds, an advisory lock until the guard is dropped.
    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError>;
    /// A new watch, without folders so far; none where the system has none to give.
    fn watch(&self) -> Option<Box<dyn FolderWatch>> {
        None
    }
}

/// Holds an advisory lock; dropping it releases the lock.
pub trait FileLock: Send {}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As the process's mask says.
    Shared,
    /// The owner only: 0600, also when the file existed with other rights.
    Private,
}

/// What an append does without a file to append to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// The file is made, and its folders.
    Make,
    /// It is [`FileErrorKind::NotFound`], and nothing is made.
    Fail,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The name within the folder.
    pub name: String,
    /// Whether it is a folder, links followed.
    pub is_dir: bool,
    /// Whether it is a link itself.
    pub is_link: bool,
}

/// Facts about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stat {
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Time of the last change, in nanoseconds since the Unix epoch.
    pub modified_ns: i128,
}

/// Why something could not be done to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileError {
    /// What kind of failure it was.
    pub kind: FileErrorKind,
    /// The operating system's text, as in `No such file or directory (os error 2)`.
    pub text: String,
}

/// The kinds of [`FileError`] that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileErrorKind {
    /// There is no such file or folder.
    NotFound,
    /// The rights do not allow it.
    Denied,
    /// The file is larger than the limit given.
    TooLarge,
    /// Anything else.
    Other,
}

impl FileError {
    /// The backend failed before it could answer.
    pub(crate) fn lost() -> Self {
        Self { kind: FileErrorKind::Other, text: "the file backend failed".to_owned() }
    }

    /// Whether the file is just not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == FileErrorKind::NotFound
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for FileError {}
