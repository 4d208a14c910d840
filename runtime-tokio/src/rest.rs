//! Owns: what a session may still be finishing when its machine has ended.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

/// Held by work that should be finished; clones count on their own.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    _alive: mpsc::Sender<Infallible>,
}

/// Waits until nobody holds an [`Unfinished`] of its kind.
#[derive(Debug)]
pub(crate) struct Rest {
    over: mpsc::Receiver<Infallible>,
}

/// A first holder, and the one who waits.
pub(crate) fn rest() -> (Unfinished, Rest) {
    let (alive, over) = mpsc::channel(1);
    (Unfinished { _alive: alive }, Rest { over })
}

impl Rest {
    /// Waits, but not longer than this.
    pub(crate) async fn finished(mut self, limit: Duration) {
        if timeout(limit, self.over.recv()).await.is_err() {
            tracing::debug!("an answer to a browser, or measurements, were cut off");
        }
    }
}
