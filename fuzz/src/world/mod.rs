//! A world around one real machine: clock, files, timers, calls and a host, all of them scripted.
//!
//! Nothing sleeps and nothing is random: the same verbs in the same order give the same bytes. The
//! world knows the port of the machine and the shape of messages, and nothing of what they mean;
//! what happened is told as [`Fact`]s, in order.

pub mod backend;
pub mod fact;
pub mod grammar;
pub mod log;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use understudy_core::files::{
    FaultHook, FileAnswer, FileError, FileErrorKind, FileJob, FileOp, MemoryFiles,
};
use understudy_core::{
    AskId, Call, CallId, Effect, ExitStatus, FreshTokens, HttpFailure, HttpFailureKind, HttpHead,
    HttpRequest, Input, Machine, Now, Outcome, RefreshDenied, Setup, Signal, TimerId, limits,
};

use backend::{Answering, HttpCall, Response};
use fact::{Fact, Heard, Job, Part, Sent};

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
struct FileCall {
    call: CallId,
    job: FileJob,
    kind: Job,
}

/// One machine and everything around it.
pub struct World {
    machine: Machine,
    /// The files of the machine. They can be looked at, and changed by "somebody else".
    pub files: MemoryFiles,
    started_at: Timestamp,
    mono: Duration,
    timers: BTreeMap<TimerId, Duration>,
    stale_timers: Vec<TimerId>,
    http: Vec<HttpCall>,
    jobs: Vec<FileCall>,
    stale_calls: Vec<CallId>,
    responses: u64,
    /// Lines that the host has said and that have not arrived, with their numbers.
    outbox: Vec<u8>,
    lines: VecDeque<(usize, usize)>,
    /// How much of the outbox the host has let go.
    released: usize,
    at_eof: bool,
    eof_told: bool,
    /// Bytes go in whether the machine wants them or not, like from a runtime that does not ask.
    pub is_pushy: bool,
    /// The host reads what is written.
    is_reading: bool,
    /// Places in the stream of output: what was looked at, what was written.
    looked_at: u64,
    written: u64,
    longest_line: usize,
    /// The most that ever waited for the host.
    pub backlog_max: usize,
    facts: Vec<Fact>,
    exit: Option<ExitStatus>,
    exit_told: bool,
    digest: u64,
    /// Of the lines for the host, and of the requests to the backend.
    digests: [u64; 2],
    output: Option<Vec<u8>>,
    /// Output that is no message of the protocol, if there ever was any.
    pub trouble: Option<String>,
}

impl World {
    /// A world whose machine was just made; its first file job waits to be run.
    pub fn new(setup: Setup, files: MemoryFiles, seed: [u8; 32]) -> Self {
        let started_at = Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let mono = Duration::from_secs(1);
        let now = Now::new(mono, started_at);
        let mut world = Self {
            machine: Machine::new(setup, seed, now),
            files,
            started_at,
            mono,
            timers: BTreeMap::new(),
            stale_timers: Vec::new(),
            http: Vec::new(),
            jobs: Vec::new(),
            stale_calls: Vec::new(),
            responses: 0,
            outbox: Vec::new(),
            lines: VecDeque::new(),
            released: 0,
            at_eof: false,
            eof_told: false,
            is_pushy: false,
            is_reading: true,
            looked_at: 0,
            written: 0,
            longest_line: 0,
            backlog_max: 0,
            facts: Vec::new(),
            exit: None,
            exit_told: false,
            digest: DIGEST,
            digests: [DIGEST; 2],
            output: None,
            trouble: None,
        };
        world.facts.push(Fact::At(mono));
        world.drain();
        world.facts.push(Fact::Settled);
        world
    }

    /// Keeps all output, to be shown by [`output`](Self::output).
    pub fn keep_output(&mut self) {
        self.output = Some(Vec::new());
    }

    /// All output so far, if it was kept.
    pub fn output(&self) -> &[u8] {
        self.output.as_deref().unwrap_or_default()
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
    pub fn exit(&self) -> Option<ExitStatus> {
        self.exit
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

    // --- the host ---

    /// The host says a line. With `hold` it stays in the host's buffer until more is said.
    pub fn say(&mut self, number: usize, line: &str, hold: bool, cut: Cut) {
        if self.at_eof || self.exit.is_some() {
            return;
        }
        self.outbox.extend_from_slice(line.as_bytes());
        self.outbox.push(b'\n');
        self.lines.push_back((number, line.len() + 1));
        if !hold {
            self.flush(cut);
        }
    }

    /// Lets the host's buffer go.
    pub fn flush(&mut self, cut: Cut) {
        let len = self.outbox.len();
        match cut {
            Cut::Whole => self.deliver(len),
            Cut::At(at) => {
                self.deliver(at.min(len));
                self.deliver(self.outbox.len());
            }
            Cut::Bytes => (0..len).for_each(|_| self.deliver(1)),
            Cut::Tail(behind) => self.deliver(len.saturating_sub(behind)),
        }
    }

    /// The host's input ends, after what it has said.
    pub fn eof(&mut self) {
        if self.at_eof || self.exit.is_some() {
            return;
        }
        self.at_eof = true;
        self.flush(Cut::Whole);
        self.end_if_said();
    }

    fn end_if_said(&mut self) {
        if self.at_eof && !self.eof_told && self.outbox.is_empty() && self.accepts() {
            self.eof_told = true;
            self.facts.push(Fact::Eof);
            self.input(Input::Eof);
        }
    }

    /// A signal arrives.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit.is_none() {
            self.facts.push(Fact::Eof);
            self.input(Input::Signal(signal));
        }
    }

    fn accepts(&self) -> bool {
        self.exit.is_none() && (self.is_pushy || self.machine.wants_input())
    }

    /// Lets `len` more bytes of the host's buffer go. They arrive as soon as they are wanted.
    fn deliver(&mut self, len: usize) {
        self.released = (self.released + len).min(self.outbox.len());
        if self.released == 0 || !self.accepts() {
            return;
        }
        let rest = self.outbox.split_off(std::mem::take(&mut self.released));
        let chunk = std::mem::replace(&mut self.outbox, rest);
        let mut left = chunk.len();
        while let Some((number, length)) = self.lines.front_mut() {
            if *length > left {
                *length -= left;
                break;
            }
            left -= *length;
            self.facts.push(Fact::Said(*number));
            self.lines.pop_front();
        }
        self.input(Input::Bytes(&chunk));
    }

    /// The host reads from now on, or stops reading.
    pub fn set_reading(&mut self, reads: bool) {
        self.is_reading = reads;
        if reads {
            self.read(usize::MAX);
        }
    }

    /// Whether the host reads.
    pub fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// The host reads at most so many bytes.
    pub fn read(&mut self, most: usize) {
        let n = self.machine.pending_output().len().min(most);
        if n == 0 {
            return;
        }
        self.machine.wrote(n);
        self.written += n as u64;
        self.facts.push(Fact::Read(self.written));
        self.drain();
        self.facts.push(Fact::Settled);
        self.resume();
    }

    /// Whether all output was read.
    pub fn has_read_all(&self) -> bool {
        self.machine.pending_output().is_empty()
    }

    /// The embedding program answers the question; the number is the one it was made with.
    pub fn embedder(
        &mut self,
        ask: AskId,
        number: usize,
        answer: Result<FreshTokens, RefreshDenied>,
    ) {
        self.facts.push(Fact::Embedder(ask, number));
        self.input(Input::AuthRefreshed(ask, answer));
    }

    // --- time ---

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.timers.values().min().copied()
    }

    /// Timers that are set.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// How long until each timer fires, sorted.
    pub fn waits(&self) -> Vec<Duration> {
        let mut waits: Vec<_> = self.timers.values().map(|due| *due - self.mono).collect();
        waits.sort();
        waits
    }

    /// Lets time pass until `end`.
    pub fn wait_until(&mut self, end: Duration, firing: Firing) {
        let end = end.max(self.mono);
        if firing == Firing::Late {
            self.set_clock(end);
        }
        while let Some((timer, due)) = self.first_due(end, firing) {
            self.set_clock(self.mono.max(due));
            self.timers.remove(&timer);
            self.facts.push(Fact::Fired(timer));
            self.input(Input::TimerFired(timer));
        }
        self.set_clock(end);
    }

    fn set_clock(&mut self, mono: Duration) {
        if mono != self.mono {
            self.mono = mono;
            self.facts.push(Fact::At(mono));
        }
    }

    fn first_due(&self, end: Duration, firing: Firing) -> Option<(TimerId, Duration)> {
        let (timer, due) = self.timers.iter().min_by_key(|(id, due)| (**due, **id))?;
        let fires = *due < end || (*due == end && firing != Firing::NotYet);
        (fires && self.exit.is_none()).then_some((*timer, *due))
    }

    /// Fires a timer that was cancelled, as a runtime may.
    pub fn fire_stale(&mut self, nth: usize) {
        let count = self.stale_timers.len();
        if let Some(timer) = (count > 0).then(|| self.stale_timers[nth % count]) {
            self.input(Input::TimerFired(timer));
        }
    }

    // --- the backend ---

    /// HTTP calls that have not ended, oldest first.
    pub fn http(&self) -> &[HttpCall] {
        &self.http
    }

    /// The head of a response arrives.
    pub fn head(&mut self, call: CallId, response: Response) {
        if !self.accepts_parts() {
            return;
        }
        self.responses += 1;
        let n = self.responses;
        let Some(http) = self.http.iter_mut().find(|http| http.call == call) else { return };
        if http.answer.is_some() {
            return;
        }
        let body = response.body(n, http.sent.thread.is_some());
        http.answer = Some(Answering { response, body, done: 0 });
        let (status, headers) = (response.status(), response.headers());
        self.facts.push(Fact::Backend(call, Part::Head(status)));
        self.input(Input::Done(call, Outcome::HttpHead(HttpHead { status, headers })));
    }

    /// At most `len` bytes of the body arrive.
    pub fn body(&mut self, call: CallId, len: usize) {
        if !self.accepts_parts() {
            return;
        }
        let Some(http) = self.http.iter_mut().find(|http| http.call == call) else { return };
        let Some(answer) = &mut http.answer else { return };
        let from = answer.done;
        let end = (from + len).min(answer.body.len());
        if from == end {
            return;
        }
        answer.done = end;
        let bytes = answer.body.as_bytes()[from..end].to_vec();
        self.facts.push(Fact::Backend(call, Part::Bytes(bytes.len())));
        self.input(Input::Done(call, Outcome::HttpBytes(&bytes)));
    }

    /// The rest of the body arrives in pieces of `piece` bytes, then its end. While the machine
    /// wants no more, the rest stays behind.
    pub fn finish(&mut self, call: CallId, piece: usize) {
        loop {
            let open = self.http.iter().find(|http| http.call == call);
            let Some(answer) = open.and_then(|http| http.answer.as_ref()) else { return };
            if answer.done == answer.body.len() {
                break;
            }
            if !self.accepts_parts() {
                return;
            }
            self.body(call, piece.max(1));
        }
        self.facts.push(Fact::Backend(call, Part::End));
        self.close_http(call);
        self.input(Input::Done(call, Outcome::HttpEnd));
    }

    /// The exchange fails.
    pub fn fail(&mut self, call: CallId, kind: HttpFailureKind) {
        if self.close_http(call) {
            self.facts.push(Fact::Backend(call, Part::Failed(kind)));
            let failure = HttpFailure { kind, text: "scripted failure".to_owned() };
            self.input(Input::Done(call, Outcome::HttpFailed(failure)));
        }
    }

    /// The runtime loses the exchange.
    pub fn lose(&mut self, call: CallId) {
        if self.close_http(call) {
            self.facts.push(Fact::Backend(call, Part::Lost));
            self.input(Input::Done(call, Outcome::Lost));
        }
    }

    /// A whole response arrives for a call that was cancelled.
    pub fn answer_stale(&mut self, nth: usize, response: Response) {
        let count = self.stale_calls.len();
        if count == 0 || self.exit.is_some() {
            return;
        }
        let call = self.stale_calls[nth % count];
        let (status, headers) = (response.status(), response.headers());
        self.input(Input::Done(call, Outcome::HttpHead(HttpHead { status, headers })));
        let body = response.body(0, true);
        self.input(Input::Done(call, Outcome::HttpBytes(body.as_bytes())));
        self.input(Input::Done(call, Outcome::HttpEnd));
    }

    fn accepts_parts(&self) -> bool {
        self.exit.is_none() && self.machine.wants_input()
    }

    fn close_http(&mut self, call: CallId) -> bool {
        let before = self.http.len();
        self.http.retain(|http| http.call != call);
        self.exit.is_none() && self.http.len() < before
    }

    // --- files ---

    /// File jobs that wait to be run, oldest first.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = (CallId, Job)> {
        self.jobs.iter().map(|job| (job.call, job.kind))
    }

    /// Runs a file job, with a fault.
    pub fn run_job(&mut self, call: CallId, fault: Fault) {
        let Some(at) = self.jobs.iter().position(|job| job.call == call) else { return };
        let FileCall { job, kind, .. } = self.jobs.remove(at);
        if self.exit.is_some() {
            return;
        }
        let outcome = match fault {
            Fault::Lost => Outcome::Lost,
            Fault::None => Outcome::Files(Box::new(job.run(&self.files))),
            Fault::Op(op) => {
                self.files.inject(failing(op));
                let answer = job.run(&self.files);
                self.files.heal();
                Outcome::Files(Box::new(answer))
            }
        };
        let done = match &outcome {
            Outcome::Files(answer) => !matches!(**answer, FileAnswer::Written(Err(_))),
            _ => false,
        };
        self.facts.push(Fact::Filed(call, kind, done));
        self.input(Input::Done(call, outcome));
    }

    // --- the machine ---

    fn input(&mut self, input: Input<'_>) {
        let wall = self.started_at + (self.mono - Duration::from_secs(1));
        self.machine.handle(Now::new(self.mono, wall), input);
        self.drain();
        self.facts.push(Fact::Settled);
        if self.is_reading {
            self.read(usize::MAX);
        }
        self.resume();
    }

    /// What waited for the machine to want input goes in.
    fn resume(&mut self) {
        if self.released > 0 && self.accepts() {
            self.deliver(0);
        }
        self.end_if_said();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            self.carry_out(effect);
        }
        self.look();
        // What is pending is still written, so the end comes after it.
        if let Some(status) = self.exit.filter(|_| !self.exit_told) {
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
                self.jobs.retain(|job| job.call != call);
                self.stale_calls.push(call);
                self.facts.push(Fact::Dropped(call));
            }
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
                self.http.push(HttpCall { call, sent: Rc::clone(&sent), answer: None });
                self.facts.push(Fact::Sent(sent));
            }
            Call::Files(job) => {
                let kind = match &job {
                    FileJob::Startup(_) => Job::Startup,
                    FileJob::Credentials(_) => Job::Credentials,
                    FileJob::ThreadSetting(_) => Job::Thread,
                    FileJob::Write { .. } => Job::Write,
                };
                self.note(call.0, &[kind as u8]);
                self.jobs.push(FileCall { call, job, kind });
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
            match Heard::read(line) {
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
        if let Some(output) = &mut self.output {
            output.extend_from_slice(fresh);
        }
        self.looked_at = place;
        self.digests = digests;
        if backlog > from {
            self.note(place, &self.digests[0].to_le_bytes());
        }
        self.backlog_max = self.backlog_max.max(backlog);
    }

    /// The most output that may wait for the host: what fits under the mark, and what one input may
    /// add above it.
    pub fn backlog_limit(&self) -> usize {
        limits::OUTPUT_HIGH_WATER + 8 * self.longest_line.max(4096)
    }

    fn note(&mut self, number: u64, bytes: &[u8]) {
        fold(&mut self.digest, &number.to_le_bytes());
        fold(&mut self.digest, bytes);
    }
}

const DIGEST: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, eight bytes at a time where there are eight.
fn fold(digest: &mut u64, bytes: &[u8]) {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        *digest = (*digest ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    for byte in chunks.remainder() {
        *digest = (*digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

fn failing(op: FileOp) -> FaultHook {
    Box::new(move |asked, _| {
        let text = "scripted fault (os error 5)".to_owned();
        (asked == op).then(|| FileError { kind: FileErrorKind::Other, text })
    })
}

fn sent(call: CallId, request: &HttpRequest) -> Sent {
    let header = |name: &str| {
        let found = request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.expose().to_owned())
    };
    Sent {
        call,
        url: request.url.clone(),
        bearer: header("authorization")
            .map(|value| value.strip_prefix("Bearer ").unwrap_or("(no bearer)").to_owned()),
        account: header("chatgpt-account-id"),
        thread: header("session_id"),
        body_len: request.body_len(),
    }
}
