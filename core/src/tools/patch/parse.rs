//! The text of a patch, read into sections (engine.md §6.2–6.3).

use std::fmt;

use crate::limits;

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File: ";
const DELETE: &str = "*** Delete File: ";
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";
const END_OF_FILE: &str = "*** End of File";

/// A patch as the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// What it does, in its order.
    pub(crate) sections: Vec<Section>,
}

impl Patch {
    /// Whether it asks for nothing. Legal as text, refused as a request (engine.md §4.7).
    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }
}

/// What a patch does to one file. Paths are as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The file is made, or replaced.
    Add {
        /// The file.
        path: String,
        /// Its lines, each with a line feed.
        content: String,
    },
    /// The file goes.
    Delete {
        /// The file.
        path: String,
    },
    /// The file changes.
    Update {
        /// The file.
        path: String,
        /// Where it moves to.
        move_to: Option<String>,
        /// The changes, from top to bottom; none only in a plain move.
        chunks: Vec<Chunk>,
    },
}

/// One place of a file that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Lines above the place, each below the one before.
    pub(crate) contexts: Vec<String>,
    /// The lines of the place.
    pub(crate) lines: Vec<Line>,
    /// Whether the place is the end of the file.
    pub(crate) at_end: bool,
}

/// One line of a [`Chunk`], without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What happens to it.
    pub(crate) mark: Mark,
    /// The line.
    pub(crate) text: String,
}

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// It is new.
    Add,
}

/// Why a text is no patch, in the words that the model is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// It is not the frame of a patch.
    Frame(String),
    /// A line in it is wrong.
    Line {
        /// Its number; the line that begins the patch is 1.
        number: usize,
        /// What is wrong.
        message: String,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(message) => write!(f, "invalid patch: {message}"),
            Self::Line { number, message } => {
                write!(f, "invalid hunk at line {number}, {message}")
            }
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads a patch. Total; the work is linear in the text.
pub(crate) fn parse(text: &str) -> Result<Patch, ParseError> {
    if text.len() > limits::PATCH_BYTES_MAX {
        let max = limits::PATCH_BYTES_MAX;
        return Err(ParseError::Frame(format!("The patch is longer than {max} bytes")));
    }
    let lines: Vec<&str> = text.trim().lines().collect();
    let mut rest = Rest { lines: framed(&lines)?, number: 2 };
    let mut sections = Vec::new();
    while let Some(header) = rest.next() {
        if sections.len() == limits::PATCH_SECTIONS_MAX {
            let max = limits::PATCH_SECTIONS_MAX;
            return Err(ParseError::Frame(format!("The patch has more than {max} sections")));
        }
        sections.push(section(header, &mut rest)?);
    }
    Ok(Patch { sections })
}

/// The lines between the first and the last line of a patch. Wrappings that models put around it
/// by mistake are taken off: a here document's marks, a code fence.
fn framed<'a, 't>(lines: &'a [&'t str]) -> Result<&'a [&'t str], ParseError> {
    let error = match inside(lines) {
        Ok(inside) => return Ok(inside),
        Err(error) => error,
    };
    let ([first, inner @ .., last], true) = (lines, lines.len() >= 4) else { return Err(error) };
    let heredoc = matches!(*first, "<<EOF" | "<<'EOF'" | "<<\"EOF\"") && last.ends_with("EOF");
    let fence = first.starts_with("```") && last.trim() == "```";
    if heredoc || fence { inside(inner) } else { Err(error) }
}

fn inside<'a, 't>(lines: &'a [&'t str]) -> Result<&'a [&'t str], ParseError> {
    let is = |line: Option<&&str>, mark: &str| line.is_some_and(|line| line.trim() == mark);
    if !is(lines.first(), BEGIN) {
        let message = format!("The first line of the patch must be '{BEGIN}'");
        return Err(ParseError::Frame(message));
    }
    match lines {
        [_, inside @ .., last] if last.trim() == END => Ok(inside),
        _ => Err(ParseError::Frame(format!("The last line of the patch must be '{END}'"))),
    }
}

/// The lines not yet read.
struct Rest<'a, 't> {
    lines: &'a [&'t str],
    /// Number of the first of them.
    number: usize,
}

impl<'t> Rest<'_, 't> {
    fn peek(&self) -> Option<&'t str> {
        self.lines.first().copied()
    }

    fn next(&mut self) -> Option<&'t str> {
        let (first, rest) = self.lines.split_first()?;
        self.lines = rest;
        self.number += 1;
        Some(first)
    }

    fn next_if(&mut self, test: impl FnOnce(&str) -> bool) -> Option<&'t str> {
        if test(self.peek()?) { self.next() } else { None }
    }

    /// An error about the line that was read last.
    fn error_at_last(&self, message: String) -> ParseError {
        ParseError::Line { number: self.number - 1, message }
    }

    /// An error about the line that comes next.
    fn error_at_next(&self, message: String) -> ParseError {
        ParseError::Line { number: self.number, message }
    }
}

fn section(header: &str, rest: &mut Rest<'_, '_>) -> Result<Section, ParseError> {
    let header = header.trim();
    if let Some(path) = header.strip_prefix(ADD) {
        let mut content = String::new();
        while let Some(line) = rest.next_if(|line| line.starts_with('+')) {
            content.extend([line.get(1..).unwrap_or_default(), "\n"]);
        }
        Ok(Section::Add { path: path.to_owned(), content })
    } else if let Some(path) = header.strip_prefix(DELETE) {
        Ok(Section::Delete { path: path.to_owned() })
    } else if let Some(path) = header.strip_prefix(UPDATE) {
        update(path, rest)
    } else {
        Err(rest.error_at_last(format!(
            "'{header}' is not a valid hunk header. Valid hunk headers: '{ADD}{{path}}', \
             '{DELETE}{{path}}', '{UPDATE}{{path}}'"
        )))
    }
}

fn update(path: &str, rest: &mut Rest<'_, '_>) -> Result<Section, ParseError> {
    let header = rest.number - 1;
    let moved = rest.next_if(|line| line.starts_with(MOVE));
    let move_to = moved.and_then(|line| line.strip_prefix(MOVE)).map(|to| to.trim().to_owned());
    let mut chunks = Vec::new();
    while let Some(line) = rest.peek() {
        if line.trim().is_empty() {
            rest.next();
        } else if line.starts_with("***") {
            break;
        } else {
            chunks.push(chunk(rest, chunks.is_empty())?);
        }
    }
    // The grammar that the model is given allows a move that changes nothing else.
    if chunks.is_empty() && move_to.is_none() {
        let message = format!("Update file hunk for path '{path}' is empty");
        return Err(ParseError::Line { number: header, message });
    }
    Ok(Section::Update { path: path.to_owned(), move_to, chunks })
}

fn chunk(rest: &mut Rest<'_, '_>, is_first: bool) -> Result<Chunk, ParseError> {
    let mut chunk = Chunk::default();
    let mut marked = false;
    while let Some(line) = rest.next_if(|line| line == "@@" || line.starts_with("@@ ")) {
        marked = true;
        let context = line.strip_prefix("@@ ").filter(|context| !context.trim().is_empty());
        chunk.contexts.extend(context.map(str::to_owned));
    }
    if !marked && !is_first {
        let line = rest.peek().unwrap_or_default();
        let message =
            format!("Expected update hunk to start with a @@ context marker, got: '{line}'");
        return Err(rest.error_at_next(message));
    }
    while let Some(line) = rest.peek() {
        if line == END_OF_FILE && !chunk.lines.is_empty() {
            rest.next();
            chunk.at_end = true;
            break;
        }
        let Some(line) = marked_line(line) else { break };
        rest.next();
        chunk.lines.push(line);
    }
    if !chunk.lines.is_empty() {
        return Ok(chunk);
    }
    Err(rest.error_at_next(match rest.peek() {
        None | Some(END_OF_FILE) => "Update hunk does not contain any lines".to_owned(),
        Some(line) => format!(
            "Unexpected line found in update hunk: '{line}'. Every line should start with ' ' \
             (context line), '+' (added line), or '-' (removed line)"
        ),
    }))
}

/// A line with its mark taken off; an empty line stands for an empty line that stays.
fn marked_line(line: &str) -> Option<Line> {
    let mark = match line.chars().next() {
        None | Some(' ') => Mark::Keep,
        Some('+') => Mark::Add,
        Some('-') => Mark::Remove,
        Some(_) => return None,
    };
    Some(Line { mark, text: line.get(1..).unwrap_or_default().to_owned() })
}
