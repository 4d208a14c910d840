//! The reference model's refresh: who waits, what ends it, and how a new login overtakes it
//! (auth.md §8.3, §13.2).

use std::rc::Rc;
use std::time::Duration;

use understudy_core::{AskId, TimerId};

use super::{Model, Phase, Refreshing, Stage};
use crate::auth::said::Answer;
use crate::auth::seen::{Ending, Seen};
use crate::auth::tokens::{Kind, Login};

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
                self.login = Rc::new(login);
                self.generation += 1;
                if before != (self.login.kind, self.login.plan) {
                    self.mark("refresh: another plan");
                    self.announce("account/updated");
                }
                self.wake(&refresh, "new tokens have come");
            }
            Err(words) => {
                self.mark(answer.mark());
                self.fail(&refresh, &words);
            }
        }
    }

    fn wake(&mut self, refresh: &Refreshing, why: &'static str) {
        self.mark("woken: retry");
        let login = (Rc::clone(&self.login), self.generation);
        for turn in &mut self.turns {
            if refresh.waiters.contains(&(turn.thread.clone(), turn.number)) {
                turn.phase = Phase::MustSend(why, login.clone());
            }
        }
    }

    fn fail(&mut self, refresh: &Refreshing, words: &str) {
        self.seen.push(Seen::RefreshFailed);
        self.release(refresh, words);
    }

    fn release(&mut self, refresh: &Refreshing, words: &str) {
        if !refresh.waiters.is_empty() {
            self.mark("woken: fail");
        }
        for (thread, _) in &refresh.waiters {
            self.end_turn(thread, Ending::Unauthorized(Some(words.to_owned())));
        }
    }

    /// Somebody else is signed in, or nobody: what is being refreshed is of no interest any more.
    pub(super) fn sign_in(&mut self, login: Login) {
        let is_somebody = login.kind != Kind::None;
        self.is_unattended = false;
        self.login = Rc::new(login);
        self.generation += 1;
        if let Some(refresh) = self.refresh.take() {
            self.must_ask = false;
            if is_somebody {
                self.mark("refresh: overtaken by a login");
                self.wake(&refresh, "somebody has signed in");
            } else {
                self.mark("refresh: overtaken by a logout");
                self.release(&refresh, "signed out");
            }
        }
    }

    pub(super) fn on_fired(&mut self, timer: TimerId) {
        self.input.is_loud = true;
        self.input.timer_fired = true;
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
            self.expects_timer = true;
        }
    }

    pub(super) fn on_timer_set(&mut self, timer: TimerId, after: Duration) {
        self.input.outputs += 1;
        if std::mem::take(&mut self.expects_timer)
            && let Some(refresh) = &mut self.refresh
        {
            refresh.timer = Some(timer);
            if after != self.setting.limit {
                self.seen.push(Seen::WrongLimit(after));
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
