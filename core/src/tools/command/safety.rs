//! Which plain commands are harmless enough to run unasked, and which are dangerous
//! (engine.md §4.3).
//!
//! Invariant: harmless means that no option and no operand of the command makes it write a file,
//! start a program or talk to somebody. So options that are not known are not harmless
//! (engine.md §13, 3). The reference also lets through `cargo check`, which runs build scripts,
//! `uniq in out`, and any program named like a harmless one wherever it lies; these are unknown here.

use super::{base_name, git, is_well_known, script};
use crate::limits;

/// What is to be feared of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hazard {
    /// It only reads.
    Safe,
    /// It may do anything.
    Unknown,
    /// It destroys what cannot be had again.
    Dangerous,
}

impl Hazard {
    /// Each of them, the least first.
    pub const ALL: [Self; 3] = [Self::Safe, Self::Unknown, Self::Dangerous];
}

/// What is to be feared of a command given by its words. The script of a shell is as bad as its
/// worst command; one that is not plain is at least unknown.
pub fn hazard(argv: &[String]) -> Hazard {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    judge(&words, limits::NESTED_SCRIPTS_MAX)
}

fn judge(argv: &[&str], depth: usize) -> Hazard {
    if let Some(text) = script::script_of(argv) {
        let Some(depth) = depth.checked_sub(1) else {
            return Hazard::Dangerous;
        };
        let Some(script) = script::plain(text) else {
            return Hazard::Unknown;
        };
        let worst = script.commands.iter().map(|command| {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            judge(&words, depth)
        });
        let worst = worst.max().unwrap_or(Hazard::Unknown);
        // A file's name may look like an option, and a file may be named like a shell.
        let known = !script.globs && argv.first().is_some_and(|shell| is_well_known(shell));
        return if known { worst } else { worst.max(Hazard::Unknown) };
    }
    let Some((program, args)) = argv.split_first() else {
        return Hazard::Unknown;
    };
    match base_name(program) {
        "sudo" | "doas" | "env" | "command" | "exec" | "nohup" => wrapped(args, depth),
        name if is_dangerous(name, args) => Hazard::Dangerous,
        name if is_well_known(program) && is_safe(name, args) => Hazard::Safe,
        _ => Hazard::Unknown,
    }
}

/// A program that runs the rest of its words is never safe, and as dangerous as any command that
/// they may hold: which of its options take a value is not known, so a word after an option is
/// tried as a command and passed over as a value.
fn wrapped(args: &[&str], depth: usize) -> Hazard {
    let Some(depth) = depth.checked_sub(1) else {
        return Hazard::Dangerous;
    };
    let mut tried = 0;
    // How many words in a row may be the command; a value and the command after an option.
    let mut candidates = 1;
    for (at, word) in args.iter().enumerate() {
        if word.starts_with('-') || word.contains('=') {
            candidates = 2;
            continue;
        }
        if candidates == 0 {
            break;
        }
        candidates -= 1;
        tried += 1;
        let command = args.get(at..).unwrap_or_default();
        if tried > limits::WRAPPED_WORDS_MAX || judge(command, depth) == Hazard::Dangerous {
            return Hazard::Dangerous;
        }
    }
    Hazard::Unknown
}

fn is_dangerous(name: &str, args: &[&str]) -> bool {
    match name {
        "rm" => {
            let options = args.iter().take_while(|arg| **arg != "--");
            options.into_iter().any(|arg| *arg == "--force" || has_flag(arg, 'f'))
        }
        _ if name.ends_with("git") => matches!(git::subcommand(args), Some("reset" | "rm")),
        _ => false,
    }
}

/// Whether an argument is a group of one-letter options with this one in it.
fn has_flag(arg: &str, flag: char) -> bool {
    arg.strip_prefix('-').is_some_and(|flags| !flags.starts_with('-') && flags.contains(flag))
}

/// Programs that only read, whatever their arguments.
const READERS: &[&str] = &[
    "cat", "cd", "cut", "echo", "expr", "false", "grep", "head", "id", "ls", "nl", "numfmt",
    "paste", "pwd", "rev", "seq", "stat", "tac", "tail", "tr", "true", "uname", "wc", "which",
    "whoami",
];

fn is_safe(name: &str, args: &[&str]) -> bool {
    match name {
        "base64" => !args.iter().any(|arg| has_flag(arg, 'o') || arg.starts_with("--o")),
        "find" => !args.iter().any(|arg| is_find_action(arg)),
        "git" => git::is_read_only(args),
        "rg" => !args.iter().any(|arg| is_rg_launcher(arg)),
        "sed" => is_sed_print(args),
        // The second file is written.
        "uniq" => args.iter().filter(|arg| **arg == "-" || !arg.starts_with('-')).count() <= 1,
        _ => READERS.contains(&name),
    }
}

fn is_find_action(arg: &str) -> bool {
    ["-exec", "-ok", "-delete", "-fls", "-fprint"].iter().any(|action| arg.starts_with(action))
}

/// Options with which ripgrep starts programs.
fn is_rg_launcher(arg: &str) -> bool {
    let name = arg.split('=').next().unwrap_or(arg);
    matches!(name, "--pre" | "--hostname-bin" | "--search-zip") || has_flag(arg, 'z')
}

/// `-n 3p` or `-n 1,5p`, with at most one file.
fn is_sed_print(args: &[&str]) -> bool {
    match args {
        ["-n", lines] => is_line_range(lines),
        ["-n", lines, file] => is_line_range(lines) && !file.starts_with('-'),
        _ => false,
    }
}

/// Whether a sed script only prints a line or a range of lines.
pub(super) fn is_line_range(text: &str) -> bool {
    let Some(range) = text.strip_suffix('p') else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match range.split_once(',') {
        Some((from, to)) => number(from) && number(to),
        None => number(range),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Hazard, hazard};

    fn of(line: &str) -> Hazard {
        let argv = shlex::split(line).unwrap_or_else(|| panic!("{line:?} splits"));
        hazard(&argv)
    }

    #[test]
    fn readers_are_safe() {
        for line in [
            "ls -la",
            "/bin/cat a b",
            "cd x",
            "grep -rn x .",
            "base64 f",
            "base64 -d f",
            "find . -name x -type f",
            "rg -n x src",
            "sed -n 1,5p f",
            "sed -n 3p",
            "uniq -c f",
            "bash -lc 'ls && cat x | head -3'",
            "zsh -c 'bash -c \"ls\"'",
            "wc -l f",
            "tac f",
        ] {
            assert_eq!(of(line), Hazard::Safe, "{line}");
        }
    }

    #[test]
    fn what_could_write_or_run_is_not_safe() {
        for line in [
            "touch x",
            "./ls",
            "./bash -c ls",
            "/tmp/cat x",
            "base64 -o f",
            "base64 -of",
            "base64 -Do f",
            "base64 --output=f",
            "base64 --out f",
            "find . -delete",
            "find . -exec x ;",
            "find . -execdir x ;",
            "find . -okdir x ;",
            "find . -fls f",
            "find . -fprintf f x",
            "rg --pre x y",
            "rg --pre=x y",
            "rg --hostname-bin=x y",
            "rg -z x",
            "rg -nz x",
            "rg --search-zip x",
            "sed 1,5p f",
            "sed -n 1,5w f",
            "sed -n 1,5p f g",
            "sed -n 1,5p -i",
            "sed -i s/a/b/ f",
            "sed -n ,5p f",
            "uniq a b",
            "cargo check",
            "bash -lc 'ls > f'",
            "bash -lc 'cat *'",
            "bash -lc 'ls; touch x'",
            "sudo ls",
            "env ls",
            "rm x",
            "rm -r x",
            "python3 -c 1",
            "fish -c ls",
            "",
        ] {
            assert_eq!(of(line), Hazard::Unknown, "{line}");
        }
    }

    #[test]
    fn what_destroys_is_dangerous() {
        for line in [
            "rm -f x",
            "rm -rf x",
            "rm -fr x",
            "rm -r -f x",
            "rm --force x",
            "/bin/rm -rf x",
            "git reset --hard",
            "git rm x",
            "git -C d reset",
            "/usr/bin/git -c a=b rm x",
            "sudo rm -rf x",
            "sudo -u root rm -f x",
            "sudo -E git reset",
            "env A=1 rm -rf x",
            "command rm -rf x",
            "bash -lc 'ls; rm -rf x'",
            "bash -lc 'rm -rf *'",
            "sudo bash -c 'rm -f x'",
            "sudo sudo rm -f x",
            "sudo -u root -E -- rm -f x",
        ] {
            assert_eq!(of(line), Hazard::Dangerous, "{line}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let mut argv = vec!["ls".to_owned()];
        for _ in 0..20 {
            let line = crate::tools::command::one_line(&argv);
            argv = vec!["bash".to_owned(), "-c".to_owned(), line];
            if argv.iter().map(String::len).sum::<usize>() > 1 << 16 {
                break;
            }
        }
        assert_eq!(hazard(&argv), Hazard::Dangerous);
        let sudo = vec!["sudo".to_owned(); 1000];
        assert_eq!(hazard(&sudo), Hazard::Dangerous);
    }

    proptest! {
        #[test]
        fn a_script_is_as_bad_as_its_worst(a in 0..3usize, b in 0..3usize) {
            let lines = ["ls", "touch x", "rm -f x"];
            let script = format!("{} && {}", lines[a], lines[b]);
            let argv = ["bash", "-c", &script].map(str::to_owned);
            prop_assert_eq!(hazard(&argv), Hazard::ALL[a.max(b)]);
        }

        #[test]
        fn a_wrapper_is_never_safe(words in proptest::collection::vec("[a-z=-]{1,4}", 0..4)) {
            let argv: Vec<_> = std::iter::once("sudo".to_owned()).chain(words).collect();
            prop_assert_ne!(hazard(&argv), Hazard::Safe);
        }
    }
}
