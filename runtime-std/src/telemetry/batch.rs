//! Owns: measurements of one kind, gathered until there are enough or they have waited enough.
//!
//! Invariant: while nothing is measured nothing is sent, and nobody is woken.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_channel::mpsc;
use futures_core::Stream;
use prost::Message;
use serde::Serialize;
use understudy_core::telemetry::Telemetry;

use super::sink::Sink;
use crate::runtime::{Alarm, Runtime, before};

/// Records that go in one request; the rest goes in the next.
pub(super) const BATCH_MAX: usize = 512;

/// Makes requests of measurements.
pub(super) trait Gather: Send + 'static {
    /// A request to a collector.
    type Request: Message + Serialize;
    /// The path of its method in gRPC.
    const METHOD: &'static str;

    /// Takes in a measurement, if it is of this kind; says whether there is something to send.
    fn add(&mut self, told: &Telemetry) -> bool;

    /// Whether a request is full.
    fn is_full(&self) -> bool;

    /// The request, if there is something in it.
    fn take(&mut self) -> Option<Self::Request>;
}

/// Measurements of one kind with where they go.
pub(super) struct Batch<G, R: Runtime> {
    pub(super) waiting: mpsc::Receiver<Arc<Telemetry>>,
    pub(super) gather: G,
    pub(super) sink: Sink<R>,
    pub(super) delay: Duration,
    /// Those of any kind that found no room.
    pub(super) dropped: Arc<AtomicU64>,
}

impl<G: Gather, R: Runtime> Batch<G, R> {
    /// Sends until nobody measures any more and all is sent.
    pub(super) async fn run(mut self) {
        let mut due = None;
        loop {
            let next = poll_fn(|cx| Pin::new(&mut self.waiting).poll_next(cx));
            let heard = match due {
                None => Some(next.await),
                Some(due) => before::<R::Alarm, _>(due, next).await,
            };
            let is_over = match heard {
                Some(Some(told)) => {
                    if self.gather.add(&told) && due.is_none() {
                        due = Some(R::Alarm::now() + self.delay);
                    }
                    if !self.gather.is_full() {
                        continue;
                    }
                    false
                }
                Some(None) => true,
                None => false,
            };
            due = None;
            if let Some(request) = self.gather.take() {
                self.sink.send(G::METHOD, request).await;
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(dropped, "measurements were dropped: their collector is slow");
            }
            if is_over {
                return;
            }
        }
    }
}
