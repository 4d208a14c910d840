//! Owns: from a request to a program that runs, or to the reason why it does not.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{self, Command};
use std::sync::mpsc::Sender;

use rustix::fs::{Access, access};
use rustix::io::ioctl_fionbio;
use understudy_core::approval::SandboxPlan;
use understudy_core::{ProcessFailure, ProcessFailureKind, ProcessRequest, Stdio};

use crate::files::OsFiles;
use crate::sandbox::Confined;

use super::child::{Child, Started, Streams, watch};
use super::leader::Leader;
use super::terminal::terminal;
use super::{Errand, failure};

/// Starts a program and waits until it is one. Blocks for a millisecond or two, and on slow disks.
pub(super) fn spawn(
    request: &ProcessRequest,
    helper: Option<&Path>,
    errands: Sender<Errand>,
) -> Result<Started, ProcessFailure> {
    let other = |error: io::Error| failure(ProcessFailureKind::Other, &error);
    enter(&request.cwd).map_err(|error| failure(ProcessFailureKind::Folder, &error))?;
    let plan = request.confinement.as_ref().map(|confinement| confinement.plan(&OsFiles));
    let (confined, mut command) = match plan.filter(|plan| *plan != SandboxPlan::free()) {
        Some(plan) => {
            let (confined, command) = Confined::new(request, &plan, helper)?;
            (Some(confined), command)
        }
        None => (None, command(request)?),
    };
    let mut leader = Leader::default();
    let master =
        connect(&mut command, &mut leader, request.stdio, confined.is_some()).map_err(other)?;
    leader.lead(&mut command);
    let spawned = command.spawn();
    // It holds the program's ends of the streams.
    drop(command);
    let mut spawned = spawned.map_err(|error| match confined {
        Some(_) => failure(ProcessFailureKind::NoSandbox, &format!("no sandbox: {error}")),
        None => failure(start_failure_kind(&error), &error),
    })?;
    let streams = match master {
        Some(master) => Some(Streams::Terminal(master)),
        None => pipes(&mut spawned),
    };
    let ended = watch(&spawned);
    let mut child = Child::new(spawned, errands);
    // From here on a failure drops the child, which kills it.
    if let Some(confined) = confined {
        child.keep(confined.begin()?);
    }
    let ended = ended.map_err(other)?;
    let Some(streams) = streams else {
        return Err(failure(ProcessFailureKind::Other, &"no streams"));
    };
    unblock(&streams).map_err(other)?;
    Ok(Started { child, streams, ended })
}

/// Whether a program can start there. The error of the start itself does not tell a folder that is
/// missing from a program that is.
fn enter(folder: &Path) -> io::Result<()> {
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(folder, Access::EXEC_OK)?)
}

fn command(request: &ProcessRequest) -> Result<Command, ProcessFailure> {
    let Some((program, args)) = request.argv.split_first() else {
        return Err(failure(ProcessFailureKind::Program, &"there is no program to run"));
    };
    let mut command = Command::new(program);
    // The `PATH` that is searched is then the one given here.
    command.args(args).env_clear().envs(&request.env.0).current_dir(&request.cwd);
    Ok(command)
}

/// Gives the command its standard streams, and back the master of its terminal if it has one. What
/// is to be confined has its orders on standard input, and connects that itself.
fn connect(
    command: &mut Command,
    leader: &mut Leader,
    stdio: Stdio,
    is_confined: bool,
) -> io::Result<Option<OwnedFd>> {
    match stdio {
        Stdio::Pipes => {
            if !is_confined {
                command.stdin(process::Stdio::null());
            }
            command.stdout(process::Stdio::piped()).stderr(process::Stdio::piped());
            Ok(None)
        }
        Stdio::Terminal { rows, columns } => {
            let ends = terminal(rows, columns)?;
            if !is_confined {
                command.stdin(ends.slave.try_clone()?);
            }
            command.stdout(ends.slave.try_clone()?).stderr(ends.slave);
            leader.has_terminal = true;
            Ok(Some(ends.master))
        }
    }
}

fn pipes(spawned: &mut process::Child) -> Option<Streams> {
    let (stdout, stderr) = (spawned.stdout.take()?.into(), spawned.stderr.take()?.into());
    Some(Streams::Pipes { stdout, stderr })
}

fn unblock(streams: &Streams) -> io::Result<()> {
    match streams {
        Streams::Pipes { stdout, stderr } => {
            ioctl_fionbio(stdout, true)?;
            ioctl_fionbio(stderr, true)?;
        }
        Streams::Terminal(master) => ioctl_fionbio(master, true)?,
    }
    Ok(())
}

/// Why the start of a program failed.
pub(crate) fn start_failure_kind(error: &io::Error) -> ProcessFailureKind {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory => ProcessFailureKind::Program,
        _ => ProcessFailureKind::Other,
    }
}
