//! Owns: the folders that a pretended installation lives in, removed when it goes out of scope.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tokens;

/// A state folder (`CODEX_HOME`) and a working folder of their own.
pub struct Scratch {
    root: tempfile::TempDir,
}

/// What stands in `config.toml`, apart from what every pretended installation needs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `request_max_retries` of the provider (engine.md §2.4).
    pub request_retries: u32,
    /// `stream_max_retries` of the provider (engine.md §2.4).
    pub stream_retries: u32,
    /// `understudy.refresh_limit_ms`: how long the host has to answer a refresh request.
    pub refresh_limit_ms: Option<u64>,
    /// Further lines, before the first table.
    pub lines: Vec<String>,
}

impl Scratch {
    /// Makes the folders, empty.
    pub fn new() -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("understudy-").tempdir()?;
        fs::create_dir(root.path().join("home"))?;
        fs::create_dir(root.path().join("work"))?;
        Ok(Self { root })
    }

    /// The state folder.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The folder that threads work in.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The credential store, if it is a file.
    pub fn auth_json(&self) -> PathBuf {
        self.home().join("auth.json")
    }

    /// Was a credential store written?
    pub fn has_auth_json(&self) -> bool {
        self.auth_json().exists()
    }

    /// Writes `config.toml`: everything that the server might ask goes to the backend on loopback.
    pub fn configure(&self, backend: &str, settings: &Settings) -> io::Result<()> {
        let Settings { request_retries, stream_retries, refresh_limit_ms, lines } = settings;
        let lines = lines.join("\n");
        let limit = refresh_limit_ms
            .map(|ms| format!("[understudy]\nrefresh_limit_ms = {ms}\n"))
            .unwrap_or_default();
        let text = format!(
            r#"model = "scripted-model"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "read-only"
chatgpt_base_url = "{backend}/backend-api/"
{lines}

[model_providers.scripted]
name = "Scripted backend"
base_url = "{backend}/v1"
wire_api = "responses"
requires_openai_auth = true
request_max_retries = {request_retries}
stream_max_retries = {stream_retries}

[features]
remote_models = false

{limit}"#
        );
        fs::write(self.home().join("config.toml"), text)
    }

    /// A command that runs in these folders and knows nothing of the user's own installation,
    /// keys and proxies. Temporary files go with the folders, too.
    pub fn command(&self, argv: &[String]) -> Command {
        let (program, args) = argv.split_first().map_or(("", argv), |(p, rest)| (p, rest));
        let mut command = Command::new(program);
        command.args(args).current_dir(self.work());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            let own = ["OPENAI_", "CODEX_", "RUST_", "UNDERSTUDY_"];
            if own.iter().any(|start| text.starts_with(start)) || text.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        command.env("CODEX_HOME", self.home());
        command.env("HOME", self.root.path()).env("TMPDIR", self.root.path());
        // The user's own keyring is none of our business.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        command
    }

    /// Files below the state folder that hold a pretended credential, whole or in part, or one of
    /// these texts.
    pub fn leaks(&self, more: &[String]) -> io::Result<Vec<PathBuf>> {
        let traces: Vec<String> = tokens::traces().iter().chain(more).cloned().collect();
        let mut found = Vec::new();
        let mut folders = vec![self.home()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() && holds_any(&fs::read(entry.path())?, &traces) {
                    found.push(relative(&entry.path(), &self.home()));
                }
            }
        }
        Ok(found)
    }
}

fn holds_any(bytes: &[u8], texts: &[String]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    texts.iter().any(|wanted| text.contains(wanted))
}

fn relative(path: &Path, base: &Path) -> PathBuf {
    path.strip_prefix(base).unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_wherever_it_lies() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let deep = scratch.home().join("sessions/2026");
        fs::create_dir_all(&deep)?;
        fs::write(deep.join("clean.jsonl"), "nothing here")?;
        assert_eq!(scratch.leaks(&[])?, Vec::<PathBuf>::new());
        fs::write(deep.join("log"), format!("\u{0}x {}", tokens::api_key()))?;
        assert_eq!(scratch.leaks(&[])?, [PathBuf::from("sessions/2026/log")]);
        Ok(())
    }

    #[test]
    fn the_folders_go_with_their_owner() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let home = scratch.home();
        assert!(home.is_dir());
        drop(scratch);
        assert!(!home.exists());
        Ok(())
    }
}
