//! Owns: the sandbox that a program is confined by (engine.md §5.2).
//!
//! On Linux the helper, a program that calls [`run_if_asked`], is started in the program's place. It
//! confines itself and then becomes the program:
//!
//! 1. In a mount namespace of its own everything is mounted read-only but the writable roots, and in
//!    those the protected places are read-only again. Without the privilege for that it makes itself
//!    a user namespace first.
//! 2. Capabilities that could undo this are given up.
//! 3. Landlock allows writing beneath the writable roots and to harmless devices, and so forbids it
//!    elsewhere, on devices too, to which a read-only mount is no obstacle. It also forbids changing
//!    mounts, tracing processes outside, and, where the kernel can, signals and abstract sockets.
//! 4. Without network, seccomp refuses what makes or connects sockets.
//!
//! Reading is never restricted. A kernel that cannot do what a plan needs gets no program to run:
//! with writable roots both mounts and Landlock are needed, since Landlock cannot take a folder within
//! a root away again. Without any, Landlock will do if it knows of truncating (since Linux 6.2), with
//! seccomp against what it knows nothing of, such as `chmod`.
//!
//! Not covered: a program with network may talk to local sockets in the file system before Linux
//! 7.0; one that leaves its process group is not killed with it, and no longer kept from creating
//! the protected places that did not exist.
//!
//! Elsewhere there is no sandbox yet, and programs that need one are not started.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod helper;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod order;
#[cfg(target_os = "linux")]
mod rights;
#[cfg(target_os = "linux")]
mod stand_in;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod view;

use std::path::PathBuf;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Confined, StandIn};
#[cfg(target_os = "linux")]
pub(crate) use stand_in::StandIn;
#[cfg(target_os = "linux")]
pub(crate) use start::Confined;

/// The name that the helper is started under.
#[cfg(target_os = "linux")]
const HELPER_NAME: &str = "understudy-sandbox";

/// Becomes a confined program, if that is what this process was started for; else does nothing.
///
/// Call it first thing in `main`, before there is a second thread, and hand the path of the program
/// to [`Programs::with_helper`](crate::program::Programs::with_helper):
///
/// ```no_run
/// use understudy_std::program::Programs;
/// use understudy_std::sandbox;
///
/// sandbox::run_if_asked();
/// let programs = Programs::with_helper(sandbox::this_program());
/// # drop(programs);
/// ```
pub fn run_if_asked() {
    #[cfg(target_os = "linux")]
    if std::env::args_os().next().is_some_and(|name| name == HELPER_NAME) {
        helper::run();
    }
}

/// This program, for another process to start: also when its file was replaced meanwhile.
pub fn this_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && link.exists() {
        return link;
    }
    std::env::current_exe().unwrap_or(link)
}
