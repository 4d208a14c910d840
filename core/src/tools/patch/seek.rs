//! Where in a file the lines of a patch stand (engine.md §6.4). Models misquote spaces and
//! typographic marks, so that what is not found word for word is looked for less strictly.

/// How strictly lines are compared. The first way that finds the lines wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// Character for character.
    Exact,
    /// Without regard to spaces at the end.
    TrimEnd,
    /// Without regard to spaces at both ends.
    Trim,
    /// The same, and typographic dashes, quotes and spaces are plain ones.
    Folded,
}

const WAYS: [Likeness; 4] = [Likeness::Exact, Likeness::TrimEnd, Likeness::Trim, Likeness::Folded];

/// How much one plan may still search. Without this a patch of very many chunks against a file of
/// very many lines would keep a thread busy for hours.
#[derive(Debug)]
pub(super) struct Effort {
    left: u64,
}

/// The effort is used up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Effort {
    /// So many comparisons of short lines, as [`limits::PATCH_SEARCH_STEPS_MAX`].
    ///
    /// [`limits::PATCH_SEARCH_STEPS_MAX`]: crate::limits::PATCH_SEARCH_STEPS_MAX
    pub(super) fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    /// Takes off what a look at this text costs.
    pub(super) fn spend(&mut self, line: &str) -> Result<(), Exhausted> {
        // Long lines cost more to trim and to compare.
        let cost = 1 + (line.len() as u64 >> 6);
        self.left = self.left.checked_sub(cost).ok_or(Exhausted)?;
        Ok(())
    }
}

/// Where `pattern` stands in `lines`, at `start` or below; with `at_end`, only at the very end.
pub(super) fn seek(
    lines: &[&str],
    pattern: &[&str],
    start: usize,
    at_end: bool,
    effort: &mut Effort,
) -> Result<Option<usize>, Exhausted> {
    let Some(last) = lines.len().checked_sub(pattern.len()) else { return Ok(None) };
    let first = if at_end { last.max(start) } else { start };
    for way in WAYS {
        for at in first..=last {
            let window = lines.iter().skip(at).zip(pattern);
            if all_alike(window, way, effort)? {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

fn all_alike<'a>(
    pairs: impl Iterator<Item = (&'a &'a str, &'a &'a str)>,
    way: Likeness,
    effort: &mut Effort,
) -> Result<bool, Exhausted> {
    for (line, wanted) in pairs {
        effort.spend(line)?;
        if !alike(line, wanted, way) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn alike(a: &str, b: &str, way: Likeness) -> bool {
    match way {
        Likeness::Exact => a == b,
        Likeness::TrimEnd => a.trim_end() == b.trim_end(),
        Likeness::Trim => a.trim() == b.trim(),
        Likeness::Folded => a.trim().chars().map(fold).eq(b.trim().chars().map(fold)),
    }
}

/// The plain character that a typographic one stands for.
pub(super) fn fold(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201B}' => '\'',
        '\u{201C}'..='\u{201F}' => '"',
        '\u{00A0}' | '\u{2002}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        other => other,
    }
}
