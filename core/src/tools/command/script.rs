//! Splits a shell script into plain commands, if it consists of nothing else (engine.md §4.2).
//!
//! What a plain command runs can be told from its text: words, joined by `&&`, `||`, `;`, `|` or
//! the end of a line. Everything that a shell would first have to work out (variables,
//! substitutions, redirections, subshells, background jobs, assignments, braces, control flow,
//! comments) makes the whole script opaque: `None`. Quotes and backslashes are resolved as bash,
//! sh and zsh agree on them; where they differ the script is opaque.

use super::{base_name, is_well_known};

/// A script of plain commands, in the order of their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The words of each command; none is without words.
    pub commands: Vec<Vec<String>>,
    /// What stands between them: one fewer than commands.
    pub connectors: Vec<Connector>,
    /// Whether a word has an unquoted `*`, `?` or `[`, which the shell may replace with the names
    /// of files: then the words are not known for certain.
    pub globs: bool,
}

/// What joins two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;` or the end of a line.
    Then,
    /// `|`
    Pipe,
}

/// The script of `[bash|zsh|sh, -lc|-c, script]`, whatever folder the shell is in.
pub fn script_of<S: AsRef<str>>(argv: &[S]) -> Option<&str> {
    let [shell, flag, script] = argv else {
        return None;
    };
    let shell = matches!(base_name(shell.as_ref()), "bash" | "zsh" | "sh");
    (shell && matches!(flag.as_ref(), "-lc" | "-c")).then_some(script.as_ref())
}

/// The plain commands that a command line amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The words of each: those of the script, or the command line itself.
    pub commands: Vec<Vec<String>>,
    /// Whether just these words are run. False for an opaque script and for words with globs.
    pub certain: bool,
    /// Whether the program that takes the script apart is a shell, and not something that a command
    /// wrote and called `bash`: the user's own, or one that only an administrator can replace.
    pub trusted: bool,
}

/// Takes a command line apart. `shell` is the user's own shell.
pub fn segments(argv: &[String], shell: &str) -> Segments {
    let whole = |certain| Segments { commands: vec![argv.to_vec()], certain, trusted: true };
    match script_of(argv).map(plain) {
        Some(Some(script)) => Segments {
            commands: script.commands,
            certain: !script.globs,
            trusted: argv.first().is_some_and(|name| name == shell || is_well_known(name)),
        },
        Some(None) => whole(false),
        None => whole(true),
    }
}

/// Reads a script of plain commands; `None` if there is more to it, or nothing in it.
pub fn plain(script: &str) -> Option<Script> {
    let mut reader = Reader { rest: script, globs: false };
    let mut commands = Vec::new();
    let mut connectors = Vec::new();
    reader.lines();
    loop {
        commands.push(reader.command()?);
        let Some(connector) = reader.connector()? else {
            break;
        };
        match connector {
            // Nothing need follow the end of a command, but a half pipe is no script.
            Connector::Then => {
                reader.lines();
                if reader.rest.is_empty() {
                    break;
                }
            }
            Connector::And | Connector::Or | Connector::Pipe => reader.lines(),
        }
        connectors.push(connector);
    }
    Some(Script { commands, connectors, globs: reader.globs })
}

/// Words that are no commands where a command begins.
const RESERVED: &[&str] = &[
    "!",
    "[",
    "[[",
    "]]",
    "{",
    "}",
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "for",
    "foreach",
    "while",
    "until",
    "repeat",
    "do",
    "done",
    "case",
    "esac",
    "select",
    "function",
    "time",
    "coproc",
    "in",
    "end",
    "nocorrect",
    "noglob",
    "-",
];

struct Reader<'s> {
    rest: &'s str,
    globs: bool,
}

/// A word, and whether any of it was quoted.
struct Word {
    text: String,
    quoted: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        Some(c)
    }

    fn blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            match self.rest.strip_prefix("\\\n") {
                Some(rest) => self.rest = rest,
                None => return,
            }
        }
    }

    fn lines(&mut self) {
        self.blanks();
        while let Some(rest) = self.rest.strip_prefix('\n') {
            self.rest = rest;
            self.blanks();
        }
    }

    /// One command; `None` if it is not plain.
    fn command(&mut self) -> Option<Vec<String>> {
        let mut words = Vec::new();
        while let Some(word) = self.word()? {
            let first = words.is_empty();
            if first && !word.quoted && (is_assignment(&word.text) || is_reserved(&word.text)) {
                return None;
            }
            words.push(word.text);
            self.blanks();
        }
        (!words.is_empty()).then_some(words)
    }

    /// What follows a command: `Some(None)` at the end of the script, `None` if it is not plain.
    fn connector(&mut self) -> Option<Option<Connector>> {
        for (text, connector) in [
            ("&&", Connector::And),
            ("||", Connector::Or),
            ("|", Connector::Pipe),
            (";", Connector::Then),
            ("\n", Connector::Then),
        ] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                let more = rest.starts_with(['&', ';', '|']);
                return (!more).then_some(Some(connector));
            }
        }
        self.rest.is_empty().then_some(None)
    }

    /// The next word; `Some(None)` where the command ends, `None` if the script is not plain.
    fn word(&mut self) -> Option<Option<Word>> {
        let mut word = Word { text: String::new(), quoted: false };
        let mut begun = false;
        while let Some(c) = self.rest.chars().next() {
            match c {
                ' ' | '\t' | '\n' | ';' | '|' => break,
                '&' if self.rest.starts_with("&&") => break,
                // zsh replaces `=name` with the program's path.
                '#' | '=' if !begun => return None,
                '\'' => self.raw(&mut word)?,
                '"' => self.double(&mut word)?,
                '\\' => self.escape(&mut word)?,
                '*' | '?' | '[' => {
                    self.globs = true;
                    word.text.extend(self.next());
                }
                _ if is_bare(c) => word.text.extend(self.next()),
                _ => return None,
            }
            begun = true;
        }
        Some(begun.then_some(word))
    }

    fn raw(&mut self, word: &mut Word) -> Option<()> {
        self.next();
        let (inside, rest) = self.rest.split_once('\'')?;
        word.text.push_str(inside);
        word.quoted = true;
        self.rest = rest;
        (!inside.contains('\0')).then_some(())
    }

    fn double(&mut self, word: &mut Word) -> Option<()> {
        self.next();
        word.quoted = true;
        loop {
            match self.next()? {
                '"' => return Some(()),
                '$' | '`' | '\0' => return None,
                '\\' => match self.next()? {
                    '\n' => {}
                    c @ ('$' | '`' | '"' | '\\') => word.text.push(c),
                    // In zsh and bash alike the backslash stays.
                    c => word.text.extend(['\\', c]),
                },
                c => word.text.push(c),
            }
        }
    }

    fn escape(&mut self, word: &mut Word) -> Option<()> {
        self.next();
        let c = self.next()?;
        if c != '\n' {
            word.quoted = true;
            word.text.push(c);
        }
        (c != '\0').then_some(())
    }
}

/// Whether the character stands for itself outside quotes.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "_-./:@%+,=~^!#]".contains(c)
        || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
}

fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    let name = name.strip_suffix('+').unwrap_or(name);
    // An index may hold anything: `a[0]=1`.
    let name = name.split('[').next().unwrap_or(name);
    let start = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    start && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Connector, plain, script_of, segments};
    use crate::tools::command::one_line;

    fn words(script: &str) -> Option<Vec<Vec<String>>> {
        plain(script).map(|script| script.commands)
    }

    #[test]
    fn plain_scripts_are_split_at_connectors() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("ls", &[&["ls"]]),
            (" ls  -l ;", &[&["ls", "-l"]]),
            ("a && b || c; d | e", &[&["a"], &["b"], &["c"], &["d"], &["e"]]),
            ("a\n\nb &&\n c\n", &[&["a"], &["b"], &["c"]]),
            ("echo 'a b' \"c d\" e'f'\"g\"", &[&["echo", "a b", "c d", "efg"]]),
            ("rg \"a\\.b\\\"\" x\\ y", &[&["rg", "a\\.b\"", "x y"]]),
            ("echo '' a#b x=1 é", &[&["echo", "", "a#b", "x=1", "é"]]),
            ("'FOO=1' x", &[&["FOO=1", "x"]]),
            ("a \\\n b", &[&["a", "b"]]),
            ("test ! -f ~/x", &[&["test", "!", "-f", "~/x"]]),
        ];
        for (script, expected) in cases {
            let found = words(script).unwrap_or_else(|| panic!("{script:?} is plain"));
            assert_eq!(&found, expected, "{script:?}");
        }
    }

    #[test]
    fn everything_else_is_opaque() {
        for script in [
            "",
            "  \n",
            ";",
            "a &&",
            "a |",
            "| a",
            "a ;; b",
            "a & b",
            "a &",
            "a |& b",
            "a &&& b",
            "a > f",
            "a < f",
            "a 2>&1",
            "a << E\nE",
            "echo $x",
            "echo \"$x\"",
            "echo `x`",
            "echo \"`x`\"",
            "$(x)",
            "(a)",
            "{ a; }",
            "echo {a,b}",
            "X=1 a",
            "a[0]=1",
            "X+=1",
            "a # b",
            "#a",
            "if a; then b; fi",
            "! a",
            "[ a ]",
            "time a",
            "for",
            "echo 'a",
            "echo \"a",
            "a \\",
            "cat =ls",
            "a\rb",
            "a\0b",
            "a 'b\0'",
            "a\u{85}b",
            "ls;&",
            "- ls",
            "noglob ls",
        ] {
            assert_eq!(words(script), None, "{script:?}");
        }
    }

    #[test]
    fn globs_and_connectors_are_told() {
        let script = plain("ls *.rs | wc; a").expect("is plain");
        assert!(script.globs);
        assert_eq!(script.connectors, [Connector::Pipe, Connector::Then]);
        assert!(!plain("ls '*.rs' \"?\" \\[").expect("is plain").globs);
    }

    #[test]
    fn only_a_shell_with_one_script_has_one() {
        assert_eq!(script_of(&["/bin/bash", "-lc", "ls"]), Some("ls"));
        assert_eq!(script_of(&["zsh", "-c", "ls"]), Some("ls"));
        for argv in [&["fish", "-c", "ls"][..], &["bash", "-x", "ls"], &["bash", "-c", "ls", "0"]] {
            assert_eq!(script_of(argv), None, "{argv:?}");
        }
        let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let found = segments(&argv(&["bash", "-c", "a; b"]), "");
        assert_eq!(found.commands, [argv(&["a"]), argv(&["b"])]);
        assert!(found.certain && found.trusted);
        let opaque = argv(&["bash", "-c", "a > b"]);
        let found = segments(&opaque, "");
        assert!(found.commands == [opaque] && !found.certain);
        let own = argv(&["/home/u/bin/zsh", "-c", "a *"]);
        assert!(!segments(&own, "/bin/bash").trusted);
        let found = segments(&own, "/home/u/bin/zsh");
        assert!(found.trusted && !found.certain);
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(
            commands in proptest::collection::vec(
                proptest::collection::vec("[a-z \t\n'\"$`\\\\;&|<>()*?#=!~{}-]{1,6}", 1..4), 1..4)
        ) {
            let lines: Vec<_> = commands.iter().map(|words| one_line(words)).collect();
            let found = words(&lines.join(" && "));
            // A quoted reserved word is a command like any other; an unquoted one is not plain.
            if let Some(found) = found {
                prop_assert_eq!(found, commands);
            }
        }

        #[test]
        fn no_script_panics_or_has_an_empty_command(script in "\\PC{0,40}") {
            if let Some(script) = plain(&script) {
                prop_assert!(script.commands.iter().all(|words| !words.is_empty()));
                prop_assert_eq!(script.connectors.len() + 1, script.commands.len());
            }
        }
    }
}
