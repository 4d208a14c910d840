//! The reference model: who may be signed in, which login is blocked, what is being refreshed and
//! which turns wait for it. It follows the facts of a world, says what each of them must lead to,
//! and knows nothing of how.
//!
//! It is much simpler than the machine: no bytes, no items, no retries, no timers of its own. What a
//! turn does between a request and its response's status is left free.

mod account;
mod heard;
mod refresh;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use understudy_core::{AskId, CallId, ExitStatus, TimerId};

use crate::auth::said::{Line, SaidLine};
use crate::auth::seen::{Ending, Expected, Seen, Verdict};
use crate::auth::setting::Setting;
use crate::auth::tokens::Login;
use crate::world::fact::{Fact, Job};

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
    fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::MustEnd(_))
    }
}

/// A request about the account that waits for the store.
type Queued = (Option<String>, Line);

/// A request of a turn that was interrupted in the same breath: its thread, whose login, and why.
type Overtaken = (String, (Rc<Login>, u64), &'static str);

/// The model.
#[derive(Debug)]
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
    busy: Option<Queued>,
    must_store: bool,
    queue: VecDeque<Queued>,
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
    expected: BTreeMap<String, VecDeque<Expected>>,
    /// Account notifications that must come, in order.
    notices: VecDeque<(&'static str, Option<&'static str>)>,
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
        for turn in self.turns.drain(..) {
            self.seen.push(Seen::NotEnded(match turn.phase {
                Phase::MustEnd(ending) => ending,
                _ => Ending::Interrupted,
            }));
        }
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

    fn expect_reply(&mut self, id: Option<&String>, line: &Line, verdict: Verdict) {
        if let Some(id) = id {
            self.expect(id, line, verdict);
        }
    }

    fn expect(&mut self, id: &str, line: &Line, verdict: Verdict) {
        let (line, login) = (line.clone(), Rc::clone(&self.login));
        let expected = Expected { line, verdict, login, announced: self.announced };
        self.expected.entry(id.to_owned()).or_default().push_back(expected);
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

    fn announce(&mut self, method: &'static str) {
        self.announced = self.login.kind.wire();
        self.notices.push_back((method, self.announced));
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
}
