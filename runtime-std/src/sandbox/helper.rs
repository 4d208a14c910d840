//! Owns: the helper: it confines itself, then becomes the program.

use std::convert::Infallible;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};

use rustix::stdio::{dup2_stdin, stdin, stdout};
use understudy_core::{ProcessFailure, ProcessFailureKind as Kind};

use super::calls::{self, Refused};
use super::order::Order;
use super::rights::{self, Guard};
use super::view::View;
use super::{mounts, start};
use crate::program::{failure, start_failure_kind};

/// What a failure calls the sandbox that holds best.
const MOUNTS: &str = "mounts of its own, to protect .git and .codex";

/// Says by its status whether there can be mounts of its own.
pub(super) fn try_mounts() -> ! {
    process::exit(i32::from(mounts::are_allowed().is_err()))
}

/// Does what the other end of standard input says. Its end without a word means that the program
/// runs.
pub(super) fn run() -> ! {
    let status = match stdin().try_clone_to_owned().map(UnixStream::from) {
        Ok(mut link) => {
            let Err(failure) = become_program(&mut link);
            // Without the server there is nobody to tell.
            let _gone = start::write_failure(&mut link, &failure);
            1
        }
        Err(_) => 2,
    };
    process::exit(status);
}

fn become_program(link: &mut UnixStream) -> Result<Infallible, ProcessFailure> {
    link.write_all(&[start::HELLO]).map_err(other)?;
    let order = Order::read(link).map_err(other)?;
    connect_stdin(order.has_terminal).map_err(other)?;
    let mounts = order.view.as_ref().map(see).transpose()?;
    // By its path, and after the mounts: what the process is in so far is the old folder.
    std::env::set_current_dir(&order.cwd).map_err(|error| failure(Kind::Folder, &error))?;
    let mut refused = Refused { network: !order.network, ..Refused::default() };
    if let Some((view, mounts)) = order.view.as_ref().zip(mounts) {
        rights::drop_privileges().map_err(|error| no_sandbox("to give up privileges", &error))?;
        hold(view, &mounts)?;
        refused.trees = mounts.is_err();
        // Whoever builds something needs them.
        refused.attributes = mounts.is_err() && view.writable.is_empty();
    }
    calls::refuse(refused).map_err(|error| no_sandbox("seccomp", &error))?;
    let Some((program, args)) = order.argv.split_first() else {
        return Err(failure(Kind::Program, &"there is no program to run"));
    };
    let mut command = Command::new(program);
    let error = command.args(args).env_clear().envs(order.env).exec();
    Err(failure(start_failure_kind(&error), &error))
}

/// Gives the process its own view of the files, or says why that is not to be had. Then nothing but
/// Landlock and seccomp keeps the program from writing.
fn see(view: &View) -> Result<io::Result<()>, ProcessFailure> {
    if let Err(why) = mounts::are_allowed() {
        return Ok(Err(why));
    }
    mounts::enter(view).map(Ok).map_err(|error| no_sandbox(MOUNTS, &error))
}

fn hold(view: &View, mounts: &io::Result<()>) -> Result<(), ProcessFailure> {
    match mounts {
        Ok(()) => rights::restrict(view, Guard::Mounts).map_err(|e| no_sandbox("Landlock", &e)),
        Err(why) => rights::restrict(view, Guard::Landlock).map_err(|error| {
            let text = format!(
                "no sandbox: without {MOUNTS} ({why}), only Landlock is left, and \
                that does not do either: {error}"
            );
            failure(Kind::NoSandbox, &text)
        }),
    }
}

/// The link is where standard input should be.
fn connect_stdin(has_terminal: bool) -> io::Result<()> {
    match has_terminal {
        true => dup2_stdin(stdout())?,
        false => dup2_stdin(File::open("/dev/null")?)?,
    }
    Ok(())
}

fn no_sandbox(what: &str, error: &dyn Display) -> ProcessFailure {
    let text = format!("no sandbox: this system does not allow {what}: {error}");
    failure(Kind::NoSandbox, &text)
}

fn other(error: io::Error) -> ProcessFailure {
    failure(Kind::Other, &error)
}
