//! Owns: what stands where a protected place is missing, so that there is something to mount
//! read-only, and nobody can make anything in its place.
//!
//! It is there for all to see while a program runs, so it must mean nothing to other programs. Many
//! take a folder with a `.git` in it for the top of a project, but look through links: a link to
//! nowhere is none to them, and git itself goes on upwards. Elsewhere it is an empty folder, which
//! git, unlike a link, does not see as a change; its sticky bit tells it from others.
//!
//! Several programs, of several servers, may need the same one. Each holds a shared lock on the
//! folder that it is in; who can have that alone is the last, and tidies up, also after a server
//! that was killed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, FlockOperation, OFlags, access, flock};

/// Where the link leads: beneath a device nothing is, nor can be.
const NOWHERE: &str = "/dev/null/kept-by-understudy";

const FOLDER_MODE: u32 = 0o1755;

/// Names that are tidied up for others, whose lock failed because of ours.
const COMMON: [&str; 2] = [".git", ".codex"];

/// Nobody holds the lock alone for longer than it takes to remove two names; a confined program that
/// does is not waited for.
const LOCK_TRIES_MAX: u32 = 200;
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// A stand-in that stays as long as this.
#[derive(Debug)]
pub(crate) struct StandIn {
    path: PathBuf,
    /// The folder that it is in, with a shared lock.
    folder: File,
}

impl StandIn {
    /// Keeps the stand-in at `path`, which is made if nothing is there. None if there is something
    /// else, or nothing because nothing can be made there with our rights, and so with those of a
    /// program.
    ///
    /// # Errors
    ///
    /// For another reason there is none to be had.
    pub(super) fn keep(path: &Path) -> io::Result<Option<Self>> {
        let Some(parent) = path.parent() else { return Ok(None) };
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
        let folder = fs::OpenOptions::new().read(true).custom_flags(flags).open(parent)?;
        lock(&folder)?;
        match make(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Some file systems have no links, but folders.
            Err(_) if access(parent, Access::WRITE_OK).is_err() => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(is_ours(path).then(|| Self { path: path.to_owned(), folder }))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if flock(&self.folder, FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        for path in COMMON.map(|name| self.path.with_file_name(name)).iter().chain([&self.path]) {
            if is_ours(path) {
                // Nobody else removes it meanwhile, and what was made of it is no longer ours.
                let _theirs = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
            }
        }
    }
}

fn lock(folder: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES_MAX {
        match flock(folder, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => thread::sleep(LOCK_RETRY),
            done => return Ok(done?),
        }
    }
    Err(io::Error::other("a folder is locked by somebody else"))
}

fn make(path: &Path) -> io::Result<()> {
    if path.file_name().is_some_and(|name| name == ".git") {
        symlink(NOWHERE, path)
    } else {
        fs::DirBuilder::new().mode(FOLDER_MODE).create(path)
    }
}

fn is_ours(path: &Path) -> bool {
    let Ok(facts) = fs::symlink_metadata(path) else { return false };
    if facts.is_symlink() {
        return fs::read_link(path).is_ok_and(|target| target == Path::new(NOWHERE));
    }
    let is_marked = facts.is_dir() && facts.mode() & 0o1000 != 0;
    is_marked && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(path: &Path) -> Option<StandIn> {
        StandIn::keep(path).expect("a folder to work in")
    }

    #[test]
    fn only_ours_are_removed_and_only_by_the_last() {
        let at = tempfile::tempdir().expect("a folder");
        let (git, codex) = (at.path().join(".git"), at.path().join(".codex"));
        let first = [keep(&git).expect("ours"), keep(&codex).expect("ours")];
        let second = [keep(&git).expect("ours"), keep(&codex).expect("ours")];
        assert!(git.is_symlink() && !git.exists() && codex.is_dir());
        drop(first);
        assert!(git.is_symlink() && codex.is_dir());
        drop(second);
        assert_eq!(fs::read_dir(at.path()).expect("a folder").count(), 0);
        fs::create_dir(&codex).expect("made");
        symlink("elsewhere", &git).expect("linked");
        assert!(keep(&codex).is_none() && keep(&git).is_none());
        assert!(git.is_symlink() && codex.is_dir());
    }

    #[test]
    fn what_somebody_made_of_it_stays() {
        let at = tempfile::tempdir().expect("a folder");
        let path = at.path().join(".codex");
        let held = keep(&path).expect("ours");
        fs::write(path.join("config.toml"), "").expect("written");
        drop(held);
        assert!(path.join("config.toml").exists());
        assert!(keep(&path).is_none());
    }

    #[test]
    fn what_a_killed_server_left_is_tidied_up() {
        let at = tempfile::tempdir().expect("a folder");
        let path = at.path().join(".git");
        symlink(NOWHERE, &path).expect("linked");
        drop(keep(&path).expect("ours"));
        assert!(!path.is_symlink());
    }

    #[test]
    fn somebody_who_holds_the_folder_is_not_waited_for_long() {
        let at = tempfile::tempdir().expect("a folder");
        let folder = File::open(at.path()).expect("opened");
        flock(&folder, FlockOperation::LockExclusive).expect("locked");
        assert!(StandIn::keep(&at.path().join(".git")).is_err());
        drop(folder);
        assert!(keep(&at.path().join(".git")).is_some());
    }
}
