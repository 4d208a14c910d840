//! Folders that are watched: which of their files changed, as the system tells it.

use std::path::Path;

use super::{FileError, Stat};

/// Watches folders for one owner, who lists each after it was added. Dropping it ends the watch.
///
/// Exact: what was done to a watched folder or its files before [`changes`] is called, by whatever
/// program, is in its answer, or the answer is that there is none.
///
/// [`changes`]: FolderWatch::changes
pub trait FolderWatch: Send {
    /// Watches a folder from now on, under a number that the owner chooses. The first may be
    /// reached through links; one of the others that is a link itself is refused.
    ///
    /// # Errors
    ///
    /// Not all that is done to it would be told, or the system watches no more folders.
    fn add(&mut self, folder: &Path, number: u32) -> Result<(), FileError>;

    /// As [`list_files`](super::Files::list_files), of a folder that is watched.
    fn list_files(&mut self, number: u32) -> Result<Vec<(String, Stat)>, FileError>;

    /// As [`stat`](super::Files::stat), of a file in a folder that is watched; an error if it is a
    /// folder.
    fn stat(&mut self, number: u32, name: &str) -> Result<Stat, FileError>;

    /// The names that may have come, changed or gone since the last call, each once. Among them are,
    /// every time, files that were seen here and whose changes nobody tells: links, for one. None if
    /// there is no saying what changed; the watch is of no more use then.
    fn changes(&mut self) -> Option<Vec<FolderChange>>;
}

/// A name in a watched folder that may have come, changed or gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderChange {
    /// The number that its folder was added under.
    pub folder: u32,
    /// The name within the folder.
    pub name: String,
}
