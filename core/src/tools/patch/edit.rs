//! The chunks of a patch applied to the text of one file (engine.md §6.4).
//!
//! Lines that stay keep the file's own wording and ending, however the patch quotes them. A new
//! line ends as the line that it replaces does, or else as its neighbours do; it always ends, also
//! where the file's last line did not.

use super::parse::{Chunk, Line, Mark};
use super::seek::{Effort, Exhausted, seek};

/// Why the chunks do not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// No such line above a place.
    Context(String),
    /// No such lines; joined with line feeds.
    Lines(String),
    /// The search for them took too long.
    Exhausted,
}

impl From<Exhausted> for Misfit {
    fn from(Exhausted: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// Lines of the file that make room for a chunk.
struct Splice<'c> {
    at: usize,
    lines: Vec<(Mark, &'c str)>,
}

/// The text after the chunks.
pub(super) fn edit(text: &str, chunks: &[Chunk], effort: &mut Effort) -> Result<String, Misfit> {
    effort.spend(text)?;
    // Editors hide it and models do not quote it.
    let (mark, text) = match text.strip_prefix('\u{FEFF}') {
        Some(text) => ("\u{FEFF}", text),
        None => ("", text),
    };
    let file: Vec<(&str, &str)> = text.split_inclusive('\n').map(without_end).collect();
    let lines: Vec<&str> = file.iter().map(|(line, _)| *line).collect();
    let mut splices = Vec::with_capacity(chunks.len());
    let mut from = 0;
    for chunk in chunks {
        splices.push(place(&lines, chunk, &mut from, effort)?);
    }
    // A chunk that only adds goes to the end of the file, whatever comes after it in the patch.
    splices.sort_by_key(|splice| splice.at);
    let mut writer = Writer { file: &file, at: 0, out: mark.to_owned(), end: None };
    for splice in &splices {
        writer.copy_to(splice.at);
        writer.splice(&splice.lines);
    }
    writer.copy_to(file.len());
    Ok(writer.out)
}

fn without_end(line: &str) -> (&str, &str) {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let text = if text.len() < line.len() { text.strip_suffix('\r').unwrap_or(text) } else { text };
    line.split_at(text.len())
}

/// Finds the place of a chunk at `from` or below, and moves `from` behind it.
fn place<'c>(
    file: &[&str],
    chunk: &'c Chunk,
    from: &mut usize,
    effort: &mut Effort,
) -> Result<Splice<'c>, Misfit> {
    for context in &chunk.contexts {
        let found = seek(file, &[context], *from, false, effort)?;
        *from = found.ok_or_else(|| Misfit::Context(context.clone()))? + 1;
    }
    let mut lines: Vec<_> =
        chunk.lines.iter().map(|Line { mark, text }| (*mark, &**text)).collect();
    let mut old = old_lines(&lines);
    let wanted = old.join("\n");
    loop {
        if old.is_empty() {
            let at_end = chunk.at_end || chunk.contexts.is_empty();
            return Ok(Splice { at: if at_end { file.len() } else { *from }, lines });
        }
        if let Some(at) = seek(file, &old, *from, chunk.at_end, effort)? {
            *from = at + old.len();
            return Ok(Splice { at, lines });
        }
        if old.pop() != Some("") {
            return Err(Misfit::Lines(wanted));
        }
        drop_last_empty(&mut lines);
    }
}

fn old_lines<'c>(lines: &[(Mark, &'c str)]) -> Vec<&'c str> {
    lines.iter().filter(|(mark, _)| *mark != Mark::Add).map(|(_, text)| *text).collect()
}

/// Takes back an empty line that models put at the end of a chunk for the end of the file: the last
/// old line, which is empty, and the last new line if that is empty, too.
fn drop_last_empty(lines: &mut Vec<(Mark, &str)>) {
    if let Some(last) = lines.iter().rposition(|(mark, _)| *mark != Mark::Add) {
        match lines.get_mut(last) {
            Some((mark @ Mark::Keep, _)) => *mark = Mark::Add,
            _ => drop(lines.remove(last)),
        }
    }
    if let Some(last) = lines.iter().rposition(|(mark, _)| *mark != Mark::Remove)
        && lines.get(last) == Some(&(Mark::Add, ""))
    {
        lines.remove(last);
    }
}

/// Writes the new text.
struct Writer<'f> {
    file: &'f [(&'f str, &'f str)],
    /// The first line of the file that is not dealt with.
    at: usize,
    out: String,
    /// How the last line that was dealt with ends, if it ends.
    end: Option<&'f str>,
}

impl<'f> Writer<'f> {
    fn copy_to(&mut self, at: usize) {
        while self.at < at
            && let Some((text, end)) = self.take()
        {
            self.line(text, end);
        }
    }

    fn take(&mut self) -> Option<(&'f str, &'f str)> {
        let line = self.file.get(self.at).copied()?;
        self.at += 1;
        self.end = Some(line.1).filter(|end| !end.is_empty()).or(self.end);
        Some(line)
    }

    fn line(&mut self, text: &str, end: &str) {
        // Only the file's last line can be without an end.
        if !self.out.is_empty() && !self.out.ends_with(['\n', '\u{FEFF}']) {
            self.out.push_str(self.end.unwrap_or("\n"));
        }
        self.out.push_str(text);
        self.out.push_str(end);
    }

    fn splice(&mut self, lines: &[(Mark, &str)]) {
        for run in lines.chunk_by(|a, b| (a.0 == Mark::Keep) == (b.0 == Mark::Keep)) {
            if run.first().is_some_and(|(mark, _)| *mark == Mark::Keep) {
                self.copy_to(self.at + run.len());
            } else {
                self.replace(run);
            }
        }
    }

    /// A run of lines that go and lines that come; the first that comes replaces the first that
    /// goes, and so on.
    fn replace(&mut self, run: &[(Mark, &str)]) {
        let removed = run.iter().filter(|(mark, _)| *mark == Mark::Remove).count();
        let before = self.end;
        let gone: Vec<_> = (0..removed).filter_map(|_| self.take()).map(|(_, end)| end).collect();
        let below = self.file.get(self.at).map(|(_, end)| *end);
        let mut ends = gone.into_iter();
        let mut end = before;
        for (_, text) in run.iter().filter(|(mark, _)| *mark == Mark::Add) {
            end = ends.next().filter(|end| !end.is_empty()).or(end);
            let next = below.filter(|end| !end.is_empty());
            self.line(text, end.or(next).unwrap_or("\n"));
        }
    }
}
