//! The reference model: who may be signed in, which login is blocked, what is being refreshed and
//! which turns wait for it. It follows the facts of a world, says what each of them must lead to,
//! and knows nothing of how.
//!
//! It is much simpler than the machine: no bytes, no items, no retries, no timers of its own. What a
//! turn does between a request and its response's status is left free.

mod account;
pub mod device;
mod errands;
mod heard;
mod lines;
pub mod login;
pub mod managed;
mod refresh;
mod state;
pub mod store;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use understudy_core::files::FileOp;
use understudy_core::{AskId, CallId, ExitStatus, TimerId};

use crate::auth::grant::Issued;
use crate::auth::said::{Line, SaidLine};
use crate::auth::seen::{Ending, Expected, Seen};
use crate::auth::setting::Setting;
use crate::auth::tokens::Login;
use crate::world::fact::{Fact, Job, Part, Purpose, Sent};
use crate::world::{Fault, wall};
use device::Asked;
pub use errands::{Errand, ErrandPhase};
use login::{Attempt, Bind, LoginStage, Proof, Visit};
use managed::ManagedRefresh;
pub use refresh::ANYWAY;
use store::Stores;
pub use turns::{Phase, Turn};

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Start-up runs; what comes is held.
    Loading,
    /// Nothing but `initialize` is served.
    Fresh,
    /// Everything is served.
    Ready,
    /// Nothing more is taken in.
    Closing,
    /// It has ended.
    Gone,
}

/// A refresh that runs.
#[derive(Clone, Debug)]
pub struct Refreshing {
    /// The question, once it was heard.
    pub ask: Option<AskId>,
    /// Where in the output it ends.
    end: u64,
    /// When it was written.
    pub since: Option<Duration>,
    timer: Option<TimerId>,
    /// The token authority is asked, not the host.
    pub managed: Option<ManagedRefresh>,
    /// Who waits.
    pub waiters: Vec<Waiter>,
}

/// Somebody who waits for a refresh.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Who.
    pub who: Who,
    /// Only because its token is old: it goes on in any case.
    pub is_old: bool,
}

/// Who waits for a refresh.
#[derive(Clone, Debug)]
pub enum Who {
    /// The turn of this thread with this number.
    Turn(String, u64),
    /// An errand, by its number.
    Errand(u64),
    /// A request of the host.
    Request(Option<String>, Box<Line>),
}

impl PartialEq for Who {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Who::Turn(a, n), Who::Turn(b, m)) => a == b && n == m,
            (Who::Errand(n), Who::Errand(m)) => n == m,
            _ => false,
        }
    }
}

/// What those hear who have waited for a refresh.
#[derive(Clone, Debug)]
enum Woken {
    /// To go on, for this reason; whether it is with another process's tokens.
    Retry(&'static str, bool),
    /// That there are no new tokens, in these words.
    Fail(String),
}

/// What the store is busy with.
#[derive(Clone, Debug)]
enum Busy {
    Request(Box<Queued>),
    Login,
}

/// What may be overtaken by the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Listen,
    AskCode,
    Hold,
}

/// What the next timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimerFor {
    /// A question to the host.
    Ask,
    /// Another try of a refresh.
    Renewal,
    /// A login's end.
    Login,
    /// Another try to have the port, or another question whether a code was typed.
    Retry,
}

/// A notification about the account that must come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its method.
    pub method: &'static str,
    /// The mode it tells, if it tells one.
    pub mode: Option<&'static str>,
    /// Of a completion: of which login, and how it ended.
    pub completion: Option<Completion>,
}

/// How a login ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The login's id, if it has one.
    pub id: Option<String>,
    /// Words of why it failed; none if it did not.
    pub words: Option<String>,
}

impl Notice {
    fn completion(is_legacy: bool, completion: Completion) -> Self {
        let method = if is_legacy { "loginChatGptComplete" } else { "account/login/completed" };
        Self { method, mode: None, completion: Some(completion) }
    }
}

/// A request about the account that waits for the store.
type Queued = (Option<String>, Line);

/// A request of a turn that was interrupted in the same breath: its thread, whose login, and why.
type Overtaken = (String, (Rc<Login>, u64), &'static str);

/// The model.
#[derive(Clone, Debug)]
pub struct Model {
    setting: Setting,
    /// How far the session is.
    pub stage: Stage,
    /// What was said, by number.
    pub said: Vec<SaidLine>,
    held: Vec<usize>,
    held_eof: bool,
    /// Who is signed in.
    pub login: Rc<Login>,
    /// The login came as an answer for which no turn waited any more.
    pub is_unattended: bool,
    /// Counts changes of the login.
    pub generation: u64,
    /// The mode that the host was last told of, or has started with.
    pub announced: Option<&'static str>,
    /// The stored record could not be used.
    pub warns: bool,
    busy: Option<Busy>,
    /// Of the login that a logout has ended.
    after_logout: Option<Notice>,
    must_store: bool,
    queue: VecDeque<Queued>,
    /// The refresh that runs.
    pub refresh: Option<Refreshing>,
    must_ask: bool,
    expects_timer: Option<TimerFor>,
    /// A refresh was refused for good: for which login, and in which words.
    dead: Option<(u64, String)>,
    /// No refresh of its own account before this.
    not_before: Option<Duration>,
    /// Those whose wait for a refresh is over.
    woken: VecDeque<(Who, Woken)>,
    /// Refresh tokens that the authority has refused for good.
    spent_for_good: BTreeSet<String>,
    /// What is stored.
    pub stores: Stores,
    /// A job on a store has not done what it should have.
    pub store_trouble: Option<String>,
    /// The login in a browser, or with a device code, that is open.
    pub attempt: Option<Attempt>,
    /// Logins that are over.
    pub ended_logins: Vec<String>,
    /// Logins that were accepted, each with its completions.
    pub accepted: BTreeMap<String, usize>,
    /// Access tokens of logins that have ended without success.
    pub orphans: BTreeSet<String>,
    /// States of logins, newest last.
    pub states: Vec<String>,
    /// Visits that were made, by number, with the code of each.
    pub visits: Vec<(Visit, Proof, String)>,
    pages: VecDeque<u16>,
    must_revoke: Option<String>,
    /// What the authority answers to a call.
    pub issued: BTreeMap<CallId, Issued>,
    /// Requests in the account's name that are no turn's.
    pub errands: Vec<Errand>,
    errands_begun: u64,
    usage_wanted: VecDeque<Queued>,
    models_at: Option<Duration>,
    /// Turns, oldest first.
    pub turns: Vec<Turn>,
    turns_begun: u64,
    overtaken: Vec<Overtaken>,
    /// What went out and was given up within one chunk of the host's bytes.
    overtaken_work: Vec<Work>,
    /// Threads that were started, oldest first.
    pub threads: Vec<String>,
    expected: BTreeMap<String, VecDeque<Expected>>,
    /// Account notifications that must come, in order.
    notices: VecDeque<Notice>,
    /// Questions that were heard, with whether they are still open.
    pub asks: Vec<AskId>,
    /// What was seen since the last look, for the invariants.
    pub seen: Vec<Seen>,
    /// What was reached, for the coverage of rules.
    pub marks: BTreeSet<&'static str>,
    /// Tokens that were accepted when their owner was not in force any more: none may appear.
    pub dead_tokens: BTreeSet<String>,
    now: Duration,
    input: InputSoFar,
}

/// What one input has brought until now.
#[derive(Clone, Debug, Default)]
struct InputSoFar {
    /// Something that may have an effect came in.
    is_loud: bool,
    /// An answer that nobody waits for came in.
    has_ignored_answer: bool,
    outputs: usize,
    /// A timer has fired.
    fired: Option<TimerId>,
    /// A turn's own response moved on.
    moved: Option<CallId>,
    /// A refresh is over.
    has_woken: bool,
    /// A browser came that does not know the login's state.
    is_strange_visit: bool,
    /// A turn that has given up its stream.
    freed: Option<u64>,
    /// A turn whose request is over: a timer that is set now is its pause before another try.
    may_pause: Option<u64>,
    /// The host has read.
    reads: bool,
    /// Requests that only look, and others.
    reads_asked: usize,
    acts: usize,
    /// Questions and HTTP requests that went out.
    went_out: usize,
}

impl Model {
    /// The model of a session that has just begun.
    pub fn new(setting: &Setting) -> Self {
        let (login, warns) = setting.first_login(Fault::None);
        Self {
            setting: setting.clone(),
            stage: Stage::Loading,
            said: Vec::new(),
            held: Vec::new(),
            held_eof: false,
            announced: login.kind.wire(),
            login: Rc::new(login),
            is_unattended: false,
            generation: 0,
            warns,
            busy: None,
            after_logout: None,
            must_store: false,
            queue: VecDeque::new(),
            refresh: None,
            must_ask: false,
            expects_timer: None,
            dead: None,
            not_before: None,
            woken: VecDeque::new(),
            spent_for_good: BTreeSet::new(),
            stores: setting.stores(),
            store_trouble: None,
            attempt: None,
            ended_logins: Vec::new(),
            accepted: BTreeMap::new(),
            orphans: BTreeSet::new(),
            states: Vec::new(),
            visits: Vec::new(),
            pages: VecDeque::new(),
            must_revoke: None,
            issued: BTreeMap::new(),
            errands: Vec::new(),
            errands_begun: 0,
            usage_wanted: VecDeque::new(),
            models_at: None,
            turns: Vec::new(),
            turns_begun: 0,
            overtaken: Vec::new(),
            overtaken_work: Vec::new(),
            threads: Vec::new(),
            expected: BTreeMap::new(),
            notices: VecDeque::new(),
            asks: Vec::new(),
            seen: Vec::new(),
            marks: BTreeSet::new(),
            dead_tokens: BTreeSet::new(),
            now: Duration::ZERO,
            // The machine's birth is an input of its own.
            input: InputSoFar { is_loud: true, ..InputSoFar::default() },
        }
    }

    fn mark(&mut self, what: &'static str) {
        self.marks.insert(what);
    }

    /// The turn that runs in a thread and is not about to end.
    pub fn running(&self, thread: &str) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.thread == thread && !turn.is_ending())
    }

    fn running_mut(&mut self, thread: &str) -> Option<&mut Turn> {
        self.turns.iter_mut().find(|turn| turn.thread == thread && !turn.is_ending())
    }

    /// A refresh whose time is over.
    pub fn is_overdue(&self) -> bool {
        let since = self.refresh.as_ref().and_then(|refresh| refresh.since);
        self.stage < Stage::Closing && since.is_some_and(|at| self.now > at + self.setting.limit)
    }

    /// Requests about the account that the store holds up.
    pub fn held_up(&self) -> usize {
        self.queue.len() + usize::from(self.busy.is_some())
    }

    /// The requests that the store holds up, by name.
    pub fn queue_shape(&self) -> String {
        let busy = match &self.busy {
            None => "",
            Some(Busy::Login) => "(login)",
            Some(Busy::Request(queued)) => queued.1.method(),
        };
        let waiting = self.queue.iter().map(|(_, line)| line.method());
        std::iter::once(busy).chain(waiting).collect::<Vec<_>>().join(" ")
    }

    /// Takes in one fact.
    pub fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::At(now) => self.now = *now,
            Fact::Said(number) | Fact::Embedder(_, number) => self.on_said(*number),
            Fact::Eof => self.on_eof(),
            Fact::Fired(timer) => self.on_fired(*timer),
            Fact::Backend(call, part) => self.on_part(*call, *part),
            Fact::Filed(call, job, fault, done) => self.on_filed(*call, *job, *fault, *done),
            Fact::Listened(call, port) => self.on_listened(*call, *port),
            Fact::Visited(call, number) => self.on_visited(*call, *number),
            Fact::Held(call) => self.on_held(*call),
            Fact::ListenAsked(call) => self.on_listen_asked(*call),
            Fact::HoldAsked(call) => self.on_hold_asked(*call),
            Fact::Page(status, body) => self.on_page(*status, body),
            Fact::Read(end) => self.on_read(*end),
            Fact::Sent(sent) => self.on_sent(sent),
            Fact::FilesAsked(call, job) => self.on_files_asked(*call, *job),
            Fact::TimerSet(timer, after) => self.on_timer_set(*timer, *after),
            Fact::Dropped(call) => self.on_dropped(*call),
            Fact::TimerGone(_) => self.input.outputs += 1,
            Fact::AskedEmbedder(ask, previous, limit) => {
                self.on_ask(*ask, previous.clone(), 0);
                if let Some(refresh) = &mut self.refresh {
                    refresh.since = Some(self.now);
                    self.expects_timer = Some(TimerFor::Ask);
                }
                if *limit != self.setting.limit {
                    self.seen.push(Seen::WrongLimit(*limit));
                }
            }
            Fact::Heard(heard, end) => self.on_heard(heard, *end),
            Fact::Exited(status) => self.on_exit(status),
            Fact::Settled => self.on_settled(),
            // There are no programs in this world.
            Fact::ProgramSaid(..) | Fact::ProgramEnded(_) | Fact::Spawned(_) | Fact::Killed(_) => {}
        }
        self.wake_all();
    }

    /// What the clock on the wall shows.
    fn wall(&self) -> Timestamp {
        wall(self.now)
    }

    // --- the network ---

    fn on_sent(&mut self, sent: &Rc<Sent>) {
        self.input.outputs += 1;
        self.input.went_out += 1;
        match sent.purpose {
            Purpose::Turn => self.on_turn_sent(sent),
            Purpose::Models | Purpose::Usage => {
                let login = self.on_errand_sent(sent);
                let is_due = login.is_some();
                let login = login.unwrap_or_else(|| Rc::clone(&self.login));
                let expected = self.errand_credential(sent.purpose, &login);
                let (sent, why) = (Rc::clone(sent), "an errand");
                self.seen.push(Seen::Sent { sent, login, expected, is_due, why });
            }
            // Asked for, and given up, before somebody else has signed in.
            Purpose::UserCode if self.take_overtaken(Work::AskCode) => {}
            _ => {
                let is_due = match sent.purpose {
                    Purpose::Refresh => self.on_refresh_sent(sent),
                    Purpose::Revoke => {
                        let token = self.must_revoke.take();
                        token.is_some_and(|token| sent.body.contains(&token))
                    }
                    _ => self.on_login_sent(sent),
                };
                let (sent, login) = (Rc::clone(sent), Rc::clone(&self.login));
                self.seen.push(Seen::Authority { sent, login, is_due });
            }
        }
    }

    fn on_part(&mut self, call: CallId, part: Part) {
        self.input.is_loud = true;
        self.input.moved = Some(call);
        if self.on_errand_part(call, part) {
            return;
        }
        let is_refresh = self.refresh_call().is_some_and(|(own, _)| own == call);
        let is_login = self.login_call().is_some_and(|(own, _)| own == call);
        if !is_refresh && !is_login {
            return self.on_turn_part(call, part);
        }
        let status = match (self.refresh_call(), is_refresh) {
            (Some((_, status)), true) => Some(status),
            _ => self.login_call().and_then(|(_, status)| status),
        };
        let mut unknown = None;
        let status = status.unwrap_or(&mut unknown);
        let got = match part {
            Part::Head(got) => return *status = Some(got),
            Part::Bytes(_) => return,
            Part::End => *status,
            Part::Failed(_) | Part::Lost => None,
        };
        let issued = got.map(|status| {
            let known = self.issued.remove(&call);
            known.unwrap_or_else(|| Issued::plain(status))
        });
        if is_refresh {
            self.on_refresh_reply(issued);
        } else {
            self.on_login_reply(issued);
        }
    }

    fn on_exit(&mut self, status: &ExitStatus) {
        if *status == ExitStatus::Clean && self.held_up() > 0 {
            self.seen.push(Seen::Unmet("the store's work is done before the end".to_owned()));
        }
        self.stage = Stage::Gone;
        for turn in self.turns.drain(..) {
            self.seen.push(Seen::NotEnded(match turn.phase {
                Phase::MustEnd(ending) => ending,
                _ => Ending::Interrupted,
            }));
        }
        self.expected.clear();
        self.notices.clear();
        self.pages.clear();
        self.refresh = None;
        self.attempt = None;
        self.errands.clear();
    }

    // --- refresh ---

    fn announce(&mut self, method: &'static str) {
        self.announced = self.login.kind.wire();
        self.notices.push_back(Notice { method, mode: self.announced, completion: None });
    }

    /// Whether what goes out was given up in the same breath.
    fn take_overtaken(&mut self, work: Work) -> bool {
        let at = self.overtaken_work.iter().position(|overtaken| *overtaken == work);
        at.map(|at| self.overtaken_work.remove(at)).is_some()
    }

    /// What must have gone out of the login and of the refresh, and has not.
    fn unmet(&mut self) -> Option<String> {
        if let Some(work) = self.overtaken_work.pop() {
            return Some(format!("{work:?} is begun, if only to be given up"));
        }
        if self
            .refresh
            .as_ref()
            .and_then(|refresh| refresh.managed.as_ref())
            .is_some_and(|managed| managed.step.is_due())
        {
            return Some("a refresh goes on".to_owned());
        }
        if self.errands.iter().any(|errand| matches!(errand.phase, ErrandPhase::MustSend(..))) {
            return Some("an errand's request is sent".to_owned());
        }
        if self.must_revoke.is_some() {
            return Some("a token is taken back".to_owned());
        }
        match &self.attempt.as_ref()?.stage {
            LoginStage::Binding { bind: Bind::MustListen, .. } => {
                Some("the port is asked for".to_owned())
            }
            LoginStage::Binding { bind: Bind::MustOust, .. } => {
                Some("whoever has the port is asked to go".to_owned())
            }
            LoginStage::AskingCode { asked: Asked::Must, .. } => {
                Some("a device code is asked for".to_owned())
            }
            LoginStage::Typing(code) if code.is_due() => {
                Some("it is asked whether the code was typed".to_owned())
            }
            LoginStage::MustExchange(_) => Some("the code is exchanged".to_owned()),
            LoginStage::MustAskKey(_) => Some("a key is asked for".to_owned()),
            _ => None,
        }
    }

    // --- files ---

    fn on_files_asked(&mut self, call: CallId, job: Job) {
        self.input.outputs += 1;
        if job != Job::Credentials || std::mem::take(&mut self.must_store) {
            return;
        }
        if !self.on_refresh_job(call) {
            self.seen.push(Seen::Stored);
        }
    }

    fn on_filed(&mut self, call: CallId, job: Job, fault: Fault, done: bool) {
        self.input.is_loud = true;
        match job {
            Job::Startup => {
                self.stage = Stage::Fresh;
                let (login, warns) = self.setting.first_login(fault);
                self.announced = login.kind.wire();
                (self.login, self.warns) = (Rc::new(login), warns);
                for number in std::mem::take(&mut self.held) {
                    self.on_said(number);
                }
                if std::mem::take(&mut self.held_eof) {
                    self.on_eof();
                }
            }
            Job::Credentials => {
                if !self.on_refresh_filed(call, fault, done) {
                    self.on_stored(fault, done);
                }
            }
            Job::Thread if matches!(fault, Fault::Lost | Fault::Op(FileOp::Read)) => {
                self.mark("thread/start: its settings are not known");
            }
            Job::Thread => self.want_models(),
            Job::Write | Job::Other => {}
        }
    }

    /// A job on the store has come to what it should have.
    fn check_done(&mut self, expected: bool, done: bool, what: &str) {
        if expected != done {
            let text = format!("the store should be {what}: {expected}, and is: {done}");
            self.store_trouble.get_or_insert(text);
        }
    }
}
