//! Owns: what tokio is to the rooms of `understudy-std`: descriptors in its reactor, its clock, its
//! threads that may block, its tasks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::time::{self, Sleep, sleep_until};
use understudy_std::runtime::{Alarm, Duty, Runtime, Watched};

use crate::http::Http;

/// The runtime on tokio.
#[derive(Debug)]
pub(crate) struct Tokio;

impl Runtime for Tokio {
    type Watched = TokioFd;
    type Alarm = TokioAlarm;
    type Http = Http;

    fn run_blocking(work: impl FnOnce() + Send + 'static) {
        tokio::task::spawn_blocking(work);
    }

    fn spawn(work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(work);
    }
}

/// A descriptor of which the reactor tells when it is ready.
#[derive(Debug)]
pub(crate) struct TokioFd {
    fd: AsyncFd<OwnedFd>,
    /// Whether no read was tried yet. A pipe that was opened when its writers were gone already is
    /// never reported as readable, so the first read does not wait for that.
    untried: bool,
}

impl AsFd for TokioFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

impl Watched for TokioFd {
    fn new(fd: OwnedFd, duty: Duty) -> io::Result<Self> {
        let interest = match duty {
            Duty::Read => Interest::READABLE,
            Duty::Write => Interest::WRITABLE,
            Duty::Both => Interest::READABLE | Interest::WRITABLE,
        };
        // SAFETY: an `OwnedFd` is open until it is dropped and always gives the same descriptor;
        // the `AsyncFd` owns it, and deregisters before it drops it. Nobody puts another descriptor
        // in its place, as it is never handed out mutably.
        let fd = unsafe { AsyncFd::register_with_interest(fd, interest) }?;
        Ok(Self { fd, untried: true })
    }

    fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if std::mem::take(&mut self.untried)
            && let Some(done) = done(read(self.as_fd()))
        {
            return Poll::Ready(done);
        }
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            let tried = read(guard.get_inner().as_fd());
            // The reactor never forgets that the other side has closed.
            let is_closed = guard.ready().is_read_closed();
            if let Some(done) = settled(&mut guard, tried, is_closed) {
                return Poll::Ready(done);
            }
        }
    }

    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            let tried = write(guard.get_inner().as_fd());
            let is_closed = guard.ready().is_write_closed();
            if let Some(done) = settled(&mut guard, tried, is_closed) {
                return Poll::Ready(done);
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // An error means that the reactor is gone, and with it the session.
        if let Ok(mut ready) = ready!(self.fd.poll_read_ready(cx)) {
            ready.retain_ready();
        }
        Poll::Ready(())
    }
}

/// What came of a try, unless it is to be made again.
fn done<T>(tried: io::Result<T>) -> Option<io::Result<T>> {
    use io::ErrorKind::{Interrupted, WouldBlock};
    match tried {
        Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => None,
        done => Some(done),
    }
}

/// The same when the reactor said that it was ready, which it was not if it would block.
fn settled<T>(
    guard: &mut AsyncFdReadyGuard<'_, OwnedFd>,
    tried: io::Result<T>,
    is_closed: bool,
) -> Option<io::Result<T>> {
    match &tried {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !is_closed => {
            guard.clear_ready();
            None
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
        _ => Some(tried),
    }
}

/// One sleeping future, made when it is first wanted. A wake-up only: the clock decides.
#[derive(Debug, Default)]
pub(crate) struct TokioAlarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm for TokioAlarm {
    fn now() -> Instant {
        time::Instant::now().into_std()
    }

    fn poll(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<()> {
        let moment = time::Instant::from_std(moment);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(moment)));
        if sleep.deadline() != moment {
            sleep.as_mut().reset(moment);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use understudy_core::TimerId;
    use understudy_std::Timers;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_fire_once_in_order_of_their_moments() {
        let mut timers = Timers::<TokioAlarm>::default();
        timers.start(TimerId(1), Duration::from_secs(3));
        timers.start(TimerId(2), Duration::from_secs(1));
        timers.start(TimerId(3), Duration::from_secs(2));
        timers.start(TimerId(4), Duration::MAX);
        timers.start(TimerId(1), Duration::from_millis(1));
        timers.cancel(TimerId(3));
        let started = TokioAlarm::now();
        assert_eq!(poll_fn(|cx| timers.poll_due(cx)).await, TimerId(1));
        assert_eq!(poll_fn(|cx| timers.poll_due(cx)).await, TimerId(2));
        assert_eq!(TokioAlarm::now() - started, Duration::from_secs(1));
        let a_day = time::timeout(Duration::from_secs(86_400), poll_fn(|cx| timers.poll_due(cx)));
        assert!(a_day.await.is_err(), "each fires once, and what was cancelled does not");
    }
}
