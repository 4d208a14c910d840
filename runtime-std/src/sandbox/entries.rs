//! Owns: what is opened for writing where Landlock is all that holds a program.
//!
//! What Landlock allows on a folder it allows on all beneath it, and nothing takes that back. So the
//! folders that have protected places in them, the writable roots and those on the way, are allowed
//! nothing: what lies in them is, one by one, but for the protected places. Hence nothing can be
//! made in such a folder, nor removed, nor renamed: the protected places neither.
//!
//! Links are not allowed: they cannot be replaced, and what they lead to is looked at where it is.
//! Places are known by their names and by what they are, as a name may be spelled otherwise (on file
//! systems to which `.GIT` is the same) and a place may be there again (hard links, mounts).

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, lstat, openat, openat2,
};
use rustix::io::Errno;

use super::view::View;

/// Files and folders that are opened one by one, each a rule in the kernel. With more, nothing is
/// started.
const ENTRIES_MAX: usize = 10_000;

/// Finds a file or folder without following a link.
const FIND: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Allows writing to a file, or beneath a folder.
pub(super) type Allow<'a> = dyn FnMut(OwnedFd) -> Result<(), Box<dyn Error>> + 'a;

/// Calls `allow` for all that a program may write.
///
/// # Errors
///
/// Something cannot be looked at, there is too much of it, or `allow` fails.
pub(super) fn each(view: &View, allow: &mut Allow<'_>) -> Result<(), Box<dyn Error>> {
    let ways = view.read_only.iter().flat_map(|place| place.ancestors().skip(1));
    let mut search = Search {
        protected: Places::new(view.read_only.iter().map(PathBuf::as_path)),
        ways: Places::new(view.writable.iter().map(PathBuf::as_path).chain(ways)),
        left: ENTRIES_MAX,
        allow,
    };
    for root in &view.writable {
        let is_protected =
            |folder: &Path| lstat(folder).is_ok_and(|facts| search.protected.has(folder, &facts));
        if !root.ancestors().any(is_protected) {
            let folder = openat2(CWD, root, FIND, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
            search.open_up(folder, root)?;
        }
    }
    Ok(())
}

struct Search<'a, 'b> {
    protected: Places<'a>,
    /// What has a protected place in it, or could have one made in it.
    ways: Places<'a>,
    left: usize,
    allow: &'a mut Allow<'b>,
}

impl Search<'_, '_> {
    /// Allows what lies in a folder, but not the folder.
    fn open_up(&mut self, folder: OwnedFd, path: &Path) -> Result<(), Box<dyn Error>> {
        let folder = openat(folder, ".", LIST, Mode::empty())?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else {
                let path = path.display();
                return Err(format!(
                    "{path} and other folders hold more than {ENTRIES_MAX} files \
                    and folders, too many to open one by one"
                )
                .into());
            };
            self.left = left;
            self.open_entry(&folder, name, &path.join(name))?;
        }
        Ok(())
    }

    fn open_entry(
        &mut self,
        folder: impl AsFd,
        name: &OsStr,
        path: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let entry = match openat(folder, name, FIND, Mode::empty()) {
            Ok(entry) => entry,
            // It is gone again.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let facts = fstat(&entry)?;
        let is_link = FileType::from_raw_mode(facts.st_mode).is_symlink();
        if is_link || self.protected.has(path, &facts) {
            Ok(())
        } else if self.ways.has(path, &facts) {
            self.open_up(entry, path)
        } else {
            (self.allow)(entry)
        }
    }
}

/// Files and folders, to be known again.
struct Places<'a> {
    paths: BTreeSet<&'a Path>,
    /// Device and number of those that are there.
    numbers: BTreeSet<(u64, u64)>,
}

impl<'a> Places<'a> {
    fn new(paths: impl Iterator<Item = &'a Path>) -> Self {
        let paths: BTreeSet<_> = paths.collect();
        let facts = paths.iter().filter_map(|path| lstat(*path).ok());
        let numbers = facts.map(|facts| (facts.st_dev, facts.st_ino)).collect();
        Self { paths, numbers }
    }

    fn has(&self, path: &Path, facts: &Stat) -> bool {
        self.paths.contains(path) || self.numbers.contains(&(facts.st_dev, facts.st_ino))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is opened, by name.
    fn opened(view: &View) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let mut opened = Vec::new();
        each(view, &mut |entry| {
            use std::os::fd::AsRawFd;
            opened.push(fs::read_link(format!("/proc/self/fd/{}", entry.as_raw_fd()))?);
            Ok(())
        })?;
        opened.sort();
        Ok(opened)
    }

    #[test]
    fn all_but_the_protected_places_is_opened_and_no_folder_with_one_beneath() {
        let held = tempfile::tempdir().expect("a folder");
        let at = held.path().canonicalize().expect("resolved");
        for folder in ["work/.git", "work/a/store", "work/a/b", "work/inner/.codex", "work/c/d"] {
            fs::create_dir_all(at.join(folder)).expect("made");
        }
        for file in ["work/file", "work/.git/config", "work/inner/x"] {
            fs::write(at.join(file), "").expect("written");
        }
        fs::hard_link(at.join("work/.git/config"), at.join("work/again")).expect("linked");
        symlink("/", at.join("work/out")).expect("linked");
        let work = at.join("work");
        let view = View {
            writable: vec![work.clone(), work.join("inner"), work.join(".git/sub")],
            pinned: Vec::new(),
            read_only: [".git", "a/store", "inner/.codex", "again", "gone"]
                .map(|name| work.join(name))
                .into(),
        };
        let wanted = ["a/b", "c", "file", "inner/x", "inner/x"].map(|name| work.join(name));
        assert_eq!(opened(&view).expect("looked at"), wanted);
    }

    #[test]
    fn too_much_is_refused() {
        let held = tempfile::tempdir().expect("a folder");
        let at = held.path().canonicalize().expect("resolved");
        let view = View { writable: vec![at.clone()], ..View::default() };
        for number in 0..ENTRIES_MAX {
            fs::write(at.join(number.to_string()), "").expect("written");
        }
        assert_eq!(opened(&view).expect("looked at").len(), ENTRIES_MAX);
        fs::write(at.join("one more"), "").expect("written");
        let error = opened(&view).expect_err("too much").to_string();
        assert!(error.contains("too many"), "{error}");
    }
}
