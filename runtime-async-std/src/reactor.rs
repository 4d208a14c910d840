//! Owns: what async-std is to the rooms of `understudy-std`: descriptors in the reactor of async-io,
//! its clock, threads that may block, tasks of async-std.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_io::{Async, Timer};
use understudy_std::runtime::{Alarm, Duty, Runtime, Watched};

use crate::http::Http;

/// The runtime on async-std.
#[derive(Debug)]
pub(crate) struct AsyncStd;

impl Runtime for AsyncStd {
    type Watched = AsyncFd;
    type Alarm = TimerAlarm;
    type Http = Http;

    fn run_blocking(work: impl FnOnce() + Send + 'static) {
        // Not by way of `async_std::task`, which has a task of its pool wait for the thread: each
        // piece of work would pass through three threads.
        blocking::unblock(work).detach();
    }

    /// The threads of async-std are started with the first task.
    fn spawn(work: impl Future<Output = ()> + Send + 'static) {
        drop(async_std::task::spawn(work));
    }
}

/// A descriptor of which the reactor tells when it is ready.
#[derive(Debug)]
pub(crate) struct AsyncFd {
    fd: Async<OwnedFd>,
    read: Side,
    write: Side,
}

/// How far one direction of a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Nothing speaks against a try.
    MayTry,
    /// The last try would have blocked. The reactor forgets what it has told, so nothing is tried
    /// before it tells again: a poll for nothing costs no system call.
    Waits,
}

impl AsFd for AsyncFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Watched for AsyncFd {
    /// One reactor serves both directions.
    fn new(fd: OwnedFd, _duty: Duty) -> io::Result<Self> {
        let fd = Async::new_nonblocking(fd)?;
        Ok(Self { fd, read: Side::MayTry, write: Side::MayTry })
    }

    fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if self.read == Side::Waits {
                ready!(self.fd.poll_readable(cx))?;
            }
            match tried(read(self.fd.as_fd()), &mut self.read) {
                Some(done) => return Poll::Ready(done),
                None => continue,
            }
        }
    }

    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if self.write == Side::Waits {
                ready!(self.fd.poll_writable(cx))?;
            }
            match tried(write(self.fd.as_fd()), &mut self.write) {
                Some(done) => return Poll::Ready(done),
                None => continue,
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.fd.poll_readable(cx).map(drop)
    }
}

/// What came of a try, unless it is to be made again.
fn tried<T>(tried: io::Result<T>, side: &mut Side) -> Option<io::Result<T>> {
    *side = Side::MayTry;
    match &tried {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            *side = Side::Waits;
            None
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
        _ => Some(tried),
    }
}

/// One timer. A wake-up only: the clock decides.
#[derive(Debug, Default)]
pub(crate) struct TimerAlarm {
    set: Option<(Instant, Timer)>,
}

impl Alarm for TimerAlarm {
    fn now() -> Instant {
        Instant::now()
    }

    fn poll(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<()> {
        if moment <= Instant::now() {
            return Poll::Ready(());
        }
        let (set, timer) = self.set.get_or_insert_with(|| (moment, Timer::at(moment)));
        if *set != moment {
            timer.set_at(moment);
            *set = moment;
        }
        Pin::new(timer).poll(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use async_std::task;
    use futures_lite::FutureExt;
    use understudy_core::TimerId;
    use understudy_std::Timers;

    use super::*;

    #[test]
    fn timers_fire_once_in_order_of_their_moments() {
        task::block_on(async {
            let mut timers = Timers::<TimerAlarm>::default();
            timers.start(TimerId(1), Duration::from_millis(60));
            timers.start(TimerId(2), Duration::from_millis(20));
            timers.start(TimerId(3), Duration::from_millis(30));
            timers.start(TimerId(4), Duration::MAX);
            timers.start(TimerId(1), Duration::from_millis(1));
            timers.cancel(TimerId(3));
            let started = Instant::now();
            assert_eq!(poll_fn(|cx| timers.poll_due(cx)).await, TimerId(1));
            assert_eq!(poll_fn(|cx| timers.poll_due(cx)).await, TimerId(2));
            assert!(started.elapsed() >= Duration::from_millis(15), "{:?}", started.elapsed());
            let later = async {
                Timer::after(Duration::from_millis(80)).await;
                None
            };
            let due = async { Some(poll_fn(|cx| timers.poll_due(cx)).await) };
            assert_eq!(due.or(later).await, None, "each fires once, and no cancelled one");
        });
    }
}
