//! Owns: the helper: it confines itself, then becomes the program.

use std::convert::Infallible;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};

use landlock::ABI;
use rustix::stdio::{dup2_stdin, stdin, stdout};
use understudy_core::{ProcessFailure, ProcessFailureKind as Kind};

use super::calls::{self, Refused};
use super::order::Order;
use super::view::View;
use super::{mounts, rights, start};
use crate::program::{failure, start_failure_kind};

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
    rights::drop_privileges().map_err(|error| no_sandbox("to give up privileges", &error))?;
    if let Some((view, mounts)) = order.view.as_ref().zip(mounts) {
        let least = match mounts {
            Mounts::Own => ABI::V1,
            // The first that knows of truncating.
            Mounts::Shared => ABI::V3,
        };
        rights::restrict(view, least).map_err(|error| no_sandbox("Landlock", &error))?;
    }
    let attributes = mounts == Some(Mounts::Shared);
    let refused = Refused { network: !order.network, attributes };
    calls::refuse(refused).map_err(|error| no_sandbox("seccomp", &error))?;
    let Some((program, args)) = order.argv.split_first() else {
        return Err(failure(Kind::Program, &"there is no program to run"));
    };
    let mut command = Command::new(program);
    let error = command.args(args).env_clear().envs(order.env).exec();
    Err(failure(start_failure_kind(&error), &error))
}

/// Whose mounts the program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mounts {
    Own,
    /// Those of the server. Then nothing but Landlock and seccomp keeps it from writing.
    Shared,
}

/// Gives the process its own view of the files, if it can be had.
fn see(view: &View) -> Result<Mounts, ProcessFailure> {
    match mounts::enter(view) {
        Ok(()) => Ok(Mounts::Own),
        // Nothing in it has to be told apart from writable folders around it.
        Err(_) if view.writable.is_empty() => Ok(Mounts::Shared),
        Err(error) => Err(no_sandbox("mounts of its own, to protect .git and .codex", &error)),
    }
}

/// The link is where standard input should be.
fn connect_stdin(has_terminal: bool) -> io::Result<()> {
    Ok(if has_terminal { dup2_stdin(stdout())? } else { dup2_stdin(File::open("/dev/null")?)? })
}

fn no_sandbox(what: &str, error: &dyn Display) -> ProcessFailure {
    let text = format!("no sandbox: this system does not allow {what}: {error}");
    failure(Kind::NoSandbox, &text)
}

fn other(error: io::Error) -> ProcessFailure {
    failure(Kind::Other, &error)
}
