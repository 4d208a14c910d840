//! Owns: folders that the kernel tells the changes of.
//!
//! Invariants: the kernel queues an event before the call that caused it returns, so an emptied
//! queue tells of all that was done before. Folders are watched only on file systems of this
//! machine, where nobody gets past its kernel; files that can be reached otherwise than through
//! their folder, by links, count as changed every time.
//!
//! Never told: writes through memory that a program still maps after it closed the file, and writes
//! through a hard link that was made after the file was looked at. Nobody writes such logs so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{CWD, Mode, OFlags, openat, statfs};
use rustix::io::Errno;
use understudy_core::files::{FileError, FolderChange, FolderWatch, Stat};
use understudy_core::limits::FOLDER_CHANGES_MAX;

use super::error;
use super::facts::{self, FileFacts};

/// All that may change what is in a folder, or a fact of a file in it. Closing is for those who
/// wrote through a map of the file.
const EVENTS: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVE);

/// File systems, by their magic numbers, that only the kernel of this machine writes to: ext, xfs,
/// btrfs, f2fs, zfs, bcachefs, tmpfs, ramfs. Over networks, through layers and out of virtual
/// machines others write, and are not told of.
const OF_THIS_MACHINE: [u32; 8] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0xF2F5_2010,
    0x2FC1_2FC1,
    0xCA45_1A4E,
    0x0102_1994,
    0x8584_58F6,
];

/// What is read from the queue at a time; an event takes about a hundred bytes.
const READ_BYTES: usize = 32 << 10;

/// Some folders, and the queue of what happens to them.
pub(super) struct Inotify {
    queue: OwnedFd,
    folders: BTreeMap<u32, PathBuf>,
    /// The numbers of folders, by the kernel's own.
    numbers: BTreeMap<i32, u32>,
    /// The first folder as it was found. That another has come in its place, nobody tells.
    first: Option<(PathBuf, Identity)>,
    /// Files that count as changed every time.
    untold: BTreeSet<FolderChange>,
}

/// Device and inode.
type Identity = (u64, u64);

impl Inotify {
    /// None if the system has no more of them.
    pub(super) fn new() -> Option<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let (folders, numbers, untold) = Default::default();
        Some(Self { queue, folders, numbers, first: None, untold })
    }

    fn path(&self, number: u32) -> io::Result<&Path> {
        let path = self.folders.get(&number).map(PathBuf::as_path);
        path.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn watch(&mut self, folder: &Path, number: u32) -> io::Result<()> {
        let mut flags = EVENTS | WatchFlags::ONLYDIR;
        if self.first.is_none() {
            self.first = Some((folder.to_owned(), identity(folder)?));
        } else {
            flags |= WatchFlags::DONT_FOLLOW;
        }
        let watched = inotify::add_watch(&self.queue, folder, flags)?;
        if !is_of_this_machine(folder)? {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let other = self.numbers.insert(watched, number).and_then(|other| self.folders.get(&other));
        if other.is_some_and(|other| other != folder) {
            // One folder under two names, or one that was moved.
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.folders.insert(number, folder.to_owned());
        Ok(())
    }

    fn facts(&self, number: u32, name: &str) -> io::Result<Option<FileFacts>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, self.path(number)?, flags, Mode::empty())?;
        facts::of(folder.as_fd(), name)
    }

    /// Empties the queue; none if something got lost.
    fn told(&mut self) -> Option<BTreeSet<FolderChange>> {
        let mut told = BTreeSet::new();
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        let mut events = Reader::new(&self.queue, &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return Some(told),
                Err(Errno::INTR) => continue,
                Err(_) => return None,
            };
            let happened = event.events();
            if happened.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT) {
                return None;
            }
            if happened.contains(ReadFlags::IGNORED) {
                self.numbers.remove(&event.wd());
            }
            let name = event.file_name().and_then(|name| name.to_str().ok());
            if let (Some(folder), Some(name)) = (self.numbers.get(&event.wd()), name) {
                told.insert(FolderChange { folder: *folder, name: name.to_owned() });
            }
            if told.len() > FOLDER_CHANGES_MAX {
                return None;
            }
        }
    }
}

impl FolderWatch for Inotify {
    fn add(&mut self, folder: &Path, number: u32) -> Result<(), FileError> {
        self.watch(folder, number).map_err(error)
    }

    fn list_files(&mut self, number: u32) -> Result<Vec<(String, Stat)>, FileError> {
        let files = self.path(number).and_then(facts::list).map_err(error)?;
        for file in files.iter().filter(|file| !file.is_only_here) {
            self.untold.insert(FolderChange { folder: number, name: file.name.clone() });
        }
        Ok(files.into_iter().filter_map(|file| Some((file.name, file.stat?))).collect())
    }

    fn stat(&mut self, number: u32, name: &str) -> Result<Stat, FileError> {
        let file = FolderChange { folder: number, name: name.to_owned() };
        self.untold.remove(&file);
        let facts = self.facts(number, name).map_err(error)?;
        if facts.as_ref().is_some_and(|facts| !facts.is_only_here) {
            self.untold.insert(file);
        }
        let stat = facts.and_then(|facts| facts.stat);
        stat.ok_or_else(|| error(io::ErrorKind::NotFound.into()))
    }

    fn changes(&mut self) -> Option<Vec<FolderChange>> {
        if let Some((folder, was)) = &self.first
            && identity(folder).ok() != Some(*was)
        {
            return None;
        }
        let mut told = self.told()?;
        told.extend(self.untold.iter().cloned());
        Some(told.into_iter().collect())
    }
}

fn identity(folder: &Path) -> io::Result<Identity> {
    let facts = fs::metadata(folder)?;
    Ok((facts.dev(), facts.ino()))
}

fn is_of_this_machine(folder: &Path) -> io::Result<bool> {
    let kind = u32::try_from(statfs(folder)?.f_type);
    Ok(kind.is_ok_and(|kind| OF_THIS_MACHINE.contains(&kind)))
}
