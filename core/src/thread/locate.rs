//! Where a thread's file is, by its id (protocol.md §3.1).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::list::walk::{Days, none_if_missing};
use super::rollout::name::{RolloutName, SESSIONS};
use crate::files::{FileError, Files};

/// The file of the thread `id` among those that were not put away, or among those that were; none
/// if there is none. Of several files of one thread the newest.
///
/// Ids carry their time, so the days around it are searched first, and all others only if it is
/// not there.
pub fn locate(
    files: &dyn Files,
    home: &Path,
    id: Uuid,
    archived: bool,
) -> Result<Option<PathBuf>, FileError> {
    if !archived {
        for day in days_around(id).into_iter().flatten() {
            let folder = home.join(SESSIONS).join(day.strftime("%Y/%m/%d").to_string());
            if let Some(path) = locate_in(files, &folder, id)? {
                return Ok(Some(path));
            }
        }
    }
    let mut days = Days::new(files, home, archived, None);
    while let Some(folder) = days.next()? {
        if let Some(path) = locate_in(files, &folder, id)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The days that the moment in an id can fall on, wherever the clock on the wall hung.
fn days_around(id: Uuid) -> Option<[Date; 3]> {
    let (seconds, _) = id.get_timestamp()?.to_unix();
    let moment = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    let day = TimeZone::UTC.to_datetime(moment).date();
    Some([day, day.yesterday().ok()?, day.tomorrow().ok()?])
}

fn locate_in(files: &dyn Files, folder: &Path, id: Uuid) -> Result<Option<PathBuf>, FileError> {
    let entries = none_if_missing(files.list(folder))?.into_iter().filter(|entry| !entry.is_dir);
    let names = entries.filter_map(|entry| RolloutName::parse(&entry.name));
    let newest = names.filter(|name| name.id == id).max();
    Ok(newest.map(|name| folder.join(name.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    /// 2026-01-29T10:00:00Z.
    const ID: &str = "019c0951-4900-7000-8000-000000000001";

    fn find(path: &str, archived: bool) -> Option<PathBuf> {
        let files = MemoryFiles::new().with(path, "");
        let id = Uuid::try_parse(ID).expect("an id");
        locate(&files, Path::new("/h"), id, archived).expect("searched")
    }

    #[test]
    fn a_thread_is_found_on_its_day_the_next_and_any_other() {
        for (folder, day) in [
            ("2026/01/29", "2026-01-29"),
            ("2026/01/30", "2026-01-30"),
            ("2020/12/31", "2020-12-31"),
        ] {
            let path = format!("/h/sessions/{folder}/rollout-{day}T10-00-00-{ID}.jsonl");
            assert_eq!(find(&path, false), Some(path.clone().into()));
            assert_eq!(find(&path, true), None);
        }
    }

    #[test]
    fn the_archive_is_another_place() {
        let path = format!("/h/archived_sessions/rollout-2026-01-29T10-00-00-{ID}.jsonl");
        assert_eq!(find(&path, true), Some(path.clone().into()));
        assert_eq!(find(&path, false), None);
    }

    #[test]
    fn an_id_without_a_time_is_found_too() {
        let id = Uuid::nil();
        let path = format!("/h/sessions/2026/01/29/rollout-2026-01-29T10-00-00-{id}.jsonl");
        let files = MemoryFiles::new().with(&path, "");
        assert_eq!(locate(&files, Path::new("/h"), id, false), Ok(Some(path.into())));
    }
}
