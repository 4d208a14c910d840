//! Owns: the end of a program: killing its group, reaping its leader, and what it leaves running.
//!
//! The number of a process group may be used for another one as soon as the leader was reaped and
//! the last member is gone. So a group is killed while its leader is not reaped, or after a look
//! whether the number is still that of a group without its leader, which is what ours is then.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process;
use std::sync::mpsc::Sender;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, kill_process_group, test_kill_process, test_kill_process_group,
};
use understudy_core::ProcessExit;

use super::{Errand, Grave};
use crate::sandbox::StandIn;

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    /// The program.
    pub child: Child,
    /// What is read of it, and written to it.
    pub streams: Streams,
    /// Readable once the program itself, not all that it started, has ended.
    pub ended: OwnedFd,
}

/// This side of a program's standard streams; non-blocking.
#[derive(Debug)]
pub enum Streams {
    /// Pipes to read from.
    Pipes {
        /// Standard output.
        stdout: OwnedFd,
        /// Standard errors.
        stderr: OwnedFd,
    },
    /// The master of a pseudo-terminal. Reading fails with `EIO` when nobody has it open any more.
    Terminal(OwnedFd),
}

/// What is kept while any of a program may run.
pub(super) type Kept = Vec<StandIn>;

/// A program that runs, or has ended and was not reaped. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Child {
    /// None when reaped.
    leader: Option<process::Child>,
    group: Pid,
    kept: Kept,
    errands: Sender<Errand>,
}

impl Child {
    pub(super) fn new(leader: process::Child, errands: Sender<Errand>) -> Self {
        let group = Pid::from_child(&leader);
        Self { leader: Some(leader), group, kept: Kept::default(), errands }
    }

    pub(super) fn keep(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// Kills the program and all of its group, at once and for good.
    pub fn kill(&self) {
        if self.leader.is_some() {
            kill_group(self.group);
        }
    }

    /// Reaps the program if it has ended, else gives it back. What it has left running in its group
    /// goes on.
    ///
    /// # Errors
    ///
    /// It has not ended.
    pub fn reap(mut self) -> Result<(ProcessExit, Option<LeftBehind>), Self> {
        let exit = match self.leader.as_mut().map(process::Child::try_wait) {
            Some(Ok(None)) => return Err(self),
            Some(Ok(Some(status))) => exit(status),
            // Somebody else in this process waits for every child, and knows how it ended.
            Some(Err(_)) | None => ProcessExit::Code(-1),
        };
        self.leader = None;
        let left = LeftBehind { group: self.group, _kept: std::mem::take(&mut self.kept) };
        Ok((exit, left.is_running().then_some(left)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if let Some(leader) = self.leader.take() {
            // A thread that is gone, because it panicked, leaves a zombie.
            let grave = Grave { killed: leader, _kept: std::mem::take(&mut self.kept) };
            let _gone = self.errands.send(Errand::Bury(grave));
        }
    }
}

/// What a program that has ended left running in its group. Dropping it kills that.
#[derive(Debug)]
pub struct LeftBehind {
    group: Pid,
    _kept: Kept,
}

impl LeftBehind {
    /// Whether any of it still runs.
    pub fn is_running(&self) -> bool {
        // A process with the number of the group is a new one: the old one was reaped, and the
        // number is given out again only when its group is empty.
        test_kill_process(self.group) == Err(Errno::SRCH)
            && test_kill_process_group(self.group) != Err(Errno::SRCH)
    }
}

impl Drop for LeftBehind {
    fn drop(&mut self) {
        if self.is_running() {
            kill_group(self.group);
        }
    }
}

fn kill_group(group: Pid) {
    // It may have ended by itself.
    let _ended = kill_process_group(group, Signal::KILL);
}

fn exit(status: process::ExitStatus) -> ProcessExit {
    match (status.code(), status.signal()) {
        (Some(code), _) => ProcessExit::Code(code),
        (None, Some(signal)) => ProcessExit::Signal(signal),
        (None, None) => ProcessExit::Code(-1),
    }
}

/// A descriptor that is readable once the process has ended.
#[cfg(target_os = "linux")]
pub(super) fn watch(leader: &process::Child) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    Ok(pidfd_open(Pid::from_child(leader), PidfdFlags::NONBLOCK)?)
}

/// A descriptor that is readable once the process has ended, which a thread waits for.
#[cfg(not(target_os = "linux"))]
pub(super) fn watch(leader: &process::Child) -> io::Result<OwnedFd> {
    use rustix::io::retry_on_intr;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    let (reader, writer) = io::pipe()?;
    let pid = Pid::from_child(leader);
    let wait = move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // One that was reaped already has ended as well.
        let _ended = retry_on_intr(|| waitid(WaitId::Pid(pid), options));
        drop(writer);
    };
    std::thread::Builder::new().name("program".into()).spawn(wait)?;
    Ok(reader.into())
}
