//! What the reference model says of messages, and of what is missing after an input.

use std::rc::Rc;

use understudy_core::AskId;

use super::{Model, Phase, Turn};
use crate::auth::said::Line;
use crate::auth::seen::{Announcement, Completed, Expected, Seen, Verdict};
use crate::world::fact::Heard;

impl Model {
    pub(super) fn on_heard(&mut self, heard: &Rc<Heard>, end: u64) {
        self.input.outputs += 1;
        self.seen.push(Seen::Heard(Rc::clone(heard)));
        match &**heard {
            Heard::Reply { id, result } => {
                let expected = self.take_expected(id);
                if let Some(Expected { verdict: Verdict::Turn { is_new: true }, line, .. }) =
                    &expected
                    && let (Line::StartTurn { thread, .. }, Some(turn_id)) =
                        (line, result["turn"]["id"].as_str())
                {
                    let unnamed = |turn: &&mut Turn| turn.thread == *thread && turn.id.is_none();
                    if let Some(turn) = self.turns.iter_mut().find(unnamed) {
                        turn.id = Some(turn_id.to_owned());
                    }
                }
                if let Some(Line::LoginChatGpt { .. } | Line::LoginDevice) =
                    expected.as_ref().map(|expected| &expected.line)
                {
                    self.on_login_accepted(result);
                }
                if let Some(thread) = result["thread"]["id"].as_str() {
                    self.threads.push(thread.to_owned());
                }
                self.seen.push(Seen::Reply {
                    expected: expected.map(Box::new),
                    got: Ok(Rc::clone(result)),
                });
            }
            Heard::Refused { id, code, message } => {
                let expected = self.take_expected(id).map(Box::new);
                self.seen.push(Seen::Reply { expected, got: Err((*code, message.clone())) });
            }
            Heard::Ask { id, params, .. } => {
                let previous = params["previousAccountId"].as_str().map(str::to_owned);
                self.on_ask(AskId(*id), previous, end);
            }
            Heard::Notice { method, params } => self.on_notice(method, params),
        }
    }

    pub(super) fn take_expected(&mut self, id: &str) -> Option<Expected> {
        let queue = self.expected.get_mut(id)?;
        let expected = queue.pop_front();
        if queue.is_empty() {
            self.expected.remove(id);
        }
        expected
    }

    fn on_notice(&mut self, method: &str, params: &serde_json::Value) {
        let mode = match method {
            "account/updated" => Some(&params["authMode"]),
            "authStatusChange" => Some(&params["authMethod"]),
            "account/login/completed" | "loginChatGptComplete" => None,
            "turn/completed" => {
                let thread = params["threadId"].as_str().unwrap_or_default();
                return self.on_turn_completed(thread, &params["turn"]);
            }
            "configWarning" => {
                let summary = params["summary"].as_str().unwrap_or_default().to_owned();
                return self.seen.push(Seen::Warned(summary));
            }
            _ => return,
        };
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let completion = mode.is_none().then(|| Completed {
            id: text(&params["loginId"]),
            is_success: params["success"] == true,
            error: text(&params["error"]),
        });
        if let Some(id) = completion.as_ref().and_then(|completion| completion.id.as_ref()) {
            *self.accepted.entry(id.clone()).or_default() += 1;
        }
        let mode = mode.and_then(text);
        let expected = self.notices.pop_front();
        let got = Announcement { method: method.to_owned(), mode, completion };
        self.seen.push(Seen::Announced { expected, got });
    }

    /// The reply to a login of the server's own names it, and where the user goes.
    fn on_login_accepted(&mut self, result: &serde_json::Value) {
        let id = result["loginId"].as_str().map(str::to_owned);
        let url = result["authUrl"].as_str().unwrap_or_default();
        let state = url.split(['?', '&']).find_map(|pair| pair.strip_prefix("state="));
        let state = state.unwrap_or_default().to_owned();
        if let Some(id) = &id {
            self.accepted.insert(id.clone(), 0);
        }
        let Some(attempt) = &mut self.attempt else { return };
        attempt.id = id;
        if attempt.is_device {
            return self.check_code(result);
        }
        attempt.state = Some(state.clone());
        self.states.push(state);
    }

    pub(super) fn on_settled(&mut self) {
        let input = std::mem::take(&mut self.input);
        let may_speak = input.is_loud || input.reads;
        if !may_speak && input.outputs > 0 {
            let late = input.has_ignored_answer;
            let (outputs, strange_visit) = (input.outputs, input.is_strange_visit);
            self.seen.push(Seen::Noise { late_answer: late, strange_visit, outputs });
        }
        for (_, _, why) in self.overtaken.drain(..) {
            self.seen.push(Seen::NotSent(why));
        }
        for turn in &self.turns {
            match &turn.phase {
                Phase::MustSend(why, _) => self.seen.push(Seen::NotSent(why)),
                Phase::MustEnd(ending) => self.seen.push(Seen::NotEnded(ending.clone())),
                Phase::Streaming { .. } | Phase::Waiting | Phase::Free => {}
            }
        }
        if std::mem::take(&mut self.must_ask) {
            self.seen.push(Seen::NotAsked);
        }
        if std::mem::take(&mut self.must_store) {
            self.seen.push(Seen::Unmet("the store is written".to_owned()));
        }
        if self.expects_timer.take().is_some() {
            self.seen.push(Seen::NoLimit);
        }
        if let Some(text) = self.unmet() {
            self.seen.push(Seen::Unmet(text));
        }
        for status in self.pages.drain(..) {
            self.seen.push(Seen::Unmet(format!("a browser gets a page ({status})")));
        }
        for expected in self.expected.values().flatten() {
            self.seen.push(Seen::Unanswered(expected.line.method().to_owned()));
        }
        if let Some(notice) = self.notices.front() {
            self.seen.push(Seen::NotAnnounced(notice.clone()));
        }
        if input.reads_asked > 0 && input.acts == 0 && input.went_out > 0 {
            self.seen.push(Seen::ReadActed);
        }
    }
}
