//! Owns: the calls of one session that run, and their answers.
//!
//! Invariants: every call that was started is answered, also when its task panics, unless it was
//! cancelled. Answers wait in a bounded queue: when nobody polls, sockets are not read.
//! Never: decides what to send where, or whether to try again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use understudy_core::files::{FileAnswer, FileError, Files, Keyring};
use understudy_core::wire::v2::command::FuzzyFileSearchResult;
use understudy_core::{
    Call, CallId, Feed, HttpFailure, HttpFailureKind, HttpHead, HttpRequest, Listen, ListenFailure,
    Outcome, ProcessFailure, ProcessFailureKind, Visit,
};

use crate::hold::Hold;
use crate::http::Http;
use crate::lane::Lane;
use crate::listener::Listener;
use crate::rest::{Rest, Unfinished, rest};
use crate::search::Search;

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
    ProcessFailed(ProcessFailure),
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
            | Answer::ProcessFailed(_)
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
    /// It has its last answer, which was not polled for yet.
    Ended,
}

/// Runs calls and hands out their answers.
pub(crate) struct Backend {
    http: Http,
    files: Arc<dyn Files>,
    lane: Lane,
    sender: mpsc::Sender<(CallId, Answer)>,
    answers: mpsc::Receiver<(CallId, Answer)>,
    /// Answers that were known when their call was started.
    ready: VecDeque<(CallId, Answer)>,
    /// Calls whose last answer was not handed out yet.
    running: BTreeMap<CallId, Running>,
    unfinished: Unfinished,
    /// What the outcome last handed out borrows from.
    bytes: Bytes,
}

impl Backend {
    /// A backend without calls, and what waits for answers to browsers that outlive it.
    pub(crate) fn new(
        http: Http,
        files: Arc<dyn Files>,
        keyring: Arc<dyn Keyring>,
    ) -> (Self, Rest) {
        let (sender, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        let (unfinished, rest) = rest();
        let backend = Self {
            http,
            lane: Lane::new(Arc::clone(&files), keyring, sender.clone()),
            files,
            sender,
            answers,
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            unfinished,
            bytes: Bytes::new(),
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
                let text = self.logs.as_ref().map(RecentLogs::text).unwrap_or_default();
                self.ready.push_back((id, Answer::Logs(text)));
                Running::Ended
            }
            Call::Search(request) => {
                Running::Search { _search: Search::start(id, *request, self.sender.clone()) }
            }
            Call::Process(_) => {
                let text = "programs are not run yet".to_owned();
                let failure = ProcessFailure { kind: ProcessFailureKind::Other, text };
                self.ready.push_back((id, Answer::ProcessFailed(failure)));
                Running::Ended
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
        match (self.running.get(&id), feed) {
            (Some(Running::Listener(listener)), Feed::Answer(visit, page)) => {
                listener.answer(visit, page);
            }
            (_, Feed::Answer(visit, _)) => {
                tracing::debug!(call = id.0, visit = visit.0, "an answer for nobody");
            }
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

    /// Stops a call; no answer of it is handed out any more.
    pub(crate) fn cancel(&mut self, id: CallId) {
        if let Some(Running::Http(abort)) = self.running.remove(&id) {
            abort.abort();
        }
    }

    /// The next answer to a call that was not cancelled.
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Outcome<'_>)> {
        let (id, answer) = ready!(self.poll_answer(cx));
        let outcome = match answer {
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
            Answer::ProcessFailed(failure) => Outcome::ProcessFailed(failure),
            Answer::Found(files) => Outcome::Found(files),
            Answer::Logs(text) => Outcome::Logs(text),
        };
        Poll::Ready((id, outcome))
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

impl Drop for Backend {
    fn drop(&mut self) {
        for running in self.running.values() {
            if let Running::Http(abort) = running {
                abort.abort();
            }
        }
    }
}
