//! Owns: what happens in a new process between `fork` and `exec`, and the `unsafe` that this takes.
//!
//! Only system calls on values made before the fork: the fork may have happened while another
//! thread held the allocator's lock, and nobody here would ever release it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::stdio::stdout;

/// What becomes of the new process before it is a program.
#[derive(Debug, Default)]
pub(super) struct Leader {
    /// Its standard output becomes the terminal of its session.
    pub(super) has_terminal: bool,
}

impl Leader {
    /// Makes what `command` starts the leader of a session and process group, which the kernel
    /// kills when the thread that started it ends.
    pub(super) fn lead(self, command: &mut Command) {
        #[cfg(target_os = "linux")]
        let server = rustix::process::getpid();
        let become_leader = move || -> io::Result<()> {
            setsid()?;
            heed_interrupts();
            #[cfg(target_os = "linux")]
            {
                die_with(server)?;
                close_on_exec_from(3);
            }
            if self.has_terminal {
                ioctl_tiocsctty(stdout())?;
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls only. It neither allocates nor takes a lock, and
        // an `io::Error` of an errno is a plain number.
        unsafe { command.pre_exec(become_leader) };
    }
}

/// A server that a shell started in the background ignores the signals of the keyboard, and what it
/// starts would as well, so that no model could interrupt it.
fn heed_interrupts() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: `signal` may be called between fork and exec; no handler is set.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

#[cfg(target_os = "linux")]
fn die_with(server: rustix::process::Pid) -> io::Result<()> {
    use rustix::io::Errno;
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    // One that was gone before the line above sends no signal any more.
    if getppid() == Some(server) { Ok(()) } else { Err(Errno::SRCH.into()) }
}

/// Descriptors that somebody opened without the flag: a host before it started this process, or a
/// library beside this one. Where the kernel cannot do it (before Linux 5.11), they stay.
#[cfg(target_os = "linux")]
fn close_on_exec_from(first: libc::c_uint) {
    let last = libc::c_uint::MAX;
    // SAFETY: the call takes three numbers. It changes flags of descriptors of this process alone,
    // which has a table of its own since the fork.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
}
