//! What is wrong with a configuration, where, and whose fault it is.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::layers::LayerSource;

/// Why a configuration cannot be used. `Display` is the text that clients see (config.md §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    place: Option<Place>,
    culprit: Option<LayerSource>,
    is_unread: bool,
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    range: TextRange,
}

impl ConfigError {
    /// An error without a place.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, culprit: None, is_unread: false }
    }

    /// An error at bytes `span` of the file `path`, whose text is `text`. The message is
    /// `path:line:column: message`.
    pub fn located(path: &Path, text: &str, span: Range<usize>, message: &str) -> Self {
        let range = TextRange::of(text, span);
        let TextPosition { line, column } = range.start;
        Self {
            message: format!("{}:{line}:{column}: {message}", path.display()),
            place: Some(Place { path: path.to_owned(), range }),
            culprit: None,
            is_unread: false,
        }
    }

    /// The same error, of a file whose settings count and are not known.
    pub(super) fn unread(mut self) -> Self {
        self.is_unread = true;
        self
    }

    /// The same error, of a file whose settings do not count.
    pub(super) fn uncounted(mut self) -> Self {
        self.is_unread = false;
        self
    }

    /// Whether a file that counts could not be read, so that nobody knows what it says.
    pub fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// The same error with other words before it.
    pub(super) fn with_message(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    /// The same error, with the layer that caused it.
    pub(super) fn by(mut self, culprit: LayerSource) -> Self {
        self.culprit = Some(culprit);
        self
    }

    /// The layer that caused it, if one did alone.
    pub fn culprit(&self) -> Option<&LayerSource> {
        self.culprit.as_ref()
    }

    /// The file it is in, where known.
    pub fn path(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.path.as_path())
    }

    /// Where in that file.
    pub fn range(&self) -> Option<TextRange> {
        self.place.as_ref().map(|place| place.range)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A range of a file's text; both ends are inside it (config.md §2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TextRange {
    /// The first character.
    pub start: TextPosition,
    /// The last character.
    pub end: TextPosition,
}

/// A character of a file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TextPosition {
    /// Line, from 1.
    pub line: usize,
    /// Column in Unicode scalar values, from 1.
    pub column: usize,
}

impl TextRange {
    /// The range of bytes `span` of `text`.
    pub fn of(text: &str, span: Range<usize>) -> Self {
        let last = span.end.saturating_sub(1).max(span.start);
        Self { start: TextPosition::of(text, span.start), end: TextPosition::of(text, last) }
    }
}

impl TextPosition {
    /// The position of the character that holds byte `at`. Beyond the end each byte counts as a
    /// column after the last character.
    fn of(text: &str, at: usize) -> Self {
        let inside = at.min(text.len().saturating_sub(1));
        let bytes = text.as_bytes();
        let before = bytes.get(..inside).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |nl| nl + 1);
        let chars = bytes.get(start..=inside).unwrap_or_default();
        // Continuation bytes do not start a character.
        let column = chars.iter().filter(|b| (**b & 0xC0) != 0x80).count().max(1);
        Self { line, column: column + (at - inside) }
    }
}

/// The `configWarning` notification, told once after `initialize` (config.md §2.11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigWarning {
    /// What happened.
    pub summary: String,
    /// Why; always on the wire, null when there is nothing to say.
    pub details: Option<String>,
    /// The file at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<TextRange>,
}

impl ConfigWarning {
    /// The warning that a configuration could not be used.
    pub fn invalid(error: &ConfigError) -> Self {
        Self {
            summary: "Invalid configuration; using defaults.".to_owned(),
            details: Some(error.to_string()),
            path: error.path().map(|path| path.display().to_string()),
            range: error.range(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, TextPosition, TextRange};

    fn range(text: &str, start: usize, end: usize) -> ((usize, usize), (usize, usize)) {
        let TextRange { start, end } = TextRange::of(text, start..end);
        let pair = |p: TextPosition| (p.line, p.column);
        (pair(start), pair(end))
    }

    #[test]
    fn ranges_count_characters_and_include_their_end() {
        let cases = [
            ("abc", 0, 1, ((1, 1), (1, 1))),
            ("abc", 0, 3, ((1, 1), (1, 3))),
            ("a\nbc", 2, 4, ((2, 1), (2, 2))),
            ("ä = x", 5, 6, ((1, 5), (1, 5))),
            ("x=", 2, 2, ((1, 3), (1, 3))),
            ("", 0, 0, ((1, 1), (1, 1))),
        ];
        for (text, start, end, expected) in cases {
            assert_eq!(range(text, start, end), expected, "{text:?} {start}..{end}");
        }
    }

    #[test]
    fn a_located_error_leads_with_its_place() {
        let error = ConfigError::located("/h/config.toml".as_ref(), "a\nb=", 3..4, "oops");
        assert_eq!(error.to_string(), "/h/config.toml:2:2: oops");
        assert_eq!(error.path(), Some("/h/config.toml".as_ref()));
    }
}
