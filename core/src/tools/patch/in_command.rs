//! Patches that models send through the shell tool (engine.md §6.5).
//!
//! A small reader of the few forms that models use, not a shell. What is not one of them to the
//! last character is left to the shell: taking too little costs a detour, taking too much would
//! do something else than the command says.

use std::path::PathBuf;

use super::parse::parse;

/// A patch in a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InCommand {
    /// The command applies it.
    Patch {
        /// The patch.
        text: String,
        /// The folder that the script changes to first; relative to the command's own.
        folder: Option<PathBuf>,
    },
    /// The command is the patch itself. It is refused with
    /// [`BARE_PATCH`](super::report::BARE_PATCH).
    Bare,
}

/// The patch in a command, if there is one and nothing else.
pub(crate) fn in_command(argv: &[String]) -> Option<InCommand> {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    match *argv.as_slice() {
        [name, text] if is_tool(name) => {
            Some(InCommand::Patch { text: text.to_owned(), folder: None })
        }
        [script] => bare(script),
        [shell, flag, script] => in_text(script, language(shell, &[flag])?),
        [shell, flag, other, script] => in_text(script, language(shell, &[flag, other])?),
        _ => None,
    }
}

/// How a shell reads quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Posix,
    Other,
}

fn in_text(script: &str, language: Language) -> Option<InCommand> {
    if let Some(bare) = bare(script) {
        return Some(bare);
    }
    let script = script.trim();
    let (folder, call) = match script.strip_prefix("cd").and_then(after_blank) {
        Some(rest) => {
            let (folder, rest) = folder(rest)?;
            (Some(folder), rest.trim_start_matches(BLANK).strip_prefix("&&")?.trim_start())
        }
        None => (None, script),
    };
    let end = call.find(BLANK).or_else(|| call.find('<'))?;
    let (name, argument) = call.split_at_checked(end)?;
    let (name, argument) = match name.split_once('<') {
        // The blank was behind the mark.
        Some((name, _)) => (name, call.get(name.len()..)?),
        None => (name, argument),
    };
    if !is_tool(name) {
        return None;
    }
    let argument = argument.trim_start_matches(BLANK);
    let posix = language == Language::Posix;
    let text = heredoc(argument).or_else(|| quoted(argument).filter(|_| posix))?;
    Some(InCommand::Patch { text, folder })
}

const BLANK: [char; 2] = [' ', '\t'];

fn is_tool(name: &str) -> bool {
    matches!(name, "apply_patch" | "applypatch")
}

fn bare(text: &str) -> Option<InCommand> {
    parse(text).is_ok().then_some(InCommand::Bare)
}

/// How the script behind these words is read, if they run one.
fn language(shell: &str, flags: &[&str]) -> Option<Language> {
    let name = shell.rsplit(['/', '\\']).next().unwrap_or(shell).to_lowercase();
    let name = name.split_once('.').map_or(name.as_str(), |(name, _)| name);
    let flags: Vec<String> = flags.iter().map(|flag| flag.to_lowercase()).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    match (name, flags.as_slice()) {
        ("bash" | "zsh" | "sh", ["-lc" | "-c"]) => Some(Language::Posix),
        ("pwsh" | "powershell", ["-command"] | ["-noprofile", "-command"]) | ("cmd", ["/c"]) => {
            Some(Language::Other)
        }
        _ => None,
    }
}

fn after_blank(text: &str) -> Option<&str> {
    Some(text.trim_start_matches(BLANK)).filter(|rest| rest.len() < text.len())
}

/// One word or one quoted string that the shell would leave as it is, and what follows.
fn folder(text: &str) -> Option<(PathBuf, &str)> {
    let (folder, rest) = match text.chars().next()? {
        '\'' => text.get(1..)?.split_once('\'')?,
        '"' => {
            let (folder, rest) = text.get(1..)?.split_once('"')?;
            (!folder.contains(['$', '`', '\\', '!'])).then_some((folder, rest))?
        }
        _ => {
            let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
            let end = text.find(|c| !plain(c)).unwrap_or(text.len());
            text.split_at_checked(end)?
        }
    };
    // An option, the folder before, or the user's own.
    let special = folder.is_empty() || folder.starts_with('-');
    let ends = rest.starts_with(BLANK) || rest.starts_with("&&");
    (!special && ends).then(|| (PathBuf::from(folder), rest))
}

/// The text of a here document with nothing behind it. Taken as it stands also when the shell would
/// look for variables in it: no model means that.
fn heredoc(text: &str) -> Option<String> {
    let text = text.strip_prefix("<<")?.trim_start_matches(BLANK);
    let (first, body) = text.split_once('\n')?;
    let first = first.trim_end();
    let quotes = ['\'', '"'].into_iter().find(|quote| first.starts_with(*quote));
    let mark = match quotes {
        Some(quote) => first.strip_prefix(quote)?.strip_suffix(quote)?,
        None => first,
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if mark.is_empty() || !mark.chars().all(word) {
        return None;
    }
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        if line.trim_end_matches(['\n', '\r']) == mark {
            let behind = body.get(at + line.len()..)?;
            return behind.trim().is_empty().then(|| body.get(..at).map(str::to_owned))?;
        }
        at += line.len();
    }
    None
}

/// The one quoted string that `text` is, as a POSIX shell reads it. None if the shell would put
/// something in.
fn quoted(text: &str) -> Option<String> {
    if let Some(text) = text.strip_prefix('\'') {
        return text.strip_suffix('\'').filter(|text| !text.contains('\'')).map(str::to_owned);
    }
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '$' | '`' => return None,
            '\\' => match chars.next()? {
                '\n' => {}
                escaped @ ('"' | '$' | '`' | '\\') => out.push(escaped),
                other => out.extend(['\\', other]),
            },
            plain => out.push(plain),
        }
    }
    Some(out)
}
