//! A world around one real machine: clock, files, timers, calls and a host, all of them scripted.
//!
//! Nothing sleeps and nothing is random: the same verbs in the same order give the same bytes. The
//! world knows the port of the machine and the shape of messages, and nothing of what they mean;
//! what happened is told as [`Fact`]s, in order.

pub mod backend;
mod browser;
mod calls;
pub mod disk;
mod exchange;
pub mod fact;
pub mod grammar;
mod host;
mod keyring;
pub mod log;
pub mod process;
mod skimmed;
mod state;
mod time;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use understudy_core::files::{Disk, FileJob, FileOp, MemoryFiles};
use understudy_core::{
    Call, CallId, Effect, ExitStatus, Feed, HttpRequest, Input, Machine, Now, Outcome, Setup,
    TimerId, limits,
};

use backend::HttpCall;
use browser::{Hold, Listener};
use fact::{Fact, Heard, Job, Purpose, Sent};
pub use keyring::MemoryKeyring;

/// How a chunk of the host's bytes is cut before it reaches the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// In two, after so many bytes.
    At(usize),
    /// Into single bytes.
    Bytes,
    /// So many bytes at the end stay behind until something more is sent.
    Tail(usize),
}

/// What goes wrong in a file job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every operation of this kind fails.
    Op(FileOp),
    /// The keyring fails, where there is one.
    Keyring,
    /// The backend of the machine breaks down and has no answer.
    Lost,
}

/// How far the clock moves, and what becomes of the timers on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// Each fires when it is due.
    OnTime,
    /// The runtime lags: all fire at the end.
    Late,
    /// Those that are due exactly at the end do not fire yet.
    NotYet,
}

/// A file job that was started.
#[derive(Clone)]
struct FileCall {
    call: CallId,
    job: FileJob,
    kind: Job,
    /// Nobody waits for it any more.
    is_dropped: bool,
}

/// Answers that come at once. There are none between two inputs.
#[derive(Default)]
struct Instant(VecDeque<(CallId, Outcome<'static>)>);

impl Clone for Instant {
    fn clone(&self) -> Self {
        assert!(self.0.is_empty(), "a world is forked between two inputs");
        Self::default()
    }
}

/// One machine and everything around it.
#[derive(Clone)]
pub struct World {
    machine: Machine,
    /// The files of the machine. They can be looked at, and changed by "somebody else".
    pub files: MemoryFiles,
    /// Its keyring.
    pub keyring: MemoryKeyring,
    mono: Duration,
    timers: BTreeMap<TimerId, Duration>,
    stale_timers: Vec<TimerId>,
    http: Vec<HttpCall>,
    programs: Vec<process::Program>,
    /// Programs can be started, and every file job waits until it is run.
    is_whole: bool,
    jobs: Vec<FileCall>,
    listeners: Vec<Listener>,
    visits: u64,
    holds: Vec<Hold>,
    stale_calls: Vec<CallId>,
    /// Answers that come at once.
    instant: Instant,
    responses: u64,
    /// Lines that the host has said and that have not arrived, with their numbers.
    outbox: Vec<u8>,
    lines: VecDeque<(usize, usize)>,
    /// How much of the outbox the host has let go.
    released: usize,
    /// It is letting go of it.
    is_flushing: bool,
    at_eof: bool,
    eof_told: bool,
    /// Bytes go in whether the machine wants them or not, like from a runtime that does not ask.
    pub is_pushy: bool,
    /// Of what the host hears, only what concerns credentials is read.
    pub skims: bool,
    /// The host reads what is written.
    is_reading: bool,
    /// Places in the stream of output: what was looked at, what was written.
    looked_at: u64,
    written: u64,
    longest_line: usize,
    /// Lines that were given to the machine while it was backed up and did not want them.
    unwanted: usize,
    /// More has waited for the host than may: so much, and how much may.
    pub overflow: Option<[usize; 2]>,
    facts: Vec<Fact>,
    exit: Option<ExitStatus>,
    exit_told: bool,
    digest: u64,
    /// Of the lines for the host, and of the requests to the backend.
    digests: [u64; 2],
    /// Output that is no message of the protocol, if there ever was any.
    pub trouble: Option<String>,
}

impl World {
    /// A world whose machine was just made; its first file job waits to be run.
    pub fn new(setup: Setup, files: MemoryFiles, keyring: MemoryKeyring, seed: [u8; 32]) -> Self {
        Self::begin_at(Duration::from_secs(1), setup, files, keyring, seed, false)
    }

    /// The same in a world with programs, where every file job waits until it is run, at a time
    /// that others have reached.
    pub fn whole(mono: Duration, setup: Setup, files: MemoryFiles, seed: [u8; 32]) -> Self {
        Self::begin_at(mono, setup, files, MemoryKeyring::absent(), seed, true)
    }

    fn begin_at(
        mono: Duration,
        setup: Setup,
        files: MemoryFiles,
        keyring: MemoryKeyring,
        seed: [u8; 32],
        is_whole: bool,
    ) -> Self {
        let started_at = wall(mono);
        let now = Now::new(mono, started_at);
        let mut world = Self {
            machine: Machine::new(setup, seed, now),
            files,
            keyring,
            mono,
            timers: BTreeMap::new(),
            stale_timers: Vec::new(),
            http: Vec::new(),
            programs: Vec::new(),
            is_whole,
            jobs: Vec::new(),
            listeners: Vec::new(),
            visits: 0,
            holds: Vec::new(),
            stale_calls: Vec::new(),
            instant: Instant::default(),
            responses: 0,
            outbox: Vec::new(),
            lines: VecDeque::new(),
            released: 0,
            is_flushing: false,
            at_eof: false,
            eof_told: false,
            is_pushy: false,
            skims: false,
            is_reading: true,
            looked_at: 0,
            written: 0,
            longest_line: 0,
            unwanted: 0,
            overflow: None,
            facts: Vec::new(),
            exit: None,
            exit_told: false,
            digest: DIGEST,
            digests: [DIGEST; 2],
            trouble: None,
        };
        world.facts.push(Fact::At(mono));
        world.drain();
        world.facts.push(Fact::Settled);
        world
    }

    /// Gives a clone files of its own; until then it shares them.
    pub fn part(&mut self) {
        self.files = self.files.fork();
    }

    /// What happened since this was last asked.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// Time since a fixed point before the start.
    pub fn mono(&self) -> Duration {
        self.mono
    }

    /// The machine, for what it lets be seen.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How the machine ended, if it has.
    pub fn exit(&self) -> Option<&ExitStatus> {
        self.exit.as_ref()
    }

    /// A number that stands for all bytes and effects that came out.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// A number that stands for what the host and the backend see, and in which order each sees it;
    /// not for their order against each other.
    pub fn seen_digest(&self) -> u64 {
        let [host, backend] = self.digests;
        host ^ backend.rotate_left(32)
    }

    // --- the machine ---

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(self.now(), input);
        self.drain();
        self.settled();
    }

    fn settled(&mut self) {
        // Its answers at once are still to come, and what they lead to is of the same cause.
        if self.is_flushing && !self.instant.0.is_empty() {
            return;
        }
        self.note_settled();
        if self.is_reading {
            self.read(usize::MAX);
        }
        self.resume();
    }

    /// What is settled already is not settled again by an input that has changed nothing.
    fn note_settled(&mut self) {
        if !matches!(self.facts.last(), Some(Fact::Settled)) {
            self.facts.push(Fact::Settled);
        }
    }

    fn now(&self) -> Now {
        Now::new(self.mono, wall(self.mono))
    }

    fn drain(&mut self) {
        loop {
            if let Some(effect) = self.machine.poll_effect() {
                self.carry_out(effect);
            } else if self.is_flushing {
                break;
            } else if let Some((call, outcome)) = self.instant.0.pop_front() {
                self.machine.handle(self.now(), Input::Done(call, outcome));
            } else {
                break;
            }
        }
        self.look();
        // What is pending is still written, so the end comes after it.
        if !self.exit_told
            && let Some(status) = self.exit.clone()
        {
            self.exit_told = true;
            self.facts.push(Fact::Exited(status));
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send => {}
            Effect::RefreshAuth(ask, question) => {
                self.note(ask.0.cast_unsigned(), b"ask");
                let (previous, limit) = (question.previous_account_id, question.limit);
                self.facts.push(Fact::AskedEmbedder(ask, previous, limit));
            }
            Effect::StartTimer(timer, after) => {
                self.note(timer.0, &after.as_nanos().to_le_bytes());
                self.timers.insert(timer, self.mono + after);
                self.facts.push(Fact::TimerSet(timer, after));
            }
            Effect::CancelTimer(timer) => {
                self.note(timer.0, b"cancel");
                self.timers.remove(&timer);
                self.stale_timers.push(timer);
                self.facts.push(Fact::TimerGone(timer));
            }
            Effect::Start(call, work) => self.start(call, *work),
            Effect::Cancel(call) => {
                self.note(call.0, b"cancel");
                self.http.retain(|http| http.call != call);
                self.drop_job(call);
                self.drop_program(call);
                self.drop_listener(call);
                self.stale_calls.push(call);
                self.facts.push(Fact::Dropped(call));
            }
            Effect::Feed(call, Feed::Kill) => self.kill_program(call),
            Effect::Feed(call, feed) => self.feed(call, feed),
            // Nobody collects here.
            Effect::Telemetry(_) => {}
            Effect::Exit(status) => {
                self.exit = Some(status);
            }
        }
    }

    fn start(&mut self, call: CallId, work: Call) {
        match work {
            Call::Http(request) => {
                fold(&mut self.digests[1], request.url.as_bytes());
                for (name, value) in &request.headers {
                    fold(&mut self.digests[1], name.as_bytes());
                    fold(&mut self.digests[1], value.expose().as_bytes());
                }
                for piece in &request.body {
                    fold(&mut self.digests[1], piece.as_bytes());
                }
                self.note(call.0, &self.digests[1].to_le_bytes());
                let sent = Rc::new(sent(call, &request));
                self.http.push(HttpCall { call, sent: Rc::clone(&sent), request, answer: None });
                self.facts.push(Fact::Sent(sent));
            }
            Call::Logs => self.instant.0.push_back((call, Outcome::Logs(String::new()))),
            // Nobody looks for files here.
            Call::Search(_) => self.instant.0.push_back((call, Outcome::Found(Vec::new()))),
            Call::Listen(_) => self.start_listener(call),
            Call::Hold(_) => self.start_hold(call),
            Call::Process(request) => self.start_program(call, &request),
            Call::Files(job) => {
                let kind = match &job {
                    FileJob::Startup(_) => Job::Startup,
                    FileJob::Credentials(_) => Job::Credentials,
                    FileJob::ThreadSetting(_) => Job::Thread,
                    FileJob::Write { .. } => Job::Write,
                    // What is neither the account's nor a new thread's is done at once.
                    _ if self.is_whole => Job::Other,
                    FileJob::Skills(_)
                    | FileJob::Prompts(_)
                    | FileJob::Append(_)
                    | FileJob::Thread(_)
                    | FileJob::Fork(_)
                    | FileJob::Config(_)
                    | FileJob::CheckPatch(_)
                    | FileJob::CommitPatch(_)
                    | FileJob::Amend(_)
                    | FileJob::Images(_)
                    | FileJob::Look(_)
                    | FileJob::Noted(_) => {
                        let disk = Disk { files: &self.files, keyring: &self.keyring };
                        let answer = Box::new(job.run(disk));
                        return self.instant.0.push_back((call, Outcome::Files(answer)));
                    }
                };
                self.note(call.0, &[kind as u8]);
                self.jobs.push(FileCall { call, job, kind, is_dropped: false });
                self.facts.push(Fact::FilesAsked(call, kind));
            }
        }
    }

    /// Takes in output that was queued since the last look.
    fn look(&mut self) {
        let pending = self.machine.pending_output();
        let backlog = pending.len();
        let from = usize::try_from(self.looked_at - self.written).unwrap_or(usize::MAX);
        let fresh = pending.get(from..).unwrap_or_default();
        let mut digests = self.digests;
        let mut place = self.looked_at;
        for line in fresh.split_inclusive(|byte| *byte == b'\n') {
            fold(&mut digests[0], line);
            place += line.len() as u64;
            self.longest_line = self.longest_line.max(line.len());
            match Heard::read(line, self.skims) {
                Ok(heard) => self.facts.push(Fact::Heard(Rc::new(heard), place)),
                Err(why) => {
                    let text = String::from_utf8_lossy(line);
                    self.trouble.get_or_insert(format!("{why}: {text}"));
                }
            }
            if line.last() != Some(&b'\n') {
                self.trouble.get_or_insert("output that does not end in a line feed".to_owned());
            }
        }
        self.looked_at = place;
        self.digests = digests;
        if backlog > from {
            self.note(place, &self.digests[0].to_le_bytes());
        }
        let limit = self.backlog_limit();
        if backlog > limit {
            self.overflow.get_or_insert([backlog, limit]);
        }
    }

    /// The most output that may wait for the host: what fits under the mark, and what one input may
    /// add above it (an item's text, its end and its turn's end show it once each, in both dialects).
    /// The machine has no way to refuse what it does not want: each line of it may add as much.
    fn backlog_limit(&self) -> usize {
        let inputs = 1 + self.unwanted;
        limits::OUTPUT_HIGH_WATER + inputs * 6 * self.longest_line.max(4096)
    }

    fn is_backed_up(&self) -> bool {
        self.machine.pending_output().len() > limits::OUTPUT_HIGH_WATER
    }

    fn note(&mut self, number: u64, bytes: &[u8]) {
        fold(&mut self.digest, &number.to_le_bytes());
        fold(&mut self.digest, bytes);
    }
}

const DIGEST: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, eight bytes at a time where there are eight.
fn fold(digest: &mut u64, bytes: &[u8]) {
    let (words, rest) = bytes.as_chunks();
    for word in words {
        let word = u64::from_le_bytes(*word);
        *digest = (*digest ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    for byte in rest {
        *digest = (*digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

/// What the clock on the wall shows.
pub fn wall(mono: Duration) -> Timestamp {
    let since = mono.saturating_sub(Duration::from_secs(1));
    let seconds = STARTED_AT.saturating_add_unsigned(since.as_secs());
    let wall = Timestamp::new(seconds, since.subsec_nanos().cast_signed());
    wall.expect("no session lasts until the year 9999")
}

/// 2027-01-15T08:00:00Z
const STARTED_AT: i64 = 1_800_000_000;

fn sent(call: CallId, request: &HttpRequest) -> Sent {
    let header = |name: &str| {
        let found = request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.expose().to_owned())
    };
    let thread = header("session_id");
    let body: String = match thread {
        Some(_) => String::new(),
        None => request.body.iter().map(|piece| &**piece).collect(),
    };
    Sent {
        call,
        purpose: Purpose::of(&request.url, thread.is_some(), &body),
        url: request.url.clone(),
        body,
        bearer: header("authorization")
            .map(|value| value.strip_prefix("Bearer ").unwrap_or("(no bearer)").to_owned()),
        account: header("chatgpt-account-id"),
        thread,
    }
}
