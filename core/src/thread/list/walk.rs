//! The files of stored threads in the order of a list.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::Cursor;
use super::order::{ChangeOrder, split};
use crate::files::{Entry, FileError, Files, Stat};
use crate::thread::rollout::name::{ARCHIVED, RolloutName, SESSIONS};

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
    pub(super) fn by_creation(
        files: &'f dyn Files,
        home: &Path,
        archived: bool,
        cursor: Option<Cursor>,
    ) -> Self {
        let days = Days::new(files, home, archived, cursor.map(|cursor| cursor.at.date()));
        Walk::Created(ByCreation { days, folder: PathBuf::new(), names: Vec::new(), cursor })
    }

    /// By an order that was found just now.
    pub(super) fn by_change(
        files: &'f dyn Files,
        order: ChangeOrder,
        cursor: Option<Cursor>,
    ) -> Self {
        Walk::Updated(ByChange::new(files, order, cursor, false))
    }

    /// By an order that was found before; none if it need not be the order of what is behind the
    /// cursor any more.
    pub(super) fn by_known_order(
        files: &'f dyn Files,
        mut order: ChangeOrder,
        cursor: Option<Cursor>,
    ) -> Option<Self> {
        let is_watched = order.is_watched();
        let holds = if is_watched {
            order.catch_up(files)
        } else {
            order.holds_behind(files, cursor.and_then(place_of)?)
        };
        holds.then(|| Walk::Updated(ByChange::new(files, order, cursor, !is_watched)))
    }

    /// The order, if it was one by time of change.
    pub(super) fn into_order(self) -> Option<ChangeOrder> {
        match self {
            Walk::Created(_) => None,
            Walk::Updated(walk) => Some(walk.order),
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

pub(super) struct ByChange<'f> {
    files: &'f dyn Files,
    order: ChangeOrder,
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
        order: ChangeOrder,
        cursor: Option<Cursor>,
        is_from_before: bool,
    ) -> Self {
        let cursor = cursor.and_then(place_of);
        let left = cursor.map_or(order.files().len(), |cursor| {
            order.files().partition_point(|file| (file.seconds, file.id) < cursor)
        });
        Self { files, order, cursor, left, is_from_before, is_overtaken: false }
    }

    fn next(&mut self) -> Option<Candidate> {
        loop {
            self.left = self.left.checked_sub(1)?;
            let file = self.order.files().get(self.left)?;
            let at = Timestamp::from_second(file.seconds).unwrap_or_default();
            let at = TimeZone::UTC.to_datetime(at);
            let (folder, stat) = (self.order.folder_of(file)?, file.stat());
            let candidate = candidate(folder, file.name(), at, Some(stat));
            if !self.is_from_before {
                return Some(candidate);
            }
            match self.files.stat(&candidate.path) {
                Ok(now) if now.modified_ns == stat.modified_ns => {
                    return Some(Candidate { stat: Some(now), ..candidate });
                }
                // It has moved before the cursor, or it has gone.
                Ok(now) => {
                    let place = (split(now.modified_ns).0, file.id);
                    self.is_overtaken |= self.cursor.is_none_or(|cursor| place < cursor);
                }
                Err(_) => self.is_overtaken = true,
            }
        }
    }
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
            for Entry { name, is_dir, .. } in none_if_missing(self.files.list(&folder))? {
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
