//! The reference model's login with a code that the user types elsewhere: it is asked for, shown, and
//! asked about again and again until it was typed or the time is over (auth.md §14.2, §15.3).

use std::time::Duration;

use understudy_core::CallId;

use super::login::{Attempt, Ended, LoginStage};
use super::{Model, TimerFor};
use crate::auth::grant::{DeviceAnswer, Issued};
use crate::auth::said::Line;
use crate::auth::seen::{Seen, Verdict};
use crate::world::fact::{Purpose, Sent};

/// How far a question to the authority is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It has to go out before the input is settled.
    Must,
    /// It is out; with the status of its answer, once that has come.
    Out(CallId, Option<u16>),
}

/// A code that is to be typed.
#[derive(Clone, Debug)]
pub struct Code {
    /// By what it is asked for.
    id: String,
    /// What the user types.
    user: String,
    /// The pause between two questions, in seconds.
    pause: u64,
    /// The question whether it was typed; none between two.
    asked: Option<Asked>,
}

impl Asked {
    fn call(&mut self) -> Option<(CallId, Option<&mut Option<u16>>)> {
        match self {
            Asked::Must => None,
            Asked::Out(call, status) => Some((*call, Some(status))),
        }
    }
}

impl Code {
    /// What a login with it does, by name.
    pub fn name(&self) -> String {
        let is_asked = if self.asked.is_some() { "asking" } else { "pausing" };
        format!("typing {}, {is_asked}", self.pause)
    }

    /// The question about it is out.
    pub fn has_call(&self) -> bool {
        matches!(self.asked, Some(Asked::Out(..)))
    }

    /// It must be asked about.
    pub fn is_due(&self) -> bool {
        self.asked == Some(Asked::Must)
    }

    pub(super) fn call(&mut self) -> Option<(CallId, Option<&mut Option<u16>>)> {
        self.asked.as_mut()?.call()
    }

    /// The pause is over.
    pub(super) fn ask(&mut self) {
        self.asked = Some(Asked::Must);
    }
}

impl LoginStage {
    /// The call of a question about a code.
    pub(super) fn device_call(&mut self) -> Option<(CallId, Option<&mut Option<u16>>)> {
        match self {
            LoginStage::AskingCode { asked, .. } => asked.call(),
            LoginStage::Typing(code) => code.call(),
            _ => None,
        }
    }

    /// A question about a code goes out; whether it had to.
    pub(super) fn on_device_sent(&mut self, sent: &Sent) -> bool {
        let asked = match (self, sent.purpose) {
            (LoginStage::AskingCode { asked, .. }, Purpose::UserCode) => asked,
            (LoginStage::Typing(Code { id, user, asked: Some(asked), .. }), Purpose::Poll)
                if sent.body.contains(&*id) && sent.body.contains(&*user) =>
            {
                asked
            }
            _ => return false,
        };
        let was_due = *asked == Asked::Must;
        *asked = Asked::Out(sent.call, None);
        was_due
    }
}

impl Model {
    /// The answer to the question for a code.
    pub(super) fn on_code(&mut self, id: Option<&String>, line: &Line, issued: Option<Issued>) {
        let words = match issued {
            None => String::new(),
            Some(Issued {
                device: Some(DeviceAnswer::Shown { id: secret, user, pause }), ..
            }) => {
                let code = Code { id: secret, user, pause, asked: None };
                if let Some(attempt) = &mut self.attempt {
                    attempt.stage = LoginStage::Typing(code);
                }
                self.expects_timer = Some(TimerFor::Login);
                self.mark("device: accepted");
                return self.expect_reply(id, line, Verdict::AnyResult);
            }
            Some(Issued { status: 404, .. }) => {
                self.mark("device: no codes");
                self.attempt = None;
                let text = "device code login is not enabled for this Codex server. Use the \
                            browser login or verify the server URL.";
                return self.expect_reply(id, line, Verdict::refused(-32600, text));
            }
            Some(issued) if issued.is_success() => "the answer does not parse".to_owned(),
            Some(Issued { status, .. }) => {
                format!("device code request failed with status {status}")
            }
        };
        self.mark("device: no code");
        self.attempt = None;
        let text = format!("failed to request device code: {words}");
        self.expect_reply(id, line, Verdict::RefusedWith(-32603, text));
    }

    /// The answer to the question whether the code was typed.
    pub(super) fn on_polled(&mut self, issued: Option<Issued>) {
        let is_open = |issued: &Issued| matches!(issued.status, 403 | 404 | 429 | 500..);
        let Some(issued) = issued.filter(|issued| !is_open(issued)) else {
            if let Some(Attempt { stage: LoginStage::Typing(code), .. }) = &mut self.attempt {
                code.asked = None;
            }
            self.mark("device: not typed yet");
            self.expects_timer = Some(TimerFor::Retry);
            return;
        };
        match issued.device {
            Some(DeviceAnswer::Typed(code)) => {
                self.mark("device: typed");
                if let Some(attempt) = &mut self.attempt {
                    attempt.stage = LoginStage::MustExchange(code);
                }
            }
            _ if (200..300).contains(&issued.status) => {
                self.mark("device: refused");
                let words = "device auth failed: the answer does not parse";
                self.end_login(Ended::Failed(words));
            }
            _ => {
                self.mark("device: refused");
                self.end_login(Ended::Refused(issued.status));
            }
        }
    }

    /// The pause until a code is asked about for the next time.
    pub(super) fn check_pause(&mut self, after: Duration) {
        if let Some(Attempt { stage: LoginStage::Typing(code), .. }) = &self.attempt
            && after != Duration::from_secs(code.pause)
        {
            self.seen.push(Seen::WrongLimit(after));
        }
    }

    /// The reply shows the code that is to be typed, and where.
    pub(super) fn check_code(&mut self, result: &serde_json::Value) {
        let Some(Attempt { stage: LoginStage::Typing(code), .. }) = &self.attempt else { return };
        let url = result["verificationUrl"].as_str().unwrap_or_default();
        if result["userCode"].as_str() != Some(&*code.user) || !url.ends_with("/codex/device") {
            self.seen.push(Seen::Unmet(format!("{code:?} is shown: {result}")));
        }
    }
}
