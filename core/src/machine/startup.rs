//! Start-up: configuration, stored credentials and the model list, read in one job.

use std::path::PathBuf;

use super::Machine;
use crate::auth::{AuthPolicy, Credential, ForcedMethod, StoreKind};
use crate::config::kinds::{CredentialStore, LoginMethod};
use crate::config::{self, Config, ConfigAsk, ConfigWarning};
use crate::effect::Call;
use crate::files::{FileJob, Files};
use crate::limits;
use crate::model::catalogue::Catalogue;
use crate::owner::CallOwner;
use crate::setup::Setup;
use crate::wire::v2::notice::{ConfigWarningNotification, TextPosition, TextRange};

/// Reads everything that the machine starts with.
#[derive(Debug)]
pub struct StartupJob {
    ask: ConfigAsk,
}

/// What a [`StartupJob`] found.
#[derive(Debug)]
pub struct StartupFound {
    config: std::sync::Arc<Config>,
    warnings: Vec<ConfigWarning>,
    policy: AuthPolicy,
    /// The stored credential, or what is wrong with its record.
    credential: Result<Credential, String>,
    catalogue: Catalogue,
}

impl StartupJob {
    fn new(setup: &Setup) -> Self {
        let ask = ConfigAsk {
            overrides: setup.overrides.clone(),
            env: setup.env.clone(),
            ..ConfigAsk::new(&setup.home, &setup.cwd)
        };
        Self { ask }
    }

    pub(crate) fn run(self, files: &dyn Files) -> StartupFound {
        let found = config::startup(files, &self.ask);
        let policy = policy_of(&found.config, self.ask.home.join("auth.json"));
        let credential = crate::auth::load(files, policy.store, &policy.path);
        let cached = files.read(&cache_path(&self.ask.home), limits::CATALOGUE_BYTES_MAX as u64);
        StartupFound {
            config: found.config,
            warnings: found.warnings,
            policy,
            credential,
            catalogue: cached.map(|bytes| Catalogue::from_cache(&bytes)).unwrap_or_default(),
        }
    }
}

/// Where the model list is kept.
pub(super) fn cache_path(home: &std::path::Path) -> PathBuf {
    home.join("models_cache.json")
}

fn policy_of(config: &Config, path: PathBuf) -> AuthPolicy {
    AuthPolicy {
        store: match config.credential_store {
            CredentialStore::Ephemeral => StoreKind::Ephemeral,
            CredentialStore::File | CredentialStore::Keyring | CredentialStore::Auto => {
                StoreKind::File
            }
        },
        path,
        forced_method: config.forced_login_method.map(|method| match method {
            LoginMethod::Api => ForcedMethod::ApiKey,
            LoginMethod::Chatgpt => ForcedMethod::ChatGpt,
        }),
        forced_workspace: config.forced_chatgpt_workspace_id.clone(),
        requires_openai_auth: config.provider.requires_openai_auth,
    }
}

impl Machine {
    pub(super) fn load(&mut self) {
        let job = StartupJob::new(&self.setup);
        self.out.start(Call::Files(FileJob::Startup(Box::new(job))), CallOwner::Startup);
    }

    pub(super) fn on_loaded(&mut self, found: StartupFound) {
        self.warnings = found.warnings.into_iter().map(config_warning).collect();
        let path = found.policy.path.to_string_lossy().into_owned();
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
            self.warnings.push(ConfigWarningNotification {
                summary: summary.to_owned(),
                details: Some(details),
                path: Some(path),
                range: None,
            });
        }
        self.config = found.config;
        self.catalogue = found.catalogue;
    }
}

fn config_warning(warning: ConfigWarning) -> ConfigWarningNotification {
    let position = |at: config::TextPosition| TextPosition { line: at.line, column: at.column };
    ConfigWarningNotification {
        summary: warning.summary,
        details: warning.details,
        path: warning.path.map(|path| path.to_string_lossy().into_owned()),
        range: warning.range.map(|range| TextRange {
            start: position(range.start),
            end: position(range.end),
        }),
    }
}
