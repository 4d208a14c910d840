//! The reference model's turns: what must be sent, and when one ends (auth.md §9, §13.2).

use std::rc::Rc;

use understudy_core::{CallId, TimerId};

use super::{Model, Overtaken, Stage, Who};
use crate::auth::said::Line;
use crate::auth::seen::{Ending, Seen, Verdict};
use crate::auth::setting::PROVIDER_KEY;
use crate::auth::tokens::{Kind, Login};
use crate::world::fact::{Part, Sent};

/// The authority has said before that it will not renew the tokens.
const DEAD: &str = "401: fail, refused for good before";

/// Nobody would answer a question for tokens any more.
pub(super) const ENDED: &str = "401: fail, the input has ended";

/// What a turn does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It must send a request before the input is settled, for this reason, with this login and count
    /// of logins.
    MustSend(&'static str, (Rc<Login>, u64)),
    /// A request is out.
    Streaming {
        /// Its call.
        call: CallId,
        /// The count of logins when it was sent.
        generation: u64,
        /// The bearer it carries.
        bearer: Option<String>,
        /// The status of its response, once it came.
        status: Option<u16>,
    },
    /// It waits for new tokens.
    Waiting,
    /// A request failed for another reason than its credentials; what follows is its own affair.
    Free,
    /// It must end in this way before the input is settled.
    MustEnd(Ending),
}

/// A turn that was started and not completed.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Tells it from other turns.
    pub number: u64,
    /// Its thread.
    pub thread: String,
    /// Its id, once it was heard.
    pub id: Option<String>,
    /// What it does.
    pub phase: Phase,
    /// Requests answered 401 since the last success.
    pub refused: u32,
    /// It has waited for a refresh since the last success.
    pub has_waited: bool,
    /// Bearers that were refused since the last success.
    pub bearers_refused: Vec<Option<String>>,
    /// Requests that were sent again because of a timer, since one was sent for another reason.
    pub retries: u32,
    /// What it waits for before it tries again, if it does.
    pub(super) pause: Option<TimerId>,
}

impl Turn {
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::MustEnd(_))
    }
}

impl Model {
    pub(super) fn start_turn(
        &mut self,
        id: Option<&String>,
        line: &Line,
        thread: String,
        is_empty: bool,
    ) {
        if !self.threads.contains(&thread) {
            let verdict = Verdict::RefusedWith(-32600, "thread".to_owned());
            return self.expect_reply(id, line, verdict);
        }
        if self.running(&thread).is_some() {
            self.mark("turn/start joins the running turn");
            return self.expect_reply(id, line, Verdict::Turn { is_new: false });
        }
        self.expect_reply(id, line, Verdict::Turn { is_new: true });
        self.turns_begun += 1;
        let phase = if is_empty {
            Phase::MustEnd(Ending::Completed)
        } else {
            let credential = self.setting.credential(&self.login).map(drop).map_err(str::to_owned);
            match credential {
                _ if self.should_freshen() => {
                    self.mark("turn: waits for tokens in place of old ones");
                    self.wait_for_tokens(Who::Turn(thread.clone(), self.turns_begun), true);
                    Phase::Waiting
                }
                Ok(_) => {
                    let login = (Rc::clone(&self.login), self.generation);
                    Phase::MustSend("a turn begins", login)
                }
                Err(words) => Phase::MustEnd(Ending::NoCredential(words)),
            }
        };
        self.turns.push(Turn {
            number: self.turns_begun,
            thread,
            id: None,
            phase,
            refused: 0,
            has_waited: false,
            bearers_refused: Vec::new(),
            retries: 0,
            pause: None,
        });
    }

    pub(super) fn interrupt(
        &mut self,
        id: Option<&String>,
        line: &Line,
        thread: &str,
        named: Option<&str>,
    ) {
        if !self.threads.iter().any(|other| other == thread) {
            let verdict = Verdict::RefusedWith(-32600, "thread".to_owned());
            return self.expect_reply(id, line, verdict);
        }
        let running = self.running(thread).map(|turn| (turn.id.clone(), turn.phase.clone()));
        if let (Some((running, _)), Some(named)) = (&running, named)
            && running.as_deref() != Some(named)
        {
            let verdict = Verdict::RefusedWith(-32600, "turn not found".to_owned());
            return self.expect_reply(id, line, verdict);
        }
        self.mark(match running.map(|(_, phase)| phase) {
            None => "interrupt: nothing runs",
            Some(Phase::Streaming { status: None, .. }) => "interrupt: before the head",
            Some(Phase::Streaming { .. }) => "interrupt: while streaming",
            Some(Phase::Waiting) => "interrupt: while waiting for tokens",
            Some(Phase::Free) => "interrupt: between requests",
            Some(Phase::MustSend(..) | Phase::MustEnd(_)) => "interrupt: in the same breath",
        });
        self.expect_reply(id, line, Verdict::Exactly(serde_json::json!({})));
        self.end_turn(thread, Ending::Interrupted);
    }

    pub(super) fn end_turn(&mut self, thread: &str, ending: Ending) {
        let Some(turn) = self.running_mut(thread) else { return };
        let number = turn.number;
        let before = std::mem::replace(&mut turn.phase, Phase::MustEnd(ending));
        if let Phase::MustSend(why, login) = before {
            // It was sent and given up within one chunk of the host's bytes.
            self.overtaken.push((thread.to_owned(), login, why));
        }
        if let Some(refresh) = &mut self.refresh {
            let who = Who::Turn(thread.to_owned(), number);
            refresh.waiters.retain(|waiter| waiter.who != who);
        }
    }

    pub(super) fn on_turn_part(&mut self, call: CallId, part: Part) {
        let at = self.turns.iter().position(
            |turn| matches!(turn.phase, Phase::Streaming { call: own, .. } if own == call),
        );
        let Some(at) = at else { return };
        let turn = &mut self.turns[at];
        let Phase::Streaming { status, generation, bearer, .. } = &mut turn.phase else { return };
        match part {
            Part::Head(got) => {
                *status = Some(got);
                if (200..300).contains(&got) {
                    turn.refused = 0;
                    turn.has_waited = false;
                    turn.bearers_refused.clear();
                }
            }
            Part::Bytes(_) => {}
            Part::End if *status == Some(401) => {
                let (generation, bearer) = (*generation, bearer.clone());
                self.unauthorized(at, generation, bearer);
            }
            Part::End | Part::Failed(_) | Part::Lost => {
                turn.phase = Phase::Free;
                self.input.may_pause = Some(turn.number);
            }
        }
    }

    /// What a 401 leads to (auth.md §13.2).
    fn unauthorized(&mut self, at: usize, used: u64, bearer: Option<String>) {
        let turn = &mut self.turns[at];
        turn.refused += 1;
        let (has_waited, refused) = (turn.has_waited, turn.refused);
        let is_text = bearer.as_ref().is_some_and(|bearer| !bearer.is_empty());
        let repeats = is_text && turn.bearers_refused.contains(&bearer);
        self.seen.push(Seen::Refused { refused, repeats });
        turn.bearers_refused.push(bearer.clone());
        let (thread, number) = (turn.thread.clone(), turn.number);
        let is_account = bearer.is_some() || self.setting.requires_auth();
        let verdict = self.verdict(used, bearer.as_deref(), has_waited, refused, is_account);
        self.mark(verdict);
        let words = self.dead.as_ref().map(|(_, words)| words.clone());
        let login = (Rc::clone(&self.login), self.generation);
        let turn = &mut self.turns[at];
        if verdict == DEAD {
            turn.phase = Phase::MustEnd(Ending::Unauthorized(words));
        } else if verdict.starts_with("401: fail") {
            turn.phase = Phase::MustEnd(Ending::Unauthorized(None));
        } else if verdict.starts_with("401: retry") {
            if turn.bearers_refused.last() == Some(&Some(login.0.token.clone())) {
                // The authority has renewed the login and given no other token.
                turn.bearers_refused.clear();
            }
            turn.phase = Phase::MustSend("the login has changed since", login);
        } else {
            turn.phase = Phase::Waiting;
            turn.has_waited = true;
            self.wait_for_tokens(Who::Turn(thread, number), false);
        }
    }

    /// What a 401 leads to, by name (auth.md §13.2). `is_account` tells whether the request was
    /// made in the account's name, or would have been if somebody had been signed in.
    pub(super) fn verdict(
        &self,
        used: u64,
        bearer: Option<&str>,
        has_waited: bool,
        refused: u32,
        is_account: bool,
    ) -> &'static str {
        match self.login.kind {
            _ if bearer == Some(PROVIDER_KEY) => "401: fail, the provider's own key",
            _ if has_waited || refused >= 3 => "401: fail, refused again",
            Kind::None => "401: fail, nobody is signed in",
            _ if !is_account => "401: fail, nobody is signed in",
            _ if used < self.generation => "401: retry, the login has changed",
            _ if self.is_dead() => DEAD,
            Kind::Key => "401: fail, nothing to refresh",
            _ if self.stage >= Stage::Closing => ENDED,
            Kind::Managed if self.refresh.is_some() => "401: wait, a renewal runs",
            Kind::Managed => "401: wait, a renewal begins",
            Kind::External if self.refresh.is_some() => "401: wait, a refresh runs",
            Kind::External => "401: wait, a refresh begins",
        }
    }

    pub(super) fn on_turn_sent(&mut self, sent: &Rc<Sent>) {
        let now = (Rc::clone(&self.login), self.generation);
        let own = |(thread, ..): &Overtaken| Some(thread) == sent.thread.as_ref();
        let overtaken = self.overtaken.iter().position(own);
        let ((login, _), is_due, why) = match self.sender(sent.thread.as_deref()) {
            _ if overtaken.is_some() => {
                let (_, login, why) = self.overtaken.remove(overtaken.unwrap_or_default());
                (login, true, why)
            }
            None => (now, false, "nobody has to"),
            Some(at) => {
                let turn = &mut self.turns[at];
                let (login, why) = match &turn.phase {
                    Phase::MustSend(why, login) => (login.clone(), *why),
                    _ if self.input.fired.is_some() => {
                        turn.retries += 1;
                        self.seen.push(Seen::Retried(turn.retries));
                        (now, "another try")
                    }
                    _ => {
                        turn.retries = 0;
                        (now, "the turn goes on")
                    }
                };
                let (call, bearer, generation) = (sent.call, sent.bearer.clone(), login.1);
                turn.phase = Phase::Streaming { call, generation, bearer, status: None };
                (login, true, why)
            }
        };
        let expected = self.setting.credential(&login).unwrap_or_default();
        let sent = Rc::clone(sent);
        self.seen.push(Seen::Sent { sent, login, expected, is_due, why });
    }

    /// The turn that must, or may, send a request now.
    fn sender(&self, thread: Option<&str>) -> Option<usize> {
        let own = |turn: &Turn| Some(turn.thread.as_str()) == thread;
        let must = |turn: &Turn| own(turn) && matches!(turn.phase, Phase::MustSend(..));
        let may = |turn: &Turn| {
            own(turn)
                && match turn.phase {
                    Phase::Free => {
                        self.input.fired.is_some()
                            || self.input.has_woken
                            || self.input.freed == Some(turn.number)
                    }
                    Phase::Streaming { call, .. } => self.input.moved == Some(call),
                    _ => false,
                }
        };
        self.turns.iter().position(must).or_else(|| self.turns.iter().position(may))
    }

    /// A stream that was silent for too long, or has said all that matters, is given up; the turn is
    /// free to try again, to go on, or to end.
    pub(super) fn on_dropped(&mut self, call: CallId) {
        self.input.outputs += 1;
        let has_moved = self.input.moved == Some(call);
        if self.input.fired.is_none() && !has_moved {
            return;
        }
        for turn in &mut self.turns {
            if matches!(turn.phase, Phase::Streaming { call: own, .. } if own == call) {
                let marks = ["stream: silent for too long", "stream: whole or failed"];
                self.marks.insert(marks[usize::from(has_moved)]);
                turn.phase = Phase::Free;
                self.input.freed = Some(turn.number);
                self.input.may_pause = Some(turn.number);
            }
        }
    }

    pub(super) fn on_turn_completed(&mut self, thread: &str, turn: &serde_json::Value) {
        let Some(at) = self.turns.iter().position(|turn| turn.thread == thread) else { return };
        let gone = self.turns.remove(at);
        let free = match gone.phase {
            Phase::MustEnd(_) => false,
            Phase::Free => self.input.fired.is_some() || self.input.moved.is_some(),
            Phase::Streaming { call, .. } => self.input.moved == Some(call),
            Phase::MustSend(..) | Phase::Waiting => false,
        };
        let expected = match gone.phase {
            Phase::MustEnd(ending) => Some(ending),
            _ => None,
        };
        self.seen.push(Seen::TurnOver { expected, free, turn: turn.clone() });
    }
}
