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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use understudy_core::telemetry::{Collector, Sinks, Telemetry};

use crate::http::Http;
use batch::Gather;
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

/// Held by each task that still sends.
type Unfinished = mpsc::Sender<Infallible>;

/// Waits until nothing more is to be sent.
#[derive(Debug)]
pub(crate) struct Flush {
    over: mpsc::Receiver<Infallible>,
}

impl Flush {
    /// Waits, but not longer than this.
    pub(crate) async fn finished(mut self, limit: Duration) {
        if timeout(limit, self.over.recv()).await.is_err() {
            tracing::debug!("measurements were cut off");
        }
    }
}

/// Takes measurements for collectors, once core has said which; dropped to send what is left.
#[derive(Debug)]
pub(crate) struct Exports {
    exporter: Option<Exporter>,
    unfinished: Unfinished,
}

impl Exports {
    /// Sends nothing before core has said where to, and the one who waits at the end.
    pub(crate) fn new() -> (Self, Flush) {
        let (unfinished, over) = mpsc::channel(1);
        (Self { exporter: None, unfinished }, Flush { over })
    }

    /// Sends a measurement to whom core has named. Must be called on a tokio runtime.
    pub(crate) fn take(&mut self, told: Telemetry, http: &Http) {
        match (told, &self.exporter) {
            (Telemetry::Begin(sinks), _) => {
                self.exporter = Some(Exporter::start(&sinks, http, &self.unfinished));
            }
            (told, Some(exporter)) => exporter.take(told),
            (_, None) => {}
        }
    }
}

/// The tasks of a session, one for each kind of measurement that goes anywhere.
#[derive(Debug)]
struct Exporter {
    queues: Vec<Queue>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    /// Begins to send. Nothing is read or connected before the first measurement is sent. Must be
    /// called on a tokio runtime.
    fn start(sinks: &Sinks, http: &Http, unfinished: &Unfinished) -> Self {
        let source = Arc::new(Source::of(sinks));
        let mut exporter = Self { queues: Vec::new(), dropped: Arc::default() };
        let mut lane = Lane { http, unfinished, exporter: &mut exporter };
        lane.open(&sinks.spans, RECORDS_DELAY, || Spans::new(Arc::clone(&source)));
        lane.open(&sinks.logs, RECORDS_DELAY, || Logs::new(Arc::clone(&source)));
        lane.open(&sinks.metrics, METRICS_DELAY, || Metrics::new(Arc::clone(&source)));
        exporter
    }

    /// Hands on a measurement, or drops it where there is no room.
    fn take(&self, told: Telemetry) {
        let told = Arc::new(told);
        for queue in &self.queues {
            if queue.try_send(Arc::clone(&told)).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What a task for one kind of measurement is made with.
struct Lane<'a> {
    http: &'a Http,
    unfinished: &'a Unfinished,
    exporter: &'a mut Exporter,
}

impl Lane<'_> {
    fn open<G: Gather>(
        &mut self,
        to: &Option<Collector>,
        delay: Duration,
        gather: impl FnOnce() -> G,
    ) {
        let Some(collector) = to else { return };
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let sink = Sink::new(collector.clone(), self.http.clone());
        let batch = batch::Batch {
            waiting,
            gather: gather(),
            sink,
            delay,
            dropped: Arc::clone(&self.exporter.dropped),
        };
        let unfinished = self.unfinished.clone();
        tokio::spawn(async move {
            batch.run().await;
            drop(unfinished);
        });
        self.exporter.queues.push(queue);
    }
}
