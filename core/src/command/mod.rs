//! Programs that a client has run outside of any thread: its own commands, and git for what its
//! working tree has that no remote has (protocol.md §3.3, §8).
//!
//! Invariants: each request is answered once. No more than [`limits::COMMANDS_MAX`] programs run at
//! a time; further requests wait their turn. None outlives the server.

mod exec;
mod git_diff;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

pub(crate) use exec::Exec;
use git_diff::{GitDiff, Next};

use crate::config::Config;
use crate::input::Outcome;
use crate::limits;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};
use crate::pending::Ticket;
use crate::process::{Ended, Job, Run};
use crate::setup::Setup;
use crate::wire::legacy::conversation::{GitDiffToRemoteParams, GitDiffToRemoteResponse};
use crate::wire::refusal::Refusal;
use crate::wire::v2::command::CommandExecResponse;

/// Names a request whose programs run or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommandId(u64);

/// The requests that have no reply.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Commands {
    next: u64,
    running: BTreeMap<CommandId, Running>,
    waiting: VecDeque<(Request, Job)>,
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Request {
    ticket: Ticket,
    work: Work,
}

/// What a request is for.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Work {
    Exec,
    GitDiff {
        work: Box<GitDiff>,
        /// The folder as the client named it, for the error.
        asked: String,
    },
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Running {
    request: Request,
    run: Run,
}

/// What a request comes to.
enum Step {
    Run(Job),
    Done(Result<Reply, Refusal>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    Exec(CommandExecResponse),
    GitDiff(GitDiffToRemoteResponse),
}

impl Work {
    fn on(&mut self, ended: Ended) -> Step {
        match self {
            Work::Exec => Step::Done(exec::reply(ended).map(Reply::Exec)),
            Work::GitDiff { work, asked } => match work.on(ended) {
                Some(Next::Run(job)) => Step::Run(job),
                Some(Next::Done(response)) => Step::Done(Ok(Reply::GitDiff(response))),
                None => Step::Done(Err(no_diff(asked))),
            },
        }
    }

    /// Why nothing comes of it when the server ends.
    fn cut_off(&self) -> Refusal {
        match self {
            Work::Exec => exec::failed("the server is ending"),
            Work::GitDiff { asked, .. } => no_diff(asked),
        }
    }
}

fn no_diff(cwd: &str) -> Refusal {
    Refusal::invalid(format!("failed to compute git diff to remote for cwd: {cwd:?}"))
}

impl Commands {
    /// Runs a command.
    pub(crate) fn exec(
        &mut self,
        out: &mut Outside,
        (setup, config): (&Setup, &Config),
        ticket: Ticket,
        exec: Exec,
    ) {
        match exec.job(setup, config) {
            Ok(job) => self.begin(out, Request { ticket, work: Work::Exec }, job),
            Err(refusal) => out.refuse(ticket, &refusal),
        }
    }

    /// Finds out what the working tree around a folder has that no remote has.
    pub(crate) fn git_diff(
        &mut self,
        out: &mut Outside,
        setup: &Setup,
        ticket: Ticket,
        params: GitDiffToRemoteParams,
    ) {
        let (work, job) = GitDiff::begin(setup.cwd.join(&params.cwd), &setup.env);
        let work = Work::GitDiff { work: Box::new(work), asked: params.cwd };
        self.begin(out, Request { ticket, work }, job);
    }

    fn begin(&mut self, out: &mut Outside, request: Request, job: Job) {
        if self.running.len() < limits::COMMANDS_MAX {
            self.run(out, request, job);
        } else {
            self.waiting.push_back((request, job));
        }
    }

    fn run(&mut self, out: &mut Outside, request: Request, job: Job) {
        let id = CommandId(self.next);
        self.next += 1;
        let run = Run::start(out, job, CallOwner::Command(id), TimerOwner::Command(id));
        self.running.insert(id, Running { request, run });
    }

    /// Something came of a program.
    pub(crate) fn on_outcome(&mut self, out: &mut Outside, id: CommandId, outcome: Outcome<'_>) {
        let Some(Running { run, .. }) = self.running.get_mut(&id) else { return };
        let Some(ended) = run.on(out, outcome) else { return };
        if let Some(Running { request, .. }) = self.running.remove(&id) {
            self.go_on(out, request, ended);
        }
    }

    /// A program takes too long.
    pub(crate) fn on_limit(&mut self, out: &mut Outside, id: CommandId) {
        if let Some(Running { request, run }) = self.running.remove(&id) {
            run.stop(out);
            self.go_on(out, request, Ended::TimedOut);
        }
    }

    fn go_on(&mut self, out: &mut Outside, mut request: Request, ended: Ended) {
        match request.work.on(ended) {
            Step::Run(job) => return self.run(out, request, job),
            Step::Done(Ok(reply)) => out.reply(request.ticket, reply),
            Step::Done(Err(refusal)) => out.refuse(request.ticket, &refusal),
        }
        if let Some((request, job)) = self.waiting.pop_front() {
            self.run(out, request, job);
        }
    }

    /// Kills what runs and answers everybody.
    pub(crate) fn stop(&mut self, out: &mut Outside) {
        for Running { request, run } in std::mem::take(&mut self.running).into_values() {
            run.stop(out);
            out.refuse(request.ticket, &request.work.cut_off());
        }
        for (request, _) in std::mem::take(&mut self.waiting) {
            out.refuse(request.ticket, &request.work.cut_off());
        }
    }
}
