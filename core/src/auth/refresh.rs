//! Asking the host for new tokens (auth.md §8.3, §9).
//!
//! Owns: the one refresh that may run, and who waits for it. It belongs to the credentials, not to
//! a turn: a turn that goes away stops waiting, and the answer is kept all the same (auth.md §12 G8).
//!
//! Invariants: at most one refresh at a time; it carries the generation it was started for, and its
//! answer is taken only while that generation is in force.

use crate::effect::AskId;
use crate::input::FreshTokens;

use super::credential::{External, Generation, limit_text};
use super::{Auth, Waiter, Woken};
use crate::effect::{Effect, RefreshAuth};
use crate::outside::Outside;
use crate::pending::AskOwner;
use crate::setup::Refresh;
use crate::wire::v2::account::{ChatgptAuthTokensRefreshParams, ChatgptAuthTokensRefreshReason};

/// The refresh that runs.
#[derive(Debug)]
pub(super) struct Refreshing {
    generation: Generation,
    ask: AskId,
    waiters: Vec<Waiter>,
}

/// What a caller does whose credential the backend refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AfterUnauthorized {
    /// Send again: the credential has changed meanwhile.
    Retry,
    /// Wait for [`Woken`].
    Wait,
    /// Nothing can be refreshed; the backend's own words are the reason.
    Fail,
}

impl Auth {
    /// A call made with the credentials of `used` was answered 401.
    pub(crate) fn unauthorized(
        &mut self,
        out: &mut Outside,
        used: Generation,
        waiter: Waiter,
    ) -> AfterUnauthorized {
        if self.credential.mode().is_none() {
            return AfterUnauthorized::Fail;
        }
        if used < self.generation {
            return AfterUnauthorized::Retry;
        }
        if !self.credential.is_external() {
            return AfterUnauthorized::Fail;
        }
        match &mut self.refresh {
            Some(running) => running.waiters.push(waiter),
            None => {
                let ask = self.ask_host(out);
                let generation = self.generation;
                self.refresh = Some(Refreshing { generation, ask, waiters: vec![waiter] });
            }
        }
        AfterUnauthorized::Wait
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

    /// The host answered; `Err` is the reason for the turns that wait. Late and stale answers never
    /// get here with a refresh of their generation running.
    pub(crate) fn refreshed(&mut self, out: &mut Outside, answer: Result<FreshTokens, String>) {
        let Some(refreshing) = self.refresh.take() else { return };
        if refreshing.generation != self.generation {
            return;
        }
        let woken = match answer.and_then(|tokens| self.accept_refresh(tokens)) {
            Ok(external) => {
                self.replace_external(out, external);
                Woken::Retry
            }
            Err(cause) => Woken::Fail(cause),
        };
        self.wake(refreshing.waiters, &woken);
    }

    /// No answer came in time.
    pub(crate) fn refresh_expired(&mut self, out: &mut Outside) {
        let limit = limit_text(self.refresh_limit);
        self.refreshed(out, Err(format!("auth refresh request timed out after {limit}")));
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

    /// The credentials that were being refreshed are gone: the question is withdrawn, so that its
    /// answer finds nobody, and those who wait are told.
    pub(super) fn abandon_refresh(&mut self, out: &mut Outside, woken: &Woken) {
        if let Some(refreshing) = self.refresh.take() {
            out.close_ask(refreshing.ask);
            self.wake(refreshing.waiters, woken);
        }
    }

    /// A turn that waited is over. The refresh goes on: tokens that arrive are kept.
    pub(crate) fn stop_waiting(&mut self, waiter: Waiter) {
        if let Some(refreshing) = &mut self.refresh {
            refreshing.waiters.retain(|other| *other != waiter);
        }
        self.woken.retain(|(other, _)| *other != waiter);
    }

    fn wake(&mut self, waiters: Vec<Waiter>, woken: &Woken) {
        self.woken.extend(waiters.into_iter().map(|waiter| (waiter, woken.clone())));
    }

    /// Whether a refresh runs; for tests of "nothing is left".
    #[cfg(test)]
    pub(crate) fn is_refreshing(&self) -> bool {
        self.refresh.is_some()
    }
}
