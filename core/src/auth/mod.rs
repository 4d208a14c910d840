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
mod authority;
mod bearer;
mod credential;
#[cfg(feature = "sim")]
mod fuzz;
mod id_token;
mod login;
mod managed;
mod pages;
mod plan;
mod record;
mod refresh;
pub(crate) mod rows;
mod rules;
mod store;
#[cfg(test)]
pub(crate) mod tables;

#[cfg(test)]
pub(crate) use id_token::unsigned_jwt;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(crate) use account::{AccountRequest, Dialect};
pub(crate) use authority::percent_encoded;
pub(crate) use bearer::{CallCredential, ProviderAuth, Source};
pub(crate) use credential::{Credential, Generation};
#[cfg(feature = "sim")]
pub use fuzz::{ClaimsOf, claims_of};
pub(crate) use id_token::reads_alike;
pub(crate) use plan::from_claim as plan_from_claim;
pub(crate) use refresh::AfterUnauthorized;
pub(crate) use rules::ForcedMethod;
pub(crate) use store::{Place, StoreKind};
pub use store::{StoreAnswer, StoreJob};

use crate::effect::HeaderText;
use crate::limits;
use crate::model::request::LoginKind;
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::setup::{Environment, Refresh, Setup};
use crate::wire::v2::account::PlanType;
use account::Storing;
use authority::Authority;
use credential::Managed;
use login::{Ended, Login};
use refresh::{Dead, Refreshing};

/// A caller that waits for a refresh: an id that only its owner understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Waiter {
    /// The turn of a thread.
    Turn(uuid::Uuid),
    /// A request in the account's name that is no turn's.
    Errand(u64),
    /// A request of the host about the account.
    Request(u64),
}

/// What a call of this room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthCall {
    /// The store, for a login or a logout.
    Store,
    /// The listener of a browser login.
    Listener,
    /// An exchange of a login.
    Login,
    /// The lock between processes that refresh.
    RefreshLock,
    /// The store, for a refresh.
    RefreshStore,
    /// The token authority, for a refresh.
    RefreshHttp,
    /// The token authority takes a token back; nobody waits for it.
    Revoke,
}

impl AuthCall {
    /// Whether something would be lost if the process ended before the answer: a record half way,
    /// or tokens that the authority has rotated (auth.md §12 G8).
    pub(crate) fn must_finish(self) -> bool {
        match self {
            AuthCall::Store | AuthCall::RefreshStore | AuthCall::RefreshHttp => true,
            AuthCall::Listener | AuthCall::Login | AuthCall::RefreshLock | AuthCall::Revoke => {
                false
            }
        }
    }
}

/// What became of the refresh that a [`Waiter`] waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Send again with the credentials in force.
    Retry,
    /// The same; but they are another process's, and it is not known whether they are still good.
    Adopted,
    /// There are no new tokens, for this reason.
    Fail(String),
}

/// What the configuration says about signing in; read once at start-up (auth.md §2).
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthPolicy {
    pub(crate) place: Place,
    pub(crate) forced_method: Option<ForcedMethod>,
    pub(crate) forced_workspace: Option<String>,
    /// Whether the provider wants a login at all.
    pub(crate) requires_openai_auth: bool,
    /// Replaces the setup's limit for a refresh.
    pub(crate) refresh_limit: Option<Duration>,
}

/// The credential room.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Auth {
    credential: Credential,
    generation: Generation,
    policy: AuthPolicy,
    authority: Authority,
    /// How the server introduces itself, as of `initialize`.
    identity: Identity,
    refresh_by: Refresh,
    refresh_limit: Duration,
    refresh: Option<Refreshing>,
    /// A refresh of these tokens was refused for good.
    dead: Option<Dead>,
    /// No refresh on the server's own account before this moment, after one that failed in passing.
    not_before: Option<Duration>,
    login: Option<Login>,
    storing: Option<Storing>,
    queue: VecDeque<(Ticket, AccountRequest)>,
    /// Requests that wait for a refresh, by the number in their [`Waiter::Request`].
    waiting: BTreeMap<u64, (Ticket, AccountRequest)>,
    next_waiting: u64,
    /// Requests for the account's usage that may be made now.
    usage: VecDeque<Ticket>,
    woken: VecDeque<(Waiter, Woken)>,
    /// No refresh is begun any more: nobody would answer it, or it would outlast the server.
    is_closing: bool,
}

/// How the server introduces itself to the token authority (auth.md §7.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) originator: String,
    pub(crate) user_agent: String,
}

impl Auth {
    /// A room where nobody is signed in yet.
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            credential: Credential::None,
            generation: Generation::default(),
            policy: AuthPolicy::default(),
            authority: Authority::new(&setup.env),
            identity: Identity::default(),
            refresh_by: setup.refresh,
            refresh_limit: setup.refresh_limit.min(limits::REFRESH_LIMIT_MAX),
            refresh: None,
            dead: None,
            not_before: None,
            login: None,
            storing: None,
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_waiting: 0,
            usage: VecDeque::new(),
            woken: VecDeque::new(),
            is_closing: false,
        }
    }

    /// Takes up the configuration and what the store held. Credentials that the configuration does
    /// not allow are refused, with a reason for a person; they stay in the store (auth.md §11).
    pub(crate) fn begin(&mut self, policy: AuthPolicy, stored: Credential) -> Option<String> {
        if let Some(limit) = policy.refresh_limit {
            self.refresh_limit = limit.min(limits::REFRESH_LIMIT_MAX);
        }
        self.policy = policy;
        if let Some(reason) = self.policy.forbids(&stored) {
            return Some(reason);
        }
        self.credential = stored;
        None
    }

    /// The host has introduced itself, and so does the server from now on (auth.md §12 G21).
    pub(crate) fn introduce(&mut self, identity: Identity) {
        self.identity = identity;
    }

    fn identity(&self) -> Vec<(String, HeaderText)> {
        let plain =
            |name: &str, value: &str| (name.to_owned(), HeaderText::Plain(value.to_owned()));
        vec![
            plain("originator", &self.identity.originator),
            plain("user-agent", &self.identity.user_agent),
        ]
    }

    /// The credential for a call to a provider.
    pub(crate) fn for_call(
        &self,
        out: &mut Outside,
        provider: ProviderAuth<'_>,
        env: &Environment,
    ) -> Result<CallCredential, String> {
        out.reached(|| rows::call_row(provider, env, &self.credential));
        bearer::choose(provider, env, &self.credential, self.generation)
    }

    /// The server is about to end: nothing is begun any more. What is half way, and would be lost,
    /// goes on: tokens that the authority has in hand, a record that the store has.
    pub(crate) fn close(&mut self, out: &mut Outside) {
        self.is_closing = true;
        self.end_unsaved_login(out, &Ended::Canceled);
        if self.refresh.as_ref().is_some_and(Refreshing::loses_nothing) {
            let text = "auth refresh request canceled: the server is ending".to_owned();
            self.abandon_refresh(out, &Woken::Fail(text));
        }
    }

    /// How the user is signed in, as far as it decides where requests go (auth.md §10.4).
    pub(crate) fn login_kind(&self) -> LoginKind {
        match self.credential {
            Credential::None => LoginKind::Nobody,
            Credential::ApiKey(_) => LoginKind::ApiKey,
            Credential::Managed(_) | Credential::External(_) => LoginKind::ChatGpt,
        }
    }

    /// The plan of the account, if it is known.
    pub(crate) fn plan(&self) -> Option<PlanType> {
        self.credential.plan()
    }

    /// A waiter whose refresh has ended, with what became of it.
    pub(crate) fn next_woken(&mut self) -> Option<(Waiter, Woken)> {
        self.woken.pop_front()
    }

    /// A request for the account's usage that may be made now.
    pub(crate) fn next_usage(&mut self) -> Option<Ticket> {
        self.usage.pop_front()
    }

    /// The one place where the credential changes.
    fn replace(&mut self, out: &mut Outside, credential: Credential, woken: &Woken) {
        self.credential = credential;
        self.generation = self.generation.next();
        self.abandon_refresh(out, woken);
        self.dead = None;
        self.not_before = None;
    }

    /// New tokens for the login in force; said to the host only when what it can see has changed.
    fn renew(&mut self, out: &mut Outside, credential: Credential) {
        let before = (self.credential.mode(), self.credential.plan());
        self.replace(out, credential, &Woken::Retry);
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
                let text =
                    "API key login is required, but a ChatGPT login is stored. It is not used.";
                Some(text.to_owned())
            }
            (_, Credential::ApiKey(_)) => None,
            (_, Credential::Managed(managed)) => self.workspace_fault(managed),
            (_, Credential::External(_)) => None,
        }
    }

    /// Why a login may not be used with the forced workspace, if it may not (auth.md §13.1 I20).
    fn workspace_fault(&self, managed: &Managed) -> Option<String> {
        let wanted = self.forced_workspace.as_ref()?;
        let got = managed.claims.account_id.as_ref();
        (got != Some(wanted)).then(|| {
            let got = got.map_or("without a workspace".to_owned(), |id| format!("for {id}"));
            format!("Login is restricted to workspace {wanted}, but this is one {got}.")
        })
    }
}
