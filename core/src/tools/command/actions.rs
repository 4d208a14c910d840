//! What a command does, told for a reader: reads a file, lists, searches, or something else
//! (engine.md §3.3.1). Only for display; nothing is decided by it.

mod kinds;

use super::script::{self, Script};
use super::{base_name, one_line};
use crate::wire::v2::item::CommandAction;
use kinds::{is_helper, kind_of};

/// The actions of a command, at least one.
pub fn actions(argv: &[String]) -> Vec<CommandAction> {
    if let Some(text) = script::script_of(argv) {
        return match script::plain(text) {
            Some(script) => told(script, Some(text)),
            None => vec![CommandAction::Unknown { command: text.to_owned() }],
        };
    }
    if let Some(text) = power_shell(argv) {
        return vec![CommandAction::Unknown { command: text.to_owned() }];
    }
    told(split(argv), None)
}

fn power_shell(argv: &[String]) -> Option<&str> {
    let (program, args) = argv.split_first()?;
    let name = program.rsplit(['/', '\\']).next()?.to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match (name, words.as_slice()) {
        ("pwsh" | "powershell", [.., flag, text]) if flag.eq_ignore_ascii_case("-command") => {
            Some(text)
        }
        _ => None,
    }
}

/// Words split where a connector stands among them as a word of its own.
fn split(argv: &[String]) -> Script {
    let answers =
        matches!(argv, [first, pipe, ..] if matches!(first.as_str(), "yes" | "no") && pipe == "|");
    let argv = argv.get(if answers { 2 } else { 0 }..).unwrap_or_default();
    let is_connector = |word: &String| matches!(word.as_str(), "&&" | "||" | "|" | ";");
    let commands = argv.split(is_connector).filter(|words| !words.is_empty());
    let commands: Vec<_> = commands.map(<[String]>::to_vec).collect();
    let connectors = vec![script::Connector::Then; commands.len().saturating_sub(1)];
    Script { commands, connectors, globs: false }
}

/// The actions of plain commands; `text` is the script that they stand in.
fn told(script: Script, text: Option<&str>) -> Vec<CommandAction> {
    let whole = match text {
        Some(text) => text.to_owned(),
        None => script.commands.iter().map(|c| one_line(c)).collect::<Vec<_>>().join(" "),
    };
    let single = script.connectors.is_empty();
    let piped = script.connectors.contains(&script::Connector::Pipe);
    let cuts = script.commands.iter().any(|words| is_sed_print(words));
    let mut found = summarised(script.commands);
    if found.len() > 1 {
        simplify(&mut found);
    }
    found.dedup();
    match found.as_mut_slice() {
        [] => return vec![CommandAction::Unknown { command: whole }],
        [CommandAction::Read { command, .. }] if !single && piped && cuts => *command = whole,
        _ => {}
    }
    found
}

/// The action of each command that does more than shape the output of another. A change of folder
/// shows in the paths of what is read after it.
fn summarised(commands: Vec<Vec<String>>) -> Vec<CommandAction> {
    let mut folder: Option<String> = None;
    let mut found = Vec::new();
    for words in commands.iter().filter(|words| !is_helper(words)) {
        if let [program, rest @ ..] = words.as_slice()
            && program == "cd"
        {
            let target = rest.iter().rfind(|word| !word.starts_with('-'));
            folder = target.map(|target| joined(folder.as_deref(), target)).or(folder);
            continue;
        }
        let mut action = kind_of(words);
        if let CommandAction::Read { path, .. } = &mut action {
            *path = joined(folder.as_deref(), path);
        }
        found.push(action);
    }
    found
}

fn joined(folder: Option<&str>, path: &str) -> String {
    match folder {
        Some(folder) if !path.starts_with('/') => {
            format!("{}/{path}", folder.trim_end_matches('/'))
        }
        _ => path.to_owned(),
    }
}

/// Leaves out what only frames the rest, as long as something is left.
fn simplify(found: &mut Vec<CommandAction>) {
    let unknown = |action: &CommandAction, is: &dyn Fn(&str) -> bool| match action {
        CommandAction::Unknown { command } => is(command),
        CommandAction::Read { .. }
        | CommandAction::ListFiles { .. }
        | CommandAction::Search { .. } => false,
    };
    let frames = |command: &str| command == "true" || command.starts_with("nl -");
    let kept = found.iter().filter(|action| !unknown(action, &frames)).cloned();
    let mut kept: Vec<_> = kept.collect();
    let echoes = |command: &str| command == "echo" || command.starts_with("echo ");
    if kept.len() > 1 && kept.first().is_some_and(|action| unknown(action, &echoes)) {
        kept.remove(0);
    }
    if !kept.is_empty() {
        *found = kept;
    }
}

fn is_sed_print(words: &[String]) -> bool {
    matches!(words, [sed, n, ..] if base_name(sed) == "sed" && n == "-n")
}

#[cfg(test)]
mod tests {
    use super::actions;
    use crate::wire::v2::item::CommandAction;

    fn of(script: &str) -> Vec<String> {
        shown(&["bash".to_owned(), "-lc".to_owned(), script.to_owned()])
    }

    fn shown(argv: &[String]) -> Vec<String> {
        let show = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let line = |action| match action {
            CommandAction::Read { command, name, path } => {
                format!("read({command}|{name}|{path})")
            }
            CommandAction::ListFiles { command, path } => format!("list({command}|{})", show(path)),
            CommandAction::Search { command, query, path } => {
                format!("search({command}|{}|{})", show(query), show(path))
            }
            CommandAction::Unknown { command } => format!("unknown({command})"),
        };
        actions(argv).into_iter().map(line).collect()
    }

    #[test]
    fn scripts_are_told_by_what_they_do() {
        let cases: &[(&str, &[&str])] = &[
            ("touch made-by-model", &["unknown(touch made-by-model)"]),
            ("echo hi > f", &["unknown(echo hi > f)"]),
            ("ls", &["list(ls|-)"]),
            ("ls -la src/tools/", &["list(ls -la src/tools/|tools)"]),
            ("rg -n 'a b' core/src", &["search(rg -n 'a b' core/src|a b|core)"]),
            ("rg --files | head -n 5", &["list(rg --files|-)"]),
            ("cat README.md", &["read(cat README.md|README.md|README.md)"]),
            ("cd core && cat src/lib.rs", &["read(cat src/lib.rs|lib.rs|core/src/lib.rs)"]),
            ("sed -n 1,5p a/b.rs", &["read(sed -n '1,5p' a/b.rs|b.rs|a/b.rs)"]),
            ("cat f | sed -n 1,5p", &["read(cat f | sed -n 1,5p|f|f)"]),
            ("wc -l", &["unknown(wc -l)"]),
            ("cd x", &["unknown(cd x)"]),
            ("echo go && ls; true", &["list(ls|-)"]),
            ("ls && ls", &["list(ls|-)"]),
            (
                "git grep x src && git ls-files",
                &["search(git grep x src|x|src)", "list(git ls-files|-)"],
            ),
            ("find . -name '*.rs'", &["search(find . -name '*.rs'|*.rs|.)"]),
            ("ls *.rs", &["list(ls '*.rs'|*.rs)"]),
        ];
        for (script, expected) in cases {
            assert_eq!(of(script), *expected, "{script}");
        }
    }

    #[test]
    fn other_command_lines_are_split_at_their_connectors() {
        let argv = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(shown(&argv("yes | cat f && ls")), ["read(cat f|f|f)", "list(ls|-)"]);
        assert_eq!(shown(&argv("pwsh -NoProfile -Command ls")), ["unknown(ls)"]);
        assert_eq!(shown(&[]), ["unknown()"]);
    }
}
