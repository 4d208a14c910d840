//! Both correlation tables: requests of the host that want a reply, and questions of ours.
//!
//! A [`Ticket`] is made once per request and consumed by its reply, so that two replies do not
//! type-check; the count of open tickets shows when one is missing. A question is answered, denied,
//! expired or withdrawn exactly once; whatever comes afterwards finds nobody.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::effect::{AskId, TimerId};
use crate::telemetry::{Measure, Scope};
use crate::thread::ThreadId;
use crate::wire::RequestId;
use crate::wire::methods;

/// The duty to answer one request.
#[derive(Debug)]
#[must_use = "every request gets exactly one reply"]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Ticket {
    id: RequestId,
    /// Lasts until the reply.
    span: tracing::Span,
    measured: Option<Box<Measured>>,
}

/// A request that is measured, with its method.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Measured {
    pub(crate) measure: Measure,
    pub(crate) method: &'static str,
}

impl Ticket {
    /// What happens while the request is served.
    pub(crate) fn span(&self) -> tracing::Span {
        self.span.clone()
    }

    /// Names the request among what is measured.
    pub(crate) fn scope(&self) -> Option<Scope> {
        self.measured.as_ref().map(|measured| measured.measure.scope())
    }
}

/// The host's requests that were read and not answered.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Requests {
    open: usize,
}

impl Requests {
    pub(crate) fn open(&mut self, id: RequestId, method: &str, measure: Option<Measure>) -> Ticket {
        self.open += 1;
        // A name that is none of ours may be anything.
        let known = || methods::find(method).map_or("unknown", |row| row.name);
        let span = tracing::debug_span!("request", method = known());
        let measured = measure.map(|measure| Box::new(Measured { measure, method: known() }));
        Ticket { id, span, measured }
    }

    /// Takes the ticket back for the reply.
    pub(crate) fn close(&mut self, ticket: Ticket) -> (RequestId, Option<Box<Measured>>) {
        self.open -= 1;
        (ticket.id, ticket.measured)
    }

    pub(crate) fn count(&self) -> usize {
        self.open
    }
}

/// Who wants the answer to a question of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskOwner {
    /// The credential room, for new tokens.
    AuthRefresh,
    /// A call of a thread's turn, for an approval or an answer.
    Tool(ThreadId),
}

/// One question that has no answer yet.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Ask {
    owner: AskOwner,
    /// Time for the answer, counted from when the question was written (auth.md §13.1 I25).
    limit: Option<Duration>,
    timer: Option<TimerId>,
}

/// Questions to the host.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Asks {
    next: i64,
    open: BTreeMap<AskId, Ask>,
    /// Questions in the output buffer, each with the place just after it.
    unwritten: VecDeque<(u64, AskId)>,
}

impl Asks {
    /// A new question. Ids count up from 0 over all kinds (protocol.md §6).
    pub(crate) fn open(&mut self, owner: AskOwner, limit: Option<Duration>) -> AskId {
        let id = AskId(self.next);
        self.next += 1;
        self.open.insert(id, Ask { owner, limit, timer: None });
        id
    }

    /// Says where in the output the question ends.
    pub(crate) fn queued(&mut self, id: AskId, end: u64) {
        self.unwritten.push_back((end, id));
    }

    /// The next question that is written out up to `written`, with its time limit.
    pub(crate) fn next_written(&mut self, written: u64) -> Option<(AskId, Duration)> {
        while let Some((end, id)) = self.unwritten.front().copied() {
            if end > written {
                return None;
            }
            self.unwritten.pop_front();
            if let Some(limit) = self.open.get(&id).and_then(|ask| ask.limit) {
                return Some((id, limit));
            }
        }
        None
    }

    pub(crate) fn set_timer(&mut self, id: AskId, timer: TimerId) {
        if let Some(ask) = self.open.get_mut(&id) {
            ask.timer = Some(timer);
        }
    }

    /// Ends a question, with the timer that need not fire any more. `None` for one that is over, or
    /// never was: the answer is late, a duplicate, or nobody's.
    pub(crate) fn close(&mut self, id: AskId) -> Option<(AskOwner, Option<TimerId>)> {
        self.open.remove(&id).map(|ask| (ask.owner, ask.timer))
    }

    /// What is open, without its place in the output.
    #[cfg(feature = "sim")]
    pub(crate) fn state(&self) -> impl std::fmt::Debug + '_ {
        let unwritten: Vec<AskId> = self.unwritten.iter().map(|(_, id)| *id).collect();
        (&self.open, unwritten)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AskOwner, Asks};
    use crate::effect::AskId;

    #[test]
    fn a_question_ends_once() {
        let mut asks = Asks::default();
        let id = asks.open(AskOwner::AuthRefresh, None);
        assert_eq!(asks.close(id), Some((AskOwner::AuthRefresh, None)));
        assert_eq!(asks.close(id), None);
        assert_eq!(asks.close(AskId(77)), None);
    }

    #[test]
    fn the_clock_starts_when_the_question_is_written() {
        let mut asks = Asks::default();
        let limit = Duration::from_secs(10);
        let id = asks.open(AskOwner::AuthRefresh, Some(limit));
        asks.queued(id, 100);
        assert_eq!(asks.next_written(99), None);
        assert_eq!(asks.next_written(100), Some((id, limit)));
        assert_eq!(asks.next_written(100), None);
    }
}
