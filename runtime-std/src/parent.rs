//! Owns: the process that started this one, and its death.
//!
//! PDEATHSIG would tell of the end of the thread that started us instead, and hosts start us from
//! threads that they then give back.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, getppid};

/// Where the kernel cannot tell of the parent's death, this is how often to look.
pub const PARENT_POLL: Duration = Duration::from_secs(1);

/// The process that started this one.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    pid: Pid,
}

impl Parent {
    /// None if it is not in our view (another pid namespace): there is nothing to watch then.
    pub fn of_this_process() -> Option<Self> {
        getppid().map(|pid| Self { pid })
    }

    /// Whether it has not gone yet.
    pub fn is_there(&self) -> bool {
        getppid() == Some(self.pid)
    }

    /// A descriptor that is readable once it has ended. It may have ended before: ask
    /// [`Parent::is_there`] afterwards, as its number could be another's by now.
    ///
    /// # Errors
    ///
    /// This system has none.
    #[cfg(target_os = "linux")]
    pub fn death(&self) -> io::Result<OwnedFd> {
        use rustix::process::{PidfdFlags, pidfd_open};
        Ok(pidfd_open(self.pid, PidfdFlags::NONBLOCK)?)
    }

    /// A descriptor that is readable once it has ended.
    ///
    /// # Errors
    ///
    /// This system has none.
    #[cfg(not(target_os = "linux"))]
    pub fn death(&self) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
