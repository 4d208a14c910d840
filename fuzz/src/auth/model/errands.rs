//! The reference model's requests in the account's name that are no turn's: the model list and the
//! account's usage (auth.md §12 G11).

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use understudy_core::{CallId, limits};

use super::turns::ENDED;
use super::{Model, Who};
use crate::auth::said::Line;
use crate::auth::seen::Verdict;
use crate::auth::tokens::{Kind, Login};
use crate::world::fact::{Part, Purpose, Sent};

/// A request that is under way.
#[derive(Clone, Debug)]
pub struct Errand {
    number: u64,
    what: What,
    /// What it does.
    pub phase: ErrandPhase,
    refused: u32,
    has_waited: bool,
}

#[derive(Clone, Debug)]
enum What {
    Models,
    Usage(Option<String>, Box<Line>),
}

/// What an errand does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as for turns")]
pub enum ErrandPhase {
    MustSend(Rc<Login>, u64),
    Sent { call: CallId, generation: u64, bearer: Option<String>, status: Option<u16> },
    Waiting,
}

impl Errand {
    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        match self.what {
            What::Models => Purpose::Models,
            What::Usage(..) => Purpose::Usage,
        }
    }

    /// What it does, for telling states apart: without its number, and with the count of logins only
    /// as far as it is this one.
    pub fn state(&self, logins: u64) -> impl fmt::Debug + '_ {
        let phase = match &self.phase {
            ErrandPhase::MustSend(login, _) => (None, Some(login)),
            ErrandPhase::Sent { call, generation, bearer, status } => {
                (Some((call, *generation == logins, bearer, status)), None)
            }
            ErrandPhase::Waiting => (None, None),
        };
        (&self.what, phase, self.refused, self.has_waited)
    }
}

impl Model {
    pub(super) fn want_usage(&mut self, id: Option<String>, line: Line) {
        let text = match self.login.kind {
            Kind::None => "codex account authentication required to read rate limits",
            Kind::Key => "chatgpt authentication required to read rate limits",
            Kind::Managed | Kind::External => return self.usage_wanted.push_back((id, line)),
        };
        self.expect_reply(id.as_ref(), &line, Verdict::refused(-32600, text));
    }

    /// The account's usage is asked for once everything else is done.
    pub(super) fn ask_usage(&mut self, id: Option<String>, line: Line) {
        self.begin_errand(What::Usage(id, Box::new(line)));
    }

    /// A thread is there: the model list is fetched if it is old.
    pub(super) fn want_models(&mut self) {
        let has_list = matches!(self.login.kind, Kind::Managed | Kind::External);
        let is_fresh =
            self.models_at.is_some_and(|then: Duration| self.now - then < limits::CATALOGUE_FRESH);
        let runs = self.errands.iter().any(|errand| matches!(errand.what, What::Models));
        if self.setting.requires_auth() && has_list && !is_fresh && !runs {
            self.begin_errand(What::Models);
        }
    }

    fn begin_errand(&mut self, what: What) {
        self.errands_begun += 1;
        let number = self.errands_begun;
        let waits = self.should_freshen();
        let phase = if waits { ErrandPhase::Waiting } else { self.errand_must_send() };
        self.errands.push(Errand { number, what, phase, refused: 0, has_waited: false });
        if waits {
            self.mark("errand: waits for tokens in place of old ones");
            self.wait_for_tokens(Who::Errand(number), true);
        }
    }

    fn errand_must_send(&self) -> ErrandPhase {
        ErrandPhase::MustSend(Rc::clone(&self.login), self.generation)
    }

    /// The credential that an errand's request must carry.
    pub(super) fn errand_credential(
        &self,
        purpose: Purpose,
        login: &Login,
    ) -> (Option<String>, Option<String>) {
        match purpose {
            Purpose::Usage => {
                let token = (login.kind != Kind::None).then(|| login.token.clone());
                (token, login.account.clone())
            }
            _ => self.setting.credential(login).unwrap_or_default(),
        }
    }

    /// An errand's request went out; by whom it must be signed, if one had to go out.
    pub(super) fn on_errand_sent(&mut self, sent: &Rc<Sent>) -> Option<Rc<Login>> {
        let (call, bearer) = (sent.call, sent.bearer.clone());
        for errand in self.errands.iter_mut().filter(|errand| errand.purpose() == sent.purpose) {
            if let ErrandPhase::MustSend(login, generation) = &errand.phase {
                let (login, generation) = (Rc::clone(login), *generation);
                errand.phase = ErrandPhase::Sent { call, generation, bearer, status: None };
                return Some(login);
            }
        }
        None
    }

    /// A part of the answer to an errand; whether it was one.
    pub(super) fn on_errand_part(&mut self, call: CallId, part: Part) -> bool {
        let own = |errand: &Errand| matches!(errand.phase, ErrandPhase::Sent { call: own, .. } if own == call);
        let Some(at) = self.errands.iter().position(own) else { return false };
        let ErrandPhase::Sent { generation, bearer, status, .. } = &mut self.errands[at].phase
        else {
            return false;
        };
        match part {
            Part::Head(got) => *status = Some(got),
            Part::Bytes(_) => {}
            Part::End if *status == Some(401) => {
                let (generation, bearer) = (*generation, bearer.clone());
                self.errand_unauthorized(at, generation, bearer);
            }
            Part::End => {
                let is_ok = status.is_some_and(|status| (200..300).contains(&status));
                self.finish_errand(at, is_ok);
            }
            Part::Failed(_) | Part::Lost => self.finish_errand(at, false),
        }
        true
    }

    fn errand_unauthorized(&mut self, at: usize, used: u64, bearer: Option<String>) {
        let errand = &mut self.errands[at];
        errand.refused += 1;
        let (number, has_waited, refused) = (errand.number, errand.has_waited, errand.refused);
        let verdict = self.verdict(used, bearer.as_deref(), has_waited, refused, true);
        if verdict.starts_with("401: fail") {
            self.mark("errand: 401 is final");
            if verdict == ENDED {
                self.mark("errand: 401 after the end of input");
            }
            self.finish_errand(at, false);
        } else if verdict.starts_with("401: retry") {
            self.mark("errand: the login has changed");
            self.errands[at].phase = self.errand_must_send();
        } else {
            self.mark("errand: 401 waits for tokens");
            self.errands[at].phase = ErrandPhase::Waiting;
            self.errands[at].has_waited = true;
            self.wait_for_tokens(Who::Errand(number), false);
        }
    }

    /// The refresh that an errand waited for is over.
    pub(super) fn wake_errand(&mut self, number: u64, is_ok: bool, is_adopted: bool) {
        let Some(at) = self.errands.iter().position(|errand| errand.number == number) else {
            return;
        };
        if is_ok {
            // Those that look the same are sent in the order in which they were woken.
            let mut errand = self.errands.remove(at);
            errand.has_waited &= !is_adopted;
            errand.phase = self.errand_must_send();
            self.errands.push(errand);
        } else {
            self.finish_errand(at, false);
        }
    }

    fn finish_errand(&mut self, at: usize, is_ok: bool) {
        match self.errands.remove(at).what {
            What::Models => {
                if is_ok {
                    self.models_at = Some(self.now);
                }
            }
            What::Usage(id, line) => {
                let verdict = if is_ok {
                    self.mark("usage: read");
                    Verdict::AnyResult
                } else {
                    self.mark("usage: cannot be read");
                    let text = "failed to fetch codex rate limits: ".to_owned();
                    Verdict::RefusedWith(-32603, text)
                };
                self.expect_reply(id.as_ref(), &line, verdict);
            }
        }
    }
}
