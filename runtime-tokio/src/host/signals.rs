//! Owns: what asks the process to end: signals, and the death of the one that started it.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal as Unix, SignalKind, signal};
use tokio::sync::mpsc;
use understudy_core::Signal;
use understudy_std::runtime::{Duty, Watched};
use understudy_std::{PARENT_POLL, Parent, Watchdog};

use crate::reactor::TokioFd;

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
    // A host that ignores it would have the kernel throw away how our programs end. The handler
    // stays when this is dropped.
    drop(signal(SignalKind::child())?);
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
            watchdog.exit(128 + number);
        }
    });
    let watchdog = watchdog.clone();
    tokio::spawn(async move {
        let Some(parent) = Parent::of_this_process() else { return };
        death_of(parent).await;
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

async fn death_of(parent: Parent) {
    let death = parent.death().and_then(|fd| TokioFd::new(fd, Duty::Read));
    // One that went before the descriptor was open could have left its number to another.
    if let Ok(mut death) = death
        && parent.is_there()
    {
        poll_fn(|cx| death.poll_readable(cx)).await;
    }
    while parent.is_there() {
        tokio::time::sleep(PARENT_POLL).await;
    }
}
