//! The tools that run one command and wait for its end: what a call asks for, and how the model is
//! told what came of it (engine.md §3.3).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::command::{Hazard, hazard, segments};
use super::session::SessionWish;
use super::truncate::{truncate, truncate_with_header};
use crate::approval::Escalation;
use crate::limits;
use crate::model::catalogue::Truncation;
use crate::model::items::LocalShellAction;

/// A command that the model wants to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellCall {
    /// The tool's name, as the model called it.
    pub(crate) tool: String,
    /// Its words; at least one.
    pub(crate) argv: Vec<String>,
    /// Where to run it; relative to the turn's folder.
    pub(crate) workdir: Option<String>,
    /// How long it may run; for one that stays open, how long it is waited for.
    pub(crate) limit: Duration,
    /// Whether it may stay open.
    pub(crate) session: Option<SessionWish>,
    /// Whether it wants to leave the sandbox.
    pub(crate) escalation: Escalation,
    /// Why, for the user.
    pub(crate) justification: Option<String>,
    /// The beginning that the model would have allowed from now on.
    pub(crate) prefix: Option<Vec<String>>,
    /// How the model is told.
    pub(crate) form: OutputForm,
    /// It only reads, so that others may run beside it.
    pub(crate) is_read_only: bool,
}

/// How a model is told what came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputForm {
    /// As lines of text.
    Text,
    /// As so many of the paths that it printed; where it failed, as lines of text.
    Paths(usize),
    /// As JSON, unless the model is offered patches as free text (engine.md §1.9).
    Structured,
}

/// The arguments of a shell tool, whose command is words or a line. Fields that are not known are
/// nothing (engine.md §3.1).
#[derive(Deserialize)]
pub(super) struct Arguments<C> {
    pub(super) command: C,
    #[serde(default)]
    pub(super) login: Option<bool>,
    #[serde(default)]
    pub(super) workdir: Option<String>,
    #[serde(default, alias = "timeout")]
    pub(super) timeout_ms: Option<u64>,
    #[serde(default)]
    pub(super) sandbox_permissions: Option<SandboxPermissions>,
    #[serde(default)]
    pub(super) justification: Option<String>,
    #[serde(default)]
    pub(super) prefix_rule: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SandboxPermissions {
    UseDefault,
    RequireEscalated,
}

impl From<Option<SandboxPermissions>> for Escalation {
    fn from(asked: Option<SandboxPermissions>) -> Self {
        match asked {
            Some(SandboxPermissions::RequireEscalated) => Self::Required,
            Some(SandboxPermissions::UseDefault) | None => Self::None,
        }
    }
}

impl ShellCall {
    /// The call of a function, or what the model is told. `shell` is the user's.
    pub(super) fn parse(tool: &str, arguments: &str, shell: &str) -> Result<Self, String> {
        let fault = |error| format!("failed to parse function arguments: {error}");
        if tool != "shell_command" {
            let words: Arguments<Vec<String>> = serde_json::from_str(arguments).map_err(fault)?;
            return Self::new(tool, words, OutputForm::Structured, shell);
        }
        let line: Arguments<String> = serde_json::from_str(arguments).map_err(fault)?;
        let flag = if line.login.unwrap_or(true) { "-lc" } else { "-c" };
        let command = vec![shell.to_owned(), flag.to_owned(), line.command];
        let words = Arguments {
            command,
            login: line.login,
            workdir: line.workdir,
            timeout_ms: line.timeout_ms,
            sandbox_permissions: line.sandbox_permissions,
            justification: line.justification,
            prefix_rule: line.prefix_rule,
        };
        Self::new(tool, words, OutputForm::Text, shell)
    }

    /// The API's own shell tool. Its variables and user are ignored (engine.md §3.3).
    pub(super) fn of_local(action: &LocalShellAction, shell: &str) -> Result<Self, String> {
        let words = Arguments {
            command: action.command.clone(),
            login: None,
            workdir: action.working_directory.clone(),
            timeout_ms: action.timeout_ms,
            sandbox_permissions: None,
            justification: None,
            prefix_rule: None,
        };
        Self::new("local_shell", words, OutputForm::Structured, shell)
    }

    pub(super) fn new(
        tool: &str,
        words: Arguments<Vec<String>>,
        form: OutputForm,
        shell: &str,
    ) -> Result<Self, String> {
        if words.command.is_empty() {
            return Err("command args are empty".to_owned());
        }
        let limit = words.timeout_ms.map_or(limits::SHELL_LIMIT, Duration::from_millis);
        Ok(Self {
            tool: tool.to_owned(),
            is_read_only: is_read_only(&words.command, shell),
            argv: words.command,
            workdir: words.workdir,
            limit: limit.min(limits::SHELL_LIMIT_MAX),
            session: None,
            escalation: words.sandbox_permissions.into(),
            justification: words.justification,
            prefix: words.prefix_rule.filter(|words| !words.is_empty()),
            form,
        })
    }

    /// Where it runs.
    pub(crate) fn cwd(&self, turn: &Path) -> PathBuf {
        self.workdir.as_ref().map_or_else(|| turn.to_owned(), |folder| turn.join(folder))
    }
}

/// Whether nothing in a command does anything but read.
fn is_read_only(argv: &[String], shell: &str) -> bool {
    let segments = segments(argv, shell);
    segments.certain
        && segments.trusted
        && segments.commands.iter().all(|words| hazard(words) == Hazard::Safe)
}

/// What came of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    /// The code that it ended with.
    pub(crate) exit_code: i32,
    /// How long it ran.
    pub(crate) took: Duration,
    /// What it wrote.
    pub(crate) text: &'a str,
}

impl Report<'_> {
    /// What the model is told.
    pub(crate) fn output(&self, form: OutputForm, policy: Truncation) -> String {
        match form {
            OutputForm::Text | OutputForm::Paths(_) => self.as_text(policy),
            OutputForm::Structured => self.structured(policy),
        }
    }

    fn as_text(&self, policy: Truncation) -> String {
        let Self { exit_code, text, .. } = *self;
        let seconds = self.seconds();
        let cut = truncate(text, policy);
        let lines = text.lines().count();
        let total = match cut.lines().count() == lines {
            true => String::new(),
            false => format!("Total output lines: {lines}\n"),
        };
        format!("Exit code: {exit_code}\nWall time: {seconds} seconds\n{total}Output:\n{cut}")
    }

    fn structured(&self, policy: Truncation) -> String {
        let metadata =
            serde_json::json!({ "exit_code": self.exit_code, "duration_seconds": self.seconds() });
        let output = truncate_with_header(self.text, policy);
        serde_json::json!({ "output": output, "metadata": metadata }).to_string()
    }

    fn seconds(&self) -> f64 {
        (self.took.as_secs_f64() * 10.0).round() / 10.0
    }
}

/// What stands before the output of a command that ran for too long.
pub(crate) fn timed_out_text(limit: Duration, text: &str) -> String {
    format!("command timed out after {} milliseconds\n{text}", limit.as_millis())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Report, ShellCall, timed_out_text};
    use crate::limits;
    use crate::model::catalogue::Truncation;
    use crate::tools::{OutputForm, Typing};
    use std::time::Duration;

    #[test]
    fn text_and_json_say_the_same() {
        let text = "a\nb\n".repeat(20);
        let report = Report { exit_code: 1, took: Duration::from_millis(1260), text: &text };
        let all = report.output(OutputForm::Text, Truncation::Bytes(1000));
        assert_eq!(all, format!("Exit code: 1\nWall time: 1.3 seconds\nOutput:\n{text}"));
        let cut = report.output(OutputForm::Text, Truncation::Bytes(4));
        let head = "Exit code: 1\nWall time: 1.3 seconds\nTotal output lines: 40\nOutput:\na\n";
        assert!(cut.starts_with(head), "{cut}");
        let json = report.output(OutputForm::Structured, Truncation::Bytes(4));
        assert!(json.contains(r#""output":"Total output lines: 40\n\na\n"#), "{json}");
        let late = timed_out_text(Duration::from_millis(10), "x");
        assert_eq!(late, "command timed out after 10 milliseconds\nx");
    }

    proptest! {
        #[test]
        fn whatever_the_model_sends_is_a_command_or_a_text(
            tool in prop_oneof![
                Just("shell"), Just("shell_command"), Just("exec_command"), Just("write_stdin"),
            ],
            field in prop_oneof![
                Just("command"), Just("cmd"), Just("workdir"), Just("timeout_ms"), Just("timeout"),
                Just("session_id"), Just("yield_time_ms"), Just("sandbox_permissions"),
            ],
            value in prop_oneof![
                Just("[]"), Just("[\"a\"]"), Just("\"a\""), Just("null"), Just("-1"),
                Just("18446744073709551615"), Just("1e400"), Just("{}"),
                Just("\"require_escalated\""), Just("\"\\u0000\""),
            ],
            rest in prop_oneof![
                Just(""), Just(",\"command\":[\"a\"]"), Just(",\"command\":\"a\""),
                Just(",\"cmd\":\"a\""), Just(",\"session_id\":1"), Just(","),
            ],
        ) {
            let arguments = format!("{{\"{field}\":{value}{rest}}}");
            let call = match tool {
                "exec_command" => ShellCall::parse_exec(&arguments, "/bin/bash"),
                "write_stdin" => {
                    if let Ok(typed) = Typing::parse(&arguments) {
                        prop_assert!(typed.wait <= limits::SESSION_WAIT_MAX);
                        prop_assert!(typed.wait >= limits::SESSION_WAIT_MIN);
                    }
                    return Ok(());
                }
                _ => ShellCall::parse(tool, &arguments, "/bin/bash"),
            };
            match call {
                Ok(call) => {
                    prop_assert!(!call.argv.is_empty());
                    prop_assert!(call.limit <= limits::SHELL_LIMIT_MAX);
                }
                Err(text) => prop_assert!(
                    text == "command args are empty"
                        || text.starts_with("failed to parse function arguments: "),
                    "{}", text
                ),
            }
        }
    }
}
