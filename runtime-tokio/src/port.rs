//! Owns: what the driver of core sees of tokio.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use understudy_core::driver::{Closed, Port, Refreshed};
use understudy_core::telemetry::Telemetry;
use understudy_core::{
    AskId, Call, CallId, Feed, Now, Outcome, RefreshAuth, RefreshDenied, Signal, TimerId,
};

use crate::backend::Backend;
use crate::rest::Rest;
use crate::serve::{Services, Streams};
use crate::timers::Timers;

/// Answers an in-process host's token refreshes ([`understudy_core::Refresh::Embedder`]).
pub type Refresher =
    Box<dyn FnMut(RefreshAuth) -> Pin<Box<dyn Future<Output = Refreshed> + Send>> + Send>;

/// The JSON-RPC code for a refresh that failed for an internal reason.
const INTERNAL_ERROR: i64 = -32603;

/// One host's streams, with the calls and timers of the machine that serves it.
pub struct TokioPort<R, W> {
    reader: R,
    writer: W,
    backend: Backend,
    timers: Timers,
    signals: Option<mpsc::Receiver<Signal>>,
    refresher: Option<Refresher>,
    refreshes: JoinSet<Refreshed>,
    asks: BTreeMap<task::Id, AskId>,
    epoch: Instant,
}

impl<R, W> TokioPort<R, W> {
    /// A port over two streams.
    pub fn new(streams: Streams<R, W>, services: Services) -> Self {
        Self::with_rest(streams, services).0
    }

    /// The same, and what waits for what the session still does when the port is gone.
    pub(crate) fn with_rest(streams: Streams<R, W>, services: Services) -> (Self, Rest) {
        let Services { http, files, keyring, programs, refresher, signals, logs } = services;
        let (backend, rest) = Backend::new(http, files, keyring, programs, logs);
        let port = Self {
            reader: streams.reader,
            writer: streams.writer,
            backend,
            timers: Timers::default(),
            signals,
            refresher,
            refreshes: JoinSet::new(),
            asks: BTreeMap::new(),
            epoch: Instant::now(),
        };
        (port, rest)
    }
}

impl<R, W> fmt::Debug for TokioPort<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioPort").field("timers", &self.timers).finish_non_exhaustive()
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Port for TokioPort<R, W> {
    fn now(&mut self) -> Now {
        Now::new(self.epoch.elapsed(), Timestamp::now())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        let mut buffer = ReadBuf::new(buffer);
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer));
        Poll::Ready(match read {
            Ok(()) => buffer.filled().len(),
            Err(error) => {
                tracing::warn!("the host's input broke off: {error}");
                0
            }
        })
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
        loop {
            let Some(ended) = ready!(self.refreshes.poll_join_next_with_id(cx)) else {
                return Poll::Pending;
            };
            let (task, answer) = match ended {
                Ok(ended) => ended,
                Err(failed) => (failed.id(), Err(denied("the refresh failed"))),
            };
            if let Some(id) = self.asks.remove(&task) {
                return Poll::Ready((id, answer));
            }
        }
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        let Some(signals) = &mut self.signals else {
            return Poll::Pending;
        };
        match ready!(signals.poll_recv(cx)) {
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
        self.backend.telemetry(said);
    }

    fn refresh_auth(&mut self, id: AskId, ask: RefreshAuth) {
        let limit = ask.limit;
        let answer = self.refresher.as_mut().map(|refresher| refresher(ask));
        let task = self.refreshes.spawn(async move {
            let Some(answer) = answer else {
                return Err(denied("nobody gives tokens here"));
            };
            let late = |_| Err(denied("the refresh took too long"));
            tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
        });
        self.asks.insert(task.id(), id);
    }
}

fn denied(message: &str) -> RefreshDenied {
    RefreshDenied { code: INTERNAL_ERROR, message: message.to_owned() }
}
