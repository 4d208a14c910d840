//! Owns: `list_dir`: what is in a folder and the folders below it, as an indented list
//! (engine.md §3.6). Links are shown and never followed.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{absolute, decoded, or};
use crate::files::{Entry, Files};
use crate::limits;

/// The entries that a model wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderWish {
    path: PathBuf,
    /// Entries before the first of them, in the order of the list.
    skip: usize,
    limit: usize,
    depth: usize,
}

#[derive(Deserialize)]
struct Arguments {
    dir_path: String,
    #[serde(default)]
    offset: Option<NonZeroUsize>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default)]
    depth: Option<NonZeroUsize>,
}

/// A list in the making.
struct List<'a> {
    files: &'a dyn Files,
    wish: &'a FolderWish,
    /// Entries met so far, shown or not.
    met: usize,
    lines: Vec<String>,
    has_more: bool,
}

impl FolderWish {
    pub(super) fn parse(arguments: &str) -> Result<Self, String> {
        let Arguments { dir_path, offset, limit, depth } = decoded(arguments)?;
        Ok(Self {
            path: absolute("dir_path", dir_path)?,
            skip: or(offset, 1) - 1,
            limit: or(limit, limits::LIST_DIR_ENTRIES),
            depth: or(depth, limits::LIST_DIR_DEPTH).min(limits::LIST_DIR_DEPTH_MAX),
        })
    }

    pub(super) fn list(&self, files: &dyn Files) -> Result<String, String> {
        let fault = |error| format!("failed to read directory: {error}");
        let entries = files.list(&self.path).map_err(fault)?;
        let lines = vec![format!("Absolute path: {}", self.path.display())];
        let mut list = List { files, wish: self, met: 0, lines, has_more: false };
        list.has_more = list.add(&self.path, 1, entries).is_break();
        let shown = list.lines.len() - 1;
        if shown == 0 && list.met > 0 {
            return Err(format!("offset exceeds the {} entries found", list.met));
        }
        if list.has_more {
            list.lines.push(format!("More than {shown} entries found"));
        }
        Ok(list.lines.join("\n"))
    }
}

impl List<'_> {
    /// Adds the entries of a folder, each with what is below it; breaks off when the list is full.
    fn add(&mut self, folder: &Path, level: usize, mut entries: Vec<Entry>) -> ControlFlow<()> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let real = self.files.real_path(folder).ok();
        for entry in entries {
            let end = self.wish.skip.saturating_add(self.wish.limit);
            if self.met >= end.min(limits::LIST_DIR_ENTRIES_MAX) {
                return ControlFlow::Break(());
            }
            let path = folder.join(&entry.name);
            let suffix = self.suffix(real.as_deref(), &path, &entry);
            if self.met >= self.wish.skip {
                let indent = "  ".repeat(level - 1);
                self.lines.push(format!("{indent}{}{suffix}", entry.name));
            }
            self.met += 1;
            // What may not be listed is shown as if it were empty.
            if suffix == "/"
                && level < self.wish.depth
                && let Ok(entries) = self.files.list(&path)
            {
                self.add(&path, level + 1, entries)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// What an entry is: a folder, a link, a file, or nobody knows. `real` is its folder without
    /// links in the way.
    fn suffix(&self, real: Option<&Path>, path: &Path, entry: &Entry) -> &'static str {
        match (real, self.files.real_path(path)) {
            (Some(real), Ok(found)) if found == real.join(&entry.name) => match entry.is_dir {
                true => "/",
                false => "",
            },
            (Some(_), Ok(_)) => "@",
            // It leads nowhere.
            (Some(_), Err(error)) if error.is_not_found() => "@",
            (None, _) | (_, Err(_)) => "?",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::tests::told;
    use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};
    use crate::limits;

    fn tree() -> MemoryFiles {
        let files = MemoryFiles::new().with("/d/b/c/deep", "").with("/d/b/x", "").with("/d/a", "");
        files.folder("/d/empty");
        files.link("/d/link", "/d/b");
        files
    }

    fn list(files: &MemoryFiles, more: &str) -> String {
        let told = told(files, "list_dir", &format!("{{\"dir_path\":\"/d\"{more}}}"));
        told.strip_prefix("Absolute path: /d\n").unwrap_or(&told).to_owned()
    }

    #[test]
    fn entries_stand_below_their_folders_and_links_are_not_followed() {
        let files = tree();
        assert_eq!(list(&files, ""), "a\nb/\n  c/\n  x\nempty/\nlink@");
        assert_eq!(list(&files, ",\"depth\":1"), "a\nb/\nempty/\nlink@");
        let all = list(&files, ",\"depth\":18446744073709551615");
        assert_eq!(all, "a\nb/\n  c/\n    deep\n  x\nempty/\nlink@");
        let inside = told(&files, "list_dir", r#"{"dir_path":"/d/link"}"#);
        assert_eq!(inside, "Absolute path: /d/link\nc/\n  deep\nx");
        let empty = told(&files, "list_dir", r#"{"dir_path":"/d/empty"}"#);
        assert_eq!(empty, "Absolute path: /d/empty");
    }

    #[test]
    fn a_list_is_read_page_by_page() {
        let files = tree();
        assert_eq!(list(&files, ",\"limit\":2"), "a\nb/\nMore than 2 entries found");
        let next = list(&files, ",\"offset\":3,\"limit\":2");
        assert_eq!(next, "  c/\n  x\nMore than 2 entries found");
        assert_eq!(list(&files, ",\"offset\":5,\"limit\":2"), "empty/\nlink@");
        assert_eq!(list(&files, ",\"offset\":7"), "offset exceeds the 6 entries found");
    }

    #[test]
    fn one_list_has_a_bound() {
        let mut files = MemoryFiles::new();
        for n in 0..=limits::LIST_DIR_ENTRIES_MAX {
            files = files.with(format!("/d/{n:05}"), "");
        }
        let max = limits::LIST_DIR_ENTRIES_MAX;
        let mut all: String = (0..max).fold(String::new(), |mut all, n| {
            writeln!(all, "{n:05}").expect("a string");
            all
        });
        write!(all, "More than {max} entries found").expect("a string");
        assert_eq!(list(&files, ",\"limit\":18446744073709551615"), all);
        let beyond = list(&files, ",\"offset\":1000000");
        assert_eq!(beyond, format!("offset exceeds the {max} entries found"));
    }

    #[test]
    fn what_cannot_be_listed_is_told() {
        let files = tree();
        let relative = told(&files, "list_dir", r#"{"dir_path":"d"}"#);
        assert_eq!(relative, "dir_path must be an absolute path");
        let file = told(&files, "list_dir", r#"{"dir_path":"/d/a"}"#);
        assert!(file.starts_with("failed to read directory: "), "{file}");
        files.inject(|op, path| {
            let denied = op == FileOp::List && path.ends_with("b");
            let kind = FileErrorKind::Denied;
            denied.then(|| FileError { kind, text: "no".to_owned() })
        });
        assert_eq!(list(&files, ""), "a\nb/\nempty/\nlink@");
    }
}
