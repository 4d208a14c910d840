//! The reference model's refresh: who waits, what ends it, and how a new login overtakes it
//! (auth.md §8.3, §13.2). What is special about tokens of the server's own is in `managed`.

use std::rc::Rc;
use std::time::Duration;

use understudy_core::{AskId, TimerId};

use super::{Model, Phase, Refreshing, Stage, TimerFor, Turn, Who, Woken};
use crate::auth::said::Answer;
use crate::auth::seen::{Ending, Seen};
use crate::auth::tokens::{Kind, Login};

/// Why a turn that has waited for tokens in place of old ones goes on in any case.
pub const ANYWAY: &str = "an old token is better than none";

impl Model {
    pub(super) fn on_answer(&mut self, ask: i64, answer: &Answer) {
        let is_open = self.refresh.as_ref().is_some_and(|r| r.ask == Some(AskId(ask)));
        let found = (is_open && !answer.has_text_id()).then(|| self.refresh.take()).flatten();
        let Some(refresh) = found else {
            self.input.has_ignored_answer = true;
            self.mark("an answer that nobody waits for");
            if let Some(login) = answer.login() {
                self.dead_tokens.insert(login.token.clone());
            }
            return;
        };
        self.input.is_loud = true;
        match answer.verdict(self.setting.forced_workspace) {
            Ok(login) => {
                self.mark("refresh: new tokens");
                self.is_unattended = refresh.waiters.is_empty();
                if self.is_unattended {
                    self.mark("refresh: new tokens and nobody waits");
                }
                let before = (self.login.kind, self.login.plan);
                self.set_login(Rc::new(login));
                if before != (self.login.kind, self.login.plan) {
                    self.mark("refresh: another plan");
                    self.announce("account/updated");
                }
                self.wake(&refresh, "new tokens have come", false);
            }
            Err(words) => {
                self.mark(answer.mark());
                self.fail(&refresh, &words);
            }
        }
    }

    /// Everybody who waits goes on with the login in force.
    pub(super) fn wake(&mut self, refresh: &Refreshing, why: &'static str, is_adopted: bool) {
        self.mark("woken: retry");
        for waiter in &refresh.waiters {
            let woken = Woken::Retry(why, is_adopted && !waiter.is_old);
            self.woken.push_back((waiter.who.clone(), woken));
        }
    }

    pub(super) fn fail(&mut self, refresh: &Refreshing, words: &str) {
        self.seen.push(Seen::RefreshFailed);
        self.release(refresh, words);
    }

    /// Those who were refused end; those who have waited for the sake of age go on.
    pub(super) fn release(&mut self, refresh: &Refreshing, words: &str) {
        if !refresh.waiters.is_empty() {
            self.mark("woken: fail");
        }
        for waiter in &refresh.waiters {
            if waiter.is_old {
                self.mark("woken: goes on with old tokens");
            }
            let woken = match waiter.is_old {
                true => Woken::Retry(ANYWAY, false),
                false => Woken::Fail(words.to_owned()),
            };
            self.woken.push_back((waiter.who.clone(), woken));
        }
    }

    /// Those whose wait is over do what they want, with whatever login is in force by then.
    pub(super) fn wake_all(&mut self) {
        loop {
            let Some((who, woken)) = self.woken.pop_front() else {
                let Some((id, line)) = self.usage_wanted.pop_front() else { return };
                self.ask_usage(id, line);
                continue;
            };
            match (who, woken) {
                (who @ Who::Turn(..), Woken::Retry(why, is_adopted)) => {
                    self.wake_turn(&who, why, is_adopted);
                }
                (Who::Turn(thread, _), Woken::Fail(words)) => {
                    self.end_turn(&thread, Ending::Unauthorized(Some(words)));
                }
                (Who::Errand(number), Woken::Retry(_, is_adopted)) => {
                    self.wake_errand(number, true, is_adopted);
                }
                (Who::Errand(number), Woken::Fail(_)) => self.wake_errand(number, false, false),
                (Who::Request(id, line), _) => self.account(id, *line),
            }
        }
    }

    fn wake_turn(&mut self, who: &Who, why: &'static str, is_adopted: bool) {
        let login = (Rc::clone(&self.login), self.generation);
        let credential = self.setting.credential(&self.login).map(drop).map_err(str::to_owned);
        for turn in &mut self.turns {
            if *who == Who::Turn(turn.thread.clone(), turn.number) {
                turn.has_waited &= !is_adopted;
                turn.phase = match &credential {
                    Ok(()) => Phase::MustSend(why, login.clone()),
                    Err(words) => Phase::MustEnd(Ending::NoCredential(words.clone())),
                };
            }
        }
    }

    /// The one place where the login changes.
    pub(super) fn set_login(&mut self, login: Rc<Login>) {
        self.login = login;
        self.generation += 1;
        self.dead = None;
        self.not_before = None;
    }

    /// Somebody else is signed in, or nobody: what is being refreshed is of no interest any more.
    pub(super) fn sign_in(&mut self, login: Login) {
        self.sign_in_with(Rc::new(login));
    }

    pub(super) fn sign_in_with(&mut self, login: Rc<Login>) {
        let is_somebody = login.kind != Kind::None;
        self.is_unattended = false;
        self.set_login(login);
        if let Some(refresh) = self.refresh.take() {
            self.must_ask = false;
            self.overtake(&refresh);
            self.input.has_woken = true;
            self.expects_timer.take_if(|timer| *timer == TimerFor::Renewal);
            let is_managed = refresh.managed.is_some();
            if is_somebody {
                self.mark(
                    ["refresh: overtaken by a login", "renewal: overtaken by a login"]
                        [usize::from(is_managed)],
                );
                self.wake(&refresh, "somebody has signed in", false);
            } else {
                self.mark(
                    ["refresh: overtaken by a logout", "renewal: overtaken by a logout"]
                        [usize::from(is_managed)],
                );
                self.release(&refresh, "signed out");
            }
        }
    }

    pub(super) fn on_fired(&mut self, timer: TimerId) {
        self.input.is_loud = true;
        self.input.fired = Some(timer);
        self.on_login_fired(timer);
        if self.on_renewal_fired(timer) {
            return;
        }
        let expires = self.refresh.as_ref().is_some_and(|r| r.timer == Some(timer));
        if !expires || self.stage >= Stage::Closing {
            return;
        }
        let Some(refresh) = self.refresh.take() else { return };
        if refresh.since.is_none_or(|since| self.now < since + self.setting.limit) {
            self.seen.push(Seen::TooEarly);
        }
        self.mark("refresh: no answer in time");
        self.fail(&refresh, &format!("timed out after {:?}", self.setting.limit));
    }

    pub(super) fn on_read(&mut self, end: u64) {
        self.input.reads = true;
        if let Some(refresh) = &mut self.refresh
            && refresh.since.is_none()
            && refresh.end > 0
            && refresh.end <= end
        {
            refresh.since = Some(self.now);
            self.expects_timer = Some(TimerFor::Ask);
        }
    }

    pub(super) fn on_timer_set(&mut self, timer: TimerId, after: Duration) {
        self.input.outputs += 1;
        match self.expects_timer.take() {
            None => {
                let paused = self.input.may_pause.take();
                let is_its = |turn: &&mut Turn| {
                    paused == Some(turn.number) && matches!(turn.phase, Phase::Free)
                };
                if let Some(turn) = self.turns.iter_mut().find(is_its) {
                    turn.pause = Some(timer);
                }
            }
            Some(TimerFor::Ask) => {
                if let Some(refresh) = &mut self.refresh {
                    refresh.timer = Some(timer);
                    if after != self.setting.limit {
                        self.seen.push(Seen::WrongLimit(after));
                    }
                }
            }
            Some(TimerFor::Renewal) => self.on_renewal_timer(timer),
            Some(what @ (TimerFor::Login | TimerFor::Retry)) => {
                self.on_login_timer(timer, what, after);
            }
        }
    }

    pub(super) fn on_ask(&mut self, ask: AskId, previous: Option<String>, end: u64) {
        self.input.outputs += 1;
        self.input.went_out += 1;
        let is_due = std::mem::take(&mut self.must_ask);
        let is_second = !is_due && self.refresh.is_some();
        self.seen.push(Seen::Asked { is_due, is_second, login: Rc::clone(&self.login), previous });
        self.asks.push(ask);
        if let Some(refresh) = self.refresh.as_mut().filter(|_| is_due) {
            refresh.ask = Some(ask);
            refresh.end = end;
        }
    }
}
