//! What a machine is told when it is made, and never asks for again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Overrides;
use crate::limits;

/// Facts about the process and the machine it runs on. Cheap to clone: one process may make
/// thousands of machines from one setup.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The state folder, `CODEX_HOME` (config.md §1.6).
    pub home: PathBuf,
    /// The folder that the process was started in.
    pub cwd: PathBuf,
    /// Environment variables, read once.
    pub env: Arc<Environment>,
    /// `-c key=value` settings from the command line.
    pub overrides: Overrides,
    /// What the user agent says of the operating system and terminal.
    pub host: HostFacts,
    /// For times that a person reads, and the names of stored threads.
    pub zone: jiff::tz::TimeZone,
    /// Who is asked for new tokens when the backend refuses those of the host.
    pub refresh: Refresh,
    /// How long the host has for that; at most [`limits::REFRESH_LIMIT_MAX`].
    pub refresh_limit: Duration,
}

impl Setup {
    /// A setup with nothing in its environment, for tests and embedders to fill in.
    pub fn new(home: impl Into<PathBuf>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            cwd: cwd.into(),
            env: Arc::default(),
            overrides: Overrides::default(),
            host: HostFacts::default(),
            zone: jiff::tz::TimeZone::UTC,
            refresh: Refresh::Wire,
            refresh_limit: limits::REFRESH_LIMIT,
        }
    }
}

/// Who answers a refresh of the host's own tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// The host on the wire, by `account/chatgptAuthTokens/refresh`.
    Wire,
    /// The program that embeds the machine, by [`Effect::RefreshAuth`](crate::Effect::RefreshAuth).
    Embedder,
}

/// What the user agent tells of the machine (auth.md §10.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Name of the operating system, as in `Debian`.
    pub os: String,
    /// Its version, as in `12.0.0`.
    pub os_version: String,
    /// The processor, as in `x86_64`.
    pub arch: String,
    /// The terminal token, as in `xterm`; `unknown` without one.
    pub terminal: String,
    /// The user's shell by its short name, as in `bash`.
    pub shell: String,
    /// Where that shell is, as in `/bin/bash`: what runs the model's scripts (engine.md §5.6).
    pub shell_path: String,
}

impl Default for HostFacts {
    fn default() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            os: unknown(),
            os_version: unknown(),
            arch: unknown(),
            terminal: unknown(),
            shell: "bash".to_owned(),
            shell_path: "/bin/bash".to_owned(),
        }
    }
}

/// Environment variables. They may hold keys, so `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variable's value, if it is set and not blank.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// Every variable with its value, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(vars: I) -> Self {
        Self(vars.into_iter().collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
