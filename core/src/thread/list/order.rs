//! All files of stored threads by the time of their last change, remembered from one list to the
//! next.
//!
//! Only a cache. Where the system tells what changes in folders, an order is brought up to date
//! before it is used, by asking for the facts of what changed. Where it does not, an order serves
//! the pages behind the one that it was made for, as long as the folders are as they were.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::DateTime;
use uuid::Uuid;

use super::walk::none_if_missing;
use crate::files::{FileError, Files, FolderChange, FolderWatch, Stat};
use crate::limits::{THREAD_ORDER_FILES_MAX, WATCHED_FOLDERS_MAX};
use crate::thread::rollout::name::{ARCHIVED, RolloutName, SESSIONS};

/// Years, months and days lie above the files; the archive is flat.
const LEVEL_OF_FILES: u8 = 3;

/// The orders that a session remembers between its jobs; clones share them. No answer depends on
/// what is in it.
#[derive(Clone, Default)]
pub struct KnownOrders(Arc<Mutex<Vec<ChangeOrder>>>);

impl KnownOrders {
    /// Takes the order out, so that two jobs at once never use the same one.
    pub(super) fn take(&self, home: &Path, archived: bool) -> Option<ChangeOrder> {
        let mut known = self.lock();
        let at = known.iter().position(|order| order.is_of(home, archived))?;
        Some(known.swap_remove(at))
    }

    /// Remembers an order; `is_walked` says that the client may want the page behind.
    pub(super) fn keep(&self, order: ChangeOrder, is_walked: bool) {
        let is_of_use = is_walked || order.watch.is_some();
        if is_of_use && order.files.len() <= THREAD_ORDER_FILES_MAX {
            let mut known = self.lock();
            known.retain(|other| !other.is_of(&order.home, order.archived));
            known.push(order);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ChangeOrder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Orders are long, and part of every job that lists.
impl fmt::Debug for KnownOrders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownOrders").finish_non_exhaustive()
    }
}

/// All files by the time of their last change, as they once were.
///
/// A file that changes after that moves before every cursor of a walk, so what is behind a cursor
/// stays as it was, but for files that come, go, or are given an older time.
pub(super) struct ChangeOrder {
    home: PathBuf,
    archived: bool,
    folders: Vec<Folder>,
    /// Oldest first.
    files: Vec<Changed>,
    /// Tells of every folder that is still there, by its place in `folders`; none if one of them
    /// cannot be watched.
    watch: Option<Box<dyn FolderWatch>>,
}

struct Folder {
    path: PathBuf,
    level: u8,
    /// Time of its last change from before it was looked into.
    modified_ns: Option<i128>,
    /// It has gone, or another has come in its place.
    is_gone: bool,
}

/// Ordered by place: the time of change in whole seconds, then the thread. A list may hold very
/// many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Changed {
    pub(super) seconds: i64,
    pub(super) id: Uuid,
    begun: DateTime,
    folder: u32,
    nanoseconds: u32,
    len: u64,
}

impl Changed {
    fn new(folder: u32, name: RolloutName, stat: Stat) -> Self {
        let (seconds, nanoseconds) = split(stat.modified_ns);
        Self { seconds, id: name.id, begun: name.begun, folder, nanoseconds, len: stat.len }
    }

    pub(super) fn name(&self) -> RolloutName {
        RolloutName { begun: self.begun, id: self.id }
    }

    pub(super) fn stat(&self) -> Stat {
        let modified_ns = i128::from(self.seconds) * NANOSECONDS + i128::from(self.nanoseconds);
        Stat { len: self.len, is_dir: false, modified_ns }
    }
}

const NANOSECONDS: i128 = 1_000_000_000;

/// Whole seconds, and what is left.
pub(super) fn split(modified_ns: i128) -> (i64, u32) {
    let seconds = i64::try_from(modified_ns.div_euclid(NANOSECONDS)).unwrap_or(0);
    (seconds, u32::try_from(modified_ns.rem_euclid(NANOSECONDS)).unwrap_or(0))
}

impl ChangeOrder {
    /// Asks for the facts of every file.
    pub(super) fn find(files: &dyn Files, home: &Path, archived: bool) -> Result<Self, FileError> {
        let mut order = Self::scan(files, home, archived, files.watch())?;
        // Much may have happened since the first folder was looked into.
        if order.watch.is_some() && !order.catch_up(files) {
            order = Self::scan(files, home, archived, None)?;
        }
        Ok(order)
    }

    fn scan(
        files: &dyn Files,
        home: &Path,
        archived: bool,
        watch: Option<Box<dyn FolderWatch>>,
    ) -> Result<Self, FileError> {
        let (root, level) = if archived { (ARCHIVED, LEVEL_OF_FILES) } else { (SESSIONS, 0) };
        let (folders, found) = (Vec::new(), Vec::new());
        let mut order = Self { home: home.to_owned(), archived, folders, files: found, watch };
        order.look_into(files, home.join(root), level)?;
        order.files.sort_unstable();
        Ok(order)
    }

    fn is_of(&self, home: &Path, archived: bool) -> bool {
        self.home == home && self.archived == archived
    }

    /// Whether changes are told of.
    pub(super) fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    /// The files, oldest first.
    pub(super) fn files(&self) -> &[Changed] {
        &self.files
    }

    /// The folder of a file.
    pub(super) fn folder_of(&self, file: &Changed) -> Option<&Path> {
        self.folders.get(file.folder as usize).map(|folder| folder.path.as_path())
    }

    /// Makes this the order of now; false if it cannot be told what changed, and this is the order
    /// of no moment.
    pub(super) fn catch_up(&mut self, files: &dyn Files) -> bool {
        let Some(changes) = self.watch.as_mut().and_then(|watch| watch.changes()) else {
            return false;
        };
        changes.is_empty() || self.apply(files, changes).is_ok() && self.watch.is_some()
    }

    fn apply(&mut self, files: &dyn Files, changes: Vec<FolderChange>) -> Result<(), FileError> {
        let (mut touched, mut inner) = (BTreeSet::new(), BTreeSet::new());
        for FolderChange { folder, name } in changes {
            match self.folders.get(folder as usize).filter(|folder| !folder.is_gone) {
                Some(Folder { level: LEVEL_OF_FILES, .. }) => {
                    touched.extend(RolloutName::parse(&name).map(|name| (folder, name)));
                }
                Some(Folder { path, level, .. }) if is_number(&name) => {
                    inner.insert((path.join(name), level + 1));
                }
                Some(_) | None => {}
            }
        }
        for (path, level) in inner {
            self.forget(&path);
            if files.stat(&path).is_ok_and(|stat| stat.is_dir) {
                self.look_into(files, path, level)?;
            }
        }
        self.files.retain(|file| !touched.contains(&(file.folder, file.name())));
        for (folder, name) in touched {
            let is_gone = self.folders.get(folder as usize).is_none_or(|folder| folder.is_gone);
            let Some(watch) = self.watch.as_mut().filter(|_| !is_gone) else { continue };
            if let Ok(stat) = watch.stat(folder, &name.to_string()) {
                self.files.push(Changed::new(folder, name, stat));
            }
        }
        // Nearly sorted, which this sort finds out.
        self.files.sort();
        Ok(())
    }

    /// Adds a folder with what is below it. One that is not there holds nothing.
    fn look_into(&mut self, files: &dyn Files, path: PathBuf, level: u8) -> Result<(), FileError> {
        let mut open = vec![(path, level)];
        while let Some((path, level)) = open.pop() {
            let number = u32::try_from(self.folders.len()).unwrap_or(u32::MAX);
            let modified_ns = files.stat(&path).ok().map(|stat| stat.modified_ns);
            // Watched before it is looked into, so that nothing is missed between the two.
            let is_watched = number < WATCHED_FOLDERS_MAX
                && self.watch.as_mut().is_some_and(|watch| watch.add(&path, number).is_ok());
            if !is_watched {
                self.watch = None;
            }
            if level < LEVEL_OF_FILES {
                let inside = none_if_missing(files.list(&path))?.into_iter();
                let inside = inside.filter(|entry| entry.is_dir && is_number(&entry.name));
                open.extend(inside.map(|entry| (path.join(entry.name), level + 1)));
            } else {
                let listed = match &mut self.watch {
                    Some(watch) => watch.list_files(number),
                    None => files.list_files(&path),
                };
                let found = none_if_missing(listed)?.into_iter().filter_map(|(name, stat)| {
                    Some(Changed::new(number, RolloutName::parse(&name)?, stat))
                });
                self.files.extend(found);
            }
            self.folders.push(Folder { path, level, modified_ns, is_gone: false });
        }
        Ok(())
    }

    /// A folder and what was below it are no more what they were.
    fn forget(&mut self, path: &Path) {
        for folder in &mut self.folders {
            folder.is_gone |= folder.path.starts_with(path);
        }
        let folders = &self.folders;
        self.files
            .retain(|file| folders.get(file.folder as usize).is_some_and(|folder| !folder.is_gone));
    }

    /// Whether what is behind the place is still in this order, as far as folders tell.
    pub(super) fn holds_behind(&self, files: &dyn Files, place: (i64, Uuid)) -> bool {
        // Strictly: within the second of the newest file, a change could go behind the cursor.
        let is_behind_changes = self.files.last().is_some_and(|newest| place.0 < newest.seconds);
        let is_unchanged = |folder: &Folder| {
            let now = || files.stat(&folder.path).ok().map(|stat| stat.modified_ns);
            folder.modified_ns.is_none_or(|before| now() == Some(before))
        };
        is_behind_changes && self.folders.iter().all(is_unchanged)
    }
}

/// The name of a year, month or day.
pub(super) fn is_number(name: &str) -> bool {
    name.parse::<i16>().is_ok()
}
