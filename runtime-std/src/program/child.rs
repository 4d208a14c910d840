//! Owns: the end of a program: killing its group, reaping its leader, and what it leaves running.
//!
//! The number of a process group may be used for another one as soon as the leader was reaped and
//! the last member is gone. So a group is killed while its leader is not reaped, or after a look
//! whether the number is still that of a group without its leader, which is what ours is then.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    owner: Owner,
}

/// Whom a child goes back to.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) errands: Sender<Errand>,
    pub(super) groups: Groups,
}

/// The groups of which something may run.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(Arc<Mutex<BTreeMap<i32, Leads>>>);

/// Whether the leader of a group still has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    Yes,
    Reaped,
}

impl Groups {
    fn set(&self, group: Pid, leads: Leads) {
        self.locked().insert(group.as_raw_nonzero().get(), leads);
    }

    fn remove(&self, group: Pid) {
        self.locked().remove(&group.as_raw_nonzero().get());
    }

    pub(super) fn kill_all(&self) {
        for (group, leads) in &*self.locked() {
            let Some(group) = Pid::from_raw(*group) else { continue };
            match leads {
                Leads::Yes => kill_group(group),
                Leads::Reaped if is_without_leader(group) => kill_group(group),
                Leads::Reaped => {}
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<i32, Leads>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    pub(super) fn new(leader: process::Child, owner: Owner) -> Self {
        let group = Pid::from_child(&leader);
        owner.groups.set(group, Leads::Yes);
        Self { leader: Some(leader), group, kept: Kept::default(), owner }
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
        // Locked, so that nobody kills a group by a number that is just being given back.
        let groups = self.owner.groups.clone();
        let mut groups = groups.locked();
        let exit = match self.leader.as_mut().map(process::Child::try_wait) {
            Some(Ok(None)) => return Err(self),
            Some(Ok(Some(status))) => exit(status),
            // Somebody else in this process waits for every child, and knows how it ended.
            Some(Err(_)) | None => ProcessExit::Code(-1),
        };
        self.leader = None;
        let number = self.group.as_raw_nonzero().get();
        if !is_without_leader(self.group) {
            groups.remove(&number);
            return Ok((exit, None));
        }
        groups.insert(number, Leads::Reaped);
        let (groups, kept) = (self.owner.groups.clone(), std::mem::take(&mut self.kept));
        Ok((exit, Some(LeftBehind { group: self.group, groups, _kept: kept })))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if let Some(leader) = self.leader.take() {
            self.owner.groups.remove(self.group);
            // A thread that is gone, because it panicked, leaves a zombie.
            let grave = Grave { killed: leader, _kept: std::mem::take(&mut self.kept) };
            let _gone = self.owner.errands.send(Errand::Bury(grave));
        }
    }
}

/// What a program that has ended left running in its group. Dropping it kills that.
#[derive(Debug)]
pub struct LeftBehind {
    group: Pid,
    groups: Groups,
    _kept: Kept,
}

impl LeftBehind {
    /// Whether any of it still runs.
    pub fn is_running(&self) -> bool {
        is_without_leader(self.group)
    }
}

impl Drop for LeftBehind {
    fn drop(&mut self) {
        if self.is_running() {
            kill_group(self.group);
        }
        self.groups.remove(self.group);
    }
}

/// Whether there are processes in the group of a leader that was reaped. A process with the number
/// of the group is a new one: it is given out again only when the group is empty.
fn is_without_leader(group: Pid) -> bool {
    test_kill_process(group) == Err(Errno::SRCH)
        && test_kill_process_group(group) != Err(Errno::SRCH)
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
