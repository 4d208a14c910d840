//! Owns: the timers of one machine, over one alarm.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use understudy_core::TimerId;

use crate::runtime::Alarm;

/// Timers by the moment they are due.
#[derive(Debug, Default)]
pub struct Timers<A> {
    by_due: BTreeSet<(Instant, TimerId)>,
    due: BTreeMap<TimerId, Instant>,
    alarm: A,
}

impl<A: Alarm> Timers<A> {
    /// Makes `id` due `delay` from now, whether or not it waited before.
    pub fn start(&mut self, id: TimerId, delay: Duration) {
        self.cancel(id);
        let now = A::now();
        // A delay beyond the clock's end is one that nobody lives to see.
        let due = now.checked_add(delay).unwrap_or(now + Duration::from_secs(1 << 31));
        self.due.insert(id, due);
        self.by_due.insert((due, id));
    }

    /// Forgets `id`.
    pub fn cancel(&mut self, id: TimerId) {
        if let Some(due) = self.due.remove(&id) {
            self.by_due.remove(&(due, id));
        }
    }

    /// The next timer that is due; it is forgotten then.
    pub fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TimerId> {
        let Some(&(due, id)) = self.by_due.first() else {
            return Poll::Pending;
        };
        if due > A::now() && self.alarm.poll(cx, due).is_pending() {
            return Poll::Pending;
        }
        self.cancel(id);
        Poll::Ready(id)
    }
}
