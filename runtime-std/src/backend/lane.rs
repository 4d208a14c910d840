//! Owns: the order of a session's file jobs.
//!
//! Jobs of one session run one after another, in the order they were started, on a thread that may
//! block: two appends to a file never change places. A job that was started runs to its end even
//! if its call is cancelled, so that no file is left half done.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use understudy_core::files::{Disk, FileJob, Files, Keyring};
use understudy_core::{CallId, Outcome};

use super::Answers;
use crate::runtime::Runtime;

/// One session's queue of file jobs.
pub(super) struct Lane {
    files: Arc<dyn Files>,
    keyring: Arc<dyn Keyring>,
    answers: Answers,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(CallId, FileJob)>,
    running: bool,
}

impl Lane {
    pub(super) fn new(files: Arc<dyn Files>, keyring: Arc<dyn Keyring>, answers: Answers) -> Self {
        Self { files, keyring, answers, queue: Arc::default() }
    }

    /// Queues a job, and finds it a thread if none is at work.
    pub(super) fn start<R: Runtime>(&self, id: CallId, job: FileJob) {
        let mut queue = lock(&self.queue);
        queue.jobs.push_back((id, job));
        if queue.running {
            return;
        }
        queue.running = true;
        let (files, keyring) = (Arc::clone(&self.files), Arc::clone(&self.keyring));
        let answers = self.answers.clone();
        let shared = Arc::clone(&self.queue);
        R::run_blocking(move || {
            while let Some((id, job)) = next(&shared) {
                let disk = Disk { files: files.as_ref(), keyring: keyring.as_ref() };
                let answer = run(job, disk);
                // Nobody listens when the session is over; the jobs are done all the same.
                let _over = answers.unbounded_send((id, answer));
            }
        });
    }
}

/// The next job; without one the thread is given back.
fn next(queue: &Mutex<Queue>) -> Option<(CallId, FileJob)> {
    let mut queue = lock(queue);
    let job = queue.jobs.pop_front();
    queue.running = job.is_some();
    job
}

/// A queue is whole at every moment its lock is free, so a panic elsewhere has not harmed it.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one job. One that panics, which is our mistake, fails like any other call.
fn run(job: FileJob, disk: Disk<'_>) -> Outcome<'static> {
    match catch_unwind(AssertUnwindSafe(|| job.run(disk))) {
        Ok(answer) => Outcome::Files(Box::new(answer)),
        Err(_) => Outcome::Lost,
    }
}
