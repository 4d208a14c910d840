//! Files in memory: for tests, and for simulations that want faults where real files have none.
//!
//! Deterministic: the clock counts changes, listings are sorted, and a lock that is taken is an
//! error rather than a wait, because in a simulation nobody could release it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::memory_watch::{MemoryWatch, Watches};
use super::{Access, Entry, FileError, FileErrorKind, FileLock, Files, FolderWatch, Stat};

/// What is about to be done to a file, for the hook that injects faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileOp {
    /// [`Files::read`]
    Read,
    /// [`Files::read_at`]
    ReadAt,
    /// [`Files::list`]
    List,
    /// [`Files::stat`]
    Stat,
    /// [`Files::write_atomic`]
    Write,
    /// [`Files::append`]
    Append,
    /// [`Files::rename`], asked with the source's path.
    Rename,
    /// [`Files::remove`]
    Remove,
    /// [`Files::real_path`]
    RealPath,
    /// [`Files::lock`]
    Lock,
    /// [`FolderWatch::add`]
    Watch,
}

/// Decides whether an operation fails, and how; asked before anything is changed.
pub type FaultHook = Box<dyn FnMut(FileOp, &Path) -> Option<FileError> + Send>;

/// Files in memory. Clones share them. Paths are absolute.
#[derive(Clone, Default)]
pub struct MemoryFiles(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    nodes: BTreeMap<OsString, Node>,
    has_links: bool,
    locked: BTreeSet<PathBuf>,
    changes: i128,
    faults: Option<FaultHook>,
    pub(super) watches: Watches,
}

/// The one spelling of a path, which is sorted by its bytes: to compare paths part by part is a good
/// part of the work of a simulation.
fn key(path: &Path) -> Cow<'_, OsStr> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let has = |part: &[u8]| memchr::memmem::find(bytes, part).is_some();
    let is_odd = has(b"//") || has(b"/./") || bytes.ends_with(b"/.") || bytes.ends_with(b"/");
    if is_odd && bytes.len() > 1 {
        return Cow::Owned(path.components().collect::<PathBuf>().into_os_string());
    }
    Cow::Borrowed(path.as_os_str())
}

#[derive(Clone)]
enum Node {
    File { bytes: Vec<u8>, access: Access, modified_ns: i128 },
    Folder,
    Link(PathBuf),
}

/// Links that are followed for one path before it counts as a loop.
const LINKS_MAX: usize = 40;

impl MemoryFiles {
    /// No files at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same files with one more, in folders that are made as needed.
    pub fn with(self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        self.put(path, text);
        self
    }

    /// Other files with the same in them: no faults, and nothing is locked.
    #[must_use]
    pub fn fork(&self) -> Self {
        let State { nodes, changes, .. } = &*self.state();
        let state = State { nodes: nodes.clone(), changes: *changes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Writes a file, in folders that are made as needed. No fault hinders it.
    pub fn put(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        self.state().write(path.as_ref().to_owned(), text.as_ref().to_owned(), Access::Shared);
    }

    /// Makes a folder with those above it.
    pub fn folder(&self, path: impl AsRef<Path>) {
        self.state().make_folders(path.as_ref());
    }

    /// Makes a link at `path` to `target`.
    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        let mut state = self.state();
        if let Some(parent) = path.as_ref().parent() {
            state.make_folders(parent);
        }
        state.has_links = true;
        state.nodes.insert(key(path.as_ref()).into_owned(), Node::Link(target.as_ref().to_owned()));
        state.watches.tell(path.as_ref());
    }

    /// Gives a file another time of change, as a program may.
    pub fn set_modified(&self, path: impl AsRef<Path>, to_ns: i128) {
        let mut state = self.state();
        let Ok(path) = state.resolve(path.as_ref()) else { return };
        if let Some(Node::File { modified_ns, .. }) = state.nodes.get_mut(&*key(&path)) {
            *modified_ns = to_ns;
            state.watches.tell(&path);
        }
    }

    /// Removes a folder with all that is in it.
    pub fn remove_folder(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        let gone: Vec<_> = state
            .paths()
            .filter(|inner| inner.starts_with(path.as_ref()))
            .map(Path::to_owned)
            .collect();
        // What is inside goes first.
        for path in gone.iter().rev() {
            state.nodes.remove(&*key(path));
            state.watches.end(path);
            state.watches.tell(path);
        }
    }

    /// Has every watch lose track of what changed.
    pub fn lose_watches(&self) {
        self.state().watches.lose();
    }

    /// Asks this hook before every operation from now on; it takes the place of an earlier one.
    pub fn inject(&self, hook: impl FnMut(FileOp, &Path) -> Option<FileError> + Send + 'static) {
        self.state().faults = Some(Box::new(hook));
    }

    /// Lets everything succeed again.
    pub fn heal(&self) {
        self.state().faults = None;
    }

    /// The content of a file, whatever faults there are.
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let path = state.resolve(path.as_ref()).ok()?;
        match state.nodes.get(&*key(&path))? {
            Node::File { bytes, .. } => Some(bytes.clone()),
            Node::Folder | Node::Link(_) => None,
        }
    }

    /// Who may read a file.
    pub fn access(&self, path: impl AsRef<Path>) -> Option<Access> {
        match self.state().nodes.get(&*key(path.as_ref()))? {
            Node::File { access, .. } => Some(*access),
            Node::Folder | Node::Link(_) => None,
        }
    }

    /// Every file's path, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.nodes.iter().filter(|(_, node)| matches!(node, Node::File { .. }));
        let mut paths: Vec<_> = files.map(|(path, _)| PathBuf::from(path)).collect();
        paths.sort();
        paths
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another test thread leaves the map whole: every change is one insertion.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn start(
        &self,
        op: FileOp,
        path: &Path,
    ) -> Result<MutexGuard<'_, State>, FileError> {
        let mut state = self.state();
        // Taken out while it runs, so that it can be called beside the rest of the state.
        let mut hook = state.faults.take();
        let fault = hook.as_mut().and_then(|hook| hook(op, path));
        state.faults = hook;
        match fault {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }
}

impl fmt::Debug for MemoryFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.paths()).finish()
    }
}

impl State {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.nodes.keys().map(Path::new)
    }

    /// The path with every link in it followed.
    pub(super) fn resolve(&self, path: &Path) -> Result<PathBuf, FileError> {
        let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        if !self.has_links && path.has_root() && path.components().all(is_plain) {
            return Ok(path.to_owned());
        }
        let mut rest: Vec<PathBuf> = vec![path.to_owned()];
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(next) = rest.pop() {
            let mut parts = next.components();
            let Some(part) = parts.next() else { continue };
            rest.push(parts.as_path().to_owned());
            match part {
                Component::RootDir => done = PathBuf::from("/"),
                Component::ParentDir => {
                    done.pop();
                }
                Component::Prefix(_) | Component::CurDir => {}
                Component::Normal(name) => match self.nodes.get(&*key(&done.join(name))) {
                    Some(Node::Link(target)) => {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(error(FileErrorKind::Other, LOOP));
                        }
                        rest.push(target.clone());
                    }
                    Some(Node::File { .. } | Node::Folder) | None => done.push(name),
                },
            }
        }
        Ok(done)
    }

    fn node(&self, path: &Path) -> Result<(PathBuf, &Node), FileError> {
        let path = self.resolve(path)?;
        if path == Path::new("/") {
            return Ok((path, &Node::Folder));
        }
        if let Some(node) = self.nodes.get(&*key(&path)) {
            return Ok((path, node));
        }
        let above = path.ancestors().skip(1).find_map(|dir| self.nodes.get(&*key(dir)));
        match above {
            Some(Node::File { .. }) => Err(error(FileErrorKind::Other, NOT_A_FOLDER)),
            _ => Err(error(FileErrorKind::NotFound, NOT_FOUND)),
        }
    }

    fn bytes(&self, path: &Path) -> Result<&[u8], FileError> {
        match self.node(path)?.1 {
            Node::File { bytes, .. } => Ok(bytes),
            Node::Folder | Node::Link(_) => Err(error(FileErrorKind::Other, IS_A_FOLDER)),
        }
    }

    fn make_folders(&mut self, path: &Path) {
        for dir in path.ancestors().filter(|dir| *dir != Path::new("/")) {
            if !self.nodes.contains_key(&*key(dir)) {
                self.nodes.insert(key(dir).into_owned(), Node::Folder);
                self.watches.tell(dir);
            }
        }
    }

    fn write(&mut self, path: PathBuf, bytes: Vec<u8>, access: Access) {
        self.changes += 1;
        if let Some(parent) = path.parent() {
            self.make_folders(parent);
        }
        self.watches.tell(&path);
        self.nodes.insert(
            key(&path).into_owned(),
            Node::File { bytes, access, modified_ns: self.changes },
        );
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        let state = self.start(FileOp::Read, path)?;
        let bytes = state.bytes(path)?;
        if bytes.len() as u64 > limit {
            return Err(error(FileErrorKind::TooLarge, "File too large (os error 27)"));
        }
        Ok(bytes.to_owned())
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let state = self.start(FileOp::ReadAt, path)?;
        let bytes = state.bytes(path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes.iter().skip(start).take(len).copied().collect())
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        let state = self.start(FileOp::List, path)?;
        let (path, node) = state.node(path)?;
        if !matches!(node, Node::Folder) {
            return Err(error(FileErrorKind::Other, NOT_A_FOLDER));
        }
        // Whatever is below a folder stands together.
        let first = Path::new(&*key(&path)).join("");
        let below =
            state.nodes.range::<OsStr, _>((Bound::Included(first.as_os_str()), Bound::Unbounded));
        let below = below.map(|(key, node)| (Path::new(key), node));
        let below = below.take_while(|(inner, _)| inner.starts_with(&path));
        let inside = below.filter(|(inner, _)| inner.parent() == Some(&path));
        let entry = |(inner, node): (&Path, &Node)| Entry {
            name: inner.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            is_dir: state.node(inner).is_ok_and(|(_, node)| matches!(node, Node::Folder)),
            is_link: matches!(node, Node::Link(_)),
        };
        Ok(inside.map(entry).collect())
    }

    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        let state = self.start(FileOp::Stat, path)?;
        Ok(match state.node(path)?.1 {
            Node::File { bytes, modified_ns, .. } => {
                Stat { len: bytes.len() as u64, is_dir: false, modified_ns: *modified_ns }
            }
            Node::Folder | Node::Link(_) => Stat { len: 0, is_dir: true, modified_ns: 0 },
        })
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
        let mut state = self.start(FileOp::Write, path)?;
        let path = state.resolve(path)?;
        if matches!(state.nodes.get(&*key(&path)), Some(Node::Folder)) {
            return Err(error(FileErrorKind::Other, IS_A_FOLDER));
        }
        state.write(path, bytes.to_owned(), access);
        Ok(())
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let mut state = self.start(FileOp::Append, path)?;
        let path = state.resolve(path)?;
        let (mut all, access) = match state.nodes.get(&*key(&path)) {
            Some(Node::File { bytes, access, .. }) => (bytes.clone(), *access),
            Some(Node::Folder | Node::Link(_)) => {
                return Err(error(FileErrorKind::Other, IS_A_FOLDER));
            }
            None => (Vec::new(), Access::Shared),
        };
        all.extend_from_slice(bytes);
        state.write(path, all, access);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let mut state = self.start(FileOp::Rename, from)?;
        let (from, node) = state.node(from)?;
        let node = node.clone();
        let to = state.resolve(to)?;
        if let Some(parent) = to.parent() {
            state.make_folders(parent);
        }
        state.nodes.remove(&*key(&from));
        state.watches.tell(&from);
        state.watches.tell(&to);
        state.nodes.insert(key(&to).into_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        let mut state = self.start(FileOp::Remove, path)?;
        match state.nodes.get(&*key(path)) {
            Some(Node::File { .. } | Node::Link(_)) => {
                state.nodes.remove(&*key(path));
                state.watches.tell(path);
                Ok(())
            }
            Some(Node::Folder) => Err(error(FileErrorKind::Other, IS_A_FOLDER)),
            None => Err(error(FileErrorKind::NotFound, NOT_FOUND)),
        }
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        Ok(self.start(FileOp::RealPath, path)?.node(path)?.0)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        let mut state = self.start(FileOp::Lock, path)?;
        let path = state.resolve(path)?;
        if !state.locked.insert(path.clone()) {
            return Err(error(FileErrorKind::Other, "the lock is taken"));
        }
        Ok(Box::new(MemoryLock { path, files: self.clone() }))
    }

    fn watch(&self) -> Option<Box<dyn FolderWatch>> {
        Some(Box::new(MemoryWatch::new(self.clone())))
    }
}

struct MemoryLock {
    path: PathBuf,
    files: MemoryFiles,
}

impl FileLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.files.state().locked.remove(&self.path);
    }
}

pub(super) const NOT_FOUND: &str = "No such file or directory (os error 2)";
const NOT_A_FOLDER: &str = "Not a directory (os error 20)";
const IS_A_FOLDER: &str = "Is a directory (os error 21)";
const LOOP: &str = "Too many levels of symbolic links (os error 40)";

pub(super) fn error(kind: FileErrorKind, text: &str) -> FileError {
    FileError { kind, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FileOp, MemoryFiles};
    use crate::files::{Access, FileError, FileErrorKind, Files};

    #[test]
    fn files_are_written_listed_moved_and_removed() {
        let files = MemoryFiles::new().with("/a/b/c", "1");
        let path = Path::new("/a/b/c");
        files.append(path, b"23").expect("appends");
        assert_eq!(files.read(path, 3).expect("reads"), b"123");
        assert_eq!(files.read(path, 2).map_err(|e| e.kind), Err(FileErrorKind::TooLarge));
        assert_eq!(files.read_at(path, 1, 9).expect("reads"), b"23");
        assert!(files.stat(Path::new("/a")).expect("is there").is_dir);
        files.rename(path, Path::new("/x/y")).expect("moves");
        files.write_atomic(Path::new("/x/y"), b"4", Access::Private).expect("writes");
        assert_eq!(files.access("/x/y"), Some(Access::Private));
        let names: Vec<_> = files.list(Path::new("/")).expect("lists");
        assert_eq!(names.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a", "x"]);
        files.remove(Path::new("/x/y")).expect("removes");
        assert!(files.stat(Path::new("/x/y")).is_err_and(|e| e.is_not_found()));
    }

    #[test]
    fn links_are_followed_and_loops_end() {
        let files = MemoryFiles::new().with("/real/f", "1");
        files.link("/l", "/real");
        files.link("/real/g", "f");
        files.link("/loop", "/loop");
        assert_eq!(files.read(Path::new("/l/g"), 9).expect("reads"), b"1");
        assert_eq!(files.real_path(Path::new("/l/g")).expect("is there"), Path::new("/real/f"));
        assert!(files.stat(Path::new("/loop")).is_err_and(|e| e.kind == FileErrorKind::Other));
    }

    #[test]
    fn locks_exclude_and_faults_hit_where_they_are_aimed() {
        let files = MemoryFiles::new().with("/f", "1");
        let held = files.lock(Path::new("/f")).expect("is free");
        assert!(files.lock(Path::new("/f")).is_err());
        drop(held);
        assert!(files.lock(Path::new("/f")).is_ok());
        files.inject(|op, path| {
            let hit = op == FileOp::Read && path == Path::new("/f");
            hit.then(|| FileError { kind: FileErrorKind::Denied, text: "no".to_owned() })
        });
        assert_eq!(files.read(Path::new("/f"), 9).map_err(|e| e.text), Err("no".to_owned()));
        assert!(files.stat(Path::new("/f")).is_ok());
        files.heal();
        assert!(files.read(Path::new("/f"), 9).is_ok());
    }
}
