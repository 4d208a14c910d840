//! What a session begins with: configuration, stored credentials, and who is asked for tokens.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use jiff::SignedDuration;
use understudy_core::files::{Files, MemoryFiles};
use understudy_core::{Refresh, Setup};

use super::model::store::{Record, Stores, Unread};
use super::tokens::{self, Kind, Login};
use crate::choose::Choose;
use crate::world::{Fault, MemoryKeyring, wall};

/// The folder with configuration and credentials.
pub const HOME: &str = "/home/user/.codex";
/// The stored credentials.
pub const AUTH_FILE: &str = "/home/user/.codex/auth.json";
/// The name of the keyring's entry, which is made of the folder's (auth.md §4.5).
const KEYRING_ACCOUNT: &str = "cli|59448a44901f7128";
/// The workspace that `forced_chatgpt_workspace_id` names.
pub const WORKSPACE: &str = "org-a";
/// Another one.
pub const OTHER_WORKSPACE: &str = "org-b";
/// The key of a provider that has its own.
pub const PROVIDER_KEY: &str = "pkey-of-the-provider";

/// What the model provider says of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// It takes the user's account.
    Asks,
    /// The built-in one, with its default addresses.
    BuiltIn,
    /// A third party that says nothing of accounts.
    Foreign,
    /// Its key is in the environment.
    EnvKey,
    /// Its key should be in the environment and is not.
    EnvKeyUnset,
    /// Its key is in the configuration; it would take the account as well.
    Bearer,
}

/// `forced_login_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// `api`
    Api,
    /// `chatgpt`
    ChatGpt,
}

/// What `auth.json` holds at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// There is no such file.
    Nothing,
    /// An API key.
    Key,
    /// A login of the server's own, in the workspace.
    Managed,
    /// One whose tokens are old by their age.
    ManagedOld,
    /// One whose access token has run out by its own words.
    ManagedExpired,
    /// One in the other workspace.
    ManagedElsewhere,
    /// A host's tokens, which nobody should have written.
    External,
    /// No JSON.
    Garbage,
}

/// Where credentials are kept (`cli_auth_credentials_store`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In `auth.json`.
    File,
    /// In the keyring.
    Keyring,
    /// In the keyring if it works, else in the file.
    Auto,
    /// Nowhere.
    Memory,
}

/// A configuration, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The model provider.
    pub provider: Provider,
    /// `forced_login_method`.
    pub forced_method: Option<Forced>,
    /// Whether [`WORKSPACE`] is forced.
    pub forced_workspace: bool,
    /// Where credentials are kept.
    pub keeping: Keeping,
    /// There is a keyring.
    pub has_keyring: bool,
    /// `request_max_retries`, where the provider can be configured.
    pub request_retries: u32,
    /// `stream_max_retries`, likewise.
    pub stream_retries: u32,
    /// Time for a refresh.
    pub limit: Duration,
    /// The embedding program is asked for tokens, not the host on the wire.
    pub embedder: bool,
    /// What is stored at the start.
    pub stored: Stored,
    /// Bytes arrive before start-up is done.
    pub pushy: bool,
    /// Every id of the host's is a number; else some are texts.
    pub numbers_only: bool,
    /// The host hears in the older dialect, too, what happens in turns.
    pub hears_twice: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            provider: Provider::Asks,
            forced_method: None,
            forced_workspace: false,
            keeping: Keeping::File,
            has_keyring: true,
            request_retries: 1,
            stream_retries: 1,
            limit: Duration::from_secs(10),
            embedder: false,
            stored: Stored::Nothing,
            pushy: false,
            numbers_only: false,
            hears_twice: false,
        }
    }
}

impl Setting {
    /// Any setting; half of them are the plain case in most respects.
    pub fn choose(c: &mut impl Choose) -> Option<Self> {
        use Stored::{
            External, Garbage, Key, Managed, ManagedElsewhere, ManagedExpired, ManagedOld, Nothing,
        };
        Some(Self {
            provider: match c.weighted(&[18, 2, 1, 1, 1, 1])? {
                0 => Provider::Asks,
                1 => Provider::BuiltIn,
                2 => Provider::Foreign,
                3 => Provider::EnvKey,
                4 => Provider::EnvKeyUnset,
                _ => Provider::Bearer,
            },
            forced_method: match c.below(8)? {
                0 => Some(Forced::Api),
                1 => Some(Forced::ChatGpt),
                _ => None,
            },
            forced_workspace: c.one_in(3)?,
            keeping: c.pick(&[
                Keeping::File,
                Keeping::File,
                Keeping::File,
                Keeping::Keyring,
                Keeping::Auto,
                Keeping::Memory,
            ])?,
            has_keyring: !c.one_in(4)?,
            request_retries: c.below(3)?,
            stream_retries: c.below(3)?,
            limit: Duration::from_secs(c.pick(&[10, 10, 10, 45])?),
            embedder: c.one_in(5)?,
            stored: c.pick(&[
                Nothing,
                Nothing,
                Nothing,
                Key,
                External,
                Garbage,
                Managed,
                Managed,
                Managed,
                Managed,
                Managed,
                ManagedElsewhere,
                ManagedOld,
                ManagedExpired,
            ])?,
            pushy: c.one_in(8)?,
            numbers_only: false,
            // Half of all that a server says, and nothing that is not said in today's dialect.
            hears_twice: c.one_in(8)?,
        })
    }

    /// How often a request may be sent again.
    pub fn retries(&self) -> u32 {
        match self.provider {
            // Its own are 4 and 5, and nobody can change them.
            Provider::BuiltIn => 9,
            _ => self.request_retries + self.stream_retries,
        }
    }

    /// Whether the provider wants a login.
    pub fn requires_auth(&self) -> bool {
        matches!(self.provider, Provider::Asks | Provider::BuiltIn | Provider::Bearer)
    }

    /// Bearer and account that a call to the provider carries while `login` is in force; the error
    /// says why there can be no call (auth.md §13.3).
    pub fn credential(&self, login: &Login) -> Result<(Option<String>, Option<String>), &str> {
        match self.provider {
            Provider::EnvKey | Provider::Bearer => Ok((Some(PROVIDER_KEY.to_owned()), None)),
            Provider::EnvKeyUnset => Err("Missing environment variable: `PROVIDER_KEY`."),
            Provider::Foreign => Ok((None, None)),
            Provider::Asks | Provider::BuiltIn => {
                let token = (login.kind != Kind::None).then(|| login.token.clone());
                Ok((token, login.account.clone()))
            }
        }
    }

    /// Where calls for the model go (auth.md §10.4).
    pub fn base_url(&self, login: &Login) -> &'static str {
        match (self.provider, login.kind) {
            (Provider::BuiltIn, Kind::None | Kind::Key) => "https://api.openai.com/v1",
            (Provider::BuiltIn, _) => "https://chatgpt.com/backend-api/codex",
            (Provider::Foreign, _) => "https://models.example.net/v1",
            _ => "http://127.0.0.1:9/v1",
        }
    }

    /// The login in force at the start, and whether the host is warned of what is stored, when
    /// reading it goes wrong in this way.
    pub fn first_login(&self, fault: Fault) -> (Login, bool) {
        let login = match self.stores().load(fault) {
            Err(Unread) => return (Login::none(), true),
            Ok(Record::Of(login)) => login,
            Ok(Record::Nothing | Record::Broken) => return (Login::none(), false),
        };
        let is_allowed = match (login.kind, self.forced_method) {
            (Kind::Key, forced) => forced != Some(Forced::ChatGpt),
            (_, Some(Forced::Api)) => false,
            _ => !self.forced_workspace || login.account.as_deref() == Some(WORKSPACE),
        };
        if is_allowed { ((*login).clone(), false) } else { (Login::none(), true) }
    }

    /// The stores at the start.
    pub fn stores(&self) -> Stores {
        let record = match self.stored {
            Stored::Nothing => Record::Nothing,
            Stored::Garbage | Stored::External => Record::Broken,
            _ => Record::Of(Rc::new(self.stored_login())),
        };
        Stores::new(self.keeping, self.has_keyring, record)
    }

    fn stored_login(&self) -> Login {
        let start = wall(Duration::ZERO);
        match self.stored {
            Stored::Key => Login::key("skey-stored"),
            Stored::ManagedElsewhere => Login::managed(0, OTHER_WORKSPACE, start),
            Stored::ManagedOld => {
                Login::managed(0, WORKSPACE, start - SignedDuration::from_hours(9 * 24))
            }
            Stored::ManagedExpired => {
                let mut login = Login::managed(0, WORKSPACE, start);
                let expiry = start.as_second() - 60;
                login.token = tokens::jwt(&format!(r#"{{"exp":{expiry}}}"#), "mtok0-access");
                if let Some(own) = &mut login.own {
                    own.expiry = Some(expiry);
                }
                login
            }
            Stored::Managed | Stored::External => Login::managed(0, WORKSPACE, start),
            Stored::Nothing | Stored::Garbage => Login::none(),
        }
    }

    fn record(&self) -> Option<String> {
        match self.stored {
            Stored::Nothing => None,
            Stored::Garbage => Some("{ skey-of-a-broken-file".to_owned()),
            Stored::Key => Some(r#"{"OPENAI_API_KEY":"skey-stored","theirs":1}"#.to_owned()),
            Stored::External => Some(self.stored_login().record("chatgptAuthTokens")),
            _ => Some(self.stored_login().record("chatgpt")),
        }
    }

    fn config(&self) -> String {
        // The model of the world knows one kind of request of a turn. A backend that says that the
        // window is full would else have the next turn ask for a shorter history first.
        let mut text = "model_auto_compact_token_limit = 1000000000\n".to_owned();
        // No tool is ever called here, and to describe them takes a good part of the time.
        text.push_str("features.shell_tool = false\n");
        match self.forced_method {
            Some(Forced::Api) => text.push_str("forced_login_method = 'api'\n"),
            Some(Forced::ChatGpt) => text.push_str("forced_login_method = 'chatgpt'\n"),
            None => {}
        }
        if self.forced_workspace {
            text.push_str("forced_chatgpt_workspace_id = 'org-a'\n");
        }
        text.push_str(match self.keeping {
            Keeping::File => "",
            Keeping::Keyring => "cli_auth_credentials_store = 'keyring'\n",
            Keeping::Auto => "cli_auth_credentials_store = 'auto'\n",
            Keeping::Memory => "cli_auth_credentials_store = 'ephemeral'\n",
        });
        if self.provider == Provider::BuiltIn {
            return text;
        }
        text.push_str(
            "model_provider = 'scripted'\n[model_providers.scripted]\nname = 'Scripted'\n",
        );
        text.push_str(match self.provider {
            Provider::Foreign => "base_url = 'https://models.example.net/v1'\n",
            _ => "base_url = 'http://127.0.0.1:9/v1'\n",
        });
        text.push_str(match self.provider {
            Provider::Asks => "requires_openai_auth = true\n",
            Provider::Bearer => {
                "requires_openai_auth = true\nexperimental_bearer_token = 'pkey-of-the-provider'\n"
            }
            Provider::EnvKey | Provider::EnvKeyUnset => "env_key = 'PROVIDER_KEY'\n",
            Provider::BuiltIn | Provider::Foreign => "",
        });
        let (request, stream) = (self.request_retries, self.stream_retries);
        text.push_str(&format!("request_max_retries = {request}\nstream_max_retries = {stream}\n"));
        text
    }

    /// The setup of a machine, its files and its keyring.
    pub fn make(&self) -> (Setup, MemoryFiles, MemoryKeyring) {
        let files = MemoryFiles::new().with(format!("{HOME}/config.toml"), self.config());
        let keyring =
            if self.has_keyring { MemoryKeyring::default() } else { MemoryKeyring::absent() };
        files.folder("/work");
        // Another program's skills lie there: to put ours in place and to read them for every thread
        // would take a good part of the time, and says nothing about credentials.
        files.put(format!("{HOME}/skills/.system/.codex-system-skills.marker"), "another's");
        self.put(&files, &keyring, self.record());
        let mut setup = Setup::new(HOME, "/work");
        if self.provider == Provider::EnvKey {
            let vars = [("PROVIDER_KEY".to_owned(), PROVIDER_KEY.to_owned())];
            setup.env = std::sync::Arc::new(vars.into_iter().collect());
        }
        setup.refresh = if self.embedder { Refresh::Embedder } else { Refresh::Wire };
        setup.refresh_limit = self.limit;
        (setup, files, keyring)
    }

    /// Puts a record where another server of this kind would, or takes it away from there.
    pub fn put(&self, files: &MemoryFiles, keyring: &MemoryKeyring, record: Option<String>) {
        if self.stores().is_in_keyring() {
            return keyring.put("Codex Auth", KEYRING_ACCOUNT, record);
        }
        match record {
            Some(record) => files.put(AUTH_FILE, record),
            // There may be no such file.
            None => drop(files.remove(Path::new(AUTH_FILE))),
        }
    }
}
