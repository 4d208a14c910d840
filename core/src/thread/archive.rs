//! Threads put away and brought back (protocol.md §3.2).

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::locate::locate;
use super::rollout::name::{ARCHIVED, RolloutName, SESSIONS};
use super::stored::StoredThread;
use crate::files::{FileError, FileErrorKind, Files};

/// Puts a thread away.
#[derive(Clone, Debug)]
pub struct ArchiveJob {
    /// The state folder.
    pub home: PathBuf,
    /// The thread.
    pub id: Uuid,
    /// Its file, as the older method names it; none has it searched.
    pub path: Option<PathBuf>,
}

/// Brings a thread back.
#[derive(Clone, Debug)]
pub struct UnarchiveJob {
    /// The state folder.
    pub home: PathBuf,
    /// The thread.
    pub id: Uuid,
    /// The provider that owns threads which name none.
    pub default_provider: String,
}

/// Why a thread was not put away or brought back. The texts are what clients are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such thread.
    #[error("no rollout found for thread id {0}")]
    NotFound(Uuid),
    /// There is no such thread among those that were put away.
    #[error("no archived rollout found for thread id {0}")]
    NotArchived(Uuid),
    /// The search for it failed.
    #[error("failed to locate thread id {0}: {1}")]
    Search(Uuid, FileError),
    /// The file lies, links followed, outside the folder that it has to be in.
    #[error("rollout path `{}` must be in {folder} directory", path.display())]
    Elsewhere {
        /// The file.
        path: PathBuf,
        /// `sessions` or `archived`.
        folder: &'static str,
    },
    /// The file is that of another thread.
    #[error("rollout path `{}` does not match thread id {id}", path.display())]
    OtherThread {
        /// The file.
        path: PathBuf,
        /// The thread.
        id: Uuid,
    },
    /// The file's name tells no time, so there is no folder to bring it back to.
    #[error("rollout path `{}` missing filename timestamp", .0.display())]
    NoTime(PathBuf),
    /// It could not be put away: the server's trouble, not the client's.
    #[error("failed to archive thread: {0}")]
    Archive(String),
    /// It could not be brought back: the server's trouble, not the client's.
    #[error("failed to unarchive thread: {0}")]
    Unarchive(String),
    /// It was brought back and then could not be read: the server's trouble, not the client's.
    #[error("failed to read unarchived thread: {0}")]
    Read(String),
}

impl ArchiveError {
    /// Whether it is the server's trouble (-32603), and not the client's (-32600).
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Archive(_) | Self::Unarchive(_) | Self::Read(_))
    }
}

impl ArchiveJob {
    /// Moves the file into the archive; answers where it is now.
    pub fn run(&self, files: &dyn Files) -> Result<PathBuf, ArchiveError> {
        let Self { home, id, path } = self;
        let path = match path {
            Some(path) => path.clone(),
            None => locate(files, home, *id, false)
                .map_err(|error| ArchiveError::Search(*id, error))?
                .ok_or(ArchiveError::NotFound(*id))?,
        };
        let root = files.real_path(&home.join(SESSIONS)).map_err(|error| {
            ArchiveError::Archive(format!("unable to resolve sessions directory: {error}"))
        })?;
        let from = checked(files, &path, &root, "sessions", *id)?;
        let name = from.file_name().unwrap_or_default();
        let to = home.join(ARCHIVED).join(name);
        rename_to_free(files, &from, &to)
            .map_err(|error| ArchiveError::Archive(error.to_string()))?;
        Ok(to)
    }
}

impl UnarchiveJob {
    /// Moves the file back to the folder of its day.
    pub fn run(&self, files: &dyn Files) -> Result<StoredThread, ArchiveError> {
        let Self { home, id, default_provider } = self;
        let path = locate(files, home, *id, true)
            .map_err(|error| ArchiveError::Search(*id, error))?
            .ok_or(ArchiveError::NotArchived(*id))?;
        let root = files.real_path(&home.join(ARCHIVED)).map_err(|error| {
            ArchiveError::Unarchive(format!("unable to resolve archived directory: {error}"))
        })?;
        let from = checked(files, &path, &root, "archived", *id)?;
        let name = from.file_name().and_then(|name| RolloutName::parse(name.to_str()?));
        let to = name.ok_or(ArchiveError::NoTime(path))?.path_in_sessions(home);
        rename_to_free(files, &from, &to)
            .map_err(|error| ArchiveError::Unarchive(error.to_string()))?;
        StoredThread::load(files, &to, default_provider)
            .map_err(|error| ArchiveError::Read(error.to_string()))?
            .ok_or_else(|| ArchiveError::Read("no session metadata".to_owned()))
    }
}

/// The file with links followed, if it lies below `root` and is that of the thread.
fn checked(
    files: &dyn Files,
    path: &Path,
    root: &Path,
    folder: &'static str,
    id: Uuid,
) -> Result<PathBuf, ArchiveError> {
    let real = files.real_path(path).ok().filter(|real| real.starts_with(root));
    let real = real.ok_or_else(|| ArchiveError::Elsewhere { path: path.to_owned(), folder })?;
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    if !name.ends_with(&format!("{id}.jsonl")) {
        return Err(ArchiveError::OtherThread { path: path.to_owned(), id });
    }
    Ok(real)
}

/// Never onto a file that is there: it would be lost.
fn rename_to_free(files: &dyn Files, from: &Path, to: &Path) -> Result<(), FileError> {
    match files.stat(to) {
        Ok(_) => Err(FileError {
            kind: FileErrorKind::Other,
            text: "File exists (os error 17)".to_owned(),
        }),
        Err(error) if error.is_not_found() => files.rename(from, to),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    const ID: Uuid = Uuid::from_u128(0x019c_0a11_0000_7000_8000_0000_0000_0001);
    const NAME: &str = "rollout-2026-01-29T10-00-00-019c0a11-0000-7000-8000-000000000001.jsonl";
    const META: &str = concat!(
        r#"{"timestamp":"2026-01-29T10:00:00.101Z","type":"session_meta","payload":"#,
        r#"{"id":"019c0a11-0000-7000-8000-000000000001","timestamp":"2026-01-29T10:00:00.099Z","#,
        r#""cwd":"/w","originator":"o","cli_version":"0.0.0"}}"#,
        "\n"
    );

    fn archive(files: &MemoryFiles, path: Option<&str>) -> Result<PathBuf, ArchiveError> {
        ArchiveJob { home: "/h".into(), id: ID, path: path.map(Into::into) }.run(files)
    }

    fn unarchive(files: &MemoryFiles) -> Result<StoredThread, ArchiveError> {
        UnarchiveJob { home: "/h".into(), id: ID, default_provider: "p".into() }.run(files)
    }

    fn text<T: std::fmt::Debug>(result: Result<T, ArchiveError>) -> (String, bool) {
        let error = result.expect_err("refused");
        (error.to_string(), error.is_internal())
    }

    #[test]
    fn a_thread_goes_away_and_comes_back_to_its_day() {
        let path = format!("/h/sessions/2026/01/29/{NAME}");
        let files = MemoryFiles::new().with(&path, META);
        let away = format!("/h/archived_sessions/{NAME}");
        assert_eq!(archive(&files, None), Ok(away.clone().into()));
        assert_eq!(files.paths(), [Path::new(&away)]);
        let stored = unarchive(&files).expect("brought back");
        assert_eq!((stored.path.to_str(), stored.model_provider), (Some(&*path), "p".to_owned()));
        assert_eq!(files.paths(), [Path::new(&path)]);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let files = MemoryFiles::new();
        assert_eq!(
            text(archive(&files, None)),
            (format!("no rollout found for thread id {ID}"), false)
        );
        assert_eq!(
            text(unarchive(&files)),
            (format!("no archived rollout found for thread id {ID}"), false)
        );
        assert_eq!(
            text(archive(&files, Some("/h/x"))),
            (
                "failed to archive thread: unable to resolve sessions directory: \
                 No such file or directory (os error 2)"
                    .to_owned(),
                true
            )
        );
    }

    #[test]
    fn a_file_elsewhere_or_of_another_thread_stays() {
        let other = "/h/sessions/2026/01/29/rollout-2026-01-29T10-00-00-\
                     019c0a11-0000-7000-8000-000000000002.jsonl";
        let files = MemoryFiles::new().with(other, META).with("/x/a.jsonl", META);
        files.link(format!("/h/sessions/2026/01/29/{NAME}"), "/x/a.jsonl");
        for (path, expected) in [
            ("/x/a.jsonl", "must be in sessions directory".to_owned()),
            ("/h/sessions/none", "must be in sessions directory".to_owned()),
            (other, format!("does not match thread id {ID}")),
        ] {
            let expected = format!("rollout path `{path}` {expected}");
            assert_eq!(text(archive(&files, Some(path))), (expected, false));
        }
        assert!(matches!(archive(&files, None), Err(ArchiveError::Elsewhere { .. })));
        assert_eq!(files.paths().len(), 2);
    }

    #[test]
    fn nothing_is_overwritten() {
        let away = format!("/h/archived_sessions/{NAME}");
        let path = format!("/h/sessions/2026/01/29/{NAME}");
        let files = MemoryFiles::new().with(&path, META).with(&away, "old");
        let (error, is_internal) = text(archive(&files, None));
        assert_eq!(error, "failed to archive thread: File exists (os error 17)");
        assert!(is_internal);
        assert_eq!(files.content(&away).as_deref(), Some(b"old".as_slice()));
    }
}
