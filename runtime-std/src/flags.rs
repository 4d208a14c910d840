//! Owns: what a process that is an app server is told when it is started (config.md §1.2), and what
//! it says when it cannot serve (config.md §1.8).

use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use understudy_core::{ExitStatus, Overrides, Setup};

use crate::{RecordingFile, codex_home, environment, host_facts, zone};

/// Settings of the command line.
// Not clap's global options: those given behind a subcommand would replace those before it
// (config.md §1.2).
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "flags", derive(clap::Args))]
pub struct Flags {
    /// Override a configuration value; the value is TOML, or else text.
    #[cfg_attr(feature = "flags", arg(short = 'c', long = "config", value_name = "KEY=VALUE"))]
    pub config: Vec<String>,
    /// Turn a feature on.
    #[cfg_attr(feature = "flags", arg(long, value_name = "FEATURE"))]
    pub enable: Vec<String>,
    /// Turn a feature off.
    #[cfg_attr(feature = "flags", arg(long, value_name = "FEATURE"))]
    pub disable: Vec<String>,
    /// How the log on standard error is written.
    #[cfg_attr(feature = "flags", arg(long, value_name = "FORMAT", value_enum))]
    pub log_format: Option<LogFormat>,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "flags", derive(clap::ValueEnum))]
pub enum LogFormat {
    /// For people; in colours on a terminal that did not refuse them.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What a server is started with.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "flags", derive(clap::Args))]
pub struct Start {
    /// Settings.
    #[cfg_attr(feature = "flags", command(flatten))]
    pub flags: Flags,
    /// Accepted for compatibility; nothing is collected.
    #[cfg_attr(feature = "flags", arg(long, hide = true))]
    pub analytics_default_enabled: bool,
    /// Record the session, with stand-ins for its secrets; in a folder, to a new file. What
    /// people and models say, and files that are read, are in it as they are.
    #[cfg_attr(feature = "flags", arg(long, value_name = "FILE"))]
    pub record: Option<PathBuf>,
}

impl Start {
    /// The same behind a command that these stand before; the later ones are stronger.
    #[must_use]
    pub fn behind(mut self, before: Flags) -> Self {
        self.flags = before.and(self.flags);
        self
    }

    /// The file for a recording, if there is to be one.
    ///
    /// # Errors
    ///
    /// It cannot be made; the text is for the user.
    pub fn recording(&self) -> Result<Option<RecordingFile>, String> {
        let create = |path: &PathBuf| {
            let file = RecordingFile::create(path);
            file.map_err(|error| format!("no recording in {}: {error}", path.display()))
        };
        self.record.as_ref().map(create).transpose()
    }
}

impl Flags {
    /// These before a subcommand, `behind` it; the later ones are stronger.
    #[must_use]
    pub fn and(mut self, behind: Self) -> Self {
        self.config.extend(behind.config);
        self.enable.extend(behind.enable);
        self.disable.extend(behind.disable);
        self.log_format = behind.log_format.or(self.log_format);
        self
    }

    /// Everything that a machine is told of this process.
    ///
    /// # Errors
    ///
    /// A flag cannot be read, or there is no state or working folder; the text is for the user.
    pub fn setup(&self) -> Result<Setup, String> {
        let overrides = self.overrides()?;
        let home = codex_home().map_err(|error| error.to_string())?;
        let cwd = std::env::current_dir()
            .map_err(|error| format!("the working folder cannot be used: {error}"))?;
        let env = environment();
        let host = host_facts(&env);
        let zone = zone(&env);
        Ok(Setup { env: Arc::new(env), overrides, host, zone, ..Setup::new(home, cwd) })
    }

    /// Only what `-c` says is called a parse error (config.md §1.8).
    fn overrides(&self) -> Result<Overrides, String> {
        let mut overrides = Overrides::parse(&self.config)
            .map_err(|error| format!("error parsing -c overrides: {error}"))?;
        for name in &self.enable {
            overrides = overrides.enable(name).map_err(|error| error.to_string())?;
        }
        for name in &self.disable {
            overrides = overrides.disable(name).map_err(|error| error.to_string())?;
        }
        Ok(overrides)
    }
}

/// Says a fatal error the way the reference does (config.md §1.8).
pub fn fail(text: &str) -> ExitCode {
    let _closed = writeln!(stderr(), "Error: {text}");
    ExitCode::FAILURE
}

/// How a process ends whose server ended so, or could not serve for a reason; says it where the
/// user should know.
pub fn exit_code(served: Result<ExitStatus, String>) -> ExitCode {
    match served {
        Ok(ExitStatus::Clean) => ExitCode::SUCCESS,
        Ok(ExitStatus::OutOfTime) => {
            tracing::warn!("the time for ending was over");
            ExitCode::SUCCESS
        }
        Ok(ExitStatus::Failed(text)) | Err(text) => fail(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_cannot_be_read_are_named() {
        let said = |config: &[&str], enable: &[&str]| {
            let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let (config, enable) = (all(config), all(enable));
            Flags { config, enable, ..Flags::default() }.overrides().err()
        };
        assert_eq!(said(&["a=1"], &[]), None);
        let missing = "error parsing -c overrides: Invalid override (missing '='): a";
        assert_eq!(said(&["a"], &[]).as_deref(), Some(missing));
        let unknown = "Unknown feature flag: nonsense";
        assert_eq!(said(&[], &["nonsense"]).as_deref(), Some(unknown));
    }

    #[test]
    fn those_behind_a_command_are_stronger() {
        let one = |word: &str| Flags { config: vec![word.to_owned()], ..Flags::default() };
        assert_eq!(one("a=1").and(one("a=2")).config, ["a=1", "a=2"]);
        let start = Start { flags: one("a=2"), ..Start::default() };
        assert_eq!(start.behind(one("a=1")).flags.config, ["a=1", "a=2"]);
    }
}
