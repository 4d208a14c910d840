//! Tools that look at files and change nothing: `read_file`, `list_dir`, `grep_files`, which some
//! models have beside the shell (engine.md §3.6).
//!
//! The first two are jobs on files. They need no sandbox: every policy lets everything be read. The
//! last one is a command like any other, so it is ruled on, confined, shown and ended like one.

mod folder;
mod grep;
mod text;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Work;
use crate::files::Files;
use folder::FolderWish;
pub(crate) use grep::found;
use text::TextWish;

/// Looks at a file or a folder for a model.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct LookJob(pub(crate) Look);

/// What a model wants to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Lines of a file.
    Text(TextWish),
    /// What is in a folder.
    Folder(FolderWish),
}

impl LookJob {
    /// What the model is told: what was found, or why nothing was.
    pub(crate) fn run(self, files: &dyn Files) -> String {
        let found = match self.0 {
            Look::Text(wish) => wish.read(files),
            Look::Folder(wish) => wish.list(files),
        };
        found.unwrap_or_else(|fault| fault)
    }
}

/// What a call of one of them asks for; none if there is no such tool.
pub(super) fn parse(name: &str, arguments: &str, cwd: &Path) -> Option<Work> {
    let work = match name {
        "grep_files" => grep::parse(arguments, cwd).map(|call| Work::Command(Box::new(call))),
        "list_dir" => FolderWish::parse(arguments).map(|wish| Work::Look(Look::Folder(wish))),
        "read_file" => TextWish::parse(arguments).map(|wish| Work::Look(Look::Text(wish))),
        _ => return None,
    };
    Some(work.unwrap_or_else(Work::Answer))
}

fn decoded<T: DeserializeOwned>(arguments: &str) -> Result<T, String> {
    let fault = |error| format!("failed to parse function arguments: {error}");
    serde_json::from_str(arguments).map_err(fault)
}

fn absolute(field: &str, path: String) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("{field} must be an absolute path")),
    }
}

fn or(wish: Option<NonZeroUsize>, default: usize) -> usize {
    wish.map_or(default, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{LookJob, parse};
    use crate::files::MemoryFiles;
    use crate::tools::Work;

    /// What the model is told.
    pub(super) fn told(files: &MemoryFiles, tool: &str, arguments: &str) -> String {
        match parse(tool, arguments, Path::new("/w")) {
            Some(Work::Look(look)) => LookJob(look).run(files),
            Some(Work::Answer(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn whatever_the_model_sends_is_looked_at_or_has_a_text(
            tool in prop_oneof![Just("read_file"), Just("list_dir"), Just("grep_files")],
            field in prop_oneof![
                Just("offset"), Just("limit"), Just("depth"), Just("mode"), Just("path"),
                Just("include"), Just("file_path"), Just("pattern"),
            ],
            value in prop_oneof![
                Just("0"), Just("1"), Just("-1"), Just("18446744073709551615"), Just("1e400"),
                Just("null"), Just("\"\""), Just("\"/\""), Just("\"indentation\""), Just("{}"),
            ],
            rest in prop_oneof![
                Just(""), Just(","), Just(",\"dir_path\":\"/\""), Just(",\"file_path\":\"/a\""),
                Just(",\"pattern\":\"-z\""),
            ],
        ) {
            let files = MemoryFiles::new().with("/a", "x\ny\n").with("/b/c", "z");
            let arguments = format!("{{\"{field}\":{value}{rest}}}");
            match parse(tool, &arguments, Path::new("/w")) {
                Some(Work::Look(look)) => prop_assert!(!LookJob(look).run(&files).is_empty()),
                Some(Work::Answer(text)) => prop_assert!(!text.is_empty()),
                Some(Work::Command(call)) => {
                    prop_assert!(call.is_read_only && call.argv.first().is_some_and(|a| a == "rg"));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
