//! Owns: the timers of one machine, over one sleeping future.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use understudy_core::TimerId;

/// Timers by the moment they are due.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_due: BTreeSet<(Instant, TimerId)>,
    due: BTreeMap<TimerId, Instant>,
    /// Made with the first timer; a wake-up only, what is due is decided by the clock.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timers {
    /// Makes `id` due `delay` from now, whether or not it waited before.
    pub(crate) fn start(&mut self, id: TimerId, delay: Duration) {
        self.cancel(id);
        let now = Instant::now();
        // A delay beyond the clock's end is one that nobody lives to see.
        let due = now.checked_add(delay).unwrap_or(now + Duration::from_secs(1 << 31));
        self.due.insert(id, due);
        self.by_due.insert((due, id));
    }

    /// Forgets `id`.
    pub(crate) fn cancel(&mut self, id: TimerId) {
        if let Some(due) = self.due.remove(&id) {
            self.by_due.remove(&(due, id));
        }
    }

    /// The next timer that is due; it is forgotten then.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TimerId> {
        loop {
            let Some(&(due, id)) = self.by_due.first() else {
                return Poll::Pending;
            };
            if due <= Instant::now() {
                self.cancel(id);
                return Poll::Ready(id);
            }
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_fire_once_in_order_of_their_moments() {
        let mut timers = Timers::default();
        timers.start(TimerId(1), Duration::from_secs(3));
        timers.start(TimerId(2), Duration::from_secs(1));
        timers.start(TimerId(3), Duration::from_secs(2));
        timers.start(TimerId(4), Duration::MAX);
        timers.start(TimerId(1), Duration::from_millis(1));
        timers.cancel(TimerId(3));
        let started = Instant::now();
        assert_eq!(poll_fn(|cx| timers.poll_due(cx)).await, TimerId(1));
        assert_eq!(poll_fn(|cx| timers.poll_due(cx)).await, TimerId(2));
        assert_eq!(started.elapsed(), Duration::from_secs(1));
        assert_eq!(timers.due.len(), 1);
    }
}
