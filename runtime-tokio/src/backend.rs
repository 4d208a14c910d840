//! Owns: the calls of one session that run, and their answers.
//!
//! Invariants: every call that was started is answered, also when its task panics, unless it was
//! cancelled. Answers wait in a bounded queue: when nobody polls, sockets are not read.
//! Never: decides what to send where, or whether to try again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use understudy_core::files::{FileAnswer, Files};
use understudy_core::{Call, CallId, HttpFailure, HttpFailureKind, HttpHead, HttpRequest, Outcome};

use crate::http::Http;
use crate::lane::Lane;

/// Answers that wait to be polled for; a call that has one more waits with its socket unread.
const ANSWERS_WAITING_MAX: usize = 16;

/// An answer on its way from a task to the port.
#[derive(Debug)]
pub(crate) enum Answer {
    Head(HttpHead),
    Bytes(Bytes),
    End,
    Failed(HttpFailure),
    Files(Box<FileAnswer>),
}

/// Runs calls and hands out their answers.
pub(crate) struct Backend {
    http: Http,
    lane: Lane,
    sender: mpsc::Sender<(CallId, Answer)>,
    answers: mpsc::Receiver<(CallId, Answer)>,
    /// Calls whose last answer is still to come; file jobs cannot be aborted.
    running: BTreeMap<CallId, Option<AbortHandle>>,
    /// What the outcome last handed out borrows from.
    bytes: Bytes,
}

impl Backend {
    pub(crate) fn new(http: Http, files: Arc<dyn Files>) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        let lane = Lane::new(files, sender.clone());
        Self { http, lane, sender, answers, running: BTreeMap::new(), bytes: Bytes::new() }
    }

    /// Begins a call. Must be called on a tokio runtime.
    pub(crate) fn start(&mut self, id: CallId, call: Call) {
        let abort = match call {
            Call::Http(request) => Some(self.start_http(id, request)),
            Call::Files(job) => {
                self.lane.start(id, job);
                None
            }
        };
        self.running.insert(id, abort);
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
        if let Some(Some(abort)) = self.running.remove(&id) {
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
            Answer::Files(answer) => Outcome::Files(answer),
        };
        Poll::Ready((id, outcome))
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Answer)> {
        loop {
            // The backend holds a sender itself, so the queue does not end.
            let Some((id, answer)) = ready!(self.answers.poll_recv(cx)) else {
                return Poll::Pending;
            };
            let is_last = !matches!(answer, Answer::Head(_) | Answer::Bytes(_));
            let runs = if is_last {
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
        for abort in self.running.values().flatten() {
            abort.abort();
        }
    }
}
