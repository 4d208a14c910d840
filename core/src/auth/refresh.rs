//! Getting new tokens when the backend refuses those in force, or when they are old
//! (auth.md §7, §8.3, §9).
//!
//! Owns: the one refresh that may run, and who waits for it. It belongs to the credentials, not to
//! a turn: a turn that goes away stops waiting, and the tokens are kept all the same (auth.md §12
//! G8). How it is done depends on whose tokens they are: [`Way::Host`] asks the host,
//! [`Way::Managed`] asks the token authority (see `managed`).
//!
//! Invariants: at most one refresh at a time; it carries the generation it was started for, and its
//! result is taken only while that generation is in force; a refusal for good is remembered for that
//! generation, so that the same token is never tried again (auth.md §13.1 I35).

use super::credential::{Credential, External, Generation, Managed, limit_text};
use super::managed::ManagedRefresh;
use super::{Auth, Waiter, Woken, authority};
use crate::effect::{AskId, Effect, RefreshAuth};
use crate::input::FreshTokens;
use crate::limits;
use crate::outside::Outside;
use crate::pending::AskOwner;
use crate::setup::Refresh;
use crate::telemetry::{Measure, RefreshCause, RefreshEnd, RefreshWay, Scope, Within, Work};
use crate::wire::v2::account::{ChatgptAuthTokensRefreshParams, ChatgptAuthTokensRefreshReason};

/// The refresh that runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Refreshing {
    pub(super) generation: Generation,
    pub(super) way: Way,
    waiters: Vec<(Waiter, Need)>,
    /// Lasts as long as the refresh.
    _span: tracing::Span,
    measure: Option<Measure>,
    /// Who needed it first.
    cause: RefreshCause,
}

impl Refreshing {
    /// Whether it can be left without losing anything. The host's tokens are the host's to keep.
    pub(super) fn loses_nothing(&self) -> bool {
        match &self.way {
            Way::Host(_) => true,
            Way::Managed(managed) => managed.has_asked_nobody(),
        }
    }
}

/// How a refresh is done.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum Way {
    /// The host is asked.
    Host(AskId),
    /// The token authority is asked.
    Managed(Box<ManagedRefresh>),
}

/// Why somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The token was refused: without a new one it cannot go on.
    Refused,
    /// The token is old: it goes on in any case (auth.md §13.1 I33).
    Old,
}

/// What a caller does whose credential the backend refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AfterUnauthorized {
    /// Send again: the credential has changed meanwhile.
    Retry,
    /// Wait for [`Woken`].
    Wait,
    /// Nothing can be refreshed. Without a cause the backend's own words are the reason.
    Fail(Option<String>),
}

/// A refresh that was refused for good, for the generation it was refused to.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Dead {
    generation: Generation,
    cause: String,
}

impl Auth {
    /// A call made with the credentials of `used` was answered 401.
    pub(crate) fn unauthorized(
        &mut self,
        out: &mut Outside,
        used: Generation,
        waiter: Waiter,
        within: Option<Scope>,
    ) -> AfterUnauthorized {
        if self.credential.mode().is_none() {
            return AfterUnauthorized::Fail(None);
        }
        if used < self.generation {
            return AfterUnauthorized::Retry;
        }
        if let Some(dead) = self.dead.as_ref().filter(|dead| dead.generation == self.generation) {
            return AfterUnauthorized::Fail(Some(dead.cause.clone()));
        }
        if !matches!(self.credential, Credential::External(_) | Credential::Managed(_)) {
            return AfterUnauthorized::Fail(None);
        }
        if self.is_closing {
            return AfterUnauthorized::Fail(None);
        }
        self.join_refresh(out, waiter, Need::Refused, within);
        AfterUnauthorized::Wait
    }

    /// Called before a request is sent: whether it should wait for tokens in place of old ones.
    /// Only managed tokens age here (auth.md §13.1 I34).
    pub(crate) fn freshen(
        &mut self,
        out: &mut Outside,
        waiter: Waiter,
        within: Option<Scope>,
    ) -> bool {
        let is_old = match &self.credential {
            Credential::Managed(managed) => is_old(managed, out),
            Credential::None | Credential::ApiKey(_) | Credential::External(_) => false,
        };
        if !is_old || self.is_closing || self.is_refresh_futile(out) {
            return false;
        }
        self.join_refresh(out, waiter, Need::Old, within);
        true
    }

    /// Somebody asks for new tokens on purpose (`refreshToken: true`). Tokens of a host are not
    /// refreshed that way (auth.md §13.1 I24).
    pub(super) fn refresh_on_demand(
        &mut self,
        out: &mut Outside,
        waiter: Waiter,
        within: Option<Scope>,
    ) -> bool {
        let is_dead = self.dead.as_ref().is_some_and(|dead| dead.generation == self.generation);
        if is_dead || self.is_closing || !matches!(self.credential, Credential::Managed(_)) {
            return false;
        }
        self.join_refresh(out, waiter, Need::Old, within);
        true
    }

    /// Whether a refresh on the server's own account would fail, or has just failed.
    fn is_refresh_futile(&self, out: &Outside) -> bool {
        self.refresh.is_none()
            && (self.dead.as_ref().is_some_and(|dead| dead.generation == self.generation)
                || self.not_before.is_some_and(|moment| out.now.mono < moment))
    }

    fn join_refresh(
        &mut self,
        out: &mut Outside,
        waiter: Waiter,
        need: Need,
        within: Option<Scope>,
    ) {
        if let Some(running) = &mut self.refresh {
            return running.waiters.push((waiter, need));
        }
        let way = match &self.credential {
            Credential::Managed(managed) => {
                let managed = managed.clone();
                Way::Managed(Box::new(ManagedRefresh::start(out, &self.policy.place, managed)))
            }
            _ => Way::Host(self.ask_host(out)),
        };
        let (generation, waiters) = (self.generation, vec![(waiter, need)]);
        let span = tracing::debug_span!("refresh", generation = generation.0);
        let cause = match waiter {
            Waiter::Turn(_) => RefreshCause::Turn,
            Waiter::Errand(_) => RefreshCause::Errand,
            Waiter::Request(_) => RefreshCause::Request,
        };
        let measure = out.measure(Within::Work(within));
        self.refresh = Some(Refreshing { generation, way, waiters, _span: span, measure, cause });
    }

    fn ask_host(&self, out: &mut Outside) -> AskId {
        let previous_account_id = self.credential.account_id().map(str::to_owned);
        let limit = self.refresh_limit;
        match self.refresh_by {
            Refresh::Wire => out.ask(
                AskOwner::AuthRefresh,
                "account/chatgptAuthTokens/refresh",
                ChatgptAuthTokensRefreshParams {
                    reason: ChatgptAuthTokensRefreshReason::Unauthorized,
                    previous_account_id,
                },
                Some(limit),
            ),
            Refresh::Embedder => out.ask_embedder(AskOwner::AuthRefresh, limit, |ask| {
                Effect::RefreshAuth(ask, RefreshAuth { previous_account_id, limit })
            }),
        }
    }

    /// The refresh that runs, if it is for the credential in force: the one place where results for
    /// an older one are dropped.
    pub(super) fn take_refresh(&mut self) -> Option<Refreshing> {
        let refreshing = self.refresh.take()?;
        (refreshing.generation == self.generation).then_some(refreshing)
    }

    // --- the host's tokens ---

    /// The host answered; `Err` is the reason for the turns that wait.
    pub(crate) fn refreshed(&mut self, out: &mut Outside, answer: Result<FreshTokens, String>) {
        self.host_refreshed(out, answer, RefreshEnd::Failed);
    }

    fn host_refreshed(
        &mut self,
        out: &mut Outside,
        answer: Result<FreshTokens, String>,
        failed: RefreshEnd,
    ) {
        let Some(refreshing) = self.take_refresh() else { return };
        let (woken, end) = match answer.and_then(|tokens| self.accept_refresh(tokens)) {
            Ok(external) => {
                self.renew(out, Credential::External(external));
                (Woken::Retry, RefreshEnd::Renewed)
            }
            Err(cause) => (Woken::Fail(cause), failed),
        };
        self.wake(out, refreshing, &woken, end);
    }

    /// No answer came in time.
    pub(crate) fn refresh_expired(&mut self, out: &mut Outside) {
        let limit = limit_text(self.refresh_limit);
        let late = Err(format!("auth refresh request timed out after {limit}"));
        self.host_refreshed(out, late, RefreshEnd::TimedOut);
    }

    fn accept_refresh(&self, tokens: FreshTokens) -> Result<External, String> {
        let external = External::accept(tokens)
            .map_err(|text| format!("auth refresh response is invalid: {text}"))?;
        if let Some(wanted) = &self.policy.forced_workspace
            && external.account_id.as_ref() != Some(wanted)
        {
            let got = external.account_id.map_or("None".to_owned(), |id| format!("{id:?}"));
            return Err(format!(
                "external auth refresh returned workspace {got}, expected {wanted:?}"
            ));
        }
        Ok(external)
    }

    // --- managed tokens ---

    /// A managed refresh is over: with new tokens, because of a refusal for good, or in passing.
    pub(super) fn managed_refreshed(&mut self, out: &mut Outside, outcome: ManagedOutcome) {
        let Some(refreshing) = self.take_refresh() else { return };
        let woken = match outcome {
            ManagedOutcome::Fresh(managed) => {
                self.take_managed(out, refreshing.generation, *managed, Woken::Retry)
            }
            ManagedOutcome::Adopted(managed) => {
                self.take_managed(out, refreshing.generation, *managed, Woken::Adopted)
            }
            ManagedOutcome::Refused(cause) => self.give_up(refreshing.generation, cause),
            ManagedOutcome::Failed(cause) => {
                self.not_before = Some(out.now.mono + limits::REFRESH_PAUSE);
                Woken::Fail(cause)
            }
        };
        let end = match (&woken, &self.dead) {
            (Woken::Retry, _) => RefreshEnd::Renewed,
            (Woken::Adopted, _) => RefreshEnd::Adopted,
            (Woken::Fail(_), Some(_)) => RefreshEnd::Refused,
            (Woken::Fail(_), None) => RefreshEnd::Failed,
        };
        self.wake(out, refreshing, &woken, end);
    }

    fn take_managed(
        &mut self,
        out: &mut Outside,
        generation: Generation,
        managed: Managed,
        woken: Woken,
    ) -> Woken {
        if let Some(cause) = self.policy.workspace_fault(&managed) {
            return self.give_up(generation, cause);
        }
        self.renew(out, Credential::Managed(managed));
        woken
    }

    /// Remembers that no refresh of these tokens will succeed.
    fn give_up(&mut self, generation: Generation, cause: String) -> Woken {
        self.dead = Some(Dead { generation, cause: cause.clone() });
        Woken::Fail(cause)
    }

    // --- waiting ---

    /// The credentials that were being refreshed are gone: the question is withdrawn, so that its
    /// answer finds nobody, and those who wait are told.
    pub(super) fn abandon_refresh(&mut self, out: &mut Outside, woken: &Woken) {
        let Some(mut refreshing) = self.refresh.take() else { return };
        match &mut refreshing.way {
            Way::Host(ask) => {
                out.close_ask(*ask);
            }
            Way::Managed(managed) => managed.stop(out),
        }
        self.wake(out, refreshing, woken, RefreshEnd::Abandoned);
    }

    /// A caller that waited is gone. The refresh goes on: tokens that arrive are kept.
    pub(crate) fn stop_waiting(&mut self, waiter: Waiter) {
        if let Some(refreshing) = &mut self.refresh {
            refreshing.waiters.retain(|(other, _)| *other != waiter);
        }
        self.woken.retain(|(other, _)| *other != waiter);
    }

    /// The refresh is over, and those who wait are told.
    fn wake(&mut self, out: &mut Outside, refreshing: Refreshing, woken: &Woken, end: RefreshEnd) {
        let way = match refreshing.way {
            Way::Host(_) => RefreshWay::Host,
            Way::Managed(_) => RefreshWay::Authority,
        };
        let cause = refreshing.cause;
        out.measured(refreshing.measure, || Work::Refresh { cause, way, end });
        for (waiter, need) in refreshing.waiters {
            let woken = match need {
                Need::Refused => woken.clone(),
                Need::Old => Woken::Retry,
            };
            self.woken.push_back((waiter, woken));
        }
    }
}

/// How a managed refresh ended.
#[derive(Debug)]
pub(super) enum ManagedOutcome {
    Fresh(Box<Managed>),
    /// Another process had new tokens already.
    Adopted(Box<Managed>),
    /// For good: the text says what to do.
    Refused(String),
    /// In passing.
    Failed(String),
}

/// By the access token's own expiry where it has one, else by age (auth.md §14.2).
fn is_old(managed: &Managed, out: &Outside) -> bool {
    match (authority::expiry(&managed.access), managed.last_refresh) {
        (Some(expiry), _) => expiry <= out.now.wall,
        (None, Some(issued)) => {
            let age = out.now.wall.duration_since(issued);
            age.unsigned_abs() > limits::MANAGED_FRESH && age.is_positive()
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{AfterUnauthorized, Auth, Credential, External};
    use crate::auth::Waiter;
    use crate::clock::Now;
    use crate::input::FreshTokens;
    use crate::outside::Outside;
    use crate::secret::Secret;
    use crate::setup::Setup;

    fn tokens(access: &str) -> FreshTokens {
        FreshTokens {
            access_token: Secret::new(access),
            id_token: Some(Secret::new("e30.e30.c")),
            account_id: None,
            plan_type: None,
        }
    }

    /// No session comes so far, because a question is withdrawn with its credentials: what follows
    /// is what would happen if that were forgotten.
    #[test]
    fn an_answer_for_older_credentials_changes_nothing() {
        let mut out =
            Outside::new([0; 32], Now::new(Duration::from_secs(1), Timestamp::UNIX_EPOCH));
        let mut auth = Auth::new(&Setup::new("/home", "/work"));
        let old = External::accept(tokens("old")).expect("tokens are in order");
        auth.credential = Credential::External(old);
        let waiter = Waiter::Turn(uuid::Uuid::nil());
        let after = auth.unauthorized(&mut out, auth.generation, waiter, None);
        assert_eq!(after, AfterUnauthorized::Wait);
        auth.generation = auth.generation.next();
        auth.refreshed(&mut out, Ok(tokens("new")));
        let Credential::External(external) = &auth.credential else { panic!("somebody else's") };
        assert_eq!(external.access.expose(), "old");
    }
}
