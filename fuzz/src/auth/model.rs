//! The reference model: who may be signed in, which login is blocked, what is being refreshed and
//! which turns wait for it. It follows the facts of a world, says what each of them must lead to,
//! and knows nothing of how.
//!
//! It is much simpler than the machine: no bytes, no items, no retries, no timers of its own. What a
//! turn does between a request and its response's status is left free.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use understudy_core::{AskId, CallId, ExitStatus, TimerId};

use super::said::{Answer, Line, SaidLine};
use super::seen::{Ending, Expected, Seen, Verdict};
use super::setting::Setting;
use super::tokens::{Kind, Login};
use crate::world::fact::{Fact, Heard, Job, Part, Sent};

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
    /// Threads whose turns wait, each with the number of its turn.
    pub waiters: BTreeSet<(String, u64)>,
}

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
    /// Inputs that joined it.
    pub joined: u32,
}

impl Turn {
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::MustEnd(_))
    }
}

/// A request about the account that waits for the store.
pub(super) type Queued = (Option<String>, Line);

/// A request of a turn that was interrupted in the same breath: its thread, whose login, and why.
type Overtaken = (String, (Rc<Login>, u64), &'static str);

/// The model.
#[derive(Debug)]
pub struct Model {
    pub(super) setting: Setting,
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
    pub(super) busy: Option<Queued>,
    pub(super) must_store: bool,
    pub(super) queue: VecDeque<Queued>,
    /// The refresh that runs.
    pub refresh: Option<Refreshing>,
    must_ask: bool,
    expects_timer: bool,
    /// Turns, oldest first.
    pub turns: Vec<Turn>,
    turns_begun: u64,
    overtaken: Vec<Overtaken>,
    /// Threads that were started, oldest first.
    pub threads: Vec<String>,
    pub(super) expected: BTreeMap<String, VecDeque<Expected>>,
    /// Account notifications that must come, in order.
    pub(super) notices: VecDeque<(&'static str, Option<&'static str>)>,
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
#[derive(Debug, Default)]
struct InputSoFar {
    /// Something that may have an effect came in.
    is_loud: bool,
    /// An answer that nobody waits for came in.
    has_ignored_answer: bool,
    outputs: usize,
    timer_fired: bool,
    /// A turn's own response moved on.
    moved: Option<CallId>,
    /// A turn that has given up its stream.
    freed: Option<u64>,
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
        let (login, warns) = setting.first_login();
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
            must_store: false,
            queue: VecDeque::new(),
            refresh: None,
            must_ask: false,
            expects_timer: false,
            turns: Vec::new(),
            turns_begun: 0,
            overtaken: Vec::new(),
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

    pub(super) fn mark(&mut self, what: &'static str) {
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
        let waiting = self.busy.iter().chain(&self.queue);
        waiting.map(|(_, line)| line.method()).collect::<Vec<_>>().join(" ")
    }

    /// Takes in one fact.
    pub fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::At(now) => self.now = *now,
            Fact::Said(number) | Fact::Embedder(_, number) => self.on_said(*number),
            Fact::Eof => self.on_eof(),
            Fact::Fired(timer) => self.on_fired(*timer),
            Fact::Backend(call, part) => self.on_part(*call, *part),
            Fact::Filed(_, job, done) => self.on_filed(*job, *done),
            Fact::Read(end) => self.on_read(*end),
            Fact::Sent(sent) => self.on_sent(sent),
            Fact::FilesAsked(_, job) => self.on_files_asked(*job),
            Fact::TimerSet(timer, after) => self.on_timer_set(*timer, *after),
            Fact::Dropped(call) => self.on_dropped(*call),
            Fact::TimerGone(_) => self.input.outputs += 1,
            Fact::AskedEmbedder(ask, previous, limit) => {
                self.on_ask(*ask, previous.clone(), 0);
                if let Some(refresh) = &mut self.refresh {
                    refresh.since = Some(self.now);
                    self.expects_timer = true;
                }
                if *limit != self.setting.limit {
                    self.seen.push(Seen::WrongLimit(*limit));
                }
            }
            Fact::Heard(heard, end) => self.on_heard(heard, *end),
            Fact::Exited(status) => self.on_exit(*status),
            Fact::Settled => self.on_settled(),
        }
    }

    fn on_exit(&mut self, status: ExitStatus) {
        if status == ExitStatus::Clean && self.held_up() > 0 {
            self.seen.push(Seen::Unmet("the store's work is done before the end".to_owned()));
        }
        self.stage = Stage::Gone;
        self.turns.clear();
        self.expected.clear();
        self.notices.clear();
        self.refresh = None;
    }

    // --- lines of the host ---

    fn on_said(&mut self, number: usize) {
        match self.stage {
            Stage::Loading => self.held.push(number),
            Stage::Fresh | Stage::Ready => {
                let SaidLine { id, line } = self.said[number].clone();
                self.serve(id, line);
            }
            Stage::Closing | Stage::Gone => {}
        }
    }

    fn serve(&mut self, id: Option<String>, line: Line) {
        if let Some(id) = &id {
            self.seen.push(Seen::Asks(id.clone(), line.method().to_owned()));
        }
        self.input.is_loud |= !matches!(line, Line::Answer { .. });
        if line.is_read() {
            self.input.reads_asked += 1;
        } else {
            self.input.acts += 1;
        }
        if let Line::Junk(junk) = &line {
            return self.expect(id.as_deref().unwrap_or("null"), &line, junk.verdict());
        }
        if self.stage == Stage::Fresh {
            let verdict = match line {
                Line::Initialize => {
                    self.stage = Stage::Ready;
                    Verdict::AnyResult
                }
                Line::Answer { .. } => return,
                _ => Verdict::refused(-32600, "Not initialized"),
            };
            return self.expect_reply(id.as_ref(), &line, verdict);
        }
        match &line {
            Line::Initialize => {
                let verdict = Verdict::refused(-32600, "Already initialized");
                self.expect_reply(id.as_ref(), &line, verdict);
            }
            Line::Agent => self.expect_reply(id.as_ref(), &line, Verdict::AnyResult),
            Line::StartThread => self.mark("thread/start"),
            Line::StartTurn { thread, is_empty } => {
                let (thread, is_empty) = (thread.clone(), *is_empty);
                self.start_turn(id.as_ref(), &line, thread, is_empty);
            }
            Line::Interrupt { thread, turn } => {
                let (thread, turn) = (thread.clone(), turn.clone());
                self.interrupt(id.as_ref(), &line, &thread, turn.as_deref());
            }
            Line::Answer { ask, answer } => self.on_answer(*ask, answer),
            _ => self.account(id, line),
        }
    }

    pub(super) fn expect_reply(&mut self, id: Option<&String>, line: &Line, verdict: Verdict) {
        if let Some(id) = id {
            self.expect(id, line, verdict);
        }
    }

    fn expect(&mut self, id: &str, line: &Line, verdict: Verdict) {
        let (line, login) = (line.clone(), Rc::clone(&self.login));
        let expected = Expected { line, verdict, login, announced: self.announced };
        self.expected.entry(id.to_owned()).or_default().push_back(expected);
    }

    fn start_turn(&mut self, id: Option<&String>, line: &Line, thread: String, is_empty: bool) {
        if !self.threads.contains(&thread) {
            let verdict = Verdict::RefusedWith(-32600, "thread".to_owned());
            return self.expect_reply(id, line, verdict);
        }
        if let Some(turn) = self.running_mut(&thread) {
            turn.joined += 1;
            self.mark("turn/start joins the running turn");
            return self.expect_reply(id, line, Verdict::Turn { is_new: false });
        }
        self.expect_reply(id, line, Verdict::Turn { is_new: true });
        self.turns_begun += 1;
        let phase = if is_empty {
            Phase::MustEnd(Ending::Completed)
        } else {
            match self.setting.credential(&self.login) {
                Ok(_) => {
                    let login = (Rc::clone(&self.login), self.generation);
                    Phase::MustSend("a turn begins", login)
                }
                Err(words) => Phase::MustEnd(Ending::NoCredential(words.to_owned())),
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
            joined: 0,
        });
    }

    fn interrupt(&mut self, id: Option<&String>, line: &Line, thread: &str, named: Option<&str>) {
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

    fn end_turn(&mut self, thread: &str, ending: Ending) {
        let Some(turn) = self.running_mut(thread) else { return };
        let number = turn.number;
        let before = std::mem::replace(&mut turn.phase, Phase::MustEnd(ending));
        if let Phase::MustSend(why, login) = before {
            // It was sent and given up within one chunk of the host's bytes.
            self.overtaken.push((thread.to_owned(), login, why));
        }
        if let Some(refresh) = &mut self.refresh {
            refresh.waiters.remove(&(thread.to_owned(), number));
        }
    }

    fn on_eof(&mut self) {
        self.input.is_loud = true;
        match self.stage {
            Stage::Loading => self.held_eof = true,
            Stage::Fresh | Stage::Ready => {
                self.stage = Stage::Closing;
                let threads: Vec<_> = self.turns.iter().map(|turn| turn.thread.clone()).collect();
                for thread in threads {
                    self.end_turn(&thread, Ending::Interrupted);
                }
                self.mark("end of input");
            }
            Stage::Closing | Stage::Gone => {}
        }
    }

    // --- refresh ---

    fn on_answer(&mut self, ask: i64, answer: &Answer) {
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

    pub(super) fn announce(&mut self, method: &'static str) {
        self.announced = self.login.kind.wire();
        self.notices.push_back((method, self.announced));
    }

    fn on_fired(&mut self, timer: TimerId) {
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

    /// A stream that was silent for too long, or has said all that matters, is given up; the turn is
    /// free to try again, to go on, or to end.
    fn on_dropped(&mut self, call: CallId) {
        self.input.outputs += 1;
        let has_moved = self.input.moved == Some(call);
        if !self.input.timer_fired && !has_moved {
            return;
        }
        for turn in &mut self.turns {
            if matches!(turn.phase, Phase::Streaming { call: own, .. } if own == call) {
                let marks = ["stream: silent for too long", "stream: whole or failed"];
                self.marks.insert(marks[usize::from(has_moved)]);
                turn.phase = Phase::Free;
                self.input.freed = Some(turn.number);
            }
        }
    }

    fn on_read(&mut self, end: u64) {
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

    fn on_timer_set(&mut self, timer: TimerId, after: Duration) {
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

    fn on_ask(&mut self, ask: AskId, previous: Option<String>, end: u64) {
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

    // --- calls ---

    fn on_part(&mut self, call: CallId, part: Part) {
        self.input.is_loud = true;
        self.input.moved = Some(call);
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
            Part::End | Part::Failed(_) | Part::Lost => turn.phase = Phase::Free,
        }
    }

    /// What a 401 leads to (auth.md §13.2).
    fn unauthorized(&mut self, at: usize, used: u64, bearer: Option<String>) {
        let has_own_key = bearer.as_deref() == Some(super::setting::PROVIDER_KEY);
        let turn = &mut self.turns[at];
        turn.refused += 1;
        let has_tried_all = turn.has_waited || turn.refused >= 3;
        let is_text = bearer.as_ref().is_some_and(|bearer| !bearer.is_empty());
        let repeats = is_text && turn.bearers_refused.contains(&bearer);
        self.seen.push(Seen::Refused { refused: turn.refused, repeats });
        turn.bearers_refused.push(bearer.clone());
        let (thread, number) = (turn.thread.clone(), turn.number);
        let nothing_to_renew = bearer.is_none() || self.login.kind == Kind::None;
        let verdict = if has_own_key {
            "401: fail, the provider's own key"
        } else if has_tried_all {
            "401: fail, refused again"
        } else if nothing_to_renew {
            "401: fail, nobody is signed in"
        } else if used < self.generation {
            "401: retry, the login has changed"
        } else if self.login.kind != Kind::External {
            "401: fail, nothing to refresh"
        } else if self.refresh.is_some() {
            "401: wait, a refresh runs"
        } else {
            "401: wait, a refresh begins"
        };
        self.mark(verdict);
        let turn = &mut self.turns[at];
        if verdict.starts_with("401: fail") {
            turn.phase = Phase::MustEnd(Ending::Unauthorized(None));
        } else if verdict.starts_with("401: retry") {
            let login = (Rc::clone(&self.login), self.generation);
            turn.phase = Phase::MustSend("the login has changed since", login);
        } else {
            turn.phase = Phase::Waiting;
            turn.has_waited = true;
            self.must_ask |= self.refresh.is_none();
            let refresh = self.refresh.get_or_insert_with(|| Refreshing {
                ask: None,
                end: 0,
                since: None,
                timer: None,
                waiters: BTreeSet::new(),
            });
            refresh.waiters.insert((thread, number));
        }
    }

    fn on_sent(&mut self, sent: &Rc<Sent>) {
        self.input.outputs += 1;
        self.input.went_out += 1;
        let is_model = sent.thread.is_some();
        let now = (Rc::clone(&self.login), self.generation);
        let own = |(thread, ..): &Overtaken| Some(thread) == sent.thread.as_ref();
        let overtaken = self.overtaken.iter().position(own);
        let ((login, _), is_due, why) = match self.sender(sent.thread.as_deref()) {
            _ if !is_model => (now, true, "the model list"),
            _ if overtaken.is_some() => {
                let (_, login, why) = self.overtaken.remove(overtaken.unwrap_or_default());
                (login, true, why)
            }
            None => (now, false, "nobody has to"),
            Some(at) => {
                let turn = &mut self.turns[at];
                let (login, why) = match &turn.phase {
                    Phase::MustSend(why, login) => (login.clone(), *why),
                    _ if self.input.timer_fired => {
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
        self.seen.push(Seen::Sent { sent, login, expected, is_due, is_model, why });
    }

    /// The turn that must, or may, send a request now.
    fn sender(&self, thread: Option<&str>) -> Option<usize> {
        let own = |turn: &Turn| Some(turn.thread.as_str()) == thread;
        let must = |turn: &Turn| own(turn) && matches!(turn.phase, Phase::MustSend(..));
        let may = |turn: &Turn| {
            own(turn)
                && match turn.phase {
                    Phase::Free => self.input.timer_fired || self.input.freed == Some(turn.number),
                    Phase::Streaming { call, .. } => self.input.moved == Some(call),
                    _ => false,
                }
        };
        self.turns.iter().position(must).or_else(|| self.turns.iter().position(may))
    }

    // --- files ---

    fn on_files_asked(&mut self, job: Job) {
        self.input.outputs += 1;
        if job == Job::Credentials && !std::mem::take(&mut self.must_store) {
            self.seen.push(Seen::Stored);
        }
    }

    fn on_filed(&mut self, job: Job, done: bool) {
        self.input.is_loud = true;
        match job {
            Job::Startup => {
                self.stage = Stage::Fresh;
                for number in std::mem::take(&mut self.held) {
                    self.on_said(number);
                }
                if std::mem::take(&mut self.held_eof) {
                    self.on_eof();
                }
            }
            Job::Credentials => self.stored(done),
            Job::Thread | Job::Write => {}
        }
    }

    // --- messages ---

    fn on_heard(&mut self, heard: &Rc<Heard>, end: u64) {
        self.input.outputs += 1;
        self.seen.push(Seen::Heard(Rc::clone(heard)));
        match &**heard {
            Heard::Reply { id, result } => {
                let expected = self.take_expected(id);
                if let Some(Expected { verdict: Verdict::Turn { .. }, line, .. }) = &expected
                    && let (Line::StartTurn { thread, .. }, Some(turn_id)) =
                        (line, result["turn"]["id"].as_str())
                {
                    let unnamed = |turn: &&mut Turn| turn.thread == *thread && turn.id.is_none();
                    if let Some(turn) = self.turns.iter_mut().find(unnamed) {
                        turn.id = Some(turn_id.to_owned());
                    }
                }
                if let Some(thread) = result["thread"]["id"].as_str() {
                    self.threads.push(thread.to_owned());
                }
                self.seen.push(Seen::Reply { expected, got: Ok(result.clone()) });
            }
            Heard::Refused { id, code, message } => {
                let expected = self.take_expected(id);
                self.seen.push(Seen::Reply { expected, got: Err((*code, message.clone())) });
            }
            Heard::Ask { id, params, .. } => {
                let previous = params["previousAccountId"].as_str().map(str::to_owned);
                self.on_ask(AskId(*id), previous, end);
            }
            Heard::Notice { method, params } => self.on_notice(method, params),
        }
    }

    fn take_expected(&mut self, id: &str) -> Option<Expected> {
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
            "account/login/completed" => None,
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
        let got = (method.to_owned(), mode.and_then(|mode| mode.as_str()).map(str::to_owned));
        let expected = self.notices.pop_front();
        let is_success = method != "account/login/completed" || params["success"] == true;
        self.seen.push(Seen::Announced { expected, got, is_success });
    }

    fn on_turn_completed(&mut self, thread: &str, turn: &serde_json::Value) {
        let Some(at) = self.turns.iter().position(|turn| turn.thread == thread) else { return };
        let gone = self.turns.remove(at);
        let free = match gone.phase {
            Phase::MustEnd(_) => false,
            Phase::Free => self.input.timer_fired || self.input.moved.is_some(),
            Phase::Streaming { call, .. } => self.input.moved == Some(call),
            Phase::MustSend(..) | Phase::Waiting => false,
        };
        let expected = match gone.phase {
            Phase::MustEnd(ending) => Some(ending),
            _ => None,
        };
        self.seen.push(Seen::TurnOver { expected, free, turn: turn.clone() });
    }

    // --- after each input ---

    fn on_settled(&mut self) {
        let input = std::mem::take(&mut self.input);
        let may_speak = input.is_loud || input.reads;
        if !may_speak && input.outputs > 0 {
            let late = input.has_ignored_answer;
            self.seen.push(Seen::Noise { late_answer: late, outputs: input.outputs });
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
        if std::mem::take(&mut self.expects_timer) {
            self.seen.push(Seen::Unmet("a refresh has a timer".to_owned()));
        }
        for expected in self.expected.values().flatten() {
            self.seen.push(Seen::Unanswered(expected.line.method().to_owned()));
        }
        if let Some((method, mode)) = self.notices.front() {
            self.seen.push(Seen::NotAnnounced(method, *mode));
        }
        if input.reads_asked > 0 && input.acts == 0 && input.went_out > 0 {
            self.seen.push(Seen::ReadActed);
        }
    }
}
