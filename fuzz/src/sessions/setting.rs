//! What a session begins with.

use std::time::Duration;

use understudy_core::files::MemoryFiles;
use understudy_core::{Refresh, Setup};

use crate::auth::setting::{AUTH_FILE, HOME, WORKSPACE};
use crate::auth::tokens::Login;
use crate::choose::Choose;
use crate::world::wall;

/// The folder that threads work in.
pub const WORK: &str = "/work";

/// Whose tokens go with requests to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedIn {
    /// The user's API key, stored.
    Key,
    /// The server's own tokens, stored; the authority rotates them.
    Managed,
    /// The host's.
    External,
}

/// A configuration, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Machines on the same files, each with its host: 1 or 2.
    pub machines: usize,
    /// Whose tokens are used.
    pub signed_in: SignedIn,
    /// Programs may be left running.
    pub has_sessions: bool,
    /// `request_max_retries`
    pub request_retries: u32,
    /// `stream_max_retries`
    pub stream_retries: u32,
    /// Histories are made short all the time.
    pub compacts: bool,
    /// Bytes arrive before they are wanted.
    pub pushy: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            machines: 1,
            signed_in: SignedIn::Key,
            has_sessions: false,
            request_retries: 1,
            stream_retries: 1,
            compacts: false,
            pushy: false,
        }
    }
}

impl Setting {
    /// Any setting.
    pub fn choose(c: &mut impl Choose) -> Option<Self> {
        Some(Self {
            machines: c.pick(&[1, 1, 1, 2])?,
            signed_in: c.pick(&[SignedIn::Key, SignedIn::Managed, SignedIn::External])?,
            has_sessions: c.one_in(2)?,
            request_retries: c.below(3)?,
            stream_retries: c.below(3)?,
            compacts: c.one_in(6)?,
            pushy: c.one_in(8)?,
        })
    }

    fn config(&self) -> String {
        let (request, stream) = (self.request_retries, self.stream_retries);
        let compacts = if self.compacts { 15 } else { 1_000_000_000 };
        format!(
            "model_auto_compact_token_limit = {compacts}\n\
             model_provider = 'scripted'\n\
             features.unified_exec = {}\n\
             [model_providers.scripted]\n\
             name = 'Scripted'\n\
             base_url = 'http://127.0.0.1:9/v1'\n\
             requires_openai_auth = true\n\
             request_max_retries = {request}\n\
             stream_max_retries = {stream}\n",
            self.has_sessions
        )
    }

    /// The files that all machines share.
    pub fn files(&self) -> MemoryFiles {
        let rules = "prefix_rule(pattern=[\"allowed\"], decision=\"allow\")\n\
                     prefix_rule(pattern=[\"prompted\"], decision=\"prompt\")\n\
                     prefix_rule(pattern=[\"forbidden\"], decision=\"forbidden\")\n";
        let files = MemoryFiles::new()
            .with(format!("{HOME}/config.toml"), self.config())
            .with(format!("{HOME}/rules/user.rules"), rules);
        files.folder(WORK);
        files.folder("/elsewhere");
        match self.signed_in {
            SignedIn::Key => {
                files.put(AUTH_FILE, r#"{"auth_mode":"apikey","OPENAI_API_KEY":"skey-stored"}"#);
            }
            SignedIn::Managed => {
                let login = Login::managed(0, WORKSPACE, wall(Duration::ZERO));
                files.put(AUTH_FILE, login.record("chatgpt"));
            }
            SignedIn::External => {}
        }
        files
    }

    /// What a machine is told.
    pub fn setup(&self) -> Setup {
        let mut setup = Setup::new(HOME, WORK);
        setup.refresh = Refresh::Wire;
        setup
    }
}
