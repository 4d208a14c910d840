//! The tools for programs that stay open: `exec_command` runs one and waits a while, `write_stdin`
//! types into it or looks again (engine.md §3.5).

use std::time::Duration;

use serde::Deserialize;

use super::command::base_name;
use super::shell::{Arguments, OutputForm, SandboxPermissions, ShellCall};
use super::truncate::truncate_with_header;
use crate::limits;
use crate::model::catalogue::Truncation;

/// Variables that keep programs from drawing, paging and asking, whatever is inherited.
pub(crate) const PLAIN_TERMINAL: [(&str, &str); 10] = [
    ("NO_COLOR", "1"),
    ("TERM", "dumb"),
    ("LANG", "C.UTF-8"),
    ("LC_CTYPE", "C.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("COLORTERM", ""),
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("GH_PAGER", "cat"),
    ("CODEX_CI", "1"),
];

/// How a program is to stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionWish {
    /// With a terminal, so that something can be typed.
    pub(crate) tty: bool,
    /// How much of its output the model is given at a time.
    pub(crate) tokens: u64,
}

/// What the model types into a program, or nothing to see what it has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typing {
    pub(crate) session: i64,
    pub(crate) text: String,
    /// How long to wait for what it says.
    pub(crate) wait: Duration,
    pub(crate) tokens: u64,
}

/// The arguments of `exec_command`.
#[derive(Deserialize)]
struct ExecArguments {
    cmd: String,
    #[serde(default)]
    workdir: Option<String>,
    #[serde(default)]
    shell: Option<String>,
    #[serde(default)]
    login: Option<bool>,
    #[serde(default)]
    tty: bool,
    #[serde(default)]
    yield_time_ms: Option<u64>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    sandbox_permissions: Option<SandboxPermissions>,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default)]
    prefix_rule: Option<Vec<String>>,
}

/// The arguments of `write_stdin`.
#[derive(Deserialize)]
struct TypingArguments {
    session_id: i64,
    #[serde(default)]
    chars: String,
    #[serde(default)]
    yield_time_ms: Option<u64>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
}

impl ShellCall {
    /// A call of `exec_command`, or what the model is told. `shell` is the user's.
    pub(super) fn parse_exec(arguments: &str, shell: &str) -> Result<Self, String> {
        let exec: ExecArguments = serde_json::from_str(arguments).map_err(fault)?;
        let login = exec.login.unwrap_or(true);
        let wait = exec.yield_time_ms.unwrap_or(10_000);
        let words = Arguments {
            command: argv(exec.shell.as_deref().unwrap_or(shell), login, exec.cmd)
                .ok_or("exec_command failed: this shell is not known")?,
            login: None,
            workdir: exec.workdir,
            timeout_ms: None,
            sandbox_permissions: exec.sandbox_permissions,
            justification: exec.justification,
            prefix_rule: exec.prefix_rule,
        };
        let mut call = Self::new("exec_command", words, OutputForm::Text, shell)?;
        let tokens = exec.max_output_tokens.unwrap_or(limits::SESSION_TOKENS);
        call.limit = clamped(wait, limits::SESSION_WAIT_MIN);
        call.session = Some(SessionWish { tty: exec.tty, tokens });
        Ok(call)
    }
}

impl Typing {
    /// A call of `write_stdin`, or what the model is told. Who types nothing wants to wait.
    pub(super) fn parse(arguments: &str) -> Result<Self, String> {
        let typed: TypingArguments = serde_json::from_str(arguments).map_err(fault)?;
        let least = match typed.chars.is_empty() {
            true => limits::SESSION_LOOK_MIN,
            false => limits::SESSION_WAIT_MIN,
        };
        Ok(Self {
            session: typed.session_id,
            text: typed.chars,
            wait: clamped(typed.yield_time_ms.unwrap_or(0), least),
            tokens: typed.max_output_tokens.unwrap_or(limits::SESSION_TOKENS),
        })
    }
}

fn fault(error: serde_json::Error) -> String {
    format!("failed to parse function arguments: {error}")
}

fn clamped(ms: u64, least: Duration) -> Duration {
    Duration::from_millis(ms).clamp(least, limits::SESSION_WAIT_MAX)
}

/// The words that run a script in a shell of a known kind.
fn argv(shell: &str, login: bool, script: String) -> Option<Vec<String>> {
    let name = base_name(shell).to_ascii_lowercase();
    let flag = match name.strip_suffix(".exe").unwrap_or(&name) {
        "bash" | "zsh" | "sh" if login => "-lc",
        "bash" | "zsh" | "sh" => "-c",
        "pwsh" | "powershell" => "-Command",
        "cmd" => "/c",
        _ => return None,
    };
    Some(vec![shell.to_owned(), flag.to_owned(), script])
}

/// What came of a program that may still run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionReport<'a> {
    /// Names this piece of output; 24 bits.
    pub(crate) chunk: u32,
    pub(crate) took: Duration,
    /// How it ended, or the session that it runs in.
    pub(crate) end: Result<i32, i32>,
    pub(crate) text: &'a str,
    pub(crate) tokens: u64,
}

impl SessionReport<'_> {
    /// What the model is told.
    pub(crate) fn output(&self) -> String {
        let end = match self.end {
            Ok(code) => format!("Process exited with code {code}"),
            Err(session) => format!("Process running with session ID {session}"),
        };
        format!(
            "Chunk ID: {:06x}\nWall time: {:.4} seconds\n{end}\nOriginal token count: {}\nOutput:\n{}",
            self.chunk & 0xff_ffff,
            self.took.as_secs_f64(),
            self.text.len().div_ceil(4),
            truncate_with_header(self.text, Truncation::Tokens(self.tokens)),
        )
    }
}
