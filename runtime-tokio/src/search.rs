//! Owns: a search for files that runs on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use understudy_core::{CallId, SearchRequest};

use crate::backend::Answer;

/// A search that runs; dropping it ends it within a few files.
pub(crate) struct Search {
    stop: Arc<AtomicBool>,
}

impl Search {
    /// Begins to search, beside the file jobs.
    pub(crate) fn start(
        id: CallId,
        request: SearchRequest,
        answers: mpsc::UnboundedSender<(CallId, Answer)>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&stop);
        spawn_blocking(move || {
            let found =
                catch_unwind(AssertUnwindSafe(|| understudy_std::search(&request, &shared)));
            let answer = found.map_or(Answer::Lost, Answer::Found);
            // Nobody listens when the session is over.
            let _over = answers.send((id, answer));
        });
        Self { stop }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
