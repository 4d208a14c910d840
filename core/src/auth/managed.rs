//! A refresh with the token authority, step by step (auth.md §7, §12 G5–G8, §13.1 I7, I45).
//!
//! The lock that other processes of this kind also take is held from before the store is read until
//! after it is written, so that a rotating refresh token is never spent twice. The store is read
//! first: if somebody else has refreshed already, theirs is used and nothing is asked.
//!
//! Invariant: tokens of an account are never written into a record of another one, nor asked for
//! when the record is another account's by now.

use std::path::PathBuf;

use super::authority::{self, FreshManaged};
use super::credential::{Credential, Managed};
use super::id_token::Claims;
use super::refresh::{ManagedOutcome, Way};
use super::store::{Place, SaveError, StoreDone, StoreJob, StoreKind, StoreWork};
use super::{Auth, AuthCall};
use crate::effect::{Call, CallId, TimerId};
use crate::exchange::{Exchange, Reply};
use crate::files::FileJob;
use crate::input::Outcome;
use crate::limits;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};

/// Told to a user whose record is another account's by now (auth.md §14.2).
const SIGNED_OUT_ELSEWHERE: &str = "Your access token could not be refreshed because you have \
    since logged out or signed in to another account. Please sign in again.";

/// A refresh with the token authority that runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct ManagedRefresh {
    /// The tokens that are refreshed.
    origin: Managed,
    place: Place,
    /// The lock between processes.
    hold: CallId,
    tries: u32,
    step: Step,
}

/// How far it is.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Step {
    Locking,
    /// The store is read, to see whether somebody else was faster.
    Reading(CallId),
    Asking(Exchange),
    /// The authority refused; the store is read once more before that is believed.
    Doubting(CallId, String),
    Pausing(TimerId),
    Saving(CallId, Box<Managed>),
}

impl ManagedRefresh {
    pub(super) fn start(out: &mut Outside, place: &Place, origin: Managed) -> Self {
        let lock = lock_path(place);
        let hold = out.start(Call::Hold(lock), CallOwner::Auth(AuthCall::RefreshLock));
        Self { origin, place: place.clone(), hold, tries: 0, step: Step::Locking }
    }

    /// Leaves everything behind. What the authority still answers is lost, and that is meant: the
    /// login it belongs to is gone.
    pub(super) fn stop(&mut self, out: &mut Outside) {
        match &self.step {
            Step::Locking => {}
            Step::Reading(call) | Step::Doubting(call, _) | Step::Saving(call, _) => {
                out.cancel(*call);
            }
            Step::Asking(exchange) => exchange.stop(out),
            Step::Pausing(timer) => out.cancel_timer(*timer),
        }
        out.cancel(self.hold);
    }

    /// Whether the authority has nothing of it in hand, nor given anything that is still to be
    /// stored.
    pub(super) fn has_asked_nobody(&self) -> bool {
        match self.step {
            Step::Locking | Step::Reading(_) | Step::Pausing(_) => true,
            Step::Asking(_) | Step::Doubting(..) | Step::Saving(..) => false,
        }
    }

    fn read_store(&self, out: &mut Outside) -> CallId {
        self.job(out, StoreWork::Load)
    }

    fn job(&self, out: &mut Outside, work: StoreWork) -> CallId {
        let job = StoreJob { place: self.place.clone(), work };
        out.start(Call::Files(FileJob::Credentials(job)), CallOwner::Auth(AuthCall::RefreshStore))
    }

    /// What the store holds now, compared with what is being refreshed. Once ours were refused, any
    /// other tokens of the account are better than ours, whatever their age says.
    fn compare(&self, stored: &Credential, is_refused: bool) -> Stored {
        if self.place.kind == StoreKind::Ephemeral {
            return Stored::Same;
        }
        match stored {
            Credential::Managed(stored) if stored.account_id == self.origin.account_id => {
                // Older tokens than ours are there when ours could not be saved.
                let outdated = [Some(&self.origin.access), self.origin.outdated.as_ref()];
                let is_newer = stored.last_refresh > self.origin.last_refresh;
                if !outdated.contains(&Some(&stored.access)) && (is_newer || is_refused) {
                    Stored::Newer(Box::new(stored.clone()))
                } else {
                    Stored::Same
                }
            }
            _ => Stored::Another,
        }
    }
}

/// What the store holds, compared with what is being refreshed.
enum Stored {
    Same,
    Newer(Box<Managed>),
    /// Another account's or mode's record, or none.
    Another,
}

/// The lock is not the record's own, which the jobs under it take for each write.
fn lock_path(place: &Place) -> PathBuf {
    place.path.with_file_name("auth.refresh")
}

impl Auth {
    fn running(&mut self) -> Option<&mut ManagedRefresh> {
        match &mut self.refresh.as_mut()?.way {
            Way::Managed(managed) => Some(managed),
            Way::Host(_) => None,
        }
    }

    /// The lock is held. One that cannot be had is no reason to let the user's token run out.
    pub(crate) fn on_refresh_lock(&mut self, out: &mut Outside, call: CallId, held: Outcome<'_>) {
        if let Outcome::Held(Err(error)) = &held {
            tracing::warn!(%error, "refreshing without the lock between processes");
        }
        let Some(managed) = self.running().filter(|managed| managed.hold == call) else { return };
        if matches!(managed.step, Step::Locking) {
            managed.step = Step::Reading(managed.read_store(out));
        }
    }

    /// Whether the store has the refreshed tokens in hand.
    pub(super) fn is_saving_refreshed(&mut self) -> bool {
        self.running().is_some_and(|managed| matches!(managed.step, Step::Saving(..)))
    }

    /// The store has done something for the refresh.
    pub(super) fn on_refresh_store(&mut self, out: &mut Outside, call: CallId, done: StoreDone) {
        let Some(managed) = self.running() else { return };
        match (&managed.step, done) {
            (Step::Reading(own), StoreDone::Loaded(found)) if *own == call => {
                self.on_store_read(out, found, None);
            }
            (Step::Doubting(own, refusal), StoreDone::Loaded(found)) if *own == call => {
                let refusal = refusal.clone();
                self.on_store_read(out, found, Some(refusal));
            }
            (Step::Saving(own, _), StoreDone::Refreshed(saved)) if *own == call => {
                self.on_refresh_saved(out, saved);
            }
            _ => {}
        }
    }

    fn on_store_read(
        &mut self,
        out: &mut Outside,
        found: Result<Credential, String>,
        refusal: Option<String>,
    ) {
        let Some(managed) = self.running() else { return };
        let stored = match found {
            Ok(stored) => managed.compare(&stored, refusal.is_some()),
            // A store that cannot be read is no proof that the user has signed out.
            Err(error) => {
                tracing::warn!(%error, "the stored credentials cannot be read");
                Stored::Same
            }
        };
        match (stored, refusal) {
            (Stored::Newer(newer), _) => self.end_managed(out, ManagedOutcome::Adopted(newer)),
            (Stored::Another, _) => {
                let text = SIGNED_OUT_ELSEWHERE.to_owned();
                self.end_managed(out, ManagedOutcome::Refused(text));
            }
            (Stored::Same, Some(text)) => self.end_managed(out, ManagedOutcome::Refused(text)),
            (Stored::Same, None) => self.ask_authority(out),
        }
    }

    fn ask_authority(&mut self, out: &mut Outside) {
        let authority = self.authority.clone();
        let mut headers = self.identity();
        let Some(managed) = self.running() else { return };
        let mut request = authority.refresh_request(&managed.origin.refresh);
        request.headers.append(&mut headers);
        managed.tries += 1;
        let owner = CallOwner::Auth(AuthCall::RefreshHttp);
        let exchange = Exchange::start(out, request, owner, limits::TOKEN_BYTES_MAX);
        managed.step = Step::Asking(exchange);
    }

    /// A part of the authority's answer.
    pub(crate) fn on_refresh_http(
        &mut self,
        out: &mut Outside,
        call: CallId,
        outcome: Outcome<'_>,
    ) {
        let Some(managed) = self.running() else { return };
        let Step::Asking(exchange) = &mut managed.step else { return };
        if !exchange.is(call) {
            return;
        }
        if let Some(reply) = exchange.on(out, outcome) {
            self.on_refresh_reply(out, reply);
        }
    }

    fn on_refresh_reply(&mut self, out: &mut Outside, reply: Reply) {
        let Some(managed) = self.running() else { return };
        let response = match reply {
            Err(failure) => return self.retry_refresh(out, failure.text),
            Ok(response) => response,
        };
        if response.head.status == 401 {
            let text = authority::permanent_refusal(&response.text()).to_owned();
            // Somebody who does not take our lock may have been faster.
            managed.step = Step::Doubting(managed.read_store(out), text);
            return;
        }
        if !response.is_success() {
            let (status, words) = (response.head.status, response.text());
            let words = managed.origin.refresh.hidden_in(&authority::error_words(&words));
            return self.retry_refresh(out, format!("Failed to refresh token: {status}: {words}"));
        }
        let fresh = serde_json::from_slice::<FreshManaged>(&response.body)
            .map_err(|_| "the answer does not parse".to_owned())
            .and_then(|fresh| merged(&managed.origin, fresh, out.now.wall));
        match fresh {
            Err(text) => self.retry_refresh(out, format!("Failed to refresh token: {text}")),
            Ok(fresh) if managed.place.kind == StoreKind::Ephemeral => {
                self.end_managed(out, ManagedOutcome::Fresh(Box::new(fresh)));
            }
            Ok(fresh) => {
                let (origin, boxed) = (Box::new(managed.origin.clone()), Box::new(fresh.clone()));
                let work = StoreWork::SaveRefreshed { origin, fresh: boxed };
                managed.step = Step::Saving(managed.job(out, work), Box::new(fresh));
            }
        }
    }

    /// It failed in passing: it is tried again, and then who waits is told.
    fn retry_refresh(&mut self, out: &mut Outside, cause: String) {
        let jitter = out.rng.jitter();
        let Some(managed) = self.running() else { return };
        if managed.tries >= limits::REFRESH_TRIES_MAX {
            return self.end_managed(out, ManagedOutcome::Failed(cause));
        }
        let pause = crate::model::retry::request_delay(managed.tries, jitter);
        managed.step = Step::Pausing(out.start_timer(pause, TimerOwner::RefreshRetry));
    }

    /// The pause before another try is over.
    pub(crate) fn retry_managed_refresh(&mut self, out: &mut Outside) {
        if self.running().is_some_and(|managed| matches!(managed.step, Step::Pausing(_))) {
            self.ask_authority(out);
        }
    }

    fn on_refresh_saved(&mut self, out: &mut Outside, saved: Result<(), SaveError>) {
        let Some(managed) = self.running() else { return };
        let Step::Saving(_, mut fresh) = std::mem::replace(&mut managed.step, Step::Locking) else {
            return;
        };
        match saved {
            Ok(()) => {
                fresh.outdated = None;
                self.end_managed(out, ManagedOutcome::Fresh(fresh));
            }
            Err(SaveError::NotTheirs) => {
                let text = SIGNED_OUT_ELSEWHERE.to_owned();
                self.end_managed(out, ManagedOutcome::Refused(text));
            }
            // The old refresh token is spent: the new ones are all there is, so they are used.
            Err(SaveError::Store(error)) => {
                tracing::error!(%error, "refreshed tokens could not be saved");
                fresh.outdated.get_or_insert_with(|| managed.origin.access.clone());
                self.end_managed(out, ManagedOutcome::Fresh(fresh));
            }
        }
    }

    fn end_managed(&mut self, out: &mut Outside, outcome: ManagedOutcome) {
        if let Some(managed) = self.running() {
            out.cancel(managed.hold);
        }
        self.managed_refreshed(out, outcome);
    }
}

/// The origin with what is new in the answer. The account stays the record's own unless the new id
/// token names another one, which is an error (auth.md §12 G24).
fn merged(origin: &Managed, fresh: FreshManaged, now: jiff::Timestamp) -> Result<Managed, String> {
    let mut managed = origin.clone();
    if let Some(id_token) = fresh.id_token {
        managed.claims = Claims::parse(id_token.expose())?;
        let named = managed.claims.account_id.as_ref();
        if named.is_some() && origin.account_id.is_some() && named != origin.account_id.as_ref() {
            return Err("the new tokens belong to another account".to_owned());
        }
        managed.id_token = id_token;
    }
    managed.access = fresh.access_token.unwrap_or(managed.access);
    managed.refresh = fresh.refresh_token.unwrap_or(managed.refresh);
    managed.last_refresh = Some(now);
    Ok(managed)
}
