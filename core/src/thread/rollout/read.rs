//! Rollouts read line by line, a piece of the file at a time.

use std::path::{Path, PathBuf};

use memchr::memchr;

use crate::files::{FileError, Files, IfMissing};
use crate::limits::ROLLOUT_LINE_BYTES_MAX;

/// Bytes asked for at a time when a whole file is read.
pub const WHOLE: usize = 256 << 10;

/// Bytes asked for at a time when only the beginning of a file matters: a usual meta line with its
/// instructions, and the first turn.
pub const HEAD: usize = 32 << 10;

/// Reads one file line by line; holds one line and one piece of the file, never more.
pub struct LineReader<'f> {
    files: &'f dyn Files,
    path: PathBuf,
    piece: usize,
    /// Where in the file `buffer` ends.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in `buffer` the next line begins.
    start: usize,
    /// How far `buffer` is known to hold no line end.
    searched: usize,
    ended: bool,
    /// The line that is being read is too long, and its beginning was let go.
    skipping: bool,
}

/// A line of a file, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line that has its end.
    Whole(&'a [u8]),
    /// What stands after the last line end: a line that lost its end, or a piece of one.
    Rest(&'a [u8]),
    /// A line longer than [`ROLLOUT_LINE_BYTES_MAX`].
    TooLong,
}

impl<'f> LineReader<'f> {
    /// Begins at the start of the file, asking for `piece` bytes at a time.
    pub fn new(files: &'f dyn Files, path: &Path, piece: usize) -> Self {
        Self {
            files,
            path: path.to_owned(),
            piece,
            offset: 0,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            ended: false,
            skipping: false,
        }
    }

    /// The next line; none at the end of the file.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, FileError> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = memchr(b'\n', unseen) {
                let (start, end) = (self.start, self.searched + at);
                (self.start, self.searched) = (end + 1, end + 1);
                if std::mem::take(&mut self.skipping) {
                    return Ok(Some(Line::TooLong));
                }
                return Ok(Some(Line::Whole(self.buffer.get(start..end).unwrap_or_default())));
            }
            self.searched = self.buffer.len();
            if self.ended {
                return Ok(self.rest());
            }
            self.fill()?;
        }
    }

    /// How many bytes of the file were read.
    pub fn bytes_read(&self) -> u64 {
        self.offset
    }

    fn rest(&mut self) -> Option<Line<'_>> {
        let start = std::mem::replace(&mut self.start, self.buffer.len());
        if std::mem::take(&mut self.skipping) {
            return Some(Line::TooLong);
        }
        self.buffer.get(start..).filter(|rest| !rest.is_empty()).map(Line::Rest)
    }

    fn fill(&mut self) -> Result<(), FileError> {
        if self.buffer.len() - self.start > ROLLOUT_LINE_BYTES_MAX {
            self.skipping = true;
        }
        let keep_from = if self.skipping { self.buffer.len() } else { self.start };
        self.buffer.drain(..keep_from);
        (self.start, self.searched) = (0, self.buffer.len());
        let piece = self.files.read_at(&self.path, self.offset, self.piece)?;
        self.offset += piece.len() as u64;
        self.ended = piece.len() < self.piece;
        if self.buffer.is_empty() {
            self.buffer = piece;
        } else {
            self.buffer.extend_from_slice(&piece);
        }
        Ok(())
    }
}

/// Appends whole lines so that they stay whole: if the file ends within a line, that one is ended
/// first. Another process may have been stopped within it, also since this one has opened the file.
pub fn append(
    files: &dyn Files,
    path: &Path,
    lines: &[u8],
    missing: IfMissing,
) -> Result<(), FileError> {
    if ends_whole(files, path)? {
        return files.append(path, lines, missing);
    }
    // There was a file.
    files.append(path, &[b"\n", lines].concat(), IfMissing::Fail)
}

/// Appends lines of which an append has failed: what stands in the file already is not written twice,
/// also when another process has written behind it since.
pub fn append_again(
    files: &dyn Files,
    path: &Path,
    lines: &[u8],
    missing: IfMissing,
) -> Result<(), FileError> {
    match still_missing(files, path, lines)? {
        ([], _) => Ok(()),
        (rest, false) if rest.len() == lines.len() => append(files, path, rest, missing),
        // The rest goes to the file that has the beginning, or nowhere.
        (rest, false) => append(files, path, rest, IfMissing::Fail),
        (rest, true) => files.append(path, rest, IfMissing::Fail),
    }
}

/// What of these lines does not stand in the file, and whether the file ends within the first of
/// them.
fn still_missing<'a>(
    files: &dyn Files,
    path: &Path,
    lines: &'a [u8],
) -> Result<(&'a [u8], bool), FileError> {
    let mut reader = LineReader::new(files, path, WHOLE);
    let mut missing = lines;
    loop {
        let line = match reader.next_line() {
            Err(error) if error.is_not_found() => return Ok((lines, false)),
            line => line?,
        };
        match line {
            None => return Ok((missing, false)),
            Some(Line::Whole(line)) => {
                let behind = missing.strip_prefix(line).and_then(|rest| rest.strip_prefix(b"\n"));
                missing = behind.unwrap_or(missing);
            }
            Some(Line::Rest(piece)) => {
                if let Some(rest) = missing.strip_prefix(piece) {
                    return Ok((rest, true));
                }
            }
            // It cannot be compared: if it is one of ours, it is written again rather than lost.
            Some(Line::TooLong) => {}
        }
    }
}

fn ends_whole(files: &dyn Files, path: &Path) -> Result<bool, FileError> {
    let len = match files.stat(path) {
        Ok(stat) => stat.len,
        Err(error) if error.is_not_found() => 0,
        Err(error) => return Err(error),
    };
    let Some(last) = len.checked_sub(1) else { return Ok(true) };
    Ok(files.read_at(path, last, 1)? == b"\n")
}
