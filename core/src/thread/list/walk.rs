//! The files of stored threads in the order of a list.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use uuid::Uuid;

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
    Updated(ByChange<'f>),
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
            ThreadSortKey::UpdatedAt => {
                let order = Arc::new(ChangeOrder::new(&mut days, home, archived)?);
                Walk::Updated(ByChange::new(files, order, cursor, false))
            }
        })
    }

    /// By an order that was found before; none if it need not be the order of what is behind the
    /// cursor any more.
    pub(super) fn again(
        files: &'f dyn Files,
        home: &Path,
        archived: bool,
        order: &Arc<ChangeOrder>,
        cursor: Cursor,
    ) -> Option<Self> {
        let is_same = order.home == home && order.archived == archived;
        let holds = is_same && order.holds_behind(files, cursor);
        holds.then(|| Walk::Updated(ByChange::new(files, Arc::clone(order), Some(cursor), true)))
    }

    /// The order, if it was one by time of change.
    pub(super) fn order(&self) -> Option<Arc<ChangeOrder>> {
        match self {
            Walk::Created(_) => None,
            Walk::Updated(walk) => Some(Arc::clone(&walk.order)),
        }
    }

    /// Whether a file turned up that belongs elsewhere than the order says.
    pub(super) fn is_overtaken(&self) -> bool {
        matches!(self, Walk::Updated(ByChange { is_overtaken: true, .. }))
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

/// All files by the time of their last change, as they once were.
///
/// A file that changes after that moves before every cursor of the walk, so what is behind a cursor
/// stays as it was, but for files that come, go, or are given an older time.
#[derive(Debug, PartialEq, Eq)]
pub struct ChangeOrder {
    home: PathBuf,
    archived: bool,
    /// Every folder, with the time of its last change from before it was listed.
    opened: Vec<(PathBuf, i128)>,
    /// Those folders that files lie in.
    days: Vec<PathBuf>,
    /// Oldest first.
    files: Vec<Changed>,
}

/// Ordered by place: the time of change in whole seconds, then the thread.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Changed {
    seconds: i64,
    id: Uuid,
    name: RolloutName,
    day: usize,
    len: u64,
    modified_ns: i128,
}

impl ChangeOrder {
    fn new(days: &mut Days<'_>, home: &Path, archived: bool) -> Result<Self, FileError> {
        let (mut folders, mut found) = (Vec::new(), Vec::new());
        while let Some(folder) = days.next()? {
            days.note_opened(&folder);
            for (name, Stat { len, modified_ns, .. }) in
                none_if_missing(days.files.list_files(&folder))?
            {
                let Some(name) = RolloutName::parse(&name) else { continue };
                let (seconds, day) = (seconds_of(modified_ns), folders.len());
                found.push(Changed { seconds, id: name.id, name, day, len, modified_ns });
            }
            folders.push(folder);
        }
        found.sort_unstable();
        let (home, opened) = (home.to_owned(), std::mem::take(&mut days.opened));
        Ok(Self { home, archived, opened, days: folders, files: found })
    }

    /// Whether what is behind the cursor is still in this order, as far as folders tell.
    fn holds_behind(&self, files: &dyn Files, cursor: Cursor) -> bool {
        // Strictly: within the second of the newest file, a change could go behind the cursor.
        let is_behind_changes = self.files.last().is_some_and(|newest| {
            place_of(cursor).is_some_and(|(seconds, _)| seconds < newest.seconds)
        });
        let is_unchanged = |(folder, modified_ns): &(PathBuf, i128)| {
            files.stat(folder).is_ok_and(|stat| stat.modified_ns == *modified_ns)
        };
        is_behind_changes && self.opened.iter().all(is_unchanged)
    }
}

pub(super) struct ByChange<'f> {
    files: &'f dyn Files,
    order: Arc<ChangeOrder>,
    cursor: Option<(i64, Uuid)>,
    /// Files of the order that are still to come.
    left: usize,
    /// The order is from before, so files have to be asked whether they are as they were.
    is_from_before: bool,
    is_overtaken: bool,
}

impl<'f> ByChange<'f> {
    fn new(
        files: &'f dyn Files,
        order: Arc<ChangeOrder>,
        cursor: Option<Cursor>,
        is_from_before: bool,
    ) -> Self {
        let cursor = cursor.and_then(place_of);
        let left = cursor.map_or(order.files.len(), |cursor| {
            order.files.partition_point(|file| (file.seconds, file.id) < cursor)
        });
        Self { files, order, cursor, left, is_from_before, is_overtaken: false }
    }

    fn next(&mut self) -> Option<Candidate> {
        loop {
            self.left = self.left.checked_sub(1)?;
            let file = self.order.files.get(self.left)?;
            let Changed { seconds, name, day, len, modified_ns, .. } = *file;
            let at = Timestamp::from_second(seconds).unwrap_or_default();
            let stat = Stat { len, is_dir: false, modified_ns };
            let at = TimeZone::UTC.to_datetime(at);
            let candidate = candidate(self.order.days.get(day)?, name, at, Some(stat));
            if !self.is_from_before {
                return Some(candidate);
            }
            match self.files.stat(&candidate.path) {
                Ok(stat) if stat.modified_ns == modified_ns => {
                    return Some(Candidate { stat: Some(stat), ..candidate });
                }
                // It has moved before the cursor, or it has gone.
                Ok(stat) => {
                    let place = (seconds_of(stat.modified_ns), name.id);
                    self.is_overtaken |= self.cursor.is_none_or(|cursor| place < cursor);
                }
                Err(_) => self.is_overtaken = true,
            }
        }
    }
}

fn seconds_of(modified_ns: i128) -> i64 {
    i64::try_from(modified_ns.div_euclid(1_000_000_000)).unwrap_or(0)
}

fn place_of(cursor: Cursor) -> Option<(i64, Uuid)> {
    let zoned = cursor.at.to_zoned(TimeZone::UTC).ok()?;
    Some((zoned.timestamp().as_second(), cursor.id))
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
    /// Folders that were opened, with the time of their last change from before that; only kept
    /// for [`ChangeOrder`].
    opened: Vec<(PathBuf, i128)>,
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
        Self {
            files,
            newest: newest.filter(|_| !archived),
            open: vec![(root, place)],
            opened: Vec::new(),
        }
    }

    pub(in crate::thread) fn next(&mut self) -> Result<Option<PathBuf>, FileError> {
        while let Some((folder, place)) = self.open.pop() {
            if place.len() == 3 {
                return Ok(Some(folder));
            }
            self.note_opened(&folder);
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

    fn note_opened(&mut self, folder: &Path) {
        if let Ok(stat) = self.files.stat(folder) {
            self.opened.push((folder.to_owned(), stat.modified_ns));
        }
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
