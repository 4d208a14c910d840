//! Owns: the questions to the program around the machine for new tokens, and its answers
//! ([`understudy_core::Refresh::Embedder`]).

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use understudy_core::driver::Refreshed;
use understudy_core::{AskId, RefreshAuth, RefreshDenied};

use crate::runtime::Alarm;

/// Answers an in-process host's token refreshes.
pub type Refresher =
    Box<dyn FnMut(RefreshAuth) -> Pin<Box<dyn Future<Output = Refreshed> + Send>> + Send>;

/// The JSON-RPC code for a refresh that failed for an internal reason.
const INTERNAL_ERROR: i64 = -32603;

/// The refreshes of one session. Each is answered, whatever the refresher does.
pub struct Refreshes<A> {
    refresher: Option<Refresher>,
    asked: Vec<Asked<A>>,
}

struct Asked<A> {
    id: AskId,
    /// None if nobody answers here.
    answer: Option<Pin<Box<dyn Future<Output = Refreshed> + Send>>>,
    limit: Option<Instant>,
    alarm: A,
}

impl<A: Alarm> Refreshes<A> {
    /// With somebody who answers, or nobody.
    pub fn new(refresher: Option<Refresher>) -> Self {
        Self { refresher, asked: Vec::new() }
    }

    /// Asks.
    pub fn ask(&mut self, id: AskId, ask: RefreshAuth) {
        let limit = A::now().checked_add(ask.limit);
        let answer = self.refresher.as_mut().map(|refresher| refresher(ask));
        self.asked.push(Asked { id, answer, limit, alarm: A::default() });
    }

    /// The next answer.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(AskId, Refreshed)> {
        for (at, asked) in self.asked.iter_mut().enumerate() {
            if let Poll::Ready(answer) = asked.poll(cx) {
                return Poll::Ready((self.asked.remove(at).id, answer));
            }
        }
        Poll::Pending
    }
}

impl<A: Alarm> Asked<A> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refreshed> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(denied("nobody gives tokens here")));
        };
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
            Ok(Poll::Ready(answer)) => return Poll::Ready(answer),
            Ok(Poll::Pending) => {}
            Err(_) => return Poll::Ready(Err(denied("the refresh failed"))),
        }
        match self.limit.map(|limit| self.alarm.poll(cx, limit)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(denied("the refresh took too long"))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl<A> fmt::Debug for Refreshes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshes").field("asked", &self.asked.len()).finish_non_exhaustive()
    }
}

fn denied(message: &str) -> RefreshDenied {
    RefreshDenied { code: INTERNAL_ERROR, message: message.to_owned() }
}
