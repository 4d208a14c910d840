//! The tokens of a `.rules` file.

use std::ops::Range;

use super::fault::Fault;
use crate::limits;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name(String),
    Int(i64),
    Text(String),
    /// A text with the names of variables in it.
    Format(Vec<Piece>),
    Sign(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

/// A part of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Name(String),
}

impl Token {
    /// The token as messages name it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(name) => format!("symbol '{name}'"),
            Self::Int(n) => format!("integer literal '{n}'"),
            Self::Text(text) => format!("string literal {text:?}"),
            Self::Format(_) => "f-string".to_owned(),
            Self::Sign(sign) => format!("symbol '{sign}'"),
            Self::Newline => "new line".to_owned(),
            Self::Indent => "new indentation block".to_owned(),
            Self::Dedent => "end of indentation block".to_owned(),
            Self::End => "end of file".to_owned(),
        }
    }
}

pub(super) type Spanned = (Token, Range<usize>);

/// Longer signs stand before those that they begin with.
const SIGNS: &[&str] = &[
    "+=", "==", "!=", "<=", ">=", "->", "**", "//", "(", ")", "[", "]", "{", "}", ",", ":", ".",
    "=", "+", "-", "*", "/", "%", "<", ">", "|", "&", "^", "~", ";",
];

/// The tokens of `text`; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, Fault> {
    let mut lexer =
        Lexer { text, at: 0, found: Vec::new(), open: 0, indents: Vec::new(), fresh: true };
    while lexer.step()? {}
    Ok(lexer.found)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    found: Vec<Spanned>,
    /// Open brackets; inside them lines do not end.
    open: usize,
    indents: Vec<usize>,
    /// At the beginning of a line.
    fresh: bool,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token, len: usize) {
        self.found.push((token, self.at..self.at + len));
        self.at += len;
    }

    fn fault<T>(&self, message: &str, len: usize) -> Result<T, Fault> {
        Err(Fault::new(format!("Parse error: {message}"), self.at..self.at + len))
    }

    /// Reads one token; false after the last.
    fn step(&mut self) -> Result<bool, Fault> {
        if self.fresh && self.open == 0 {
            self.indentation()?;
        }
        self.fresh = false;
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\r']).len();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            self.finish();
            return Ok(false);
        };
        match first {
            '#' => self.at += rest.find('\n').unwrap_or(rest.len()),
            '\n' if self.open > 0 => self.at += 1,
            '\n' => {
                self.push(Token::Newline, 1);
                self.fresh = true;
            }
            '\\' if rest.starts_with("\\\n") => self.at += 2,
            '\t' => return self.fault("tabs are not allowed", 1),
            c if c.is_ascii_digit() => self.number()?,
            c if c == '_' || c.is_alphabetic() => self.name_or_text()?,
            '"' | '\'' => self.string("")?,
            _ => self.sign(first)?,
        }
        Ok(true)
    }

    fn indentation(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let body = rest.trim_start_matches(' ');
        let width = rest.len() - body.len();
        if body.is_empty() || body.starts_with(['\n', '#', '\r']) {
            return Ok(());
        }
        self.at += width;
        if width > self.indents.last().copied().unwrap_or(0) {
            if self.indents.len() >= limits::RULES_DEPTH_MAX {
                return self.fault("blocks are nested too deeply", 0);
            }
            self.indents.push(width);
            self.push(Token::Indent, 0);
        }
        while width < self.indents.last().copied().unwrap_or(0) {
            self.indents.pop();
            self.push(Token::Dedent, 0);
        }
        if width != self.indents.last().copied().unwrap_or(0) {
            return self.fault("incorrect indentation", 0);
        }
        Ok(())
    }

    fn finish(&mut self) {
        // A last line without an end has one all the same.
        let open_line = !matches!(self.found.last(), None | Some((Token::Newline, _)));
        if self.open == 0 && open_line {
            self.push(Token::Newline, 0);
        }
        for _ in std::mem::take(&mut self.indents) {
            self.push(Token::Dedent, 0);
        }
        self.push(Token::End, 0);
    }

    fn number(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let len = rest.find(|c| !word(c)).unwrap_or(rest.len());
        match rest.get(..len).and_then(|digits| digits.parse().ok()) {
            Some(number) => self.push(Token::Int(number), len),
            None => return self.fault("not a number that rules can use", len),
        }
        Ok(())
    }

    fn name_or_text(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let len = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(len);
        if matches!(name, "r" | "b" | "f" | "rb" | "fr" | "rf") && after.starts_with(['"', '\'']) {
            return self.string(name);
        }
        self.push(Token::Name(name.to_owned()), len);
        Ok(())
    }

    fn sign(&mut self, first: char) -> Result<(), Fault> {
        let rest = self.rest();
        let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
            return self.fault("invalid token", first.len_utf8());
        };
        match *sign {
            "(" | "[" | "{" => self.open += 1,
            ")" | "]" | "}" => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.push(Token::Sign(sign), sign.len());
        Ok(())
    }

    /// A string whose quotes begin behind `prefix`.
    fn string(&mut self, prefix: &str) -> Result<(), Fault> {
        let (raw, format) = (prefix.contains('r'), prefix.contains('f'));
        if prefix.contains('b') {
            return self.fault("byte strings are not supported", prefix.len());
        }
        let quoted = self.rest().get(prefix.len()..).unwrap_or_default();
        let quote = quoted.get(..1).unwrap_or("\"");
        let triple = quote.repeat(3);
        let quote = if quoted.starts_with(&triple) { triple.as_str() } else { quote };
        let Some((len, text)) = body(quoted, quote, raw) else {
            return self.fault("unfinished string literal", prefix.len() + quote.len());
        };
        let len = prefix.len() + len;
        let text = match text {
            Ok(text) => text,
            Err(message) => return self.fault(&message, len),
        };
        let token = if format {
            match pieces(&text) {
                Some(pieces) => Token::Format(pieces),
                None => return self.fault("f-strings can only hold names in braces", len),
            }
        } else {
            Token::Text(text)
        };
        self.push(token, len);
        Ok(())
    }
}

/// The length of a string with its quotes, and its text or what is wrong with it; none if it does
/// not end.
fn body(quoted: &str, quote: &str, raw: bool) -> Option<(usize, Result<String, String>)> {
    let mut text = String::new();
    let mut wrong = None;
    let mut rest = quoted.get(quote.len()..)?;
    loop {
        if let Some(after) = rest.strip_prefix(quote) {
            let len = quoted.len() - after.len();
            return Some((len, wrong.map_or(Ok(text), Err)));
        }
        let c = rest.chars().next()?;
        if c == '\n' && quote.len() == 1 {
            return None;
        }
        rest = rest.get(c.len_utf8()..)?;
        if c != '\\' {
            text.push(c);
        } else if raw {
            let next = rest.chars().next()?;
            rest = rest.get(next.len_utf8()..)?;
            text.extend(['\\', next]);
        } else {
            let (len, escaped) = escape(rest)?;
            match escaped {
                Ok(escaped) => text.extend(escaped),
                Err(what) => wrong = wrong.or(Some(what)),
            }
            rest = rest.get(len..)?;
        }
    }
}

/// What stands behind a backslash: its length, and the character it means; none for a line's end.
fn escape(rest: &str) -> Option<(usize, Result<Option<char>, String>)> {
    let c = rest.chars().next()?;
    let code = |digits: usize| {
        let text = rest.get(1..=digits);
        let value = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let char = value.and_then(char::from_u32);
        let what = || format!("invalid string escape sequence `\\{c}`");
        (if char.is_some() { 1 + digits } else { c.len_utf8() }, char.map(Some).ok_or_else(what))
    };
    Some(match c {
        'n' => (1, Ok(Some('\n'))),
        't' => (1, Ok(Some('\t'))),
        'r' => (1, Ok(Some('\r'))),
        '0' => (1, Ok(Some('\0'))),
        'a' => (1, Ok(Some('\x07'))),
        'b' => (1, Ok(Some('\x08'))),
        'f' => (1, Ok(Some('\x0c'))),
        'v' => (1, Ok(Some('\x0b'))),
        '\\' | '"' | '\'' => (1, Ok(Some(c))),
        '\n' => (1, Ok(None)),
        'x' => code(2),
        'u' => code(4),
        'U' => code(8),
        _ => (c.len_utf8(), Err(format!("invalid string escape sequence `\\{c}`"))),
    })
}

/// The parts of a format string; none if braces hold anything but a name.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            plain.extend(from.chars().next());
            rest = after;
            continue;
        }
        let (name, after) = from.strip_prefix('{')?.split_once('}')?;
        let name = name.trim();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(word) {
            return None;
        }
        found.push(Piece::Text(std::mem::take(&mut plain)));
        found.push(Piece::Name(name.to_owned()));
        rest = after;
    }
    plain.push_str(rest);
    found.push(Piece::Text(plain));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{Piece, Token, tokens};

    fn of(text: &str) -> Vec<Token> {
        tokens(text).expect("lexes").into_iter().map(|(token, _)| token).collect()
    }

    fn one(text: &str) -> Token {
        of(text).into_iter().next().expect("a token")
    }

    #[test]
    fn strings_come_in_all_quotes() {
        let cases = [
            (r#""a\n\x41\u00e9\"""#, "a\nAé\""),
            (r"r'a\n'", r"a\n"),
            ("'''a\n'b'\n'''", "a\n'b'\n"),
            ("\"\"", ""),
            ("'a\\\nb'", "ab"),
        ];
        for (source, text) in cases {
            assert_eq!(one(source), Token::Text(text.to_owned()), "{source}");
        }
        let pieces = vec![
            Piece::Text("a{".to_owned()),
            Piece::Name("b".to_owned()),
            Piece::Text("}".to_owned()),
        ];
        assert_eq!(one("f'a{{{b}}}'"), Token::Format(pieces));
    }

    #[test]
    fn lines_blocks_and_brackets_are_kept_apart() {
        use Token::{Dedent, End, Indent, Newline};
        let mut found = of("a\n  b(\n c)\n # x\n\n  d\ne");
        found.retain(|token| matches!(token, Newline | Indent | Dedent | End));
        let lines = [Newline, Indent, Newline, Newline, Newline, Newline, Dedent, Newline, End];
        assert_eq!(found, lines);
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_in_its_place() {
        for (text, at) in [("'a", 0), ("x = \"a\nb\"", 4), ("a\n\tb", 2), ("$", 0), ("'\\q'", 0)] {
            let fault = tokens(text).map_err(|fault| fault.span.start);
            assert_eq!(fault.err(), Some(at), "{text:?}");
        }
        assert!(tokens("if x:\n  a\n b").is_err());
        assert!(tokens("f'{a.b}'").is_err() && tokens("99999999999999999999").is_err());
    }
}
