//! Watches of folders in memory, with a queue so short that it overflows in tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::memory::{FileOp, MemoryFiles, NOT_FOUND, error};
use super::{FileError, FileErrorKind, Files, FolderChange, FolderWatch, Stat};

/// Changes that a watch has room for; with more it has lost track.
const TOLD_MAX: usize = 64;

/// All watches of the same files.
#[derive(Default)]
pub(super) struct Watches {
    next: u64,
    queues: BTreeMap<u64, Queue>,
}

#[derive(Default)]
struct Queue {
    folders: BTreeMap<PathBuf, u32>,
    /// The one that was added first, above which nobody watches.
    first: Option<PathBuf>,
    told: BTreeSet<FolderChange>,
    is_lost: bool,
}

impl Watches {
    /// Tells of something that was done to what is at `path`, which has no links.
    pub(super) fn tell(&mut self, path: &Path) {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
        for queue in self.queues.values_mut() {
            if let Some(number) = queue.folders.get(folder) {
                let name = name.to_string_lossy().into_owned();
                queue.told.insert(FolderChange { folder: *number, name });
                queue.is_lost |= queue.told.len() > TOLD_MAX;
            }
        }
    }

    /// A folder has gone; one that comes in its place is not watched.
    pub(super) fn end(&mut self, folder: &Path) {
        for queue in self.queues.values_mut() {
            queue.folders.remove(folder);
            queue.is_lost |= queue.first.as_deref() == Some(folder);
        }
    }

    pub(super) fn lose(&mut self) {
        self.queues.values_mut().for_each(|queue| queue.is_lost = true);
    }
}

pub(super) struct MemoryWatch {
    files: MemoryFiles,
    queue: u64,
    folders: BTreeMap<u32, PathBuf>,
    /// Links in the place of files: what is done to their targets is not told.
    untold: BTreeSet<FolderChange>,
}

impl MemoryWatch {
    pub(super) fn new(files: MemoryFiles) -> Self {
        let queue = {
            let watches = &mut files.state().watches;
            watches.next += 1;
            watches.queues.insert(watches.next, Queue::default());
            watches.next
        };
        Self { files, queue, folders: BTreeMap::new(), untold: BTreeSet::new() }
    }

    fn path(&self, number: u32) -> Result<&Path, FileError> {
        let path = self.folders.get(&number).map(PathBuf::as_path);
        path.ok_or_else(|| error(FileErrorKind::NotFound, NOT_FOUND))
    }

    fn note_link(&mut self, folder: u32, name: &str, path: &Path) {
        if self.files.state().resolve(path).is_ok_and(|real| real != path) {
            self.untold.insert(FolderChange { folder, name: name.to_owned() });
        }
    }
}

impl FolderWatch for MemoryWatch {
    fn add(&mut self, folder: &Path, number: u32) -> Result<(), FileError> {
        let mut state = self.files.start(FileOp::Watch, folder)?;
        if state.resolve(folder)? != folder {
            return Err(error(FileErrorKind::Other, "a link is not watched"));
        }
        if let Some(queue) = state.watches.queues.get_mut(&self.queue) {
            queue.first.get_or_insert_with(|| folder.to_owned());
            queue.folders.insert(folder.to_owned(), number);
        }
        self.folders.insert(number, folder.to_owned());
        Ok(())
    }

    fn list_files(&mut self, number: u32) -> Result<Vec<(String, Stat)>, FileError> {
        let folder = self.path(number)?.to_owned();
        for entry in self.files.list(&folder)? {
            self.note_link(number, &entry.name, &folder.join(&entry.name));
        }
        self.files.list_files(&folder)
    }

    fn stat(&mut self, number: u32, name: &str) -> Result<Stat, FileError> {
        let path = self.path(number)?.join(name);
        self.note_link(number, name, &path);
        let stat = self.files.stat(&path)?;
        if stat.is_dir { Err(error(FileErrorKind::NotFound, NOT_FOUND)) } else { Ok(stat) }
    }

    fn changes(&mut self) -> Option<Vec<FolderChange>> {
        let mut state = self.files.state();
        let queue = state.watches.queues.get_mut(&self.queue)?;
        if queue.is_lost {
            return None;
        }
        let mut told = std::mem::take(&mut queue.told);
        told.extend(self.untold.iter().cloned());
        Some(told.into_iter().collect())
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.files.state().watches.queues.remove(&self.queue);
    }
}

#[cfg(test)]
mod tests {
    use super::super::IfMissing;
    use super::*;

    fn names(watch: &mut dyn FolderWatch) -> Option<Vec<String>> {
        Some(watch.changes()?.into_iter().map(|change| change.name).collect())
    }

    #[test]
    fn what_was_done_in_a_folder_is_told_once_and_links_always() {
        let files = MemoryFiles::new().with("/a/f", "1").with("/b/g", "2");
        files.link("/a/l", "/b/g");
        let mut watch = files.watch().expect("a watch");
        watch.add(Path::new("/a"), 7).expect("watched");
        assert_eq!(watch.list_files(7).map(|all| all.len()), Ok(2));
        files.append(Path::new("/a/f"), b"x", IfMissing::Make).expect("appended");
        files.put("/b/h", "3");
        files.put("/a/in/n", "4");
        let change = |name: &str| FolderChange { folder: 7, name: name.to_owned() };
        assert_eq!(watch.changes(), Some(vec![change("f"), change("in"), change("l")]));
        assert_eq!(names(&mut *watch), Some(vec!["l".to_owned()]));
        files.lose_watches();
        assert_eq!(watch.changes(), None);
    }

    #[test]
    fn too_much_is_told_as_nothing() {
        let files = MemoryFiles::new().with("/a/f", "1");
        let mut watch = files.watch().expect("a watch");
        watch.add(Path::new("/a"), 0).expect("watched");
        (0..=TOLD_MAX).for_each(|n| files.put(format!("/a/{n}"), ""));
        assert_eq!(watch.changes(), None);
        files.link("/l", "/a");
        assert!(watch.add(Path::new("/l"), 1).is_err());
    }
}
