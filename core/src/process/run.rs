//! Owns: a program that runs to its end under a time limit, with the beginning of its output kept.

use std::time::Duration;

use super::kept::Kept;
use super::{OutputStream, ProcessExit, ProcessFailure, ProcessRequest};
use crate::effect::{Call, CallId, TimerId};
use crate::input::Outcome;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};

/// A program to run in one go.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Job {
    /// The program.
    pub(crate) request: ProcessRequest,
    /// How long it may take, from when it is started.
    pub(crate) limit: Duration,
    /// What is kept of each of its streams.
    pub(crate) bytes_max: usize,
}

/// A program that runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Run {
    call: CallId,
    timer: TimerId,
    stdout: Kept,
    stderr: Kept,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The program has ended.
    Exited {
        /// How.
        exit: ProcessExit,
        /// The beginning of its output.
        stdout: Kept,
        /// The beginning of its errors.
        stderr: Kept,
    },
    /// It took too long and was killed.
    TimedOut,
    /// It was not started.
    NotStarted(ProcessFailure),
    /// The backend failed and does not know.
    Lost,
}

impl Run {
    /// Starts the program.
    pub(crate) fn start(out: &mut Outside, job: Job, call: CallOwner, timer: TimerOwner) -> Self {
        let Job { request, limit, bytes_max } = job;
        Self {
            call: out.start(Call::Process(Box::new(request)), call),
            timer: out.start_timer(limit, timer),
            stdout: Kept::new(bytes_max),
            stderr: Kept::new(bytes_max),
        }
    }

    /// Something came of it; says how it ended once it has.
    pub(crate) fn on(&mut self, out: &mut Outside, outcome: Outcome<'_>) -> Option<Ended> {
        let ended = match outcome {
            Outcome::ProcessOutput(stream, bytes) => {
                match stream {
                    OutputStream::Stdout => self.stdout.push(bytes),
                    OutputStream::Stderr => self.stderr.push(bytes),
                }
                return None;
            }
            Outcome::ProcessExited(exit) => {
                let stdout = std::mem::replace(&mut self.stdout, Kept::new(0));
                let stderr = std::mem::replace(&mut self.stderr, Kept::new(0));
                Ended::Exited { exit, stdout, stderr }
            }
            Outcome::ProcessFailed(failure) => Ended::NotStarted(failure),
            _ => Ended::Lost,
        };
        out.cancel_timer(self.timer);
        Some(ended)
    }

    /// Kills it, and whatever it has started; nothing more comes of it.
    pub(crate) fn stop(self, out: &mut Outside) {
        out.cancel_timer(self.timer);
        out.cancel(self.call);
    }
}
