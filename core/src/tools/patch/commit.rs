//! A plan carried out: all of it or nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use super::place;
use super::plan::{Action, Change, Content, Plan, look};
use super::report::Report;
use crate::files::{Access, FileError, Files};

/// Why a plan was not carried out, in the words that the model is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitError {
    /// What went wrong.
    pub(crate) cause: String,
    /// Files that were changed and could not be put back, each with the reason. Empty as a rule:
    /// then everything is as it was.
    pub(crate) unrestored: Vec<(PathBuf, FileError)>,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.cause)?;
        if self.unrestored.is_empty() {
            return writeln!(f, "No files were modified.");
        }
        writeln!(f, "These files were changed and could not be put back:")?;
        for (path, error) in &self.unrestored {
            writeln!(f, "{}: {error}", path.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for CommitError {}

impl Plan {
    /// Makes the changes, or none of them: what was done before a failure is taken back. Fails
    /// without touching anything if a file is not as it was when the plan was made.
    pub(crate) fn commit(&self, files: &dyn Files) -> Result<&Report, CommitError> {
        for seen in &self.seen {
            let same = match &seen.found {
                Some(found) => look(files, &seen.entry)
                    .is_ok_and(|(target, now)| target == seen.target && now == *found),
                None => files.stat(&seen.entry).is_err(),
            };
            if !same || place::location(files, &seen.path).as_ref() != Ok(&seen.entry) {
                let path = seen.path.display();
                let cause = format!("{path} has changed since the patch was checked");
                return Err(CommitError { cause, unrestored: Vec::new() });
            }
        }
        let mut done = Vec::new();
        for step in self.steps() {
            if let Err(error) = step.run(files, &mut done) {
                let cause = step.failure(&error);
                return Err(CommitError { cause, unrestored: take_back(files, done) });
            }
        }
        Ok(&self.report)
    }

    /// The steps in an order in which they can be done and taken back. Where a folder takes the
    /// place of a file comes last: a folder, once made, cannot be taken back.
    fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        for change in &self.changes {
            self.steps_of(change, &mut steps);
        }
        let made: Vec<&Path> = steps.iter().filter_map(Step::makes).collect();
        let removed: Vec<&Path> = steps.iter().filter_map(Step::removes).collect();
        let order = |step: &Step<'_>| match (step.makes(), step.removes()) {
            (Some(path), _) if removed.iter().any(|gone| path.starts_with(gone)) => 3,
            (_, Some(path)) if made.iter().any(|made| made.starts_with(path)) => 2,
            (None, _) => 1,
            (Some(_), _) => 0,
        };
        let order: Vec<u8> = steps.iter().map(order).collect();
        let mut ordered: Vec<_> = order.into_iter().zip(steps).collect();
        ordered.sort_by_key(|(order, _)| *order);
        ordered.into_iter().map(|(_, step)| step).collect()
    }

    fn steps_of<'p>(&'p self, change: &'p Change, steps: &mut Vec<Step<'p>>) {
        match &change.action {
            Action::Add { new, replaced } => {
                steps.push(self.write(&change.path, new, replaced.as_ref()));
            }
            Action::Delete { old } => steps.push(self.remove(&change.path, old)),
            Action::Update { old, new, moved: None } if old == new => {}
            Action::Update { old, new, moved: None } => {
                steps.push(self.write(&change.path, new, Some(old)));
            }
            Action::Update { old, new, moved: Some(moved) } => {
                let (from, to) = (self.entry(&change.path), self.entry(&moved.to));
                // Renaming keeps the file's rights, but is for plain cases only.
                let plain = self.target(&change.path) == from
                    && moved.replaced.is_none()
                    && !self
                        .seen
                        .iter()
                        .any(|seen| seen.entry != from && seen.entry.starts_with(from));
                if plain {
                    steps.push(Step::Move { named: &moved.to, from, to });
                    if old != new {
                        steps.push(self.write(&moved.to, new, Some(old)));
                    }
                } else {
                    steps.push(self.write(&moved.to, new, moved.replaced.as_ref()));
                    steps.push(self.remove(&change.path, old));
                }
            }
        }
    }

    fn write<'p>(
        &'p self,
        named: &'p Path,
        new: &'p Content,
        old: Option<&'p Content>,
    ) -> Step<'p> {
        Step::Write { named, path: self.target(named), new, old }
    }

    fn remove<'p>(&'p self, named: &'p Path, old: &'p Content) -> Step<'p> {
        Step::Remove { named, path: self.entry(named), old }
    }

    fn entry<'p>(&'p self, named: &'p Path) -> &'p Path {
        self.seen.iter().find(|seen| seen.path == named).map_or(named, |seen| &seen.entry)
    }

    fn target<'p>(&'p self, named: &'p Path) -> &'p Path {
        self.seen.iter().find(|seen| seen.path == named).map_or(named, |seen| &seen.target)
    }
}

/// One change on disk.
#[derive(Debug)]
enum Step<'p> {
    Move { named: &'p Path, from: &'p Path, to: &'p Path },
    Write { named: &'p Path, path: &'p Path, new: &'p [u8], old: Option<&'p Content> },
    Remove { named: &'p Path, path: &'p Path, old: &'p [u8] },
}

/// What takes a step back.
#[derive(Debug)]
enum Undo<'p> {
    Move { from: &'p Path, to: &'p Path },
    Write { path: &'p Path, old: &'p [u8] },
    Remove { path: &'p Path },
}

impl<'p> Step<'p> {
    /// The path that is there afterwards.
    fn makes(&self) -> Option<&'p Path> {
        match self {
            Self::Move { to: path, .. } | Self::Write { path, .. } => Some(path),
            Self::Remove { .. } => None,
        }
    }

    /// The path that is not there afterwards. A file that is renamed is in nobody's way.
    fn removes(&self) -> Option<&'p Path> {
        match self {
            Self::Remove { path, .. } => Some(path),
            Self::Move { .. } | Self::Write { .. } => None,
        }
    }

    fn run(&self, files: &dyn Files, done: &mut Vec<Undo<'p>>) -> Result<(), FileError> {
        match *self {
            Self::Move { from, to, .. } => {
                files.rename(from, to)?;
                done.push(Undo::Move { from: to, to: from });
            }
            Self::Write { path, new, old, .. } => {
                files.write_atomic(path, new, Access::Shared)?;
                done.push(match old {
                    Some(old) => Undo::Write { path, old },
                    None => Undo::Remove { path },
                });
            }
            Self::Remove { path, old, .. } => {
                files.remove(path)?;
                done.push(Undo::Write { path, old });
            }
        }
        Ok(())
    }

    fn failure(&self, error: &FileError) -> String {
        match self {
            Self::Move { named, .. } | Self::Write { named, .. } => {
                format!("Failed to write file {}: {error}", named.display())
            }
            Self::Remove { named, .. } => {
                format!("Failed to delete file {}: {error}", named.display())
            }
        }
    }
}

/// Undoes what was done, last first. Goes on when something cannot be undone, and tells it.
fn take_back(files: &dyn Files, done: Vec<Undo<'_>>) -> Vec<(PathBuf, FileError)> {
    let undo = |undo: Undo<'_>| {
        let (path, result) = match undo {
            Undo::Move { from, to } => (from, files.rename(from, to)),
            Undo::Write { path, old } => (path, files.write_atomic(path, old, Access::Shared)),
            Undo::Remove { path } => (path, files.remove(path)),
        };
        result.err().map(|error| (path.to_owned(), error))
    };
    done.into_iter().rev().filter_map(undo).collect()
}
