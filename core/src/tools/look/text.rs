//! Owns: `read_file`: lines of a file with their numbers (engine.md §3.6).

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;

use super::{absolute, decoded, or};
use crate::files::{FileErrorKind, Files};
use crate::limits;

/// The lines that a model wants to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextWish {
    path: PathBuf,
    /// Lines before the first of them.
    skip: usize,
    limit: usize,
}

#[derive(Deserialize)]
struct Arguments {
    file_path: String,
    #[serde(default)]
    offset: Option<NonZeroUsize>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default)]
    mode: Option<String>,
}

impl TextWish {
    pub(super) fn parse(arguments: &str) -> Result<Self, String> {
        let Arguments { file_path, offset, limit, mode } = decoded(arguments)?;
        if let Some(mode) = mode.filter(|mode| mode != "slice") {
            return Err(format!("mode `{mode}` is not supported; use `offset` and `limit`"));
        }
        Ok(Self {
            path: absolute("file_path", file_path)?,
            skip: or(offset, 1) - 1,
            limit: or(limit, limits::READ_FILE_LINES).min(limits::READ_FILE_LINES_MAX),
        })
    }

    pub(super) fn read(&self, files: &dyn Files) -> Result<String, String> {
        let bytes_max = limits::READ_FILE_BYTES_MAX;
        let bytes = files.read(&self.path, bytes_max).map_err(|error| match error.kind {
            FileErrorKind::TooLarge => {
                format!("failed to read file: larger than {bytes_max} bytes; use a command")
            }
            _ => format!("failed to read file: {error}"),
        })?;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1_u64..);
        let shown = lines.skip(self.skip).take(self.limit);
        let shown: Vec<String> = shown.map(|(line, n)| format!("L{n}: {}", head(line))).collect();
        match shown.is_empty() {
            true => Err("offset exceeds file length".to_owned()),
            false => Ok(shown.join("\n")),
        }
    }
}

/// The beginning of a line, without its end.
fn head(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // No character has more than four bytes.
    let line = line.get(..4 * limits::READ_FILE_LINE_CHARS).unwrap_or(line);
    String::from_utf8_lossy(line).chars().take(limits::READ_FILE_LINE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::head;
    use crate::files::MemoryFiles;
    use crate::limits;

    fn read(text: impl AsRef<[u8]>, more: &str) -> String {
        let files = MemoryFiles::new().with("/a", text);
        told(&files, "read_file", &format!("{{\"file_path\":\"/a\"{more}}}"))
    }

    #[test]
    fn lines_have_their_numbers_and_lose_their_ends() {
        let text = "one\r\n\ntwo\nlast";
        assert_eq!(read(text, ""), "L1: one\nL2: \nL3: two\nL4: last");
        assert_eq!(read(text, ",\"offset\":3,\"limit\":1,\"mode\":\"slice\""), "L3: two");
        assert_eq!(read("one\n", ""), "L1: one");
        assert_eq!(read(b"\xff\n", ""), "L1: \u{fffd}");
        let many = "x\n".repeat(limits::READ_FILE_LINES_MAX + 1);
        assert_eq!(read(&many, "").lines().count(), limits::READ_FILE_LINES);
        let all = read(&many, ",\"limit\":1000000");
        assert_eq!(all.lines().count(), limits::READ_FILE_LINES_MAX);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for c in ['x', 'é', '\u{1f980}'] {
            let line: String = std::iter::repeat_n(c, 600).collect();
            assert_eq!(head(line.as_bytes()), line.chars().take(500).collect::<String>());
            let shifted = format!("a{line}");
            assert_eq!(head(shifted.as_bytes()), shifted.chars().take(500).collect::<String>());
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let gone = "offset exceeds file length";
        assert_eq!((read("", ""), read("a\n", ",\"offset\":2")), (gone.into(), gone.into()));
        let why = "mode `indentation` is not supported; use `offset` and `limit`";
        assert_eq!(read("", ",\"mode\":\"indentation\""), why);
        let zero = read("a", ",\"limit\":0");
        assert!(zero.starts_with("failed to parse function arguments: invalid value"), "{zero}");
        let files = MemoryFiles::new();
        let relative = told(&files, "read_file", r#"{"file_path":"a"}"#);
        assert_eq!(relative, "file_path must be an absolute path");
        let missing = told(&files, "read_file", r#"{"file_path":"/none"}"#);
        assert!(missing.starts_with("failed to read file: "), "{missing}");
        let bytes = usize::try_from(limits::READ_FILE_BYTES_MAX).expect("small") + 1;
        let large = read(vec![b'\n'; bytes], "");
        assert!(large.starts_with("failed to read file: larger than "), "{large}");
    }
}
