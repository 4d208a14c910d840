//! Owns: real files behind the port [`Files`].
//!
//! Invariants: a reader of a file that is replaced sees the old content or the new, also after the
//! machine lost power. A private file is never readable by others, not even while it is written.
//! Never: follows a rule about what is in a file; waits on a pipe that somebody put in the way.

mod facts;
#[cfg(target_os = "linux")]
mod watch;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use tempfile::NamedTempFile;
#[cfg(target_os = "linux")]
use understudy_core::files::FolderWatch;
use understudy_core::files::{
    Access, Entry, FileError, FileErrorKind, FileLock, Files, IfMissing, Stat,
};

/// How long [`Files::lock`] waits for another process; one that holds a lock longer than this is
/// stuck, and waiting on would stop every later job on files.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Between two attempts to lock.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The files of this machine.
///
/// [`Files::lock`] takes an exclusive `flock` on `<path>.lock`, which is left in place: other
/// programs that share the state folder can take the same lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

impl Files for OsFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        read(path, limit).map_err(error)?.ok_or_else(|| FileError {
            kind: FileErrorKind::TooLarge,
            text: format!("File larger than {limit} bytes"),
        })
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        read_at(path, offset, len).map_err(error)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        list(path).map_err(error)
    }

    fn list_files(&self, path: &Path) -> Result<Vec<(String, Stat)>, FileError> {
        let files = facts::list(path).map_err(error)?.into_iter();
        Ok(files.filter_map(|file| Some((file.name, file.stat?))).collect())
    }

    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        let facts = fs::metadata(path).map_err(error)?;
        Ok(stat(&facts))
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
        write_atomic(path, bytes, access).map_err(error)
    }

    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError> {
        let may_make = missing == IfMissing::Make;
        let open = || OpenOptions::new().append(true).create(may_make).open(path);
        let file = if may_make { with_folder(path, open) } else { open() };
        let mut file = file.map_err(error)?;
        file.write_all(bytes).map_err(error)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        // Without this a missing source would make folders for nothing.
        fs::symlink_metadata(from).map_err(error)?;
        with_folder(to, || fs::rename(from, to)).map_err(error)
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        fs::remove_file(path).map_err(error)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        fs::canonicalize(path).map_err(error)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        let mut name = OsString::from(path);
        name.push(".lock");
        lock(Path::new(&name)).map_err(error).map(|held| Box::new(held) as Box<dyn FileLock>)
    }

    #[cfg(target_os = "linux")]
    fn watch(&self) -> Option<Box<dyn FolderWatch>> {
        Some(Box::new(watch::Inotify::new()?))
    }
}

/// Closing the file releases the lock.
struct HeldLock {
    _file: File,
}

impl FileLock for HeldLock {}

fn error(error: io::Error) -> FileError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => FileErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => FileErrorKind::Denied,
        _ => FileErrorKind::Other,
    };
    FileError { kind, text: error.to_string() }
}

/// Opens for reading. A pipe in a file's place reads as empty or fails; it never blocks.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// None if the file is larger than `limit`.
fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = open(path)?;
    let len = file.metadata()?.len();
    if len > limit {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > limit { None } else { Some(bytes) })
}

fn read_at(path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let rest = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; len.min(usize::try_from(rest).unwrap_or(len))];
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read_at(space, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Entries whose names are no text are left out: nothing could name them on the wire.
fn list(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let kind = entry.file_type()?;
        let is_link = kind.is_symlink();
        let is_dir = if is_link { entry.path().is_dir() } else { kind.is_dir() };
        entries.push(Entry { name, is_dir, is_link });
    }
    Ok(entries)
}

fn stat(facts: &fs::Metadata) -> Stat {
    let modified_ns = i128::from(facts.mtime()) * 1_000_000_000 + i128::from(facts.mtime_nsec());
    Stat { len: facts.len(), is_dir: facts.is_dir(), modified_ns }
}

fn write_atomic(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    // People link configuration from elsewhere: the link stays, its target is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&target);
    make_folder(folder, access)?;
    let (mode, kept) = match access {
        Access::Private => (0o600, None),
        Access::Shared => (0o666, fs::metadata(&target).ok().map(|facts| facts.mode() & 0o7777)),
    };
    let mut temporary: NamedTempFile<File> =
        tempfile::Builder::new().prefix(".understudy-").make_in(folder, |name| {
            OpenOptions::new().write(true).create_new(true).mode(mode).open(name)
        })?;
    if let Some(mode) = kept {
        temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(&target).map_err(|failed| failed.error)?;
    // The new name is safe only once the folder is; some file systems cannot sync a folder, and
    // then the content was written all the same.
    if let Ok(folder) = File::open(folder) {
        let _unsupported = folder.sync_all();
    }
    Ok(())
}

fn lock(path: &Path) -> io::Result<HeldLock> {
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    };
    let file = with_folder(path, open)?;
    let started = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(HeldLock { _file: file }),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < LOCK_WAIT => {
                thread::sleep(LOCK_RETRY);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Does `work`, and once more after making the folder of `path` if that is what was missing.
fn with_folder<T>(path: &Path, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match work() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder_of(path), Access::Shared)?;
            work()
        }
        done => done,
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn make_folder(folder: &Path, access: Access) -> io::Result<()> {
    let mode = match access {
        Access::Private => 0o700,
        Access::Shared => 0o777,
    };
    DirBuilder::new().recursive(true).mode(mode).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").mode() & 0o777
    }

    #[test]
    fn a_private_file_is_private_whatever_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/auth.json");
        OsFiles.write_atomic(&path, b"one", Access::Private).expect("written");
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("changed");
        OsFiles.write_atomic(&path, b"two", Access::Private).expect("written");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(OsFiles.read(&path, 3).as_deref(), Ok(b"two".as_slice()));
        assert_eq!(OsFiles.list(path.parent().expect("a folder")).map(|all| all.len()), Ok(1));
    }

    #[test]
    fn a_shared_file_keeps_its_rights_and_its_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().join("real.toml");
        let link = folder.path().join("config.toml");
        fs::write(&real, "old").expect("written");
        fs::set_permissions(&real, Permissions::from_mode(0o640)).expect("changed");
        symlink(&real, &link).expect("linked");
        OsFiles.write_atomic(&link, b"new", Access::Shared).expect("written");
        assert_eq!(fs::read(&real).expect("read"), b"new");
        assert_eq!(mode(&real), 0o640);
        assert_eq!(OsFiles.real_path(&link), Ok(fs::canonicalize(&real).expect("resolved")));
    }

    #[test]
    fn errors_have_their_kind_and_the_systems_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = OsFiles.read(&folder.path().join("none"), 10).expect_err("missing");
        assert!(missing.is_not_found());
        assert_eq!(missing.text, "No such file or directory (os error 2)");
        let path = folder.path().join("big");
        fs::write(&path, [0; 11]).expect("written");
        assert_eq!(OsFiles.read(&path, 10).expect_err("big").kind, FileErrorKind::TooLarge);
        assert_eq!(OsFiles.read(&path, 11).map(|bytes| bytes.len()), Ok(11));
        let denied = OsFiles.write_atomic(Path::new("/proc/none/x"), b"", Access::Shared);
        let denied = denied.expect_err("no such place");
        assert!(denied.text.contains("(os error "), "{}", denied.text);
        let folder_read = OsFiles.read(folder.path(), 1 << 20).expect_err("a folder");
        assert_eq!(folder_read.text, "Is a directory (os error 21)");
    }

    #[test]
    fn appends_make_folders_and_pieces_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b/rollout.jsonl");
        let refused = OsFiles.append(&path, b"none", IfMissing::Fail).expect_err("no file");
        assert!(refused.is_not_found() && !folder.path().join("a").exists());
        OsFiles.append(&path, b"one\n", IfMissing::Make).expect("appended");
        OsFiles.append(&path, b"two\n", IfMissing::Fail).expect("appended");
        assert_eq!(OsFiles.read_at(&path, 4, 100).as_deref(), Ok(b"two\n".as_slice()));
        assert_eq!(OsFiles.read_at(&path, 100, 4).as_deref(), Ok(b"".as_slice()));
        let moved = folder.path().join("archived/rollout.jsonl");
        OsFiles.rename(&path, &moved).expect("moved");
        assert_eq!(OsFiles.stat(&moved).map(|stat| stat.len), Ok(8));
        assert!(OsFiles.rename(&path, &folder.path().join("x/y")).is_err());
        assert!(!folder.path().join("x").exists());
        OsFiles.remove(&moved).expect("removed");
        assert!(OsFiles.stat(&moved).expect_err("gone").is_not_found());
    }

    #[test]
    fn a_pipe_in_the_way_does_not_block() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("AGENTS.md");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        assert_eq!(OsFiles.read(&path, 10).as_deref(), Ok(b"".as_slice()));
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("auth.json");
        let held = OsFiles.lock(&path).expect("locked");
        let waiter = thread::spawn({
            let path = path.clone();
            move || {
                let _held = OsFiles.lock(&path).expect("locked");
                Instant::now()
            }
        });
        thread::sleep(Duration::from_millis(50));
        let released = Instant::now();
        drop(held);
        assert!(waiter.join().expect("the waiter") >= released);
        assert!(folder.path().join("auth.json.lock").exists());
    }
}
