//! Adds to the user's rules what the user said should be allowed from now on (config.md §5.4).

use std::fmt;
use std::path::PathBuf;

use crate::files::{Access, Files};
use crate::limits;

/// Allows what begins with certain words, in `rules/default.rules` of the state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The state folder.
    pub home: PathBuf,
    /// The words; at least one.
    pub words: Vec<String>,
}

/// Why a rule could not be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmendFailure(String);

impl fmt::Display for AmendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AmendFailure {}

impl Amendment {
    /// The rule as a line of a file, without the line's end.
    pub fn line(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| quoted(word)).collect();
        format!("prefix_rule(pattern=[{}], decision=\"allow\")", words.join(", "))
    }

    /// Writes the rule, unless the file has it. Other processes that do the same wait.
    pub fn run(&self, files: &dyn Files) -> Result<(), AmendFailure> {
        if self.words.is_empty() {
            return Err(AmendFailure("a rule needs at least one word".to_owned()));
        }
        let path = self.home.join("rules").join("default.rules");
        let failed = |what: &str, error: crate::files::FileError| {
            AmendFailure(format!("failed to {what} policy file {}: {error}", path.display()))
        };
        // A file of its own: the lock of a file that is replaced excludes nobody.
        let lock = path.with_extension("rules.lock");
        let held = files.lock(&lock).map_err(|error| failed("lock", error))?;
        let mut text = match files.read(&path, limits::RULES_FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(failed("read", error)),
        };
        let line = self.line();
        if text.split(|b| *b == b'\n').any(|found| found == line.as_bytes()) {
            return Ok(());
        }
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        // A backslash joins the next line to its own, unless that is empty.
        if text.ends_with(b"\\\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
        if text.len() as u64 > limits::RULES_FILE_BYTES_MAX {
            return Err(AmendFailure(format!("policy file {} is full", path.display())));
        }
        let written = files.write_atomic(&path, &text, Access::Shared);
        drop(held);
        written.map_err(|error| failed("write to", error))
    }
}

/// The word in JSON's quotes, which the language of the files reads alike.
fn quoted(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::Amendment;
    use crate::files::{FileError, FileErrorKind, FileOp, Files, MemoryFiles};
    use crate::rules::load::read_rules;
    use crate::rules::{Decision, RuleSet};

    const PATH: &str = "/h/rules/default.rules";

    fn amendment(words: &[&str]) -> Amendment {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Amendment { home: PathBuf::from("/h"), words }
    }

    fn content(files: &MemoryFiles) -> String {
        String::from_utf8(files.content(PATH).unwrap_or_default()).expect("is text")
    }

    #[test]
    fn a_rule_is_added_once_behind_a_whole_line() {
        let files = MemoryFiles::new();
        amendment(&["touch", "z z"]).run(&files).expect("is written");
        let line = "prefix_rule(pattern=[\"touch\", \"z z\"], decision=\"allow\")\n";
        assert_eq!(content(&files), line);
        amendment(&["touch", "z z"]).run(&files).expect("is there");
        assert_eq!(content(&files), line);
        files.put(PATH, "# mine");
        amendment(&["ls"]).run(&files).expect("is written");
        let expected = "# mine\nprefix_rule(pattern=[\"ls\"], decision=\"allow\")\n";
        assert_eq!(content(&files), expected);
        files.put(PATH, "x = 1 \\");
        amendment(&["ls"]).run(&files).expect("is written");
        assert_eq!(read_rules(&content(&files)).fault, None);
    }

    #[test]
    fn a_failure_changes_nothing() {
        let files = MemoryFiles::new().with(PATH, "x");
        assert!(amendment(&[]).run(&files).is_err());
        let lock = Path::new("/h/rules/default.rules.lock");
        let held = files.lock(lock).expect("is free");
        assert!(amendment(&["a"]).run(&files).is_err());
        drop(held);
        files.inject(|op, _| {
            let text = "No space left on device (os error 28)".to_owned();
            (op == FileOp::Write).then_some(FileError { kind: FileErrorKind::Other, text })
        });
        let error = amendment(&["a"]).run(&files).expect_err("fails");
        assert!(error.to_string().ends_with("(os error 28)"), "{error}");
        assert_eq!(content(&files), "x");
        files.heal();
        assert!(files.lock(lock).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(words in proptest::collection::vec(any::<String>(), 1..4)) {
            let amendment = Amendment { home: PathBuf::from("/h"), words };
            let read = read_rules(&amendment.line());
            prop_assert_eq!(read.fault, None);
            let mut expected = RuleSet::default();
            expected.allow(&amendment.words);
            let expected: Vec<_> = expected.iter().cloned().collect();
            prop_assert_eq!(&read.rules, &expected);
            prop_assert!(read.rules.iter().all(|rule| rule.decision == Decision::Allow));
        }
    }
}
