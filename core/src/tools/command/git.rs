//! What git commands do, as far as their words tell (engine.md §4.3, §13, 3).

/// Options before the subcommand that take a value of their own.
const GLOBAL_WITH_VALUE: &[&str] = &[
    "-C",
    "-c",
    "--attr-source",
    "--config-env",
    "--exec-path",
    "--git-dir",
    "--list-cmds",
    "--namespace",
    "--super-prefix",
    "--work-tree",
];

/// The subcommand, behind whatever options stand before it.
pub(super) fn subcommand<'a>(args: &[&'a str]) -> Option<&'a str> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !arg.starts_with('-') {
            return Some(arg);
        }
        if GLOBAL_WITH_VALUE.contains(arg) {
            args.next();
        }
    }
    None
}

/// Whether the command only shows something, and starts no program of somebody's choice. Options
/// before the subcommand can do both, so there may be none.
pub(super) fn is_read_only(args: &[&str]) -> bool {
    match args.split_first() {
        Some((&"status", rest)) => all_known(rest, STATUS),
        Some((&("log" | "diff" | "show"), rest)) => all_known(rest, HISTORY),
        Some((&"branch", rest)) => lists_branches(rest),
        _ => false,
    }
}

/// Without an option that makes a list of it, `git branch NAME` makes a branch.
fn lists_branches(args: &[&str]) -> bool {
    let lists = |arg: &&str| {
        let name = arg.split('=').next().unwrap_or(arg);
        BRANCH_LISTS.contains(&name)
    };
    let operands = args.iter().any(|arg| !arg.starts_with('-'));
    all_known(args, BRANCH) && (!operands || args.iter().any(lists))
}

/// Whether each option is known to be harmless. Operands name what is shown; behind `--` there is
/// nothing else.
fn all_known(args: &[&str], known: &[&str]) -> bool {
    let mut options = args.iter().take_while(|arg| **arg != "--");
    options.all(|arg| !arg.starts_with('-') || is_known(arg, known))
}

/// `known` holds whole options, long options that may have a value (they end with `=`), and short
/// ones whose value follows at once (they end with `*`).
fn is_known(arg: &str, known: &[&str]) -> bool {
    // Verifying a signature starts the program that the configuration names.
    if arg.contains("%G") {
        return false;
    }
    let count = arg.strip_prefix('-').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let matches = |option: &&str| match (option.strip_suffix('='), option.strip_suffix('*')) {
        (Some(name), _) => arg.split('=').next() == Some(name),
        (_, Some(name)) => arg.starts_with(name),
        (None, None) => arg == *option,
    };
    (count && arg.len() > 1 && known == HISTORY) || known.iter().any(matches)
}

const STATUS: &[&str] = &[
    "-s",
    "-b",
    "-sb",
    "-v",
    "-vv",
    "-z",
    "-u*",
    "--short",
    "--branch",
    "--show-stash",
    "--porcelain=",
    "--long",
    "--verbose",
    "--untracked-files=",
    "--ignored=",
    "--ignore-submodules=",
    "--column=",
    "--no-column",
    "--ahead-behind",
    "--no-ahead-behind",
    "--renames",
    "--no-renames",
    "--find-renames=",
];

const BRANCH: &[&str] = &[
    "-a",
    "-r",
    "-v",
    "-vv",
    "-av",
    "-avv",
    "-rv",
    "-i",
    "--all",
    "--remotes",
    "--verbose",
    "--list",
    "--show-current",
    "--contains=",
    "--no-contains=",
    "--merged=",
    "--no-merged=",
    "--points-at=",
    "--sort=",
    "--format=",
    "--column=",
    "--no-column",
    "--color=",
    "--no-color",
    "--ignore-case",
    "--abbrev=",
    "--no-abbrev",
];

/// Options of `git branch` with which it lists, whatever else is there.
const BRANCH_LISTS: &[&str] =
    &["--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at"];

const HISTORY: &[&str] = &[
    "-p",
    "-u",
    "-s",
    "-w",
    "-b",
    "-z",
    "-a",
    "-i",
    "-E",
    "-F",
    "-P",
    "-W",
    "-R",
    "-q",
    "-c",
    "-m",
    "-n*",
    "-U*",
    "-M*",
    "-C*",
    "-B*",
    "-G*",
    "-S*",
    "-L*",
    "-l*",
    "--abbrev-commit",
    "--abbrev=",
    "--after=",
    "--all",
    "--all-match",
    "--author=",
    "--before=",
    "--binary",
    "--boundary",
    "--branches=",
    "--cached",
    "--cc",
    "--check",
    "--cherry",
    "--cherry-mark",
    "--cherry-pick",
    "--color-words=",
    "--color=",
    "--committer=",
    "--compact-summary",
    "--cumulative",
    "--date-order",
    "--date=",
    "--decorate-refs=",
    "--decorate=",
    "--diff-algorithm=",
    "--diff-filter=",
    "--dirstat=",
    "--exit-code",
    "--find-copies-harder",
    "--find-copies=",
    "--find-renames=",
    "--first-parent",
    "--fixed-strings",
    "--follow",
    "--format=",
    "--full-diff",
    "--full-history",
    "--full-index",
    "--function-context",
    "--graph",
    "--grep=",
    "--histogram",
    "--ignore-all-space",
    "--ignore-blank-lines",
    "--ignore-cr-at-eol",
    "--ignore-space-at-eol",
    "--ignore-space-change",
    "--ignore-submodules=",
    "--inter-hunk-context=",
    "--invert-grep",
    "--left-right",
    "--max-count=",
    "--max-parents=",
    "--merge-base",
    "--merges",
    "--min-parents=",
    "--minimal",
    "--name-only",
    "--name-status",
    "--no-abbrev-commit",
    "--no-color",
    "--no-decorate",
    "--no-ext-diff",
    "--no-merges",
    "--no-notes",
    "--no-patch",
    "--no-prefix",
    "--no-renames",
    "--no-textconv",
    "--numstat",
    "--oneline",
    "--parents",
    "--patch",
    "--patch-with-stat",
    "--patience",
    "--perl-regexp",
    "--pickaxe-all",
    "--pickaxe-regex",
    "--pretty=",
    "--quiet",
    "--raw",
    "--reflog",
    "--regexp-ignore-case",
    "--relative=",
    "--remotes=",
    "--reverse",
    "--shortstat",
    "--since=",
    "--skip=",
    "--source",
    "--staged",
    "--stat=",
    "--submodule=",
    "--summary",
    "--tags=",
    "--text",
    "--topo-order",
    "--unified=",
    "--until=",
    "--walk-reflogs",
    "--word-diff-regex=",
    "--word-diff=",
];

#[cfg(test)]
mod tests {
    use super::{is_read_only, subcommand};

    fn read_only(line: &str) -> bool {
        is_read_only(&line.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn what_only_shows_is_read_only() {
        for line in [
            "status",
            "status -sb",
            "status --porcelain=v2 -uno",
            "log",
            "log --oneline -5",
            "log -n5 --format=%h -- a",
            "log --since=1.week --author=x",
            "diff",
            "diff --cached --stat",
            "diff HEAD~1 -- -odd",
            "show HEAD:f",
            "show --name-only abc",
            "branch",
            "branch -a -vv",
            "branch --show-current",
            "branch --list a*",
            "branch --merged main",
            "branch --contains=x",
        ] {
            assert!(read_only(line), "{line}");
        }
    }

    #[test]
    fn what_may_write_or_run_is_not() {
        for line in [
            "branch x",
            "branch -D x",
            "branch -d x",
            "branch -m a b",
            "branch -f a",
            "branch -l x",
            "branch --delete x",
            "branch --list -D x",
            "branch --edit-description",
            "branch --set-upstream-to=x",
            "branch -v x",
            "diff --output=f",
            "diff --output f",
            "log --output=f",
            "log --outp f",
            "show --ext-diff",
            "diff --ext-diff",
            "diff --textconv",
            "log --show-signature",
            "log --format=%G?",
            "diff --no-index a b",
            "diff -Of",
            "-c core.pager=x log",
            "-C d status",
            "--exec-path=x status",
            "-p log",
            "--no-pager log",
            "status --nonsense",
            "push",
            "checkout .",
            "",
            "log -",
            "commit -m x",
        ] {
            assert!(!read_only(line), "{line}");
        }
    }

    #[test]
    fn the_subcommand_is_found_behind_options() {
        let of = |line: &str| subcommand(&line.split(' ').collect::<Vec<_>>()).map(str::to_owned);
        assert_eq!(of("-C d -c a=b --no-pager reset x").as_deref(), Some("reset"));
        assert_eq!(of("--git-dir=x rm").as_deref(), Some("rm"));
        assert_eq!(of("--git-dir rm reset").as_deref(), Some("reset"));
        assert_eq!(of("-C"), None);
    }
}
