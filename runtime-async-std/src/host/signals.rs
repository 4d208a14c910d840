//! Owns: what asks the process to end: signals, and the death of the one that started it.

use std::future::poll_fn;
use std::io;

use async_io::Timer;
use async_signal::{Signal as Unix, Signals as Arrivals};
use async_std::task;
use futures_lite::StreamExt;
use understudy_core::Signal;
use understudy_std::runtime::{Duty, Watched};
use understudy_std::{PARENT_POLL, Parent, Watchdog};

use crate::reactor::AsyncFd;
use crate::serve::Signals;

/// Signals that can wait: one to terminate, one for the parent.
const WAITING_MAX: usize = 2;

/// Begins to watch. The first SIGINT or SIGTERM is handed on and arms the watchdog; a second one
/// ends the process at once. SIGPIPE stays ignored, as Rust starts every program.
///
/// # Errors
///
/// The signal handlers cannot be installed.
pub fn signals(watchdog: &Watchdog) -> io::Result<Signals> {
    // A host that ignores it would have the kernel throw away how our programs end. The handler
    // stays when this is dropped.
    drop(Arrivals::new([Unix::Child])?);
    let (sender, receiver) = async_channel::bounded(WAITING_MAX);
    let mut arrivals = Arrivals::new([Unix::Int, Unix::Term])?;
    task::spawn({
        let (sender, watchdog) = (sender.clone(), watchdog.clone());
        async move {
            if next(&mut arrivals).await.is_none() {
                return;
            }
            watchdog.arm();
            // Full means that another signal ends the process already.
            let _full = sender.try_send(Signal::Terminate);
            if let Some(again) = next(&mut arrivals).await {
                watchdog.exit(128 + again as i32);
            }
        }
    });
    let watchdog = watchdog.clone();
    task::spawn(async move {
        let Some(parent) = Parent::of_this_process() else { return };
        death_of(parent).await;
        tracing::debug!("the process that started this one is gone");
        watchdog.arm();
        let _full = sender.try_send(Signal::ParentGone);
    });
    Ok(Box::pin(receiver))
}

/// The next signal; none when they cannot be heard any more.
async fn next(arrivals: &mut Arrivals) -> Option<Unix> {
    arrivals.next().await?.ok()
}

async fn death_of(parent: Parent) {
    let death = parent.death().and_then(|fd| AsyncFd::new(fd, Duty::Read));
    // One that went before the descriptor was open could have left its number to another.
    if let Ok(mut death) = death
        && parent.is_there()
    {
        poll_fn(|cx| death.poll_readable(cx)).await;
    }
    while parent.is_there() {
        Timer::after(PARENT_POLL).await;
    }
}
