//! Owns: what a session may still be finishing when its machine has ended: answers to a browser.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::listener::Finishing;
use crate::runtime::{Alarm, Runtime};

/// Waits until a session that is over has written what it was to write.
pub struct Rest<R: Runtime> {
    finishing: Finishing<R>,
    limit: Duration,
    /// From the first poll on.
    end: Option<Instant>,
    alarm: R::Alarm,
}

impl<R: Runtime> Rest<R> {
    /// Does not wait longer than `limit`.
    pub(super) fn new(finishing: Finishing<R>, limit: Duration) -> Self {
        Self { finishing, limit, end: None, alarm: R::Alarm::default() }
    }
}

impl<R: Runtime> Future for Rest<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let rest = &mut *self;
        if rest.finishing.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let end = *rest.end.get_or_insert_with(|| R::Alarm::now() + rest.limit);
        if rest.alarm.poll(cx, end).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!("an answer to a browser was cut off");
        Poll::Ready(())
    }
}

impl<R: Runtime> fmt::Debug for Rest<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("limit", &self.limit).finish_non_exhaustive()
    }
}
