//! Credentials: who is signed in, how, and what happens when the backend refuses (auth.md).
//!
//! Owns: the credential in force and its generation; the one refresh that runs and who waits for
//! it; the store's work in progress and the account requests that wait for it.
//!
//! Invariants: every change of the credential makes a new generation; tokens of the host are never
//! given to the store; an answer for an older generation changes nothing.
//!
//! Never: starts a model call or knows what a turn is (a [`Waiter`] is an id to it).

mod account;
mod bearer;
mod credential;
mod id_token;
mod plan;
mod record;
mod refresh;
mod rules;
mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use account::{AccountRequest, Dialect};
pub(crate) use bearer::{CallCredential, ProviderAuth, Source};
pub(crate) use credential::{Credential, Generation};
pub(crate) use refresh::AfterUnauthorized;
pub(crate) use rules::ForcedMethod;
pub use store::StoreJob;
pub(crate) use store::StoreKind;

use crate::files::Files;
use crate::limits;
use crate::model::request::LoginKind;
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::setup::{Environment, Refresh, Setup};
use account::Storing;
use credential::External;
use refresh::Refreshing;

/// A caller that waits for a refresh: an id that only its owner understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Waiter(pub(crate) uuid::Uuid);

/// What became of the refresh that a [`Waiter`] waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Send again with the credentials in force.
    Retry,
    /// There are no new tokens, for this reason.
    Fail(String),
}

/// What the configuration says about signing in; read once at start-up (auth.md §2).
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthPolicy {
    pub(crate) store: StoreKind,
    /// The stored record.
    pub(crate) path: PathBuf,
    pub(crate) forced_method: Option<ForcedMethod>,
    pub(crate) forced_workspace: Option<String>,
    /// Whether the provider wants a login at all.
    pub(crate) requires_openai_auth: bool,
}

/// The credential room.
#[derive(Debug)]
pub(crate) struct Auth {
    credential: Credential,
    generation: Generation,
    policy: AuthPolicy,
    refresh_by: Refresh,
    refresh_limit: Duration,
    refresh: Option<Refreshing>,
    storing: Option<Storing>,
    queue: VecDeque<(Ticket, AccountRequest)>,
    woken: Vec<(Waiter, Woken)>,
}

impl Auth {
    /// A room where nobody is signed in yet.
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            credential: Credential::None,
            generation: Generation::default(),
            policy: AuthPolicy::default(),
            refresh_by: setup.refresh,
            refresh_limit: setup.refresh_limit.min(limits::REFRESH_LIMIT_MAX),
            refresh: None,
            storing: None,
            queue: VecDeque::new(),
            woken: Vec::new(),
        }
    }

    /// Takes up the configuration and what the store held. Credentials that the configuration does
    /// not allow are refused, with a reason for a person; they stay in the store (auth.md §11).
    pub(crate) fn begin(&mut self, policy: AuthPolicy, stored: Credential) -> Option<String> {
        self.policy = policy;
        if let Some(reason) = self.policy.forbids(&stored) {
            return Some(reason);
        }
        self.credential = stored;
        None
    }

    /// The credential for a call to a provider.
    pub(crate) fn for_call(
        &self,
        provider: ProviderAuth<'_>,
        env: &Environment,
    ) -> Result<CallCredential, String> {
        bearer::choose(provider, env, &self.credential, self.generation)
    }

    /// How the user is signed in, as far as it decides where requests go (auth.md §10.4).
    pub(crate) fn login_kind(&self) -> LoginKind {
        match self.credential {
            Credential::None => LoginKind::Nobody,
            Credential::ApiKey(_) => LoginKind::ApiKey,
            Credential::Managed(_) | Credential::External(_) => LoginKind::ChatGpt,
        }
    }

    /// A waiter whose refresh has ended, with what became of it.
    pub(crate) fn next_woken(&mut self) -> Option<(Waiter, Woken)> {
        if self.woken.is_empty() { None } else { Some(self.woken.remove(0)) }
    }

    /// The one place where the credential changes.
    fn replace(&mut self, out: &mut Outside, credential: Credential, woken: &Woken) {
        self.credential = credential;
        self.generation = self.generation.next();
        self.abandon_refresh(out, woken);
    }

    /// New tokens for the login in force; said to the host only when what it can see has changed.
    fn replace_external(&mut self, out: &mut Outside, external: External) {
        let before = (self.credential.mode(), self.credential.plan());
        self.replace(out, Credential::External(external), &Woken::Retry);
        if before != (self.credential.mode(), self.credential.plan()) {
            self.announce(out, Dialect::V2);
        }
    }
}

impl AuthPolicy {
    /// Why stored credentials may not be used, if they may not.
    fn forbids(&self, stored: &Credential) -> Option<String> {
        match (self.forced_method, stored) {
            (_, Credential::None) => None,
            (Some(ForcedMethod::ChatGpt), Credential::ApiKey(_)) => {
                let text = "ChatGPT login is required, but an API key is stored. It is not used.";
                Some(text.to_owned())
            }
            (Some(ForcedMethod::ApiKey), Credential::Managed(_) | Credential::External(_)) => {
                let text = "API key login is required, but a ChatGPT login is stored. It is not used.";
                Some(text.to_owned())
            }
            (_, Credential::ApiKey(_)) => None,
            (_, Credential::Managed(managed)) => {
                let wanted = self.forced_workspace.as_ref()?;
                let got = managed.claims.account_id.as_ref();
                (got != Some(wanted)).then(|| {
                    let got = got.map_or("without a workspace".to_owned(), |id| format!("for {id}"));
                    format!(
                        "Login is restricted to workspace {wanted}, but a login {got} is stored. \
                         It is not used."
                    )
                })
            }
            (_, Credential::External(_)) => None,
        }
    }
}

/// Reads the stored credential, for the start-up job.
pub(crate) fn load(
    files: &dyn Files,
    store: StoreKind,
    path: &Path,
) -> Result<Credential, String> {
    match store {
        StoreKind::Ephemeral => Ok(Credential::None),
        StoreKind::File => store::load(files, path),
    }
}
