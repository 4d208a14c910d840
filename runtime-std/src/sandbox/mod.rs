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
//! Reading is never restricted. Where mounts are not to be had (in most containers; where user
//! namespaces are kept from those without privilege) Landlock has to do alone, which it can if it
//! knows of truncating (since Linux 6.2). It cannot take a folder within a root away again, so what
//! lies in a root is opened one by one (`entries`): existing files can be written, and anything be
//! made in existing folders, but directly in a root, `/tmp` included, nothing can be made, removed
//! or renamed. The server does not know beforehand which of the two it will be, so missing protected
//! places have their stand-ins in both. A kernel that can do neither gets no program to run.
//!
//! Not covered: a program with network may talk to local sockets in the file system before Linux
//! 7.0; one that leaves its process group is not killed with it, and no longer kept from creating
//! the protected places that did not exist. A root whose mode keeps its own user from writing gets no
//! stand-ins, and a program may change that mode. With Landlock alone and a writable root, the attributes
//! (mode, times and the like, not content or name) of all files that are the user's can be changed, a
//! superuser's of all files, in protected places too: builds need those calls, and seccomp cannot
//! tell the files apart. Without a writable root it refuses them.
//!
//! Elsewhere there is no sandbox yet, and programs that need one are not started.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod entries;
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

use std::path::{Path, PathBuf};

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Confined, StandIn};
#[cfg(target_os = "linux")]
pub(crate) use stand_in::StandIn;
#[cfg(target_os = "linux")]
pub(crate) use start::Confined;

/// The name that the helper is started under.
#[cfg(target_os = "linux")]
const HELPER_NAME: &str = "understudy-sandbox";

/// Its argument when it is to try what can be had, and nothing else.
#[cfg(target_os = "linux")]
const TRY_MOUNTS: &str = "try-mounts";

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
    {
        let mut args = std::env::args_os();
        if args.next().is_some_and(|name| name == HELPER_NAME) {
            match args.next() {
                Some(word) if word == TRY_MOUNTS => helper::try_mounts(),
                _ => helper::run(),
            }
        }
    }
}

/// Whether confined programs get mounts of their own, tried with a helper. Without them nothing can
/// be made directly in a writable root, only changed, and made in folders that are there.
pub fn has_own_mounts(helper: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        use std::process::{Command, Stdio};
        let mut command = Command::new(helper);
        command.arg0(HELPER_NAME).arg(TRY_MOUNTS).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _none = helper;
        false
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
