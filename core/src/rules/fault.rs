//! What is wrong with a `.rules` file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::config::{ConfigWarning, TextPosition, TextRange};

/// Something wrong at some bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub message: String,
    pub span: Range<usize>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span }
    }
}

/// Why a rules file does not count in full. `Display` is what clients see (config.md §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError {
    path: PathBuf,
    message: String,
    range: Option<TextRange>,
}

impl RulesError {
    /// A fault in the file's text.
    pub(super) fn at(path: &Path, text: &str, fault: &Fault) -> Self {
        let range = range(text, &fault.span);
        let message = format!(
            "failed to parse rules file {}: starlark error: {}",
            path.display(),
            diagnostic(path, text, fault, &range)
        );
        Self { path: path.to_owned(), message, range: Some(range) }
    }

    /// The file, or the folder of files, cannot be read.
    pub(super) fn unreadable(path: &Path, message: String) -> Self {
        Self { path: path.to_owned(), message, range: None }
    }

    /// The file or folder at fault.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where in the file; from 1, its end is exclusive (config.md §2.12).
    pub fn range(&self) -> Option<TextRange> {
        self.range
    }

    /// The notification about it (config.md §2.11 B).
    pub fn warning(&self) -> ConfigWarning {
        ConfigWarning {
            summary: "Error parsing rules; custom rules not applied.".to_owned(),
            details: Some(self.message.clone()),
            path: Some(self.path.display().to_string()),
            range: self.range,
        }
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RulesError {}

fn range(text: &str, span: &Range<usize>) -> TextRange {
    TextRange { start: position(text, span.start), end: position(text, span.end) }
}

fn position(text: &str, at: usize) -> TextPosition {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    TextPosition { line, column }
}

/// The message with the line at fault under it.
fn diagnostic(path: &Path, text: &str, fault: &Fault, range: &TextRange) -> String {
    let TextPosition { line, column } = range.start;
    let margin = " ".repeat(line.to_string().len());
    let shown = text.lines().nth(line - 1).unwrap_or_default();
    let width = if range.end.line == line { range.end.column.saturating_sub(column) } else { 1 };
    format!(
        "error: {message}\n{margin}--> {path}:{line}:{column}\n{margin} |\n{line} | {shown}\n\
         {margin} | {gap}{marks} {message}\n{margin} |\n",
        message = fault.message,
        path = path.display(),
        gap = " ".repeat(column - 1),
        marks = "^".repeat(width.max(1)),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Fault, RulesError};

    #[test]
    fn errors_show_their_place_with_an_exclusive_end() {
        let text = "x = 1\né foo(1)\n";
        let error = RulesError::at(Path::new("/r/a.rules"), text, &Fault::new("oops", 9..12));
        let shown = "failed to parse rules file /r/a.rules: starlark error: error: oops\n --> \
                     /r/a.rules:2:3\n  |\n2 | é foo(1)\n  |   ^^^ oops\n  |\n";
        assert_eq!(error.to_string(), shown);
        let json = serde_json::to_value(error.warning()).expect("serialises");
        assert_eq!(json["range"]["end"], serde_json::json!({"line": 2, "column": 6}));
        assert_eq!(json["path"], "/r/a.rules");
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        let error = RulesError::at(Path::new("a"), "x(\n", &Fault::new("oops", 3..3));
        let range = error.range().expect("has one");
        assert_eq!((range.start.line, range.start.column), (2, 1));
        assert_eq!(range.start, range.end);
    }
}
