//! Owns: the calls of one session that run, and their answers.
//!
//! Requests, programs and listeners are polled in place; what blocks has a thread and puts its
//! answer into a queue. It does not wait there: all sessions share the threads, and one that waited
//! until the host of its session reads would be missed by the others.
//!
//! Invariants: every call that was started is answered, also when its work panics, unless it was
//! cancelled. When nobody polls, sockets and pipes are not read. No thread that sessions share waits
//! for one of them. When it is dropped, no program that it started runs on.
//! Never: decides what to send where, or whether to try again.

mod exchange;
mod hold;
mod lane;
mod listener;
mod process;
mod rest;
mod searching;
mod visit;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_channel::mpsc;
use futures_core::Stream;
use understudy_core::driver::EXIT_FLUSH_LIMIT;
use understudy_core::files::{Files, Keyring};
use understudy_core::{Call, CallId, Feed, Listen, Outcome, OutputStream, limits};

use crate::program::{LeftBehind, Programs};
use crate::recent_logs::RecentLogs;
use crate::runtime::Runtime;

use exchange::Exchange;
pub use exchange::{body, body_failure, failure, head, headers, root_cause};
use hold::Hold;
use lane::Lane;
use listener::{Finishing, Listener};
use process::Process;
pub use rest::Rest;
use searching::Searching;

/// Where threads put their answers. There is one answer to each piece of work, so the queue needs no
/// bound of its own; a thread that waited until one host reads would be missed by the others.
type Answers = mpsc::UnboundedSender<(CallId, Outcome<'static>)>;

/// What the calls of a session work with.
pub struct Means<R: Runtime> {
    /// The HTTP client.
    pub http: R::Http,
    /// Where files are.
    pub files: Arc<dyn Files>,
    /// Where secrets are.
    pub keyring: Arc<dyn Keyring>,
    /// Starts programs.
    pub programs: Programs,
    /// The last lines of the log.
    pub logs: RecentLogs,
}

/// What a call that runs can be stopped by: dropping it.
enum Running<R: Runtime> {
    Http(Box<Exchange<R>>),
    /// A job is not stopped half way.
    Files,
    Listener(Box<Listener<R>>),
    Hold {
        _hold: Hold,
    },
    Search {
        _search: Searching,
    },
    Process(Box<Process<R>>),
    /// It has its last answer, which was not polled for yet.
    Ended,
}

/// Runs calls and hands out their answers.
pub struct Backend<R: Runtime> {
    means: Means<R>,
    lane: Lane,
    sender: Answers,
    answers: mpsc::UnboundedReceiver<(CallId, Outcome<'static>)>,
    /// Answers that were known when their call was started.
    ready: VecDeque<(CallId, Outcome<'static>)>,
    /// Calls whose last answer was not handed out yet.
    running: BTreeMap<CallId, Running<R>>,
    /// What programs left running; it ends with the session.
    left: Vec<LeftBehind>,
    /// The call that was polled in place and heard last.
    last: CallId,
    /// Whether what is polled in place is asked first: who was heard is asked last the next time.
    in_place_first: bool,
    finishing: Finishing<R>,
    /// What the outcome last handed out borrows from.
    bytes: Bytes,
    /// The same for the output of programs. Made with the first one.
    output: Box<[u8]>,
}

/// What is heard of a call, without what it borrows.
enum Heard {
    Outcome(Outcome<'static>),
    Bytes(Bytes),
    Output(OutputStream, usize),
}

impl<R: Runtime> Backend<R> {
    /// A backend without calls.
    pub fn new(means: Means<R>) -> Self {
        let (sender, answers) = mpsc::unbounded();
        let (files, keyring) = (Arc::clone(&means.files), Arc::clone(&means.keyring));
        Self {
            lane: Lane::new(files, keyring, sender.clone()),
            means,
            sender,
            answers,
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            left: Vec::new(),
            last: CallId(0),
            in_place_first: false,
            finishing: Finishing::default(),
            bytes: Bytes::new(),
            output: Box::default(),
        }
    }

    /// Waits, when the backend is gone, for answers to browsers that outlive it.
    pub fn rest(&self) -> Rest<R> {
        Rest::new(self.finishing.clone(), EXIT_FLUSH_LIMIT)
    }

    /// Begins a call. Must be called where the reactor is at hand.
    pub fn start(&mut self, id: CallId, call: Call) {
        let running = match call {
            Call::Http(request) => {
                Running::Http(Box::new(Exchange::start(&self.means.http, request)))
            }
            Call::Files(job) => {
                self.lane.start::<R>(id, job);
                Running::Files
            }
            Call::Listen(listen) => self.listen(id, listen),
            Call::Hold(path) => {
                let files = Arc::clone(&self.means.files);
                Running::Hold { _hold: Hold::start::<R>(id, path, files, self.sender.clone()) }
            }
            Call::Logs => {
                let text = self.means.logs.text();
                self.ready.push_back((id, Outcome::Logs(text)));
                Running::Ended
            }
            Call::Search(request) => {
                let answers = self.sender.clone();
                Running::Search { _search: Searching::start::<R>(id, *request, answers) }
            }
            Call::Process(request) => {
                if self.output.is_empty() {
                    self.output = vec![0; limits::PROCESS_CHUNK_BYTES].into_boxed_slice();
                }
                Running::Process(Box::new(Process::start(&self.means.programs, *request)))
            }
        };
        self.running.insert(id, running);
    }

    fn listen(&mut self, id: CallId, listen: Listen) -> Running<R> {
        match Listener::bind(listen, self.finishing.clone()) {
            Ok(listener) => {
                self.ready.push_back((id, Outcome::Listening));
                Running::Listener(Box::new(listener))
            }
            Err(failure) => {
                self.ready.push_back((id, Outcome::ListenFailed(failure)));
                Running::Ended
            }
        }
    }

    /// Hands something to a call that still runs.
    pub fn feed(&mut self, id: CallId, feed: Feed) {
        match (self.running.get_mut(&id), feed) {
            (Some(Running::Listener(listener)), Feed::Answer(visit, page)) => {
                listener.answer(visit, &page);
            }
            (_, Feed::Answer(visit, _)) => {
                tracing::debug!(call = id.0, visit = visit.0, "an answer for nobody");
            }
            (Some(Running::Process(process)), Feed::Stdin(bytes)) => process.write(&bytes),
            (Some(Running::Process(process)), Feed::Kill) => process.kill(),
            (_, Feed::Stdin(_) | Feed::Kill) => {}
        }
    }

    /// Stops a call; no answer of it is handed out any more.
    pub fn cancel(&mut self, id: CallId) {
        self.running.remove(&id);
    }

    /// The next answer to a call that was not cancelled.
    pub fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Outcome<'_>)> {
        let (id, heard) = ready!(self.poll_heard(cx));
        let outcome = match heard {
            Heard::Outcome(outcome) => outcome,
            Heard::Bytes(bytes) => {
                self.bytes = bytes;
                Outcome::HttpBytes(&self.bytes)
            }
            Heard::Output(stream, n) => {
                Outcome::ProcessOutput(stream, self.output.get(..n).unwrap_or_default())
            }
        };
        Poll::Ready((id, outcome))
    }

    /// What is polled in place and what threads answer take turns.
    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Heard)> {
        // New ones wake whoever polled last, and nobody else asks for them.
        let _all_written = self.finishing.poll(cx);
        for _ in 0..2 {
            let heard = if self.in_place_first {
                self.poll_in_place(cx)
            } else {
                self.poll_answer(cx).map(|(id, outcome)| (id, Heard::Outcome(outcome)))
            };
            self.in_place_first = !self.in_place_first;
            if heard.is_ready() {
                return heard;
            }
        }
        Poll::Pending
    }

    /// Asks everything that is polled in place, what is behind the last that was heard first.
    fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Heard)> {
        let (last, output) = (self.last, &mut *self.output);
        let behind = self.running.range_mut((Bound::Excluded(last), Bound::Unbounded));
        let mut heard = poll_among(behind, cx, output);
        if heard.is_pending() {
            heard = poll_among(self.running.range_mut(..=last), cx, output);
        }
        let (id, told) = ready!(heard);
        self.last = id;
        let heard = match told {
            Told::Http(exchange::Told::Head(head)) => Heard::Outcome(Outcome::HttpHead(head)),
            Told::Http(exchange::Told::Bytes(bytes)) => Heard::Bytes(bytes),
            Told::Http(exchange::Told::End) => Heard::Outcome(Outcome::HttpEnd),
            Told::Http(exchange::Told::Failed(failure)) => {
                Heard::Outcome(Outcome::HttpFailed(failure))
            }
            Told::Visit(visit) => Heard::Outcome(Outcome::Visit(visit)),
            Told::Process(process::Told::Output(stream, n)) => Heard::Output(stream, n),
            Told::Process(process::Told::Exited(exit, left)) => {
                self.left.retain(LeftBehind::is_running);
                self.left.extend(left);
                Heard::Outcome(Outcome::ProcessExited(exit))
            }
            Told::Process(process::Told::Failed(failure)) => {
                Heard::Outcome(Outcome::ProcessFailed(failure))
            }
            Told::Process(process::Told::Lost) => Heard::Outcome(Outcome::Lost),
        };
        if let Heard::Outcome(outcome) = &heard
            && outcome.is_last()
        {
            self.running.remove(&id);
        }
        Poll::Ready((id, heard))
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Outcome<'static>)> {
        loop {
            let (id, outcome) = match self.ready.pop_front() {
                Some(ready) => ready,
                None => match ready!(Pin::new(&mut self.answers).poll_next(cx)) {
                    Some(answer) => answer,
                    // The backend holds a sender itself, so the queue does not end.
                    None => return Poll::Pending,
                },
            };
            let runs = if outcome.is_last() {
                self.running.remove(&id).is_some()
            } else {
                self.running.contains_key(&id)
            };
            if runs {
                return Poll::Ready((id, outcome));
            }
        }
    }
}

impl<R: Runtime> std::fmt::Debug for Backend<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

/// What a call that is polled in place tells.
enum Told {
    Http(exchange::Told),
    Visit(understudy_core::Visit),
    Process(process::Told),
}

impl<R: Runtime> Running<R> {
    fn poll(&mut self, cx: &mut Context<'_>, output: &mut [u8]) -> Poll<Told> {
        match self {
            Running::Http(exchange) => exchange.poll(cx).map(Told::Http),
            Running::Listener(listener) => listener.poll(cx).map(Told::Visit),
            Running::Process(process) => process.poll(cx, output).map(Told::Process),
            Running::Files | Running::Hold { .. } | Running::Search { .. } | Running::Ended => {
                Poll::Pending
            }
        }
    }
}

fn poll_among<'a, R: Runtime>(
    running: impl Iterator<Item = (&'a CallId, &'a mut Running<R>)>,
    cx: &mut Context<'_>,
    output: &mut [u8],
) -> Poll<(CallId, Told)> {
    for (id, running) in running {
        if let Poll::Ready(told) = running.poll(cx, output) {
            return Poll::Ready((*id, told));
        }
    }
    Poll::Pending
}
