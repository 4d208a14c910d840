//! Everything that patches changed in a turn, as one diff in git's format (engine.md §6.6).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::blob::blob_id;
use super::diff::hunks;
use super::plan::{Action, Content, Plan};
use crate::files::Files;
use crate::limits;

/// Lines of context in the diff of a turn (engine.md §6.6).
const CONTEXT: usize = 3;

/// The files do not say how they may be used, so that all count as plain.
const MODE: &str = "100644";

const NO_BLOB: &str = "0000000000000000000000000000000000000000";

/// The files that patches of a turn touched, as they were before the first of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TurnDiff {
    files: Vec<Tracked>,
    held: usize,
    /// No more files are taken on.
    is_full: bool,
}

#[derive(Clone, Debug)]
struct Tracked {
    /// Where it was first.
    origin: PathBuf,
    /// What it was then; none if there was no such file.
    before: Option<Content>,
    /// Where it is.
    path: PathBuf,
}

impl TurnDiff {
    /// Nothing was touched yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Remembers the files of a plan that are not known yet. To be called before the plan is
    /// carried out.
    pub(crate) fn begin(&mut self, plan: &Plan) {
        for change in &plan.changes {
            match &change.action {
                Action::Add { replaced, .. } => self.track(&change.path, replaced.as_ref()),
                Action::Delete { old } | Action::Update { old, moved: None, .. } => {
                    self.track(&change.path, Some(old));
                }
                Action::Update { old, moved: Some(moved), .. } => {
                    self.track(&change.path, Some(old));
                    self.track(&moved.to, moved.replaced.as_ref());
                }
            }
        }
    }

    fn track(&mut self, path: &Path, before: Option<&Content>) {
        if self.is_full || self.files.iter().any(|file| file.path == path) {
            return;
        }
        let size = path.as_os_str().len() + before.map_or(0, |before| before.len());
        if self.held.saturating_add(size) > limits::TURN_DIFF_BYTES_MAX {
            self.is_full = true;
            return;
        }
        self.held += size;
        let (origin, path) = (path.to_owned(), path.to_owned());
        self.files.push(Tracked { origin, before: before.cloned(), path });
    }

    /// Follows the files that a plan moved. To be called after the plan was carried out.
    pub(crate) fn applied(&mut self, plan: &Plan) {
        for change in &plan.changes {
            let Action::Update { moved: Some(moved), .. } = &change.action else { continue };
            let began = |path: &Path| {
                self.files.iter().any(|file| file.path == path && file.before.is_some())
            };
            // Over a file that the turn began with, it is that one that changes, and this one goes.
            if began(&moved.to) || !began(&change.path) {
                continue;
            }
            self.files.retain(|file| file.path != moved.to);
            if let Some(file) = self.files.iter_mut().find(|file| file.path == change.path) {
                file.path.clone_from(&moved.to);
            }
        }
    }

    /// The diff between then and what the files hold now, by path below the git checkout that each
    /// is in; outside of one, by absolute path. Empty if nothing differs. Files that cannot be
    /// read are left out.
    pub(crate) fn text(&self, files: &dyn Files) -> String {
        let mut parts: Vec<_> = self.files.iter().filter_map(|file| file.text(files)).collect();
        parts.sort();
        parts.into_iter().map(|(_, text)| text).collect()
    }
}

impl Tracked {
    /// The name to sort by, and the diff.
    fn text(&self, files: &dyn Files) -> Option<(String, String)> {
        let after = match files.read(&self.path, limits::PATCH_FILE_BYTES_MAX) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.is_not_found() => None,
            Err(_) => return None,
        };
        let (before, after) = (self.before.as_deref(), after.as_deref());
        let moved = self.origin != self.path && after.is_some();
        if before == after && !moved {
            return None;
        }
        let new = name(files, &self.path);
        // What was moved and is gone counts as deleted where it was.
        let old = name(files, &self.origin);
        let new = if after.is_some() { new } else { old.clone() };
        let text = file_diff((&old, before), (&new, after));
        Some((new, text))
    }
}

fn file_diff(old: (&str, Option<&[u8]>), new: (&str, Option<&[u8]>)) -> String {
    let ((old_name, before), (new_name, after)) = (old, new);
    let mut text = format!("diff --git a/{old_name} b/{new_name}\n");
    let id = |content: Option<&[u8]>| content.map_or_else(|| NO_BLOB.to_owned(), blob_id);
    let empty = before.unwrap_or_default().is_empty() && after.unwrap_or_default().is_empty();
    // Writing to a string cannot fail.
    let _infallible = match (before, after) {
        (None, _) => writeln!(text, "new file mode {MODE}"),
        (_, None) => writeln!(text, "deleted file mode {MODE}"),
        // Without these lines a plain move would say nothing at all.
        (Some(before), Some(after)) if before == after => {
            let rename = format!("rename from {old_name}\nrename to {new_name}\n");
            return text + "similarity index 100%\n" + &rename;
        }
        (Some(_), Some(_)) => Ok(()),
    };
    let _infallible = writeln!(text, "index {}..{}", id(before), id(after));
    if empty {
        return text;
    }
    let side = |letter: char, name: &str, is_there: bool| match is_there {
        true => format!("{letter}/{name}"),
        false => "/dev/null".to_owned(),
    };
    let _infallible = writeln!(text, "--- {}", side('a', old_name, before.is_some()));
    let _infallible = writeln!(text, "+++ {}", side('b', new_name, after.is_some()));
    text + &hunks(before.unwrap_or_default(), after.unwrap_or_default(), CONTEXT)
}

/// The path within the checkout around it, with slashes.
fn name(files: &dyn Files, path: &Path) -> String {
    let mut above = path.ancestors().skip(1);
    let top = above.find(|folder| files.stat(&folder.join(".git")).is_ok());
    let inside = top.and_then(|top| path.strip_prefix(top).ok()).unwrap_or(path);
    inside.to_string_lossy().into_owned()
}
