//! The text of a file of settings while it is changed. The library that changes documents writes all
//! lines with the same ends, and ends the last one; here every line that stays keeps its own end.
//!
//! Invariant: without a change to the document the text is the same, byte for byte.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use toml_edit::DocumentMut;

/// What may stand before the first line.
const MARK: char = '\u{feff}';

/// A text and the document that it makes.
pub(super) struct Text<'t> {
    old: &'t str,
    /// What the library makes of the document before it is changed.
    printed: String,
    pub(super) document: DocumentMut,
}

impl<'t> Text<'t> {
    /// Reads a text; none if it is not TOML.
    pub(super) fn read(old: &'t str) -> Option<Self> {
        let document: DocumentMut = old.parse().ok()?;
        Some(Self { old, printed: document.to_string(), document })
    }

    /// The text of the document as it is, the lines that stayed as they were. New ones end as the
    /// others do, unless that is not right because they are within a text; if nothing else is right
    /// all is as the library writes it.
    pub(super) fn written(&self, is_right: impl Fn(&str) -> bool) -> Option<String> {
        let printed = self.document.to_string();
        let kept = |like_others| self.with_old_lines(&printed, like_others);
        let kept = [true, false].into_iter().filter_map(kept).find(|kept| is_right(kept));
        kept.or_else(|| is_right(&printed).then_some(printed))
    }

    fn with_old_lines(&self, printed: &str, like_others: bool) -> Option<String> {
        if self.old == self.printed {
            return None;
        }
        let old_lines: Vec<&str> = self.old.split_inclusive('\n').collect();
        let before: Vec<&str> = self.printed.split_inclusive('\n').collect();
        let after: Vec<&str> = printed.split_inclusive('\n').collect();
        // The library also has its own mind about blanks in names of several parts.
        let is_ink = |c: &char| !c.is_whitespace() && *c != MARK;
        let bare = |line: &&str| line.chars().filter(is_ink).collect::<String>();
        if !old_lines.iter().map(bare).eq(before.iter().map(bare)) {
            return None;
        }
        let usual = old_lines.first().map(|line| end_of(line)).filter(|end| !end.is_empty());
        let mut out = Lines { text: String::new(), usual: usual.unwrap_or("\n") };
        for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
            let old = old_lines.get(op.old_range())?;
            if let DiffOp::Equal { .. } = op {
                old.iter().for_each(|line| out.push(line));
                continue;
            }
            // A line that changed ends as it did.
            let ends = old.iter().map(|line| end_of(line));
            let mut ends = ends.chain(std::iter::repeat(out.usual));
            for line in after.get(op.new_range())? {
                let own = end_of(line);
                out.push(line.strip_suffix(own).unwrap_or(line));
                let others = ends.next().filter(|_| like_others);
                out.text.push_str(others.unwrap_or(own));
            }
        }
        let is_marked = self.old.starts_with(MARK) && !out.text.starts_with(MARK);
        Some(if is_marked { format!("{MARK}{}", out.text) } else { out.text })
    }
}

struct Lines {
    text: String,
    /// How the lines of the file end.
    usual: &'static str,
}

impl Lines {
    /// Adds a line, behind one that has its end.
    fn push(&mut self, line: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push_str(self.usual);
        }
        self.text.push_str(line);
    }
}

fn end_of(line: &str) -> &'static str {
    match line {
        _ if line.ends_with("\r\n") => "\r\n",
        _ if line.ends_with('\n') => "\n",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[track_caller]
    fn check(old: &str, key: &str, expected: &str) {
        let mut text = Text::read(old).expect("TOML");
        assert_eq!(text.written(|_| true).as_deref(), Some(old), "unchanged");
        text.document[key] = toml_edit::value(7);
        assert_eq!(text.written(|_| true).as_deref(), Some(expected), "{key} changed");
    }

    #[test]
    fn lines_keep_their_ends() {
        check("a = 1\nb = 2\n", "b", "a = 1\nb = 7\n");
        check("a = 1\r\nb = 2\r\n", "b", "a = 1\r\nb = 7\r\n");
        check("a = 1\r\n# c\nb = 2", "a", "a = 7\r\n# c\nb = 2");
        check("a = 1\r\nb = 2", "b", "a = 1\r\nb = 7");
        check("a = 1\r\nb = 2", "c", "a = 1\r\nb = 2\r\nc = 7\r\n");
        check(
            "a = 1\r\n\r\n[t] # t\r\nx = 1\r\n",
            "b",
            "a = 1\r\nb = 7\r\n\r\n[t] # t\r\nx = 1\r\n",
        );
        check("a = \"\"\"x\r\ny\"\"\"\nb = 1\r\n", "b", "a = \"\"\"x\r\ny\"\"\"\nb = 7\r\n");
        check("\u{feff}a = 1\r\n", "a", "\u{feff}a = 7\r\n");
        check("\u{feff}a = 1\r\n", "b", "\u{feff}a = 1\r\nb = 7\r\n");
    }

    #[test]
    fn blanks_within_names_stay() {
        for old in ["[a] # a\nx = 1\n[b]\n[a   .c]\nz=0\n", "a . b = 1\na.c=2\n"] {
            let mut text = Text::read(old).expect("TOML");
            assert_eq!(text.written(|_| true).as_deref(), Some(old));
            text.document["k"] = toml_edit::value(7);
            let new = text.written(|_| true).expect("a text");
            assert_eq!(new.replacen("k = 7\n", "", 1), old);
        }
    }

    #[test]
    fn a_text_of_several_lines_keeps_its_own() {
        let mut text = Text::read("a = 1\r\n").expect("TOML");
        text.document["b"] = toml_edit::value("x\ny\n");
        let is_right = |text: &str| {
            let table: toml::Table = toml::from_str(text).expect("TOML");
            table["b"].as_str() == Some("x\ny\n")
        };
        let expected = "a = 1\r\nb = \"\"\"\nx\ny\n\"\"\"\n";
        assert_eq!(text.written(is_right).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_not_right_is_not_written() {
        let text = Text::read("a = 1\r\n").expect("TOML");
        assert_eq!(text.written(|text| !text.contains('\r')).as_deref(), Some("a = 1\n"));
        assert_eq!(text.written(|_| false), None);
    }
}
