//! Start-up: configuration, stored credentials and the model list, read in one job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Machine;
use crate::auth::{AuthPolicy, Credential, ForcedMethod, Place, StoreKind};
use crate::config::kinds::{CredentialStore, LoginMethod};
use crate::config::{self, Config, ConfigAsk, ConfigError, ConfigWarning};
use crate::effect::Call;
use crate::files::{Disk, FileJob, Files};
use crate::limits;
use crate::model::catalogue::{self, FetchedList};
use crate::owner::CallOwner;
use crate::rules::{RulesError, RulesFolder, RulesJob};
use crate::setup::Setup;
use crate::telemetry::Sinks;

/// Reads everything that the machine starts with.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct StartupJob {
    ask: ConfigAsk,
}

/// What a [`StartupJob`] found, or why the server does not begin: what is wrong with the command
/// line. Defaults in its place might be looser than what was asked for (config.md §2.9).
#[derive(Debug)]
pub struct StartupFound(pub(super) Result<Found, String>);

/// What the machine begins with.
#[derive(Debug)]
pub(super) struct Found {
    config: Arc<Config>,
    warnings: Vec<ConfigWarning>,
    policy: AuthPolicy,
    /// The stored credential, or what is wrong with its record.
    credential: Result<Credential, String>,
    /// The stored model list, if there is one to use.
    models: Option<FetchedList>,
    /// Where measurements go, if anywhere.
    sinks: Option<Box<Sinks>>,
}

impl StartupJob {
    fn new(setup: &Setup) -> Self {
        Self { ask: config_ask(setup) }
    }

    pub(crate) fn run(self, disk: Disk<'_>) -> StartupFound {
        StartupFound(self.find(disk))
    }

    fn find(self, disk: Disk<'_>) -> Result<Found, String> {
        let files = disk.files;
        let mut found = config::startup(files, &self.ask);
        if let Some(error) = &found.flags_error {
            return Err(flags_fault(error, &found.warnings));
        }
        let folders = RulesFolder::of(&found.layers, found.config.permissions.trust);
        let errors = RulesJob { folders }.run(files).errors;
        // Those of the rules come first (config.md §2.11).
        found.warnings.splice(0..0, errors.iter().map(RulesError::warning));
        let policy = policy_of(&found.config, self.ask.home.join("auth.json"));
        let credential = policy.place.load(disk);
        let otel = &found.config.telemetry.otel;
        let (sinks, warnings) = Sinks::prepare(files, otel, &self.ask.env);
        found.warnings.extend(warnings);
        Ok(Found {
            config: found.config,
            warnings: found.warnings,
            policy,
            credential,
            models: stored_models(files, &cache_path(&self.ask.home)),
            sinks,
        })
    }
}

/// Why the command line keeps the server from beginning. What is wrong elsewhere may be the reason:
/// a provider is not there if the file that names it was put aside.
pub(crate) fn flags_fault(error: &ConfigError, warnings: &[ConfigWarning]) -> String {
    let text = error.to_string();
    let details = warnings.iter().filter_map(|warning| warning.details.as_deref());
    let others: Vec<String> =
        details.filter(|other| *other != text).map(|other| format!(" (first: {other})")).collect();
    format!("error loading default config after config error: {text}{}", others.concat())
}

/// The configuration of the process's own folder.
pub(crate) fn config_ask(setup: &Setup) -> ConfigAsk {
    ConfigAsk {
        overrides: setup.overrides.clone(),
        env: setup.env.clone(),
        ..ConfigAsk::new(&setup.home, &setup.cwd)
    }
}

/// Where the model list is kept.
pub(super) fn cache_path(home: &Path) -> PathBuf {
    home.join("models_cache.json")
}

/// What the configuration says about signing in; the record of credentials is the file at `path`.
pub(crate) fn policy_of(config: &Config, path: PathBuf) -> AuthPolicy {
    AuthPolicy {
        place: Place {
            kind: match config.login.store {
                CredentialStore::File => StoreKind::File,
                CredentialStore::Keyring => StoreKind::Keyring,
                CredentialStore::Auto => StoreKind::Auto,
                CredentialStore::Ephemeral => StoreKind::Ephemeral,
            },
            path,
        },
        forced_method: config.login.forced_method.map(|method| match method {
            LoginMethod::Api => ForcedMethod::ApiKey,
            LoginMethod::Chatgpt => ForcedMethod::ChatGpt,
        }),
        forced_workspace: config.login.forced_workspace_id.clone(),
        requires_openai_auth: config.provider.requires_openai_auth,
        refresh_limit: config.login.refresh_limit,
    }
}

impl Machine {
    pub(super) fn load(&mut self) {
        let job = StartupJob::new(&self.setup);
        self.out.start(Call::Files(FileJob::Startup(Box::new(job))), CallOwner::Startup);
    }

    pub(super) fn on_loaded(&mut self, found: Found) {
        if let Some(mut sinks) = found.sinks {
            sinks.terminal.clone_from(&self.setup.host.terminal);
            self.out.begin_measuring(sinks);
        }
        self.warnings = found.warnings;
        let path = found.policy.place.path.to_string_lossy().into_owned();
        let (stored, mut trouble) = match found.credential {
            Ok(stored) => (stored, None),
            Err(text) => (Credential::None, Some(text)),
        };
        let refused = self.auth.begin(found.policy, stored);
        let summary = match (&trouble, &refused) {
            (Some(_), _) => "Stored credentials cannot be read; you are signed out.",
            (None, Some(_)) => "Stored credentials are not allowed; you are signed out.",
            (None, None) => "",
        };
        trouble = trouble.or(refused);
        if let Some(details) = trouble {
            self.warnings.push(ConfigWarning {
                summary: summary.to_owned(),
                details: Some(details),
                path: Some(path),
                range: None,
            });
        }
        self.config = Some(found.config);
        if let Some(models) = found.models {
            self.catalogue.replace(models);
        }
    }
}

/// The stored model list. One that cannot be read is as good as none: it is a cache.
fn stored_models(files: &dyn Files, path: &Path) -> Option<FetchedList> {
    let bytes = files.read(path, limits::CATALOGUE_BYTES_MAX).ok()?;
    match catalogue::read_stored(std::str::from_utf8(&bytes).ok()?) {
        Ok(list) => Some(list),
        Err(error) => {
            tracing::warn!(%error, "the stored model list cannot be used");
            None
        }
    }
}
