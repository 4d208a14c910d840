//! Owns: a search for files that runs on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use understudy_core::{CallId, Outcome, SearchRequest};

use super::Answers;
use crate::runtime::Runtime;
use crate::search::search;

/// A search that runs; dropping it ends it within a few files.
pub(super) struct Searching {
    stop: Arc<AtomicBool>,
}

impl Searching {
    /// Begins to search, beside the file jobs.
    pub(super) fn start<R: Runtime>(id: CallId, request: SearchRequest, answers: Answers) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&stop);
        R::run_blocking(move || {
            let found = catch_unwind(AssertUnwindSafe(|| search(&request, &shared)));
            let answer = found.map_or(Outcome::Lost, Outcome::Found);
            // Nobody listens when the session is over.
            let _over = answers.unbounded_send((id, answer));
        });
        Self { stop }
    }
}

impl Drop for Searching {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
