//! Owns: the calls of one session that run, and their answers.
//!
//! Invariants: every call that was started is answered, also when its task panics, unless it was
//! cancelled. Answers wait in a bounded queue: when nobody polls, sockets and pipes are not read.
//! When it is dropped, no program that it started runs on.
//! Never: decides what to send where, or whether to try again.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use understudy_core::files::{FileAnswer, FileError, Files, Keyring};
use understudy_core::telemetry::Telemetry;
use understudy_core::wire::v2::command::FuzzyFileSearchResult;
use understudy_core::{
    Call, CallId, Feed, HttpFailure, HttpFailureKind, HttpHead, HttpRequest, Listen, ListenFailure,
    Outcome, Visit, limits,
};
use understudy_std::program::{LeftBehind, Programs};

use crate::hold::Hold;
use crate::http::Http;
use crate::lane::Lane;
use crate::listener::Listener;
use crate::process::{Process, Told};
use crate::recent_logs::RecentLogs;
use crate::rest::{Rest, Unfinished, rest};
use crate::search::Search;
use crate::telemetry::Exporter;

/// Answers that wait to be polled for; a call that has one more waits with its socket unread.
const ANSWERS_WAITING_MAX: usize = 16;

/// An answer on its way from a task to the port.
#[derive(Debug)]
pub(crate) enum Answer {
    Head(HttpHead),
    Bytes(Bytes),
    End,
    Failed(HttpFailure),
    /// The job panicked.
    Lost,
    Files(Box<FileAnswer>),
    Listening,
    ListenFailed(ListenFailure),
    Visit(Visit),
    Held(Result<(), FileError>),
    Found(Vec<FuzzyFileSearchResult>),
    Logs(String),
}

impl Answer {
    /// Whether more may follow, as [`Outcome::is_last`] has it.
    fn is_last(&self) -> bool {
        match self {
            Answer::Head(_)
            | Answer::Bytes(_)
            | Answer::Listening
            | Answer::Visit(_)
            | Answer::Held(_) => false,
            Answer::End
            | Answer::Failed(_)
            | Answer::Lost
            | Answer::Files(_)
            | Answer::ListenFailed(_)
            | Answer::Found(_)
            | Answer::Logs(_) => true,
        }
    }
}

/// What a call that runs can be stopped by.
enum Running {
    Http(AbortHandle),
    /// A job is not stopped half way.
    Files,
    Listener(Listener),
    /// Dropped to let go.
    Hold {
        _hold: Hold,
    },
    /// Dropped to stop it.
    Search {
        _search: Search,
    },
    /// Dropped to kill it.
    Process(Box<Process>),
    /// It has its last answer, which was not polled for yet.
    Ended,
}

/// Runs calls and hands out their answers.
pub(crate) struct Backend {
    http: Http,
    files: Arc<dyn Files>,
    programs: Programs,
    logs: RecentLogs,
    lane: Lane,
    sender: mpsc::Sender<(CallId, Answer)>,
    answers: mpsc::Receiver<(CallId, Answer)>,
    /// Answers that were known when their call was started.
    ready: VecDeque<(CallId, Answer)>,
    /// Calls whose last answer was not handed out yet.
    running: BTreeMap<CallId, Running>,
    /// What programs left running; it ends with the session.
    left: Vec<LeftBehind>,
    last_program: CallId,
    /// Whether programs are asked before other calls: who was heard is asked last the next time.
    programs_first: bool,
    unfinished: Unfinished,
    /// Where measurements go, once core has said so.
    exporter: Option<Exporter>,
    /// What the outcome last handed out borrows from.
    bytes: Bytes,
    /// The same for the output of programs. Made with the first one.
    output: Box<[u8]>,
}

enum Heard {
    Answer(Answer),
    Program(Told),
}

impl Backend {
    /// A backend without calls, and what waits for answers to browsers that outlive it.
    pub(crate) fn new(
        http: Http,
        files: Arc<dyn Files>,
        keyring: Arc<dyn Keyring>,
        programs: Programs,
        logs: RecentLogs,
    ) -> (Self, Rest) {
        let (sender, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        let (unfinished, rest) = rest();
        let backend = Self {
            http,
            logs,
            lane: Lane::new(Arc::clone(&files), keyring, sender.clone()),
            files,
            programs,
            sender,
            answers,
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            left: Vec::new(),
            last_program: CallId(0),
            programs_first: false,
            unfinished,
            exporter: None,
            bytes: Bytes::new(),
            output: Box::default(),
        };
        (backend, rest)
    }

    /// Begins a call. Must be called on a tokio runtime.
    pub(crate) fn start(&mut self, id: CallId, call: Call) {
        let running = match call {
            Call::Http(request) => Running::Http(self.start_http(id, request)),
            Call::Files(job) => {
                self.lane.start(id, job);
                Running::Files
            }
            Call::Listen(listen) => self.listen(id, listen),
            Call::Hold(path) => {
                let files = Arc::clone(&self.files);
                Running::Hold { _hold: Hold::start(id, path, files, self.sender.clone()) }
            }
            Call::Logs => {
                let text = self.logs.text();
                self.ready.push_back((id, Answer::Logs(text)));
                Running::Ended
            }
            Call::Search(request) => {
                Running::Search { _search: Search::start(id, *request, self.sender.clone()) }
            }
            Call::Process(request) => {
                if self.output.is_empty() {
                    self.output = vec![0; limits::PROCESS_CHUNK_BYTES].into_boxed_slice();
                }
                Running::Process(Box::new(Process::start(&self.programs, *request)))
            }
        };
        self.running.insert(id, running);
    }

    fn listen(&mut self, id: CallId, listen: Listen) -> Running {
        match Listener::bind(id, listen, self.sender.clone(), self.unfinished.clone()) {
            Ok(listener) => {
                self.ready.push_back((id, Answer::Listening));
                Running::Listener(listener)
            }
            Err(failure) => {
                self.ready.push_back((id, Answer::ListenFailed(failure)));
                Running::Ended
            }
        }
    }

    /// Hands something to a call that still runs.
    pub(crate) fn feed(&mut self, id: CallId, feed: Feed) {
        match (self.running.get_mut(&id), feed) {
            (Some(Running::Listener(listener)), Feed::Answer(visit, page)) => {
                listener.answer(visit, page);
            }
            (_, Feed::Answer(visit, _)) => {
                tracing::debug!(call = id.0, visit = visit.0, "an answer for nobody");
            }
            (Some(Running::Process(process)), Feed::Stdin(bytes)) => process.write(&bytes),
            (Some(Running::Process(process)), Feed::Kill) => process.kill(),
            (_, Feed::Stdin(_) | Feed::Kill) => {}
        }
    }

    fn start_http(&self, id: CallId, request: HttpRequest) -> AbortHandle {
        let (http, sender) = (self.http.clone(), self.sender.clone());
        let exchange = tokio::spawn(async move {
            let last = match http.exchange(id, request, &sender).await {
                Ok(()) => Answer::End,
                Err(failure) => Answer::Failed(failure),
            };
            let _over = sender.send((id, last)).await;
        });
        let abort = exchange.abort_handle();
        let sender = self.sender.clone();
        tokio::spawn(async move {
            if exchange.await.is_err_and(|ended| ended.is_panic()) {
                let text = "an HTTP exchange panicked".to_owned();
                let failure = HttpFailure { kind: HttpFailureKind::Request, text };
                let _over = sender.send((id, Answer::Failed(failure))).await;
            }
        });
        abort
    }

    /// Sends a measurement to whom core has named. Must be called on a tokio runtime.
    pub(crate) fn telemetry(&mut self, told: Telemetry) {
        match (told, &self.exporter) {
            (Telemetry::Begin(sinks), _) => {
                self.exporter = Some(Exporter::start(&sinks, &self.http, &self.unfinished));
            }
            (told, Some(exporter)) => exporter.take(told),
            (_, None) => {}
        }
    }

    /// Stops a call; no answer of it is handed out any more.
    pub(crate) fn cancel(&mut self, id: CallId) {
        if let Some(Running::Http(abort)) = self.running.remove(&id) {
            abort.abort();
        }
    }

    /// The next answer to a call that was not cancelled.
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Outcome<'_>)> {
        let (id, heard) = ready!(self.poll_heard(cx));
        let outcome = match heard {
            Heard::Answer(answer) => self.outcome(answer),
            Heard::Program(told) => self.told(told),
        };
        Poll::Ready((id, outcome))
    }

    /// Programs and other calls take turns.
    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Heard)> {
        for _ in 0..2 {
            let heard = if self.programs_first {
                self.poll_programs(cx).map(|(id, told)| (id, Heard::Program(told)))
            } else {
                self.poll_answer(cx).map(|(id, answer)| (id, Heard::Answer(answer)))
            };
            self.programs_first = !self.programs_first;
            if heard.is_ready() {
                return heard;
            }
        }
        Poll::Pending
    }

    fn outcome(&mut self, answer: Answer) -> Outcome<'_> {
        match answer {
            Answer::Head(head) => Outcome::HttpHead(head),
            Answer::Bytes(bytes) => {
                self.bytes = bytes;
                Outcome::HttpBytes(&self.bytes)
            }
            Answer::End => Outcome::HttpEnd,
            Answer::Failed(failure) => Outcome::HttpFailed(failure),
            Answer::Lost => Outcome::Lost,
            Answer::Files(answer) => Outcome::Files(answer),
            Answer::Listening => Outcome::Listening,
            Answer::ListenFailed(failure) => Outcome::ListenFailed(failure),
            Answer::Visit(visit) => Outcome::Visit(visit),
            Answer::Held(held) => Outcome::Held(held),
            Answer::Found(files) => Outcome::Found(files),
            Answer::Logs(text) => Outcome::Logs(text),
        }
    }

    fn told(&mut self, told: Told) -> Outcome<'_> {
        match told {
            Told::Output(stream, n) => {
                Outcome::ProcessOutput(stream, self.output.get(..n).unwrap_or_default())
            }
            Told::Exited(exit, left) => {
                self.left.retain(LeftBehind::is_running);
                self.left.extend(left);
                Outcome::ProcessExited(exit)
            }
            Told::Failed(failure) => Outcome::ProcessFailed(failure),
            Told::Lost => Outcome::Lost,
        }
    }

    /// Asks every program, the one behind the last that was heard first.
    fn poll_programs(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Told)> {
        let (last, output) = (self.last_program, &mut *self.output);
        let behind = self.running.range_mut((Bound::Excluded(last), Bound::Unbounded));
        let mut heard = poll_among(behind, cx, output);
        if heard.is_pending() {
            heard = poll_among(self.running.range_mut(..=last), cx, output);
        }
        let (id, told) = ready!(heard);
        self.last_program = id;
        match &told {
            Told::Output(..) => {}
            Told::Exited(..) | Told::Failed(_) | Told::Lost => drop(self.running.remove(&id)),
        }
        Poll::Ready((id, told))
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Answer)> {
        for running in self.running.values_mut() {
            if let Running::Listener(listener) = running {
                listener.poll_accept(cx);
            }
        }
        loop {
            let (id, answer) = match self.ready.pop_front() {
                Some(ready) => ready,
                None => match ready!(self.answers.poll_recv(cx)) {
                    Some(answer) => answer,
                    // The backend holds a sender itself, so the queue does not end.
                    None => return Poll::Pending,
                },
            };
            let runs = if answer.is_last() {
                self.running.remove(&id).is_some()
            } else {
                self.running.contains_key(&id)
            };
            if runs {
                return Poll::Ready((id, answer));
            }
        }
    }
}

fn poll_among<'a>(
    running: impl Iterator<Item = (&'a CallId, &'a mut Running)>,
    cx: &mut Context<'_>,
    output: &mut [u8],
) -> Poll<(CallId, Told)> {
    for (id, running) in running {
        if let Running::Process(process) = running
            && let Poll::Ready(told) = process.poll(cx, output)
        {
            return Poll::Ready((*id, told));
        }
    }
    Poll::Pending
}

impl Drop for Backend {
    fn drop(&mut self) {
        for running in self.running.values() {
            if let Running::Http(abort) = running {
                abort.abort();
            }
        }
    }
}
