//! What one plain command does, by its program and operands.

use crate::tools::command::safety::is_line_range;
use crate::tools::command::{base_name, one_line};
use crate::wire::v2::item::CommandAction;

/// Whether the command only shapes the output of another (engine.md §3.3.1, 1).
pub(super) fn is_helper(words: &[String]) -> bool {
    let Some((program, args)) = words.split_first() else {
        return true;
    };
    match base_name(program) {
        "wc" | "tr" | "cut" | "sort" | "uniq" | "tee" | "column" | "yes" | "printf" => true,
        "xargs" => !changes_in_place(args),
        "awk" => awk_file(args).is_none(),
        "head" | "tail" => operands(args, &["-n", "-c", "--lines", "--bytes"]).is_empty(),
        "sed" => sed_file(args).is_none(),
        _ => false,
    }
}

/// Whether `xargs` has a program rewrite the files that it is given.
fn changes_in_place(args: &[String]) -> bool {
    let programs = ["perl", "ruby", "sed", "rg"];
    let mut words = args.iter().map(String::as_str);
    let Some(program) = words.find(|word| programs.contains(&base_name(word))) else {
        return false;
    };
    words.any(|word| match base_name(program) {
        "rg" => word == "-r" || word.starts_with("--replace"),
        "sed" => word.starts_with("-i") || word.starts_with("--in-place"),
        _ => word.starts_with('-') && !word.starts_with("--") && word.contains('i'),
    })
}

/// What the command does.
pub(super) fn kind_of(words: &[String]) -> CommandAction {
    let command = one_line(words);
    let Some((program, args)) = words.split_first() else {
        return CommandAction::Unknown { command };
    };
    let name = base_name(program);
    let found = match name {
        "ls" | "eza" | "exa" | "tree" | "du" => Found::list(operands(args, LISTING_VALUES).first()),
        "rg" | "rga" | "ripgrep-all" => ripgrep(args),
        "grep" | "egrep" | "fgrep" => grep(args),
        "git" => git(args),
        "fd" | "find" => finding(name, args),
        "ag" | "ack" | "pt" => {
            let operands = operands(args, SEARCH_VALUES);
            Found::search(operands.first(), operands.get(1))
        }
        _ if name.starts_with("python") => python(args),
        _ => reading(name, args),
    };
    found.action(command)
}

enum Found<'a> {
    Read(&'a str),
    List(Option<&'a str>),
    Search(Option<&'a str>, Option<&'a str>),
    Other,
}

impl<'a> Found<'a> {
    fn list(path: Option<&&'a str>) -> Self {
        Self::List(path.copied())
    }

    fn search(query: Option<&&'a str>, path: Option<&&'a str>) -> Self {
        Self::Search(query.copied(), path.copied())
    }

    fn action(self, command: String) -> CommandAction {
        match self {
            Found::Read(path) => {
                CommandAction::Read { command, name: shortened(path), path: path.to_owned() }
            }
            Found::List(path) => CommandAction::ListFiles { command, path: path.map(shortened) },
            Found::Search(query, path) => CommandAction::Search {
                command,
                query: query.map(str::to_owned),
                path: path.map(shortened),
            },
            Found::Other => CommandAction::Unknown { command },
        }
    }
}

/// The last part of a path that says something.
fn shortened(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.trim_end_matches('/');
    let dull = |part: &&str| !matches!(*part, "" | "build" | "dist" | "node_modules" | "src");
    path.rsplit('/').find(dull).unwrap_or(path).to_owned()
}

/// The arguments that are no options and no values of them.
fn operands<'a>(args: &'a [String], with_value: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if arg == "--" {
            found.extend(args);
            break;
        }
        if with_value.contains(&arg) {
            args.next();
        } else if arg == "-" || !arg.starts_with('-') {
            found.push(arg);
        }
    }
    found
}

const LISTING_VALUES: &[&str] = &[
    "-I",
    "-w",
    "-L",
    "-P",
    "-d",
    "-B",
    "--block-size",
    "--charset",
    "--color",
    "--exclude",
    "--filelimit",
    "--format",
    "--ignore-glob",
    "--max-depth",
    "--quoting-style",
    "--sort",
    "--time",
    "--time-style",
];

const SEARCH_VALUES: &[&str] = &[
    "-A",
    "-B",
    "-C",
    "-E",
    "-G",
    "-M",
    "-T",
    "-d",
    "-e",
    "-f",
    "-g",
    "-j",
    "-m",
    "-t",
    "--after-context",
    "--before-context",
    "--context",
    "--encoding",
    "--file",
    "--glob",
    "--iglob",
    "--max-count",
    "--max-depth",
    "--regexp",
    "--threads",
    "--type",
    "--type-add",
    "--type-not",
];

const GREP_VALUES: &[&str] = &[
    "-A",
    "-B",
    "-C",
    "-D",
    "-d",
    "-e",
    "-f",
    "-m",
    "--after-context",
    "--before-context",
    "--binary-files",
    "--context",
    "--exclude",
    "--exclude-dir",
    "--file",
    "--include",
    "--max-count",
    "--regexp",
];

fn ripgrep(args: &[String]) -> Found<'_> {
    if args.iter().any(|arg| arg == "--files") {
        return Found::list(operands(args, SEARCH_VALUES).first());
    }
    patterned(args, SEARCH_VALUES)
}

fn grep(args: &[String]) -> Found<'_> {
    patterned(args, GREP_VALUES)
}

/// A search whose pattern is the first operand, unless an option has it.
fn patterned<'a>(args: &'a [String], values: &[&str]) -> Found<'a> {
    let operands = operands(args, values);
    let mut after = args.iter().skip_while(|arg| !matches!(arg.as_str(), "-e" | "--regexp"));
    match after.nth(1) {
        Some(pattern) => Found::search(Some(&pattern.as_str()), operands.first()),
        None => Found::search(operands.first(), operands.get(1)),
    }
}

fn git(args: &[String]) -> Found<'_> {
    match args.split_first() {
        Some((first, rest)) if first == "grep" => grep(rest),
        Some((first, rest)) if first == "ls-files" => {
            Found::list(operands(rest, &["-x", "-X", "--exclude", "--exclude-from"]).first())
        }
        _ => Found::Other,
    }
}

fn finding<'a>(name: &str, args: &'a [String]) -> Found<'a> {
    if name == "find" {
        let is_test = |arg: &&String| arg.starts_with(['-', '!', '(']);
        let path = args.first().filter(|arg| !is_test(arg)).map(String::as_str);
        let names = ["-name", "-iname", "-path", "-ipath", "-regex", "-iregex"];
        let mut after = args.iter().skip_while(|arg| !names.contains(&arg.as_str()));
        return match after.nth(1) {
            Some(query) => Found::Search(Some(query), path),
            None => Found::List(path),
        };
    }
    let values = ["-t", "-e", "-E", "-d", "--type", "--extension", "--exclude", "--max-depth"];
    match operands(args, &values).as_slice() {
        [] => Found::List(None),
        [one] if one.contains('/') || *one == "." => Found::List(Some(one)),
        [query, rest @ ..] => Found::search(Some(query), rest.first()),
    }
}

fn python(args: &[String]) -> Found<'_> {
    let walks = ["os.walk", "os.listdir", "os.scandir", "glob.glob", "glob.iglob", ".rglob("];
    match args {
        [flag, code, ..] if flag == "-c" && walks.iter().any(|walk| code.contains(walk)) => {
            Found::List(None)
        }
        _ => Found::Other,
    }
}

fn reading<'a>(name: &str, args: &'a [String]) -> Found<'a> {
    let only = |values: &[&str]| match operands(args, values).as_slice() {
        [file] => Some(*file),
        _ => None,
    };
    let file = match name {
        "cat" | "more" => only(&[]),
        "bat" | "batcat" => only(BAT_VALUES),
        "less" => only(&["-p", "-P", "-x", "-y", "-z", "-j", "--pattern"]),
        "head" | "tail" => only(&["-n", "-c", "--lines", "--bytes"]),
        "nl" => only(&["-s", "-w", "-v", "-i", "-b"]),
        "awk" => awk_file(args),
        "sed" => sed_file(args),
        _ => None,
    };
    file.map_or(Found::Other, Found::Read)
}

const BAT_VALUES: &[&str] = &[
    "-H",
    "-l",
    "-m",
    "-r",
    "--highlight-line",
    "--language",
    "--line-range",
    "--map-syntax",
    "--style",
    "--tabs",
    "--terminal-width",
    "--theme",
];

/// The data file of `awk`.
fn awk_file(args: &[String]) -> Option<&str> {
    let operands = operands(args, &["-F", "-v", "-f", "--file"]);
    let program_in_file = args.iter().any(|arg| arg == "-f" || arg == "--file");
    operands.get(usize::from(!program_in_file)).copied()
}

/// The file of `sed -n 1,5p file`.
fn sed_file(args: &[String]) -> Option<&str> {
    match args {
        [n, range, file] if n == "-n" && is_line_range(range) => Some(file),
        _ => None,
    }
}
