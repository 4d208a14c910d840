//! The reference model's login of the server's own: the one that is open, what visits of a browser do,
//! and how it ends (auth.md §6, §12 G1, G13, G15). What is special about device codes is in `device`.

use std::rc::Rc;
use std::time::Duration;

use understudy_core::{CallId, TimerId, limits};

use super::device::{Asked, Code};
use super::{Busy, Completion, Model, Notice, TimerFor, Work};
use crate::auth::grant::Issued;
use crate::auth::said::Line;
use crate::auth::seen::{Seen, Verdict};
use crate::auth::setting::Keeping;
use crate::auth::tokens::Login;
use crate::world::fact::{Port, Purpose, Sent};

/// What a browser asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The callback, with a code.
    Code,
    /// The callback, with an error of the authority.
    Denied,
    /// The callback, with neither.
    NoCode,
    /// The route that gives a login up.
    Cancel,
    /// The route of a login that is over.
    Success,
    /// A route that there is not.
    Elsewhere,
}

/// Whose state a visit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The open login's.
    Right,
    /// That of an earlier login, or none that ever was.
    Wrong,
    /// None at all.
    Missing,
}

/// A login under way.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its id, once the reply was heard.
    pub id: Option<String>,
    /// What its visits must know, once the reply was heard.
    pub state: Option<String>,
    is_legacy: bool,
    /// By a code that is typed elsewhere.
    pub is_device: bool,
    /// How far it is.
    pub stage: LoginStage,
    listener: Option<CallId>,
    limit: Option<TimerId>,
    retry: Option<TimerId>,
}

/// How far a login is. What begins with `Must` has to go out before the input is settled.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the stage of its name")]
pub enum LoginStage {
    /// The port is wanted; the request is not answered yet.
    Binding {
        id: Option<String>,
        line: Box<Line>,
        failures: u32,
        bind: Bind,
    },
    Waiting,
    /// A device code is wanted; the request is not answered yet.
    AskingCode {
        id: Option<String>,
        line: Box<Line>,
        asked: Asked,
    },
    Typing(Code),
    MustExchange(String),
    Exchanging(CallId, Option<u16>),
    MustAskKey(Rc<Login>),
    AskingKey(CallId, Option<u16>, Rc<Login>),
    Saving(Rc<Login>),
}

/// How far the wish for the port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the step of its name")]
pub enum Bind {
    MustListen,
    Listening(CallId),
    MustOust,
    Ousting(CallId),
    Pausing,
}

/// Why a login ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Canceled,
    Replaced,
    TimedOut,
    Failed(&'static str),
    /// Its code cannot be exchanged, for this reason.
    NotExchanged(&'static str),
    /// Its code will never be typed: the authority has said so with this status.
    Refused(u16),
}

impl Ended {
    fn words(self, is_device: bool) -> String {
        match self {
            Ended::Canceled => "Login was not completed".to_owned(),
            Ended::Replaced => "Login cancelled".to_owned(),
            Ended::TimedOut => "Login timed out".to_owned(),
            Ended::NotExchanged(words) if is_device => {
                format!("device code exchange failed: {words}")
            }
            Ended::Failed(words) | Ended::NotExchanged(words) => words.to_owned(),
            Ended::Refused(status) => format!("device auth failed with status {status}"),
        }
    }

    /// What its completion begins with.
    fn completion(self, is_device: bool) -> String {
        let is_bare = self == Ended::TimedOut || is_device;
        let prefix = if is_bare { "" } else { "Login server error: " };
        format!("{prefix}{}", self.words(is_device))
    }
}

impl Attempt {
    fn is_saving(&self) -> bool {
        matches!(self.stage, LoginStage::Saving(_))
    }

    /// The request for it has no reply yet.
    fn is_unanswered(&self) -> bool {
        matches!(self.stage, LoginStage::Binding { .. } | LoginStage::AskingCode { .. })
    }

    /// Somebody's browser waits for a page.
    fn has_visitor(&self) -> bool {
        !self.is_unanswered() && !matches!(self.stage, LoginStage::Waiting)
    }

    /// It waits until its code is asked about again.
    pub fn is_pausing(&self) -> bool {
        matches!(&self.stage, LoginStage::Typing(code) if !code.has_call())
    }

    /// A request to the authority, or to whoever has the port, is out for it.
    pub fn has_call(&self) -> bool {
        match &self.stage {
            LoginStage::Binding { bind, .. } => matches!(bind, Bind::Ousting(_)),
            LoginStage::AskingCode { asked, .. } => *asked != Asked::Must,
            LoginStage::Typing(code) => code.has_call(),
            LoginStage::Exchanging(..) | LoginStage::AskingKey(..) => true,
            LoginStage::Waiting
            | LoginStage::MustExchange(_)
            | LoginStage::MustAskKey(_)
            | LoginStage::Saving(_) => false,
        }
    }

    /// Timers of it that are set.
    pub fn timers(&self) -> usize {
        usize::from(self.limit.is_some()) + usize::from(self.retry.is_some())
    }

    /// Its name for telling states apart.
    pub fn name(&self) -> String {
        match &self.stage {
            LoginStage::Binding { failures, bind, .. } => match bind {
                Bind::MustListen | Bind::Listening(_) => format!("binding {failures}"),
                Bind::MustOust | Bind::Ousting(_) => "ousting".to_owned(),
                Bind::Pausing => format!("pausing {failures}"),
            },
            LoginStage::Waiting => "waiting".to_owned(),
            LoginStage::AskingCode { .. } => "asking a code".to_owned(),
            LoginStage::Typing(code) => code.name(),
            LoginStage::MustExchange(_) | LoginStage::Exchanging(..) => "exchanging".to_owned(),
            LoginStage::MustAskKey(_) | LoginStage::AskingKey(..) => "asking a key".to_owned(),
            LoginStage::Saving(_) => "saving".to_owned(),
        }
    }
}

impl Model {
    pub(super) fn start_login(&mut self, id: Option<String>, line: Line) {
        if self.attempt.is_some() {
            self.mark("browser: a second login");
        }
        self.end_login(Ended::Replaced);
        let is_legacy = matches!(line, Line::LoginChatGpt { legacy: true });
        let is_device = matches!(line, Line::LoginDevice);
        let (line, bind) = (Box::new(line), Bind::MustListen);
        self.attempt = Some(Attempt {
            id: None,
            state: None,
            is_legacy,
            is_device,
            stage: match is_device {
                true => LoginStage::AskingCode { id, line, asked: Asked::Must },
                false => LoginStage::Binding { id, line, failures: 0, bind },
            },
            listener: None,
            limit: None,
            retry: None,
        });
    }

    /// Ends the login under way without success; its completion, if it was accepted.
    pub(super) fn close_login(&mut self, ended: Ended) -> Option<Notice> {
        let attempt = self.attempt.take()?;
        let is_device = attempt.is_device;
        if attempt.has_visitor() && attempt.listener.is_some() {
            self.pages.push_back(200);
        }
        self.expects_timer.take_if(|timer| *timer != TimerFor::Renewal);
        if let LoginStage::Binding { id, line, bind, .. } = &attempt.stage {
            self.overtaken_work.extend((*bind == Bind::MustListen).then_some(Work::Listen));
            self.mark("browser: ends before it has its port");
            let text = format!("failed to start login server: {}", ended.words(false));
            self.expect_reply(id.as_ref(), line, Verdict::RefusedWith(-32603, text));
            return None;
        }
        if let LoginStage::AskingCode { id, line, asked } = &attempt.stage {
            self.overtaken_work.extend((*asked == Asked::Must).then_some(Work::AskCode));
            self.mark("device: ends before it has its code");
            let text = format!("failed to request device code: {}", ended.words(true));
            self.expect_reply(id.as_ref(), line, Verdict::refused(-32603, &text));
            return None;
        }
        self.ended_logins.extend(attempt.id.clone());
        if let LoginStage::MustAskKey(login)
        | LoginStage::AskingKey(_, _, login)
        | LoginStage::Saving(login) = &attempt.stage
        {
            self.orphans.extend((!login.token.is_empty()).then(|| login.token.clone()));
        }
        let words = Some(ended.completion(is_device));
        let completion = Completion { id: attempt.id.clone(), words };
        Some(Notice::completion(attempt.is_legacy, completion))
    }

    pub(super) fn end_login(&mut self, ended: Ended) {
        if let Some(notice) = self.close_login(ended) {
            self.notices.push_back(notice);
        }
    }

    /// What the store has in hand is as good as done.
    pub(super) fn end_unsaved_login(&mut self, ended: Ended) {
        if !self.attempt.as_ref().is_some_and(Attempt::is_saving) {
            self.end_login(ended);
        }
    }

    pub(super) fn cancel_login(&mut self, id: Option<String>, line: &Line, named: &str) {
        let open = self.attempt.as_ref().filter(|attempt| !attempt.is_unanswered());
        let is_it = open.is_some_and(|attempt| attempt.id.as_deref() == Some(named));
        let is_legacy = matches!(line, Line::CancelLogin { legacy: true, .. });
        let verdict = match (is_legacy, is_it) {
            (false, true) => Verdict::Exactly(serde_json::json!({"status": "canceled"})),
            (false, false) => Verdict::Exactly(serde_json::json!({"status": "notFound"})),
            (true, true) => Verdict::Exactly(serde_json::json!({})),
            (true, false) => Verdict::RefusedWith(-32600, "login id not found: ".to_owned()),
        };
        if is_it {
            let stage = open.map(|attempt| attempt.name()).unwrap_or_default();
            self.mark(match stage.as_str() {
                "waiting" => "cancel: while the browser is out",
                typing if typing.starts_with("typing") => "cancel: while the code is typed",
                _ => "cancel: while tokens are exchanged",
            });
        } else {
            self.mark("cancel: a login that is not open");
        }
        self.expect_reply(id.as_ref(), line, verdict);
        if is_it {
            self.end_login(Ended::Canceled);
        }
    }

    // --- the port ---

    pub(super) fn on_listen_asked(&mut self, call: CallId) {
        self.input.outputs += 1;
        if self.take_overtaken(Work::Listen) {
            return;
        }
        let due = match self.attempt.as_mut() {
            Some(Attempt { stage: LoginStage::Binding { bind, .. }, listener, .. })
                if *bind == Bind::MustListen =>
            {
                *bind = Bind::Listening(call);
                *listener = Some(call);
                true
            }
            _ => false,
        };
        if !due {
            self.seen.push(Seen::Unmet("nobody asks for the port without a login".to_owned()));
        }
    }

    pub(super) fn on_listened(&mut self, call: CallId, port: Port) {
        self.input.is_loud = true;
        let Some(attempt) = self.attempt.as_mut().filter(|own| own.listener == Some(call)) else {
            return;
        };
        if port == Port::Granted {
            attempt.retry = None;
            let stage = std::mem::replace(&mut attempt.stage, LoginStage::Waiting);
            if let LoginStage::Binding { id, line, .. } = stage {
                self.expects_timer = Some(TimerFor::Login);
                self.mark("browser: accepted");
                self.expect_reply(id.as_ref(), &line, Verdict::AnyResult);
            }
            return;
        }
        attempt.listener = None;
        let LoginStage::Binding { failures, bind, .. } = &mut attempt.stage else {
            if port == Port::InUse || port == Port::Refused {
                self.mark("browser: the port is taken away");
                return self.end_unsaved_login(Ended::Failed("scripted: no port"));
            }
            self.mark("browser: the listener is lost");
            return self.end_unsaved_login(Ended::Failed("the listener failed"));
        };
        *failures += 1;
        match port {
            Port::InUse if *failures >= limits::LOGIN_PORT_TRIES_MAX => {
                self.mark("browser: the port stays taken");
                self.end_login(Ended::Failed("Port 127.0.0.1:1455 is already in use"));
            }
            Port::InUse if *failures == 1 => *bind = Bind::MustOust,
            Port::InUse => {
                *bind = Bind::Pausing;
                self.expects_timer = Some(TimerFor::Retry);
            }
            Port::Refused => {
                self.mark("browser: no port");
                self.end_login(Ended::Failed("scripted: no port"));
            }
            Port::Lost | Port::Granted => {
                self.mark("browser: the listener is lost");
                self.end_login(Ended::Failed("the listener failed"));
            }
        }
    }

    pub(super) fn on_login_timer(&mut self, timer: TimerId, what: TimerFor, after: Duration) {
        let Some(attempt) = &mut self.attempt else { return };
        if what == TimerFor::Retry {
            attempt.retry = Some(timer);
            return self.check_pause(after);
        }
        attempt.limit = Some(timer);
        let limit = match attempt.is_device {
            true => limits::DEVICE_LOGIN_LIMIT,
            false => limits::BROWSER_LOGIN_LIMIT,
        };
        // A code is asked about for the first time after a pause.
        self.expects_timer = attempt.is_device.then_some(TimerFor::Retry);
        if after != limit {
            self.seen.push(Seen::WrongLimit(after));
        }
    }

    /// A timer of the login has fired.
    pub(super) fn on_login_fired(&mut self, timer: TimerId) {
        let Some(attempt) = &mut self.attempt else { return };
        if attempt.limit == Some(timer) {
            attempt.limit = None;
            let marks = ["browser: nobody comes in time", "device: nobody types in time"];
            let mark = marks[usize::from(attempt.is_device)];
            self.mark(mark);
            self.end_unsaved_login(Ended::TimedOut);
        } else if attempt.retry == Some(timer) {
            attempt.retry = None;
            match &mut attempt.stage {
                LoginStage::Binding { bind, .. } => *bind = Bind::MustListen,
                LoginStage::Typing(code) => code.ask(),
                _ => {}
            }
        }
    }

    // --- visits ---

    pub(super) fn on_visited(&mut self, call: CallId, number: usize) {
        let (visit, proof, code) = self.visits[number].clone();
        let Some(attempt) = self.attempt.as_mut().filter(|own| own.listener == Some(call)) else {
            return;
        };
        if visit == Visit::Elsewhere {
            return self.pages.push_back(404);
        }
        if proof != Proof::Right {
            self.input.is_strange_visit = true;
            self.mark("visit: a state that is not this login's");
            return self.pages.push_back(400);
        }
        let is_waiting = matches!(attempt.stage, LoginStage::Waiting);
        if attempt.is_saving() || (visit != Visit::Cancel && !is_waiting) || visit == Visit::Success
        {
            self.mark("visit: too late or too early");
            return self.pages.push_back(409);
        }
        self.input.is_loud = true;
        match visit {
            Visit::Code => attempt.stage = LoginStage::MustExchange(code),
            Visit::Denied => {
                self.mark("visit: denied");
                self.pages.push_back(200);
                self.end_login(Ended::Failed("Sign-in failed: not today"));
            }
            Visit::NoCode => {
                self.mark("visit: no code");
                self.pages.push_back(200);
                self.end_login(Ended::Failed("Missing authorization code. "));
            }
            Visit::Cancel | Visit::Success | Visit::Elsewhere => {
                self.mark("visit: cancel");
                self.pages.push_back(200);
                self.end_login(Ended::Replaced);
            }
        }
    }

    pub(super) fn on_page(&mut self, status: u16, body: &Rc<String>) {
        let expected = self.pages.pop_front();
        let is_strange = self.input.is_strange_visit;
        if !is_strange && expected != Some(400) && expected != Some(404) && expected != Some(409) {
            self.input.outputs += 1;
        }
        self.seen.push(Seen::Page { expected, status, body: Rc::clone(body) });
    }

    // --- exchanges ---

    /// A request of the login went out; whether it had to.
    pub(super) fn on_login_sent(&mut self, sent: &Sent) -> bool {
        let Some(attempt) = &mut self.attempt else { return false };
        if matches!(sent.purpose, Purpose::UserCode | Purpose::Poll) {
            return attempt.stage.on_device_sent(sent);
        }
        attempt.stage = match (&mut attempt.stage, sent.purpose) {
            (LoginStage::Binding { bind, .. }, Purpose::Oust) if *bind == Bind::MustOust => {
                *bind = Bind::Ousting(sent.call);
                return true;
            }
            (LoginStage::MustExchange(code), Purpose::Exchange) if sent.body.contains(&*code) => {
                LoginStage::Exchanging(sent.call, None)
            }
            (LoginStage::MustAskKey(login), Purpose::Key) => {
                LoginStage::AskingKey(sent.call, None, Rc::clone(login))
            }
            _ => return false,
        };
        true
    }

    /// The call that a login waits for.
    pub(super) fn login_call(&mut self) -> Option<(CallId, Option<&mut Option<u16>>)> {
        match &mut self.attempt.as_mut()?.stage {
            LoginStage::Binding { bind: Bind::Ousting(call), .. } => Some((*call, None)),
            LoginStage::Exchanging(call, status) | LoginStage::AskingKey(call, status, _) => {
                Some((*call, Some(status)))
            }
            stage => stage.device_call(),
        }
    }

    /// The answer to a login's request, or that there is none.
    pub(super) fn on_login_reply(&mut self, issued: Option<Issued>) {
        let (now, forced) = (self.wall(), self.setting.forced_workspace);
        let Some(attempt) = &mut self.attempt else { return };
        match &mut attempt.stage {
            LoginStage::Binding { bind, .. } => {
                *bind = Bind::Pausing;
                self.expects_timer = Some(TimerFor::Retry);
                self.mark("browser: whoever has the port is asked to go");
            }
            LoginStage::AskingCode { id, line, .. } => {
                let (id, line) = (id.clone(), line.clone());
                self.on_code(id.as_ref(), &line, issued);
            }
            LoginStage::Typing(_) => self.on_polled(issued),
            LoginStage::Exchanging(..) => {
                let tokens = match &issued {
                    None => Err(""),
                    Some(issued) if !issued.is_success() => Err("token endpoint returned status"),
                    Some(issued) => issued
                        .tokens
                        .as_ref()
                        .ok_or("the answer of the token endpoint does not parse"),
                };
                let login = tokens.and_then(|fresh| fresh.login(now, forced));
                match login {
                    // There is no key for who has typed a code.
                    Ok(login) if attempt.is_device => self.save_login(Rc::new(login)),
                    Ok(login) => attempt.stage = LoginStage::MustAskKey(Rc::new(login)),
                    // An id token that does not parse is noticed when it is to be saved.
                    Err(words) if words.starts_with("Unable to persist") && !attempt.is_device => {
                        let unusable = Login { token: String::new(), ..Login::none() };
                        attempt.stage = LoginStage::MustAskKey(Rc::new(unusable));
                    }
                    Err(words) => {
                        self.mark("exchange: fails");
                        let is_about_tokens = ["Unable to persist", "Login is restricted"];
                        self.end_login(
                            match is_about_tokens.iter().any(|w| words.starts_with(w)) {
                                true => Ended::Failed(words),
                                false => Ended::NotExchanged(words),
                            },
                        );
                    }
                }
            }
            LoginStage::AskingKey(_, _, login) => {
                let login = Rc::new(issued_now((**login).clone(), now));
                if login.own.is_none() {
                    self.mark("exchange: tokens that cannot be used");
                    return self.end_login(Ended::Failed("Unable to persist auth file: "));
                }
                self.save_login(login);
            }
            _ => {}
        }
    }

    fn save_login(&mut self, login: Rc<Login>) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.stage = LoginStage::Saving(login);
        if self.setting.keeping == Keeping::Memory {
            return self.login_saved(true);
        }
        self.must_store = true;
        self.busy = Some(Busy::Login);
    }

    /// What the store is to keep for the login.
    pub(super) fn login_in_hand(&self) -> Option<Rc<Login>> {
        match &self.attempt.as_ref()?.stage {
            LoginStage::Saving(login) => Some(Rc::clone(login)),
            _ => None,
        }
    }

    pub(super) fn login_saved(&mut self, done: bool) {
        let Some(login) = self.login_in_hand() else { return };
        if !done {
            self.mark("store: a login cannot be saved");
            return self.end_login(Ended::Failed("Unable to persist auth file: "));
        }
        let Some(attempt) = self.attempt.take() else { return };
        if attempt.listener.is_some() {
            self.pages.push_back(200);
        }
        self.mark(["browser: signed in", "device: signed in"][usize::from(attempt.is_device)]);
        self.ended_logins.extend(attempt.id.clone());
        self.sign_in_with(login);
        let completion = Completion { id: attempt.id, words: None };
        self.notices.push_back(Notice::completion(attempt.is_legacy, completion));
        self.announce(if attempt.is_legacy { "authStatusChange" } else { "account/updated" });
    }
}

fn issued_now(mut login: Login, now: jiff::Timestamp) -> Login {
    if let Some(own) = &mut login.own {
        own.issued = now;
    }
    login
}
