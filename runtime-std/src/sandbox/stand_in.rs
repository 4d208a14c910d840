//! Owns: empty folders that stand where a protected place is missing, so that there is something to
//! mount read-only, and nobody else can be in its place.
//!
//! Several programs, of several servers, may need the same one. Each holds a shared lock on it while
//! it runs; who can have it alone is the last, and removes it. An empty `.git` or `.codex` means
//! nothing to the programs that know such folders. The sticky bit tells ours from other empty ones,
//! so that one that was left behind by a server that was killed is removed by the next.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

/// One that is removed between our finding and locking it is looked for again, so often.
const TRIES_MAX: usize = 100;

const MODE: u32 = 0o1755;

/// A stand-in that stays as long as this.
#[derive(Debug)]
pub(crate) struct StandIn {
    path: PathBuf,
    /// With a shared lock.
    folder: File,
}

impl StandIn {
    /// Keeps the stand-in at `path`, which is made if it is missing. None if what is there is no
    /// stand-in, or if nothing can be made there with our rights, and so with those of a program.
    ///
    /// # Errors
    ///
    /// For another reason there is none to be had.
    pub(super) fn new(path: &Path, is_missing: bool) -> io::Result<Option<Self>> {
        for _ in 0..TRIES_MAX {
            if is_missing {
                match fs::DirBuilder::new().mode(MODE).create(path) {
                    Ok(()) => {}
                    Err(error) => match error.kind() {
                        io::ErrorKind::AlreadyExists => {}
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                            return Ok(None);
                        }
                        _ => return Err(error),
                    },
                }
            }
            let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
            let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
            let folder = match opened {
                Ok(folder) => folder,
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_missing => continue,
                Err(_) => return Ok(None),
            };
            if !is_stand_in(&folder, path)? {
                return Ok(None);
            }
            flock(&folder, FlockOperation::LockShared)?;
            if is_at(&folder, path) {
                return Ok(Some(Self { path: path.to_owned(), folder }));
            }
        }
        Err(io::Error::other(format!("{} comes and goes", path.display())))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let alone = flock(&self.folder, FlockOperation::NonBlockingLockExclusive).is_ok();
        if alone && is_at(&self.folder, &self.path) {
            // One that somebody has put something into is theirs.
            let _theirs = fs::remove_dir(&self.path);
        }
    }
}

fn is_stand_in(folder: &File, path: &Path) -> io::Result<bool> {
    let is_marked = folder.metadata()?.mode() & 0o1000 != 0;
    Ok(is_marked && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()))
}

fn is_at(folder: &File, path: &Path) -> bool {
    match (folder.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ours_are_removed_and_only_by_the_last() {
        let at = tempfile::tempdir().expect("a folder");
        let path = at.path().join(".git");
        let one = StandIn::new(&path, true).expect("made").expect("ours");
        let other = StandIn::new(&path, false).expect("found").expect("ours");
        drop(one);
        assert!(path.is_dir());
        drop(other);
        assert!(!path.exists());
        fs::create_dir(&path).expect("made");
        assert!(StandIn::new(&path, false).expect("looked").is_none());
        assert!(path.is_dir());
    }

    #[test]
    fn what_somebody_made_of_it_stays() {
        let at = tempfile::tempdir().expect("a folder");
        let path = at.path().join(".git");
        let held = StandIn::new(&path, true).expect("made").expect("ours");
        fs::write(path.join("HEAD"), "").expect("written");
        drop(held);
        assert!(path.join("HEAD").exists());
        assert!(StandIn::new(&path, false).expect("looked").is_none());
    }
}
