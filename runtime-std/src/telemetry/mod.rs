//! Owns: measurements of one session on their way to collectors, over OTLP (config.md §6.3).
//!
//! Core says what was measured and where it goes; here it becomes spans, metrics and log records.
//! Each kind has a task of its own with a bounded queue before it, so that a collector that is slow
//! or gone holds up nobody: what finds no room is dropped and counted. At the end of the session
//! each task sends what it has; whoever ends the process waits for that, but not for long.
//!
//! Only the types of OTLP are taken from its library. Its SDK would bring a thread for each kind, an
//! HTTP client of its own and tonic; here all of it runs on the session's runtime and client.
//!
//! Never: decides what is measured, or says what a header holds.

mod batch;
mod logs;
mod metrics;
mod sink;
mod spans;
mod words;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_channel::{mpsc, oneshot};
use understudy_core::driver::EXIT_FLUSH_LIMIT;
use understudy_core::telemetry::{Collector, Sinks, Telemetry};

use crate::runtime::{Alarm, Runtime};
use batch::{Batch, Gather};
use logs::Logs;
use metrics::Metrics;
use sink::Sink;
use spans::Spans;
use words::Source;

/// Measurements that wait for a task; more are dropped.
const QUEUE_MAX: usize = 1024;
/// How long spans and log records wait for others to go with.
const RECORDS_DELAY: Duration = Duration::from_secs(5);
/// How long metrics wait for changes to go with.
const METRICS_DELAY: Duration = Duration::from_secs(60);

type Queue = mpsc::Sender<Arc<Telemetry>>;

/// Takes measurements for collectors, once core has said which; dropped to send what is left.
pub struct Exports<R: Runtime> {
    http: R::Http,
    exporter: Option<Exporter>,
    unfinished: Unfinished,
}

impl<R: Runtime> Exports<R> {
    /// Sends nothing before core has said where to. Collectors that want nothing special are sent
    /// to with this client.
    pub fn new(http: R::Http) -> Self {
        Self { http, exporter: None, unfinished: Unfinished::default() }
    }

    /// Sends a measurement to whom core has named. Must be called where tasks can be started.
    pub fn take(&mut self, told: Telemetry) {
        match (told, &mut self.exporter) {
            (Telemetry::Begin(sinks), _) => {
                self.exporter = Some(Exporter::start(&sinks, self));
            }
            (told, Some(exporter)) => exporter.take(told),
            (_, None) => {}
        }
    }

    /// Waits, when these are gone, for measurements that are still sent.
    pub fn flush(&self) -> Flush<R> {
        let unfinished = self.unfinished.clone();
        Flush { unfinished, limit: EXIT_FLUSH_LIMIT, end: None, alarm: R::Alarm::default() }
    }
}

impl<R: Runtime> fmt::Debug for Exports<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exports").field("exporter", &self.exporter).finish_non_exhaustive()
    }
}

/// Waits until a session that is over has sent all that it measured, but not for long.
pub struct Flush<R: Runtime> {
    unfinished: Unfinished,
    limit: Duration,
    /// From the first poll on.
    end: Option<Instant>,
    alarm: R::Alarm,
}

impl<R: Runtime> Future for Flush<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let flush = &mut *self;
        if flush.unfinished.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let end = *flush.end.get_or_insert_with(|| R::Alarm::now() + flush.limit);
        if flush.alarm.poll(cx, end).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!("measurements were cut off");
        Poll::Ready(())
    }
}

impl<R: Runtime> fmt::Debug for Flush<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flush").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Hears of the end of each task that still sends: it lets go of the other side.
#[derive(Clone, Debug, Default)]
struct Unfinished(Arc<Mutex<Vec<oneshot::Receiver<Infallible>>>>);

impl Unfinished {
    /// What one more task holds as long as it sends.
    fn add(&self) -> oneshot::Sender<Infallible> {
        let (held, over) = oneshot::channel();
        self.locked().push(over);
        held
    }

    /// Ready when all have ended.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut tasks = self.locked();
        tasks.retain_mut(|over| Pin::new(over).poll(cx).is_pending());
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The list is whole at every moment its lock is free.
    fn locked(&self) -> MutexGuard<'_, Vec<oneshot::Receiver<Infallible>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks of a session, one for each kind of measurement that goes anywhere.
#[derive(Debug)]
struct Exporter {
    queues: Vec<Queue>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    /// Begins to send. Nothing is read or connected before the first measurement is sent.
    fn start<R: Runtime>(sinks: &Sinks, exports: &Exports<R>) -> Self {
        let source = Arc::new(Source::of(sinks));
        let mut exporter = Self { queues: Vec::new(), dropped: Arc::default() };
        let spans = || Spans::new(Arc::clone(&source));
        exporter.open(&sinks.spans, RECORDS_DELAY, exports, spans);
        let logs = || Logs::new(Arc::clone(&source));
        exporter.open(&sinks.logs, RECORDS_DELAY, exports, logs);
        let metrics = || Metrics::new(Arc::clone(&source));
        exporter.open(&sinks.metrics, METRICS_DELAY, exports, metrics);
        exporter
    }

    fn open<G: Gather, R: Runtime>(
        &mut self,
        to: &Option<Collector>,
        delay: Duration,
        exports: &Exports<R>,
        gather: impl FnOnce() -> G,
    ) {
        let Some(collector) = to else { return };
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let sink = Sink::<R>::new(collector.clone(), exports.http.clone());
        let dropped = Arc::clone(&self.dropped);
        let batch = Batch { waiting, gather: gather(), sink, delay, dropped };
        let unfinished = exports.unfinished.add();
        R::spawn(async move {
            batch.run().await;
            drop(unfinished);
        });
        self.queues.push(queue);
    }

    /// Hands on a measurement, or drops it where there is no room.
    fn take(&mut self, told: Telemetry) {
        let told = Arc::new(told);
        for queue in &mut self.queues {
            if queue.try_send(Arc::clone(&told)).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
