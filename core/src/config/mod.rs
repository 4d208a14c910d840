//! Configuration: settings gathered from layers of files and flags, with where each came from, and
//! what the administrator allows (config.md §2–3).
//!
//! Owns: the layers, their merging and origins, trust in projects, requirements, and the typed
//! [`Config`] that all of this amounts to. Everything is read through [`Files`]; loading is a job
//! for a thread that may block.
//!
//! Invariants: requirements hold whatever else is broken. A project cannot make itself trusted. No
//! `Debug` and no error text shows a value that may be secret. A file that is broken costs that
//! file, with a warning; a request that is wrong fails.

mod derive;
mod document;
mod edit;
mod error;
pub mod features;
mod fingerprint;
#[cfg(any(test, feature = "sim"))]
mod fuzz;
pub mod kinds;
pub mod layers;
pub mod mcp;
pub mod otel;
mod overrides;
mod paths;
mod project;
pub mod provider;
mod read;
pub mod requirements;
mod settings;
pub(crate) mod shown;
mod skill_switch;
mod stack;
mod switches;
mod text;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{ConfigError, ConfigWarning, TextPosition, TextRange};
pub use features::{Feature, Features};
pub(crate) use fingerprint::fingerprint;
#[cfg(any(test, feature = "sim"))]
pub use fuzz::{fuzz_config, fuzz_edit};
pub use layers::{Layer, LayerSource, Layers, Origin, origins};
pub use overrides::{OverrideError, Overrides};
pub(crate) use paths::lexical;
pub use provider::Provider;
pub use requirements::Requirements;
pub use settings::{
    Config, Deprecation, GhostSnapshot, History, Instructions, Login, McpSettings, ModelSettings,
    Permissions, ShellEnvironment, Telemetry, WorkspaceWrite,
};

use crate::files::Files;
use crate::setup::Environment;
use kinds::{AskForApproval, Personality, SandboxMode};
use stack::{Aside, Mode, Stack};

/// What a configuration is made from. `Debug` shows the keys of the request, not its values.
#[derive(Clone)]
pub struct ConfigAsk {
    /// The state folder.
    pub home: PathBuf,
    /// The folder whose project counts, absolute; without one no project does.
    pub cwd: Option<PathBuf>,
    /// Settings from the command line.
    pub overrides: Overrides,
    /// Environment variables.
    pub env: Arc<Environment>,
    /// A request's `config`: dotted keys with values. `null` asks for nothing, so that the setting
    /// is what it would be without the key; the reference makes it an empty string.
    pub request: Vec<(String, serde_json::Value)>,
    /// What the request says in members of its own; beats every layer.
    pub choices: Choices,
    /// The administrator's folder.
    pub system_dir: PathBuf,
    /// The managed file, where it is not in the administrator's folder.
    pub managed_file: Option<PathBuf>,
}

/// What a request says in members of its own, as `thread/start` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The model.
    pub model: Option<String>,
    /// The provider's key.
    pub model_provider: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// When to ask.
    pub approval_policy: Option<AskForApproval>,
    /// What commands may touch.
    pub sandbox_mode: Option<SandboxMode>,
    /// The tone.
    pub personality: Option<Personality>,
    /// In place of the model's instructions.
    pub base_instructions: Option<String>,
    /// A developer message.
    pub developer_instructions: Option<String>,
    /// Switches the patch tool that takes free text.
    pub include_apply_patch_tool: Option<bool>,
}

impl ConfigAsk {
    /// Asks for the configuration that holds in `cwd`, with nothing on the command line.
    pub fn new(home: impl Into<PathBuf>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            cwd: Some(cwd.into()),
            overrides: Overrides::default(),
            env: Arc::default(),
            request: Vec::new(),
            choices: Choices::default(),
            system_dir: Path::new("/etc/codex").to_owned(),
            managed_file: None,
        }
    }

    /// The user's own file.
    pub fn user_file(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    /// The administrator's file that beats all others.
    pub fn managed_path(&self) -> PathBuf {
        let default = || self.system_dir.join("managed_config.toml");
        self.managed_file.clone().unwrap_or_else(default)
    }

    /// The absolute path that a client means by `path`, seen from the folder `base`.
    pub(crate) fn absolute(&self, path: &Path, base: &Path) -> PathBuf {
        paths::resolve(path, base, &self.env)
    }

    fn without_request(&self) -> Self {
        Self { request: Vec::new(), choices: Choices::default(), ..self.clone() }
    }

    fn without_flags(&self) -> Self {
        Self { overrides: Overrides::default(), ..self.clone() }
    }
}

impl fmt::Debug for ConfigAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigAsk")
            .field("home", &self.home)
            .field("cwd", &self.cwd)
            .field("overrides", &self.overrides)
            .field("request", &self.request.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .field("choices", &self.choices)
            .finish_non_exhaustive()
    }
}

/// A configuration with where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in use.
    pub config: Arc<Config>,
    /// Every layer, those that do not count included.
    pub layers: Layers,
    /// What the user should know, in the order in which it is told.
    pub warnings: Vec<ConfigWarning>,
}

/// The configuration that the process starts with.
#[derive(Clone, Debug)]
pub struct Startup {
    /// The settings in use.
    pub config: Arc<Config>,
    /// Every layer, those that do not count included.
    pub layers: Layers,
    /// What the user should know, in the order in which it is told.
    pub warnings: Vec<ConfigWarning>,
    /// The command line itself is at fault, and was left out.
    pub flags_error: Option<ConfigError>,
}

/// Loads the configuration; anything wrong with any layer is an error.
pub fn load(files: &dyn Files, ask: &ConfigAsk) -> Result<Loaded, ConfigError> {
    let stack = Stack::gather(files, ask, &Mode::Strict)?;
    let config = Arc::new(derive::derive(files, ask, &stack, true)?);
    let warnings = stack.project_warning().into_iter().collect();
    Ok(Loaded { config, layers: stack.layers, warnings })
}

/// Loads the configuration for a process. What is wrong is warned about and left out; requirements
/// and the layers that are right hold.
pub fn startup(files: &dyn Files, ask: &ConfigAsk) -> Startup {
    let first = match load(files, ask) {
        Ok(loaded) => return Startup::new(loaded, None),
        Err(first) => first,
    };
    let flags = match recover(files, ask, &first, Unread::PutAside) {
        Ok(loaded) => return Startup::new(loaded, None),
        Err(flags) => flags,
    };
    let plain = ask.without_request().without_flags();
    let loaded = recover(files, &plain, &first, Unread::PutAside).unwrap_or_else(|_| {
        let (requirements, _) = requirements::read(files, &plain);
        let config = Arc::new(derive::bare(&plain, requirements));
        let warnings = vec![ConfigWarning::invalid(&first)];
        Loaded { config, layers: Layers::default(), warnings }
    });
    Startup::new(loaded, Some(flags))
}

/// Loads the configuration for a thread. What is wrong with a file is warned about and left out, as
/// at the start of the process; what is wrong with the request is an error. So is a file that is
/// there and cannot be read, for nobody knows what it would have forbidden, and one without which
/// the command line does not hold: nobody has asked for less than that.
pub fn load_or_default(files: &dyn Files, ask: &ConfigAsk) -> Result<Loaded, ConfigError> {
    let first = match load(files, ask) {
        Ok(loaded) => return Ok(loaded),
        Err(first) => first,
    };
    if first.is_unread() {
        return Err(first);
    }
    let asks_nothing = ask.request.is_empty() && ask.choices == Choices::default();
    if !asks_nothing && load(files, &ask.without_request()).is_ok() {
        return Err(first);
    }
    recover(files, ask, &first, Unread::Refuse)
}

/// What to do about a file that is there and cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// As about one that is wrong.
    PutAside,
    /// Fail.
    Refuse,
}

/// Loads what can be loaded when `first` is wrong, by leaving out one layer after the other. Fails
/// when what is left is the session's own fault.
fn recover(
    files: &dyn Files,
    ask: &ConfigAsk,
    first: &ConfigError,
    unread: Unread,
) -> Result<Loaded, ConfigError> {
    let mut aside = Aside::default();
    loop {
        let found = Stack::gather(files, ask, &Mode::Without(&aside))
            .and_then(|stack| Ok((derive::derive(files, ask, &stack, false)?, stack.layers)));
        match found {
            Ok((config, layers)) => {
                let warnings = vec![ConfigWarning::invalid(first)];
                return Ok(Loaded { config: Arc::new(config), layers, warnings });
            }
            Err(error) if unread == Unread::Refuse && error.is_unread() => return Err(error),
            Err(error) if aside.blame(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Startup {
    fn new(loaded: Loaded, flags_error: Option<ConfigError>) -> Self {
        let Loaded { config, layers, warnings } = loaded;
        Self { config, layers, warnings, flags_error }
    }
}
