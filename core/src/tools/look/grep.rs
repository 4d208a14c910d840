//! Owns: `grep_files`: the files in which ripgrep finds a pattern, the latest first
//! (engine.md §3.6).

use std::num::NonZeroUsize;
use std::path::Path;

use serde::Deserialize;

use super::{decoded, or};
use crate::approval::Escalation;
use crate::limits;
use crate::tools::shell::{OutputForm, ShellCall};

/// The codes with which ripgrep says that it found something, that it found nothing, and that it
/// could not read or understand something.
const FOUND: i32 = 0;
const NOTHING: i32 = 1;
const FAULT: i32 = 2;

#[derive(Deserialize)]
struct Arguments {
    pattern: String,
    #[serde(default)]
    include: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
}

/// The command that searches; paths begin in `cwd`.
pub(super) fn parse(arguments: &str, cwd: &Path) -> Result<ShellCall, String> {
    let Arguments { pattern, include, path, limit } = decoded(arguments)?;
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    if pattern.trim().is_empty() {
        return Err("pattern must not be empty".to_owned());
    }
    // A settings file of ripgrep's own may name programs for it to run.
    let options = ["rg", "--no-config", "--files-with-matches", "--sortr=modified", "--regexp"];
    let mut argv: Vec<String> = options.map(str::to_owned).into();
    argv.extend([pattern, "--no-messages".to_owned()]);
    if let Some(include) = filled(include) {
        argv.extend(["--glob".to_owned(), include]);
    }
    let path = filled(path).map_or_else(|| cwd.to_owned(), |path| cwd.join(path));
    argv.extend(["--".to_owned(), path.to_string_lossy().into_owned()]);
    Ok(ShellCall {
        tool: "grep_files".to_owned(),
        argv,
        workdir: None,
        limit: limits::GREP_LIMIT,
        session: None,
        escalation: Escalation::None,
        justification: None,
        prefix: None,
        form: OutputForm::Paths(or(limit, limits::GREP_FILES).min(limits::GREP_FILES_MAX)),
        is_read_only: true,
    })
}

/// What the model is told of a search that ended with this code; none if it failed.
pub(crate) fn found(exit_code: i32, stdout: &str, limit: usize) -> Option<String> {
    let paths: Vec<&str> = stdout.lines().take(limit).collect();
    match (exit_code, paths.is_empty()) {
        // That some files could not be read makes the others no less true.
        (FOUND | FAULT, false) => Some(paths.join("\n")),
        (NOTHING, true) => Some("No matches found.".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{found, parse};
    use crate::limits;
    use crate::tools::OutputForm;
    use crate::tools::command::{Hazard, hazard};

    fn argv(arguments: &str) -> Result<Vec<String>, String> {
        parse(arguments, Path::new("/w")).map(|call| call.argv)
    }

    #[test]
    fn the_command_only_searches() {
        let plain = argv(r#"{"pattern":"a|b","include":" ","path":""}"#).expect("a command");
        assert_eq!(
            plain.join(" "),
            "rg --no-config --files-with-matches --sortr=modified --regexp a|b --no-messages -- /w"
        );
        assert_eq!(hazard(&plain), Hazard::Safe);
        let full = argv(r#"{"pattern":"-x","include":"*.rs","path":"src"}"#).expect("a command");
        assert_eq!(
            &full[4..],
            ["--regexp", "-x", "--no-messages", "--glob", "*.rs", "--", "/w/src"]
        );
        assert_eq!(argv(r#"{"pattern":" "}"#), Err("pattern must not be empty".to_owned()));
        let most = parse(r#"{"pattern":"x","limit":5000}"#, Path::new("/w")).expect("a command");
        assert_eq!(most.form, OutputForm::Paths(limits::GREP_FILES_MAX));
        assert_eq!(most.limit, limits::GREP_LIMIT);
    }

    #[test]
    fn the_first_paths_are_told() {
        assert_eq!(found(0, "/b\n/a\n/c\n", 2).as_deref(), Some("/b\n/a"));
        assert_eq!(found(1, "", 2).as_deref(), Some("No matches found."));
        assert_eq!(found(2, "/b\n", 2).as_deref(), Some("/b"));
        assert_eq!(found(2, "", 2), None);
        assert_eq!(found(124, "/b\n", 2), None, "it was stopped on the way");
    }
}
