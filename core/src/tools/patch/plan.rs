//! What a patch would do: every file that it touches, as it is and as it would be.
//!
//! The whole result is worked out before anything is written. Sections see what earlier sections
//! of the same patch did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edit::{Misfit, edit};
use super::parse::{Chunk, Patch, Section};
use super::place;
use super::report::Report;
use super::seek::Effort;
use crate::files::{FileError, FileErrorKind, Files};
use crate::limits;

/// The bytes of a file; shared between a plan and the diff of its turn.
pub(crate) type Content = Arc<[u8]>;

/// What a patch would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The net effect, sorted by path.
    pub(crate) changes: Vec<Change>,
    /// What the model is told when it is done.
    pub(super) report: Report,
    /// Everything that was looked at, for the check that it is still so.
    pub(super) seen: Vec<Seen>,
}

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Absolute, as named in the patch, links not followed.
    pub(crate) path: PathBuf,
    /// What happens to it.
    pub(crate) action: Action,
}

/// What happens to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is made, or replaced by something that does not come from it.
    Add {
        /// Its content.
        new: Content,
        /// What it replaces.
        replaced: Option<Content>,
    },
    /// It goes.
    Delete {
        /// What it was.
        old: Content,
    },
    /// It changes, moves, or both.
    Update {
        /// What it was.
        old: Content,
        /// What it becomes.
        new: Content,
        /// Where it goes to.
        moved: Option<Moved>,
    },
}

/// Where a file goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Absolute, as named in the patch.
    pub(crate) to: PathBuf,
    /// The file that was there.
    pub(crate) replaced: Option<Content>,
}

/// A file that a plan is about, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Absolute, as named in the patch.
    pub(super) path: PathBuf,
    /// Where the entry is: links in its folders followed.
    pub(super) entry: PathBuf,
    /// Where the content is: all links followed.
    pub(super) target: PathBuf,
    /// The content; none if there is no such file.
    pub(super) found: Option<Content>,
}

/// Why a patch cannot be applied, in the words that the model is told (engine.md §6.4–6.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    /// A line above a place is not in the file.
    #[error("Failed to find context '{context}' in {}", path.display())]
    Context {
        /// The file.
        path: PathBuf,
        /// The line.
        context: String,
    },
    /// The lines of a place are not in the file.
    #[error("Failed to find expected lines in {}:\n{lines}", path.display())]
    Lines {
        /// The file.
        path: PathBuf,
        /// The lines, joined with line feeds.
        lines: String,
    },
    /// A file to be changed cannot be read.
    #[error("Failed to read file to update {}: {error}", path.display())]
    ReadForUpdate {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A file to be removed cannot be read.
    #[error("Failed to read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// A file cannot be written where the patch wants it.
    #[error("Failed to write file {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Finding the places of the chunks took more than [`limits::PATCH_SEARCH_STEPS_MAX`].
    #[error("Failed to find expected lines in {}: the search took too long", path.display())]
    Exhausted {
        /// The file.
        path: PathBuf,
    },
    /// The files hold more than [`limits::PATCH_READ_BYTES_MAX`].
    #[error(
        "The files of the patch are larger than {} bytes together",
        limits::PATCH_READ_BYTES_MAX
    )]
    TooMuch,
}

/// Works out what a patch would do. Relative paths are in `cwd`, which is absolute.
pub(crate) fn plan(files: &dyn Files, cwd: &Path, patch: &Patch) -> Result<Plan, PlanError> {
    let mut board = Board::new(files);
    let mut report = Report::default();
    for section in &patch.sections {
        board.section(cwd, section)?;
        report.note(section);
    }
    board.check_names()?;
    Ok(board.plan(report))
}

/// A file in the middle of a patch.
struct Slot {
    path: PathBuf,
    target: PathBuf,
    found: Option<Content>,
    now: Option<Content>,
    /// The entry of the file on disk that `now` descends from.
    origin: Option<PathBuf>,
}

/// All files of a patch, by where their entries are.
struct Board<'f> {
    files: &'f dyn Files,
    slots: BTreeMap<PathBuf, Slot>,
    read: usize,
    effort: Effort,
}

impl<'f> Board<'f> {
    fn new(files: &'f dyn Files) -> Self {
        let effort = Effort::new(limits::PATCH_SEARCH_STEPS_MAX);
        Self { files, slots: BTreeMap::new(), read: 0, effort }
    }

    fn section(&mut self, cwd: &Path, section: &Section) -> Result<(), PlanError> {
        match section {
            Section::Add { path, content } => {
                let path = place::absolute(cwd, path);
                self.set(path, Some(content.as_bytes().into()), None)
            }
            Section::Delete { path } => {
                let path = place::absolute(cwd, path);
                let error = |error| PlanError::Read { path: path.clone(), error };
                let slot = self.slot(&path, error)?;
                slot.now.take().ok_or_else(|| error(missing()))?;
                slot.origin = None;
                Ok(())
            }
            Section::Update { path, move_to, chunks } => {
                let path = place::absolute(cwd, path);
                let to = move_to.as_ref().map(|to| place::absolute(cwd, to));
                self.update(path, to, chunks)
            }
        }
    }

    fn update(
        &mut self,
        path: PathBuf,
        to: Option<PathBuf>,
        chunks: &[Chunk],
    ) -> Result<(), PlanError> {
        let error =
            |error: FileError| PlanError::ReadForUpdate { path: path.clone(), error: error.text };
        let slot = self.slot(&path, error)?;
        let old = slot.now.clone().ok_or_else(|| error(missing()))?;
        let origin = slot.origin.clone();
        let new = if chunks.is_empty() { old } else { self.edited(&path, &old, chunks)? };
        if to.is_some() {
            let slot = self.slot(&path, error)?;
            (slot.now, slot.origin) = (None, None);
        }
        self.set(to.unwrap_or(path), Some(new), origin)
    }

    fn edited(&mut self, path: &Path, old: &[u8], chunks: &[Chunk]) -> Result<Content, PlanError> {
        let path = path.to_owned();
        let Ok(text) = std::str::from_utf8(old) else {
            let error = "stream did not contain valid UTF-8".to_owned();
            return Err(PlanError::ReadForUpdate { path, error });
        };
        match edit(text, chunks, &mut self.effort) {
            Ok(new) => Ok(new.into_bytes().into()),
            Err(Misfit::Context(context)) => Err(PlanError::Context { path, context }),
            Err(Misfit::Lines(lines)) => Err(PlanError::Lines { path, lines }),
            Err(Misfit::Exhausted) => Err(PlanError::Exhausted { path }),
        }
    }

    fn set(
        &mut self,
        path: PathBuf,
        now: Option<Content>,
        origin: Option<PathBuf>,
    ) -> Result<(), PlanError> {
        let error = |error: FileError| PlanError::Write { path: path.clone(), error: error.text };
        let slot = self.slot(&path, error)?;
        (slot.now, slot.origin) = (now, origin);
        Ok(())
    }

    /// The file at `path`, read when it is first asked for.
    fn slot(
        &mut self,
        path: &Path,
        error: impl Fn(FileError) -> PlanError,
    ) -> Result<&mut Slot, PlanError> {
        let entry = place::location(self.files, path).map_err(&error)?;
        if !self.slots.contains_key(&entry) {
            let slot = self.load(path, &entry).map_err(&error)?;
            self.read =
                self.read.saturating_add(slot.found.as_ref().map_or(0, |found| found.len()));
            if self.read > limits::PATCH_READ_BYTES_MAX {
                return Err(PlanError::TooMuch);
            }
            self.slots.insert(entry.clone(), slot);
        }
        self.slots.get_mut(&entry).ok_or_else(|| error(missing()))
    }

    fn load(&self, path: &Path, entry: &Path) -> Result<Slot, FileError> {
        let (target, found) = match look(self.files, entry) {
            Ok((target, found)) => (target, Some(found)),
            Err(error) if error.is_not_found() || self.is_below_removed(entry) => {
                (entry.to_owned(), None)
            }
            Err(error) => return Err(error),
        };
        let origin = found.as_ref().map(|_| entry.to_owned());
        Ok(Slot { path: path.to_owned(), target, now: found.clone(), found, origin })
    }

    /// Whether the patch removes a file to put a folder in its place.
    fn is_below_removed(&self, entry: &Path) -> bool {
        let gone = |path: &Path| self.slots.get(path).is_some_and(|slot| slot.now.is_none());
        entry.ancestors().skip(1).any(gone)
    }

    /// Refuses what no order of writing could make true: a file inside a file, and one file that
    /// is written under two names.
    fn check_names(&self) -> Result<(), PlanError> {
        let mut targets = BTreeMap::new();
        for (entry, slot) in &self.slots {
            let refuse = |error: String| PlanError::Write { path: slot.path.clone(), error };
            if let Some(other) = targets.insert(&slot.target, &slot.path) {
                return Err(refuse(format!("it is the same file as {}", other.display())));
            }
            let lives = |path: &Path| self.slots.get(path).is_some_and(|slot| slot.now.is_some());
            if slot.now.is_some() && entry.ancestors().skip(1).any(lives) {
                return Err(refuse("Not a directory (os error 20)".to_owned()));
            }
        }
        Ok(())
    }

    fn plan(self, report: Report) -> Plan {
        let mut changes: Vec<_> = self.slots.iter().filter_map(|slot| self.change(slot)).collect();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        let seen = self.slots.into_iter().map(|(entry, slot)| Seen {
            path: slot.path,
            entry,
            target: slot.target,
            found: slot.found,
        });
        Plan { changes, report, seen: seen.collect() }
    }

    /// What the patch does to the file of this slot; none for the target of a move, which is told
    /// with its source, and for a file that came and went.
    fn change(&self, (entry, slot): (&PathBuf, &Slot)) -> Option<Change> {
        let action = match (&slot.found, &slot.now) {
            (None, None) => return None,
            (Some(old), None) => match self.moved_to(entry) {
                Some((to, new)) => {
                    let moved = Moved { to: to.path.clone(), replaced: to.found.clone() };
                    Action::Update { old: old.clone(), new: new.clone(), moved: Some(moved) }
                }
                None => Action::Delete { old: old.clone() },
            },
            (found, Some(new)) => match (found, &slot.origin) {
                (_, Some(origin)) if origin != entry && self.is_gone(origin) => return None,
                (Some(old), Some(_)) => {
                    Action::Update { old: old.clone(), new: new.clone(), moved: None }
                }
                _ => Action::Add { new: new.clone(), replaced: found.clone() },
            },
        };
        Some(Change { path: slot.path.clone(), action })
    }

    fn is_gone(&self, entry: &Path) -> bool {
        self.slots.get(entry).is_some_and(|slot| slot.now.is_none())
    }

    fn moved_to(&self, entry: &Path) -> Option<(&Slot, &Content)> {
        self.slots
            .values()
            .filter(|slot| slot.origin.as_deref() == Some(entry))
            .find_map(|slot| Some((slot, slot.now.as_ref()?)))
    }
}

/// Where the content of an entry is, and what it is.
pub(super) fn look(files: &dyn Files, entry: &Path) -> Result<(PathBuf, Content), FileError> {
    let target = files.real_path(entry)?;
    let content = files.read(&target, limits::PATCH_FILE_BYTES_MAX)?;
    Ok((target, content.into()))
}

fn missing() -> FileError {
    let text = "No such file or directory (os error 2)".to_owned();
    FileError { kind: FileErrorKind::NotFound, text }
}
