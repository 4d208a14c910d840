//! Owns: what the driver of core sees of async-std.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncWrite};
use jiff::Timestamp;
use understudy_core::driver::{Closed, Port, Refreshed};
use understudy_core::telemetry::Telemetry;
use understudy_core::{AskId, Call, CallId, Feed, Now, Outcome, RefreshAuth, Signal, TimerId};
use understudy_std::backend::{Backend, Means};
use understudy_std::{After, Exports, Refreshes, Timers};

use crate::reactor::{AsyncStd, TimerAlarm};
use crate::serve::{Services, Signals, Streams};

/// One host's streams, with the calls and timers of the machine that serves it.
pub struct AsyncStdPort<R, W> {
    reader: R,
    writer: W,
    backend: Backend<AsyncStd>,
    timers: Timers<TimerAlarm>,
    signals: Option<Signals>,
    refreshes: Refreshes<TimerAlarm>,
    exports: Exports<AsyncStd>,
    epoch: Instant,
}

impl<R, W> AsyncStdPort<R, W> {
    /// A port over two streams.
    pub fn new(streams: Streams<R, W>, services: Services) -> Self {
        let Services { http, files, keyring, programs, refresher, signals, logs, recording: _ } =
            services;
        Self {
            exports: Exports::new(http.clone()),
            reader: streams.reader,
            writer: streams.writer,
            backend: Backend::new(Means { http, files, keyring, programs, logs }),
            timers: Timers::default(),
            signals,
            refreshes: Refreshes::new(refresher),
            epoch: Instant::now(),
        }
    }

    /// Waits for what the session still does when the port is gone.
    pub(crate) fn after(&self) -> After<AsyncStd> {
        After { rest: self.backend.rest(), flush: self.exports.flush() }
    }
}

impl<R, W> fmt::Debug for AsyncStdPort<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncStdPort").field("timers", &self.timers).finish_non_exhaustive()
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Port for AsyncStdPort<R, W> {
    fn now(&mut self) -> Now {
        Now::new(self.epoch.elapsed(), Timestamp::now())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, buffer));
        Poll::Ready(read.unwrap_or_else(|error| {
            tracing::warn!("the host's input broke off: {error}");
            0
        }))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Closed>> {
        let written = ready!(Pin::new(&mut self.writer).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| {
            tracing::debug!("the host's output is closed: {error}");
            Closed
        }))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<TimerId> {
        self.timers.poll_due(cx)
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Outcome<'_>)> {
        self.backend.poll_outcome(cx)
    }

    fn poll_refreshed(&mut self, cx: &mut Context<'_>) -> Poll<(AskId, Refreshed)> {
        self.refreshes.poll(cx)
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        let Some(signals) = &mut self.signals else {
            return Poll::Pending;
        };
        match ready!(signals.as_mut().poll_next(cx)) {
            Some(signal) => Poll::Ready(signal),
            None => {
                self.signals = None;
                Poll::Pending
            }
        }
    }

    fn start(&mut self, id: CallId, call: Call) {
        self.backend.start(id, call);
    }

    fn feed(&mut self, id: CallId, feed: Feed) {
        self.backend.feed(id, feed);
    }

    fn cancel(&mut self, id: CallId) {
        self.backend.cancel(id);
    }

    fn start_timer(&mut self, id: TimerId, delay: Duration) {
        self.timers.start(id, delay);
    }

    fn cancel_timer(&mut self, id: TimerId) {
        self.timers.cancel(id);
    }

    fn telemetry(&mut self, said: Telemetry) {
        self.exports.take(said);
    }

    fn refresh_auth(&mut self, id: AskId, ask: RefreshAuth) {
        self.refreshes.ask(id, ask);
    }
}
