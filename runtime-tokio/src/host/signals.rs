//! Owns: what asks the process to end: signals, and the death of the one that started it.

use std::future::poll_fn;
use std::io;
use std::process;
use std::task::Poll;
use std::time::Duration;

use rustix::process::{Pid, getppid};
use tokio::signal::unix::{Signal as Unix, SignalKind, signal};
use tokio::sync::mpsc;
use understudy_core::Signal;

use super::watchdog::Watchdog;

/// Where the kernel cannot tell of the parent's death, this is how often we look.
const PARENT_POLL: Duration = Duration::from_secs(1);

/// Signals that can wait: one to terminate, one for the parent.
const WAITING_MAX: usize = 2;

/// Begins to watch. The first SIGINT or SIGTERM is handed on and arms the watchdog; a second one
/// ends the process at once. SIGPIPE stays ignored, as Rust starts every program. Must be called on
/// a tokio runtime with IO and time.
///
/// # Errors
///
/// The signal handlers cannot be installed.
pub fn signals(watchdog: &Watchdog) -> io::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let mut arrivals = Arrivals::new()?;
    tokio::spawn({
        let (sender, watchdog) = (sender.clone(), watchdog.clone());
        async move {
            arrivals.next().await;
            watchdog.arm();
            // Full means that another signal ends the process already.
            let _full = sender.try_send(Signal::Terminate);
            let number = arrivals.next().await;
            process::exit(128 + number);
        }
    });
    let watchdog = watchdog.clone();
    tokio::spawn(async move {
        // Without one in our view (another pid namespace) there is nothing to watch.
        let Some(parent) = getppid() else { return };
        if death_of(parent).await.is_err() {
            while getppid() == Some(parent) {
                tokio::time::sleep(PARENT_POLL).await;
            }
        }
        tracing::debug!("the process that started this one is gone");
        watchdog.arm();
        let _full = sender.try_send(Signal::ParentGone);
    });
    Ok(receiver)
}

struct Arrivals {
    interrupts: Unix,
    terminations: Unix,
}

impl Arrivals {
    fn new() -> io::Result<Self> {
        let interrupts = signal(SignalKind::interrupt())?;
        Ok(Self { interrupts, terminations: signal(SignalKind::terminate())? })
    }

    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        poll_fn(|cx| {
            if self.interrupts.poll_recv(cx).is_ready() {
                Poll::Ready(SignalKind::interrupt().as_raw_value())
            } else {
                self.terminations.poll_recv(cx).map(|_| SignalKind::terminate().as_raw_value())
            }
        })
        .await
    }
}

/// Waits for the end of the process `parent`. PDEATHSIG would tell of the end of the thread that
/// started us instead, and hosts start us from threads that they then give back.
#[cfg(target_os = "linux")]
async fn death_of(parent: Pid) -> io::Result<()> {
    use rustix::process::{PidfdFlags, pidfd_open};
    use tokio::io::Interest;

    use crate::reactor::watched;

    let pidfd = pidfd_open(parent, PidfdFlags::empty())?;
    let pidfd = watched(pidfd, Interest::READABLE)?;
    // A parent that went before the descriptor was open could have left its number to another.
    if getppid() == Some(parent) {
        pidfd.readable().await?.retain_ready();
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn death_of(_: Pid) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
