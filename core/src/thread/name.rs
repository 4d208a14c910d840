//! Names that users give to threads, kept in `session_index.jsonl` beside those of the reference.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::rollout::read::append;
use crate::files::{FileError, Files, IfMissing};

/// Writes a thread's new name down.
#[derive(Clone, Debug)]
pub struct NameJob {
    /// The state folder.
    pub home: PathBuf,
    /// The thread.
    pub id: Uuid,
    /// Its name from now on.
    pub name: String,
    /// When it was given.
    pub at: Timestamp,
}

/// A name as clients may set it: trimmed; none if nothing is left (protocol.md §3.2).
pub fn valid_name(name: &str) -> Option<&str> {
    Some(name.trim()).filter(|name| !name.is_empty())
}

impl NameJob {
    /// Appends the line.
    pub fn run(&self, files: &dyn Files) -> Result<(), FileError> {
        append(files, &file(&self.home), self.line().as_bytes(), IfMissing::Make)
    }

    fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            id: Uuid,
            thread_name: &'a str,
            updated_at: String,
        }
        let Self { id, name, at, .. } = self;
        let line = Line { id: *id, thread_name: name, updated_at: at.to_string() };
        serde_json::to_string(&line).expect("texts only") + "\n"
    }
}

fn file(home: &Path) -> PathBuf {
    home.join("session_index.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    #[test]
    fn a_name_is_a_line_of_its_own() {
        let files = MemoryFiles::new().with("/h/session_index.jsonl", "{\"id\":");
        let job = NameJob {
            home: "/h".into(),
            id: Uuid::nil(),
            name: "My \"name\"".into(),
            at: "2026-11-23T03:53:32.156064227Z".parse().expect("a time"),
        };
        job.run(&files).expect("written");
        let expected = concat!(
            "{\"id\":\n",
            r#"{"id":"00000000-0000-0000-0000-000000000000","thread_name":"My \"name\"","#,
            r#""updated_at":"2026-11-23T03:53:32.156064227Z"}"#,
            "\n"
        );
        assert_eq!(files.content("/h/session_index.jsonl").as_deref(), Some(expected.as_bytes()));
    }

    #[test]
    fn a_name_is_trimmed_and_not_empty() {
        assert_eq!(valid_name(" a b\n"), Some("a b"));
        assert_eq!(valid_name(" \t"), None);
    }
}
