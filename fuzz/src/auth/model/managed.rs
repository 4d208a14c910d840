//! The reference model's refresh with the token authority (auth.md §7, §12 G5–G8).
//!
//! In step with the machine as far as anybody outside can see: lock, look into the store, ask,
//! doubt a refusal, save. How long it pauses is its own affair.

use std::rc::Rc;

use understudy_core::{CallId, TimerId, limits};

use super::store::{Record, Saved, Unread};
use super::{Model, Phase, Refreshing, Stage, TimerFor, Waiter, Who, Work};
use crate::auth::grant::{Fresh, Issued};
use crate::auth::seen::Seen;
use crate::auth::setting::{Keeping, WORKSPACE};
use crate::auth::tokens::{Kind, Login};
use crate::world::Fault;
use crate::world::fact::Sent;

/// A refresh with the token authority.
#[derive(Clone, Debug)]
pub struct ManagedRefresh {
    /// The login whose tokens are renewed.
    pub origin: Rc<Login>,
    /// Requests to the authority until now.
    pub tries: u32,
    /// How far it is.
    pub step: Step,
}

/// How far a refresh is. What begins with `Must` has to go out before the input is settled.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the step of its name")]
pub enum Step {
    MustHold,
    Holding(CallId),
    MustRead(Option<&'static str>),
    /// The store is read; with words, because the authority has refused for good.
    Reading(CallId, Option<&'static str>),
    MustAsk,
    Asking(CallId, Option<u16>),
    MustPause,
    Pausing(TimerId),
    MustSave(Rc<Login>),
    Saving(CallId, Rc<Login>),
}

impl Step {
    /// What has not gone out and must have.
    pub(super) fn is_due(&self) -> bool {
        matches!(
            self,
            Step::MustHold
                | Step::MustRead(_)
                | Step::MustAsk
                | Step::MustPause
                | Step::MustSave(_)
        )
    }

    /// Its name without what is in it, for telling states apart.
    pub fn name(&self) -> &'static str {
        match self {
            Step::MustHold | Step::Holding(_) => "locking",
            Step::MustRead(None) | Step::Reading(_, None) => "reading",
            Step::MustRead(Some(_)) | Step::Reading(_, Some(_)) => "doubting",
            Step::MustAsk | Step::Asking(..) => "asking",
            Step::MustPause | Step::Pausing(_) => "pausing",
            Step::MustSave(_) | Step::Saving(..) => "saving",
        }
    }
}

/// What a user hears whose record is somebody else's by now.
const ELSEWHERE: &str = "since logged out or signed in to another account";

/// How a refresh ends.
enum Outcome {
    Fresh(Rc<Login>),
    Adopted(Rc<Login>),
    Refused(&'static str),
    Failed(&'static str),
}

impl Model {
    /// Somebody waits for new tokens; the first one has them asked for.
    pub(super) fn wait_for_tokens(&mut self, who: Who, is_old: bool) {
        if self.refresh.is_none() {
            let managed = (self.login.kind == Kind::Managed).then(|| ManagedRefresh {
                origin: Rc::clone(&self.login),
                tries: 0,
                step: Step::MustHold,
            });
            self.must_ask |= managed.is_none();
            self.refresh = Some(Refreshing {
                ask: None,
                end: 0,
                since: None,
                timer: None,
                managed,
                waiters: Vec::new(),
            });
        }
        if let Some(refresh) = &mut self.refresh {
            refresh.waiters.push(Waiter { who, is_old });
        }
    }

    /// Whether a request should wait for tokens in place of old ones (auth.md §13.1 I34).
    pub(super) fn should_freshen(&self) -> bool {
        let is_futile = self.refresh.is_none()
            && (self.is_dead() || self.not_before.is_some_and(|moment| self.now < moment));
        self.login.is_old(self.wall()) && !is_futile && self.stage < Stage::Closing
    }

    /// Whether the authority has refused to renew the login in force.
    pub fn is_dead(&self) -> bool {
        self.dead.as_ref().is_some_and(|(generation, _)| *generation == self.generation)
    }

    fn step(&mut self) -> Option<&mut ManagedRefresh> {
        self.refresh.as_mut()?.managed.as_mut()
    }

    pub(super) fn on_hold_asked(&mut self, call: CallId) {
        self.input.outputs += 1;
        if self.take_overtaken(Work::Hold) {
            return;
        }
        if self.refresh.is_none() && self.should_freshen() {
            // A turn that is on its own may find its tokens old.
            let free = self.turns.iter().position(|turn| match turn.phase {
                Phase::Free => {
                    let is_over = turn.pause.is_some() && turn.pause == self.input.fired;
                    is_over || self.input.freed == Some(turn.number)
                }
                Phase::Streaming { call, .. } => self.input.moved == Some(call),
                _ => false,
            });
            if let Some(at) = free {
                let turn = &mut self.turns[at];
                turn.phase = Phase::Waiting;
                let who = Who::Turn(turn.thread.clone(), turn.number);
                self.wait_for_tokens(who, true);
            }
        }
        let is_due = self.step().is_some_and(|managed| matches!(managed.step, Step::MustHold));
        let is_first = self.refresh.is_none();
        self.seen.push(Seen::Renewing { is_due, is_first, login: Rc::clone(&self.login) });
        if let Some(managed) = self.step().filter(|_| is_due) {
            managed.step = Step::Holding(call);
        }
    }

    pub(super) fn on_held(&mut self, call: CallId) {
        self.input.is_loud = true;
        let Some(managed) = self.step() else { return };
        if matches!(managed.step, Step::Holding(own) if own == call) {
            managed.step = Step::MustRead(None);
        }
    }

    /// A job on the store that the refresh has asked for; whether it has.
    pub(super) fn on_refresh_job(&mut self, call: CallId) -> bool {
        let Some(managed) = self.step() else { return false };
        managed.step = match &managed.step {
            Step::MustRead(words) => Step::Reading(call, *words),
            Step::MustSave(fresh) => Step::Saving(call, Rc::clone(fresh)),
            _ => return false,
        };
        true
    }

    /// A job on the store is over; whether it was the refresh's.
    pub(super) fn on_refresh_filed(&mut self, call: CallId, fault: Fault, done: bool) -> bool {
        let Some(managed) = self.step() else { return false };
        let origin = Rc::clone(&managed.origin);
        match managed.step.clone() {
            Step::Reading(own, words) if own == call => {
                let found = self.stores.load(fault);
                self.check_done(found.is_ok(), done, "read");
                self.on_store_read(&origin, found, words);
            }
            Step::Saving(own, fresh) if own == call => {
                let saved = self.stores.save_refreshed(&origin, Rc::clone(&fresh), fault);
                self.check_done(saved == Saved::Done, done, "renewed");
                self.seen.push(Seen::Renewed);
                self.mark(match saved {
                    Saved::Done => "renewal: saved",
                    Saved::NotTheirs => "renewal: the record is another's when it is saved",
                    Saved::Failed => "renewal: cannot be saved",
                });
                self.end_managed(match saved {
                    Saved::Done => Outcome::Fresh(fresh),
                    Saved::Failed => Outcome::Fresh(Rc::new(fresh.unsaved_after(&origin))),
                    Saved::NotTheirs => Outcome::Refused(ELSEWHERE),
                });
            }
            _ => return false,
        }
        true
    }

    fn on_store_read(
        &mut self,
        origin: &Login,
        found: Result<Record, Unread>,
        words: Option<&'static str>,
    ) {
        let issued = |login: &Login| login.own.as_ref().map(|own| own.issued);
        let has_words = words.is_some();
        let newer = |stored: &Login| {
            let outdated = origin.own.as_ref().and_then(|own| own.outdated.as_ref());
            let is_other = stored.token != origin.token && outdated != Some(&stored.token);
            is_other && (issued(stored) > issued(origin) || has_words)
        };
        let is_theirs =
            |stored: &Login| stored.kind == Kind::Managed && stored.account == origin.account;
        let is_memory = self.setting.keeping == Keeping::Memory;
        match found {
            Ok(Record::Of(stored)) if !is_memory && is_theirs(&stored) && newer(&stored) => {
                self.mark("renewal: somebody else was faster");
                self.end_managed(Outcome::Adopted(stored));
            }
            Ok(Record::Of(stored)) if !is_memory && !is_theirs(&stored) => {
                self.mark("renewal: somebody else has signed in");
                self.end_managed(Outcome::Refused(ELSEWHERE));
            }
            Ok(Record::Nothing) if !is_memory => {
                self.mark("renewal: somebody else has signed out");
                self.end_managed(Outcome::Refused(ELSEWHERE));
            }
            Ok(_) | Err(Unread) => match words {
                Some(words) => {
                    self.mark("renewal: refused for good");
                    self.end_managed(Outcome::Refused(words));
                }
                None => {
                    if let Some(managed) = self.step() {
                        managed.step = Step::MustAsk;
                    }
                }
            },
        }
    }

    pub(super) fn on_refresh_sent(&mut self, sent: &Sent) -> bool {
        let Some(managed) = self.step() else { return false };
        let wanted = managed.origin.own.as_ref().map(|own| own.refresh.clone()).unwrap_or_default();
        let is_due = matches!(managed.step, Step::MustAsk) && sent.body.contains(&wanted);
        managed.tries += 1;
        managed.step = Step::Asking(sent.call, None);
        if self.spent_for_good.contains(&wanted) {
            self.seen.push(Seen::SpentAgain(wanted));
        }
        is_due
    }

    /// The call that a refresh waits for.
    pub(super) fn refresh_call(&mut self) -> Option<(CallId, &mut Option<u16>)> {
        match &mut self.step()?.step {
            Step::Asking(call, status) => Some((*call, status)),
            _ => None,
        }
    }

    /// The authority has answered, or nothing came of it.
    pub(super) fn on_refresh_reply(&mut self, issued: Option<Issued>) {
        let now = self.wall();
        let Some(managed) = self.step() else { return };
        let origin = Rc::clone(&managed.origin);
        let Some(issued) = issued else { return self.try_again("") };
        if issued.status == 401 {
            if let (Some(own), step) = (&origin.own, &mut managed.step) {
                *step = Step::MustRead(Some(issued.words));
                self.spent_for_good.insert(own.refresh.clone());
            }
            return;
        }
        if !issued.is_success() {
            self.mark("renewal: fails in passing");
            return self.try_again("Failed to refresh token: ");
        }
        let renewed = issued.tokens.as_ref().ok_or("Failed to refresh token: ");
        match renewed.and_then(|fresh: &Fresh| fresh.renewed(&origin, now)) {
            Err(words) => {
                self.mark("renewal: tokens that cannot be used");
                self.try_again(words);
            }
            Ok(login) if self.setting.keeping == Keeping::Memory => {
                self.end_managed(Outcome::Fresh(Rc::new(login)));
            }
            Ok(login) => {
                if let Some(managed) = self.step() {
                    managed.step = Step::MustSave(Rc::new(login));
                }
            }
        }
    }

    fn try_again(&mut self, words: &'static str) {
        let Some(managed) = self.step() else { return };
        if managed.tries >= limits::REFRESH_TRIES_MAX {
            self.mark("renewal: given up");
            return self.end_managed(Outcome::Failed(words));
        }
        managed.step = Step::MustPause;
        self.expects_timer = Some(TimerFor::Renewal);
    }

    pub(super) fn on_renewal_timer(&mut self, timer: TimerId) {
        if let Some(managed) = self.step() {
            managed.step = Step::Pausing(timer);
        }
    }

    /// A timer of the refresh has fired; whether it was one.
    pub(super) fn on_renewal_fired(&mut self, timer: TimerId) -> bool {
        let Some(managed) = self.step() else { return false };
        let is_it = matches!(managed.step, Step::Pausing(own) if own == timer);
        if is_it {
            managed.step = Step::MustAsk;
        }
        is_it
    }

    fn end_managed(&mut self, outcome: Outcome) {
        let Some(refresh) = self.refresh.take() else { return };
        self.input.has_woken = true;
        let (login, is_adopted) = match outcome {
            Outcome::Fresh(login) => (login, false),
            Outcome::Adopted(login) => (login, true),
            Outcome::Refused(words) => return self.give_up(&refresh, words),
            Outcome::Failed(words) => {
                self.not_before = Some(self.now + limits::REFRESH_PAUSE);
                return self.fail(&refresh, words);
            }
        };
        let claimed = login.own.as_ref().and_then(|own| own.claimed.as_deref());
        if self.setting.forced_workspace && claimed != Some(WORKSPACE) {
            self.mark("renewal: the wrong workspace");
            return self.give_up(&refresh, "Login is restricted to workspace org-a");
        }
        self.is_unattended = refresh.waiters.is_empty();
        if self.is_unattended {
            self.mark("renewal: new tokens and nobody waits");
        }
        let is_same_token = login.token == self.login.token;
        let before = (self.login.kind, self.login.plan);
        self.set_login(login);
        if before != (self.login.kind, self.login.plan) {
            self.mark("renewal: another plan");
            self.announce("account/updated");
        }
        for turn in &mut self.turns {
            if is_same_token {
                // There is nothing else to send.
                turn.bearers_refused.clear();
            }
        }
        self.wake(&refresh, "new tokens have come", is_adopted);
    }

    /// A refresh that is given up before its lock was seen to be asked for.
    pub(super) fn overtake(&mut self, refresh: &Refreshing) {
        let step = refresh.managed.as_ref().map(|managed| &managed.step);
        self.overtaken_work.extend(matches!(step, Some(Step::MustHold)).then_some(Work::Hold));
    }

    fn give_up(&mut self, refresh: &Refreshing, words: &'static str) {
        self.dead = Some((self.generation, words.to_owned()));
        self.fail(refresh, words);
    }

    /// At the end of input nothing is begun any more, but what the authority has in hand goes on.
    /// A host is not waited for: nothing that it says would be read.
    pub(super) fn close_refresh(&mut self) {
        let Some(managed) = self.step() else {
            if let Some(refresh) = self.refresh.take() {
                self.mark("refresh: overtaken by the end of input");
                self.release(&refresh, "the server is ending");
            }
            return;
        };
        let is_idle = match managed.step {
            Step::MustHold
            | Step::Holding(_)
            | Step::MustRead(None)
            | Step::Reading(_, None)
            | Step::MustPause
            | Step::Pausing(_) => true,
            Step::MustRead(Some(_))
            | Step::Reading(_, Some(_))
            | Step::MustAsk
            | Step::Asking(..)
            | Step::MustSave(_)
            | Step::Saving(..) => false,
        };
        if is_idle && let Some(refresh) = self.refresh.take() {
            self.overtake(&refresh);
            self.mark("renewal: overtaken by the end of input");
            self.release(&refresh, "the server is ending");
        }
    }
}
