//! The files of stored threads in the order of a list.

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::Cursor;
use crate::files::{Entry, FileError, Files, Stat};
use crate::thread::rollout::name::{ARCHIVED, RolloutName, SESSIONS};
use crate::wire::v2::thread::ThreadSortKey;

/// A file that may belong on the page.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Its place in the list.
    pub(super) place: Cursor,
    /// The file.
    pub(super) path: PathBuf,
    /// The part of the index that it belongs to.
    pub(super) part: String,
    /// Its facts, if they are known already.
    pub(super) stat: Option<Stat>,
}

/// Gives the files behind a cursor, newest first.
pub(super) enum Walk<'f> {
    /// By the time in their names, day by day.
    Created(ByCreation<'f>),
    /// By the time of their last change.
    Updated(ByChange),
}

impl<'f> Walk<'f> {
    pub(super) fn new(
        files: &'f dyn Files,
        home: &Path,
        archived: bool,
        sort_key: ThreadSortKey,
        cursor: Option<Cursor>,
    ) -> Result<Self, FileError> {
        let after = match sort_key {
            ThreadSortKey::CreatedAt => cursor,
            // Any day may hold a file that changed lately.
            ThreadSortKey::UpdatedAt => None,
        };
        let mut days = Days::new(files, home, archived, after.map(|cursor| cursor.at.date()));
        Ok(match sort_key {
            ThreadSortKey::CreatedAt => Walk::Created(ByCreation {
                days,
                folder: PathBuf::new(),
                names: Vec::new(),
                cursor,
            }),
            ThreadSortKey::UpdatedAt => Walk::Updated(ByChange::new(&mut days, cursor)?),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Candidate>, FileError> {
        match self {
            Walk::Created(walk) => walk.next(),
            Walk::Updated(walk) => Ok(walk.next()),
        }
    }
}

pub(super) struct ByCreation<'f> {
    days: Days<'f>,
    /// The folder that `names` lie in.
    folder: PathBuf,
    /// Oldest first: the next one is at the end.
    names: Vec<RolloutName>,
    cursor: Option<Cursor>,
}

impl ByCreation<'_> {
    fn next(&mut self) -> Result<Option<Candidate>, FileError> {
        loop {
            if let Some(name) = self.names.pop() {
                return Ok(Some(candidate(&self.folder, name, name.begun, None)));
            }
            let Some(folder) = self.days.next()? else { return Ok(None) };
            let is_after = |name: &RolloutName| {
                let place = Cursor { at: name.begun, id: name.id };
                self.cursor.is_none_or(|cursor| place < cursor)
            };
            let entries = none_if_missing(self.days.files.list(&folder))?.into_iter();
            let names = entries.filter(|entry| !entry.is_dir);
            let names = names.filter_map(|entry| RolloutName::parse(&entry.name));
            self.names = names.filter(is_after).collect();
            self.names.sort_unstable();
            self.folder = folder;
        }
    }
}

pub(super) struct ByChange {
    folders: Vec<PathBuf>,
    found: BinaryHeap<Changed>,
}

/// Ordered by place: the time of change in whole seconds, then the thread.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Changed {
    seconds: i64,
    id: uuid::Uuid,
    name: RolloutName,
    folder: usize,
    len: u64,
    modified_ns: i128,
}

impl ByChange {
    fn new(days: &mut Days<'_>, cursor: Option<Cursor>) -> Result<Self, FileError> {
        let (mut folders, mut found) = (Vec::new(), Vec::new());
        let cursor = cursor.and_then(|Cursor { at, id }| {
            at.to_zoned(TimeZone::UTC).ok().map(|zoned| (zoned.timestamp().as_second(), id))
        });
        while let Some(folder) = days.next()? {
            for (name, stat) in none_if_missing(days.files.list_files(&folder))? {
                let Some(name) = RolloutName::parse(&name) else { continue };
                let Stat { len, modified_ns, .. } = stat;
                let seconds = i64::try_from(modified_ns.div_euclid(1_000_000_000)).unwrap_or(0);
                if cursor.is_none_or(|cursor| (seconds, name.id) < cursor) {
                    let folder = folders.len();
                    found.push(Changed { seconds, id: name.id, name, folder, len, modified_ns });
                }
            }
            folders.push(folder);
        }
        Ok(Self { folders, found: found.into() })
    }

    fn next(&mut self) -> Option<Candidate> {
        let Changed { seconds, name, folder, len, modified_ns, .. } = self.found.pop()?;
        let at = Timestamp::from_second(seconds).unwrap_or_default();
        let stat = Stat { len, is_dir: false, modified_ns };
        Some(candidate(self.folders.get(folder)?, name, TimeZone::UTC.to_datetime(at), Some(stat)))
    }
}

fn candidate(folder: &Path, name: RolloutName, at: DateTime, stat: Option<Stat>) -> Candidate {
    let in_archive = folder.file_name().is_some_and(|folder| folder == ARCHIVED);
    let kind = if in_archive { ARCHIVED } else { SESSIONS };
    Candidate {
        place: Cursor { at, id: name.id },
        path: folder.join(name.to_string()),
        part: format!("{kind}-{}", name.begun.date()),
        stat,
    }
}

/// The folders that files lie in, newest day first.
pub(in crate::thread) struct Days<'f> {
    files: &'f dyn Files,
    /// Days after this one are left out.
    newest: Option<Date>,
    /// Folders still to be opened, with the numbers of their path; the next one is at the end.
    open: Vec<(PathBuf, Vec<i16>)>,
}

impl<'f> Days<'f> {
    /// `newest` leaves out the days after it; the archive knows no days.
    pub(in crate::thread) fn new(
        files: &'f dyn Files,
        home: &Path,
        archived: bool,
        newest: Option<Date>,
    ) -> Self {
        let root = home.join(if archived { ARCHIVED } else { SESSIONS });
        // The archive is flat: it is one day, whatever its files are called.
        let place = if archived { vec![0, 0, 0] } else { Vec::new() };
        Self { files, newest: newest.filter(|_| !archived), open: vec![(root, place)] }
    }

    pub(in crate::thread) fn next(&mut self) -> Result<Option<PathBuf>, FileError> {
        while let Some((folder, place)) = self.open.pop() {
            if place.len() == 3 {
                return Ok(Some(folder));
            }
            let mut inside = Vec::new();
            for Entry { name, is_dir } in none_if_missing(self.files.list(&folder))? {
                let Some(number) = name.parse().ok().filter(|_| is_dir) else { continue };
                let mut place = place.clone();
                place.push(number);
                if !self.is_too_new(&place) {
                    inside.push((folder.join(name), place));
                }
            }
            inside.sort_unstable_by(|a, b| a.1.cmp(&b.1));
            self.open.append(&mut inside);
        }
        Ok(None)
    }

    fn is_too_new(&self, place: &[i16]) -> bool {
        let Some(newest) = self.newest else { return false };
        let newest = [newest.year(), i16::from(newest.month()), i16::from(newest.day())];
        place > newest.get(..place.len()).unwrap_or_default()
    }
}

/// A folder that is not there holds nothing.
pub(in crate::thread) fn none_if_missing<T: Default>(
    listed: Result<T, FileError>,
) -> Result<T, FileError> {
    match listed {
        Err(error) if error.is_not_found() => Ok(T::default()),
        listed => listed,
    }
}
