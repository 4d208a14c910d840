//! Files in memory: for tests, and for simulations that want faults where real files have none.
//!
//! Deterministic: the clock counts changes, listings are sorted, and a lock that is taken is an
//! error rather than a wait, because in a simulation nobody could release it.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::memory_watch::{MemoryWatch, Watches};
use super::{
    Access, Entry, FileError, FileErrorKind, FileLock, Files, FolderWatch, IfMissing, Stat,
};

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
    nodes: Nodes,
    has_links: bool,
    locked: BTreeSet<PathBuf>,
    changes: i128,
    faults: Option<FaultHook>,
    pub(super) watches: Watches,
}

/// What there is, by path.
#[derive(Clone, Default)]
struct Nodes(BTreeMap<Key, Node>);

/// The one spelling of a path, sorted by its bytes: to take paths apart, and to compare them part by
/// part, is a good part of the work of a simulation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(OsString);

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.0.as_encoded_bytes()
    }
}

/// How a path is written.
struct Spelling {
    /// The one way.
    is_usual: bool,
    /// It goes up somewhere.
    climbs: bool,
}

impl Spelling {
    fn of(path: &Path) -> Self {
        let bytes = path.as_os_str().as_encoded_bytes();
        let mut spelling = Self { is_usual: true, climbs: false };
        let mut left = bytes;
        while let [byte, behind @ ..] = left {
            match behind {
                _ if *byte != b'/' => {}
                [] => spelling.is_usual &= bytes.len() == 1,
                [b'/', ..] | [b'.'] | [b'.', b'/', ..] => spelling.is_usual = false,
                [b'.', b'.'] | [b'.', b'.', b'/', ..] => spelling.climbs = true,
                _ => {}
            }
            left = behind;
        }
        spelling
    }
}

fn key(path: &Path) -> Cow<'_, OsStr> {
    match Spelling::of(path).is_usual {
        true => Cow::Borrowed(path.as_os_str()),
        false => Cow::Owned(path.components().collect::<PathBuf>().into_os_string()),
    }
}

impl Nodes {
    fn get(&self, path: &Path) -> Option<&Node> {
        self.0.get(key(path).as_encoded_bytes())
    }

    fn get_mut(&mut self, path: &Path) -> Option<&mut Node> {
        self.0.get_mut(key(path).as_encoded_bytes())
    }

    fn insert(&mut self, path: &Path, node: Node) {
        self.0.insert(Key(key(path).into_owned()), node);
    }

    fn remove(&mut self, path: &Path) {
        self.0.remove(key(path).as_encoded_bytes());
    }

    fn iter(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.0.iter().map(|(key, node)| (Path::new(&key.0), node))
    }

    /// The nearest of the folders above that there is, or what is in place of one.
    fn above(&self, path: &Path) -> Option<&Node> {
        let key = key(path);
        let mut dir = key.as_encoded_bytes();
        while let Some(at) = memchr::memrchr(b'/', dir) {
            (dir, _) = dir.split_at(at);
            if let Some(node) = self.0.get(dir) {
                return Some(node);
            }
        }
        None
    }

    /// What is in a folder, sorted by name: each with its name and its path.
    fn inside<'a>(
        &'a self,
        dir: &Path,
    ) -> impl Iterator<Item = (Cow<'a, str>, &'a Path, &'a Node)> {
        let first = Path::new(&*key(dir)).join("").into_os_string().into_encoded_bytes();
        // Whatever is below a folder stands together.
        let from = (Bound::Included(first.as_slice()), Bound::Unbounded);
        let below = self.0.range::<[u8], _>(from).map_while(move |(Key(inner), node)| {
            let name = inner.as_encoded_bytes().strip_prefix(first.as_slice())?;
            Some((name, Path::new(inner), node))
        });
        let inside = below.filter(|(name, ..)| memchr::memchr(b'/', name).is_none());
        inside.map(|(name, inner, node)| (String::from_utf8_lossy(name), inner, node))
    }
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
        self.state().write(path.as_ref(), text.as_ref().to_owned(), Access::Shared);
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
        state.nodes.insert(path.as_ref(), Node::Link(target.as_ref().to_owned()));
        state.watches.tell(path.as_ref());
    }

    /// Gives a file another time of change, as a program may.
    pub fn set_modified(&self, path: impl AsRef<Path>, to_ns: i128) {
        let mut state = self.state();
        let Ok(path) = state.resolve(path.as_ref()) else { return };
        if let Some(Node::File { modified_ns, .. }) = state.nodes.get_mut(&path) {
            *modified_ns = to_ns;
            state.watches.tell(&path);
        }
    }

    /// Removes a folder with all that is in it.
    pub fn remove_folder(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        let gone: Vec<_> = state
            .nodes
            .iter()
            .map(|(inner, _)| inner)
            .filter(|inner| inner.starts_with(path.as_ref()))
            .map(Path::to_owned)
            .collect();
        // What is inside goes first.
        for path in gone.iter().rev() {
            state.nodes.remove(path);
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
        match state.nodes.get(&path)? {
            Node::File { bytes, .. } => Some(bytes.clone()),
            Node::Folder | Node::Link(_) => None,
        }
    }

    /// Who may read a file.
    pub fn access(&self, path: impl AsRef<Path>) -> Option<Access> {
        match self.state().nodes.get(path.as_ref())? {
            Node::File { access, .. } => Some(*access),
            Node::Folder | Node::Link(_) => None,
        }
    }

    /// How many times a file was written, in whatever way.
    pub fn writes(&self) -> i128 {
        self.state().changes
    }

    /// Every file's path, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.nodes.iter().filter(|(_, node)| matches!(node, Node::File { .. }));
        let mut paths: Vec<_> = files.map(|(path, _)| path.to_owned()).collect();
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
    /// The path with every link in it followed.
    pub(super) fn resolve<'a>(&self, path: &'a Path) -> Result<Cow<'a, Path>, FileError> {
        if !self.has_links && path.has_root() && !Spelling::of(path).climbs {
            return Ok(Cow::Borrowed(path));
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
                Component::Normal(name) => match self.nodes.get(&done.join(name)) {
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
        Ok(Cow::Owned(done))
    }

    fn node<'a>(&self, path: &'a Path) -> Result<(Cow<'a, Path>, &Node), FileError> {
        let path = self.resolve(path)?;
        if path.as_os_str() == "/" {
            return Ok((path, &Node::Folder));
        }
        if let Some(node) = self.nodes.get(&path) {
            return Ok((path, node));
        }
        match self.nodes.above(&path) {
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
            if self.nodes.get(dir).is_none() {
                self.nodes.insert(dir, Node::Folder);
                self.watches.tell(dir);
            }
        }
    }

    fn write(&mut self, path: &Path, bytes: Vec<u8>, access: Access) {
        self.changes += 1;
        if let Some(parent) = path.parent() {
            self.make_folders(parent);
        }
        self.watches.tell(path);
        self.nodes.insert(path, Node::File { bytes, access, modified_ns: self.changes });
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
        let entry = |(name, inner, node): (Cow<'_, str>, &Path, &Node)| Entry {
            name: name.into_owned(),
            is_dir: state.node(inner).is_ok_and(|(_, node)| matches!(node, Node::Folder)),
            is_link: matches!(node, Node::Link(_)),
        };
        Ok(state.nodes.inside(&path).map(entry).collect())
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
        if matches!(state.nodes.get(&path), Some(Node::Folder)) {
            return Err(error(FileErrorKind::Other, IS_A_FOLDER));
        }
        state.write(&path, bytes.to_owned(), access);
        Ok(())
    }

    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError> {
        let mut state = self.start(FileOp::Append, path)?;
        let path = state.resolve(path)?;
        let State { nodes, changes, watches, .. } = &mut *state;
        match nodes.get_mut(&path) {
            Some(Node::File { bytes: all, modified_ns, .. }) => {
                *changes += 1;
                watches.tell(&path);
                all.extend_from_slice(bytes);
                *modified_ns = *changes;
            }
            Some(Node::Folder | Node::Link(_)) => {
                return Err(error(FileErrorKind::Other, IS_A_FOLDER));
            }
            None if missing == IfMissing::Fail => {
                return Err(error(FileErrorKind::NotFound, NOT_FOUND));
            }
            None => state.write(&path, bytes.to_owned(), Access::Shared),
        }
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
        state.nodes.remove(&from);
        state.watches.tell(&from);
        state.watches.tell(&to);
        state.nodes.insert(&to, node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        let mut state = self.start(FileOp::Remove, path)?;
        match state.nodes.get(path) {
            Some(Node::File { .. } | Node::Link(_)) => {
                state.nodes.remove(path);
                state.watches.tell(path);
                Ok(())
            }
            Some(Node::Folder) => Err(error(FileErrorKind::Other, IS_A_FOLDER)),
            None => Err(error(FileErrorKind::NotFound, NOT_FOUND)),
        }
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        Ok(self.start(FileOp::RealPath, path)?.node(path)?.0.into_owned())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        let mut state = self.start(FileOp::Lock, path)?;
        let path = state.resolve(path)?.into_owned();
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
    use std::path::{Component, Path, PathBuf};

    use super::{FileOp, IfMissing, MemoryFiles};
    use crate::files::{Access, FileError, FileErrorKind, Files};

    #[test]
    fn files_are_written_listed_moved_and_removed() {
        let files = MemoryFiles::new().with("/a/b/c", "1");
        let path = Path::new("/a/b/c");
        files.append(path, b"23", IfMissing::Make).expect("appends");
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
    fn a_path_has_one_spelling_however_it_is_written() {
        let paths = "/ // /a /a/ /a//b /a/./b /a/. /.a /a/.b/..c /a/.. /a/../b /... /a//../b/";
        for path in paths.split(' ').map(Path::new) {
            let parts = || path.components();
            let spelled = super::key(path);
            assert_eq!(*spelled, *parts().collect::<PathBuf>().into_os_string(), "{path:?}");
            let climbs = parts().any(|part| part == Component::ParentDir);
            assert_eq!(super::Spelling::of(path).climbs, climbs, "{path:?}");
        }
        let files = MemoryFiles::new().with("/a/b", "1");
        assert_eq!(files.read(Path::new("/a/.//x/../b"), 9).expect("reads"), b"1");
        assert!(files.stat(Path::new("/a/b/c")).is_err_and(|e| e.kind == FileErrorKind::Other));
        let names = files.list(Path::new("/a/")).expect("lists");
        assert_eq!(names.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["b"]);
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
