//! Owns: an advisory lock that outlives the job that took it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use understudy_core::files::{FileLock, Files};
use understudy_core::{CallId, Outcome};

use super::Answers;
use crate::runtime::Runtime;

/// A lock that is waited for or held; dropping it lets go, now or as soon as it is had.
pub(super) struct Hold {
    state: Arc<Mutex<State>>,
}

enum State {
    Wanted,
    Held { _lock: Box<dyn FileLock> },
    Over,
}

impl Hold {
    /// Waits for the lock on a thread of its own, so that no file job waits behind it.
    pub(super) fn start<R: Runtime>(
        id: CallId,
        path: PathBuf,
        files: Arc<dyn Files>,
        answers: Answers,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::Wanted));
        let shared = Arc::clone(&state);
        R::run_blocking(move || {
            let locked_now = catch_unwind(AssertUnwindSafe(|| files.lock(&path)));
            let answer = match locked_now {
                Ok(Ok(lock)) => {
                    let mut state = locked(&shared);
                    match *state {
                        State::Wanted => *state = State::Held { _lock: lock },
                        State::Held { .. } | State::Over => return,
                    }
                    Outcome::Held(Ok(()))
                }
                Ok(Err(error)) => Outcome::Held(Err(error)),
                Err(_) => Outcome::Lost,
            };
            // Nobody listens when the session is over.
            let _over = answers.unbounded_send((id, answer));
        });
        Self { state }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *locked(&self.state) = State::Over;
    }
}

/// The state is whole at every moment its lock is free, so a panic elsewhere has not harmed it.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
