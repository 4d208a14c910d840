//! Owns: what asks the process to end: signals, and the death of the one that started it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Timer;
use async_signal::Signals as Arrivals;
use futures_lite::Stream;
use understudy_core::Signal;
use understudy_std::runtime::{Duty, Watched};
use understudy_std::{PARENT_POLL, Parent, Watchdog};

use crate::reactor::AsyncFd;
use crate::serve::Signals;

/// Begins to watch. The first SIGINT or SIGTERM is handed on and arms the watchdog; a second one
/// ends the process at once. SIGPIPE stays ignored, as Rust starts every program.
///
/// # Errors
///
/// The signal handlers cannot be installed.
pub fn signals(watchdog: &Watchdog) -> io::Result<Signals> {
    // A host that ignores it would have the kernel throw away how our programs end. The handler
    // stays when this is dropped.
    drop(Arrivals::new([async_signal::Signal::Child])?);
    let arrivals = Arrivals::new([async_signal::Signal::Int, async_signal::Signal::Term])?;
    let parent = Parent::of_this_process();
    let death = parent.map(|parent| Box::pin(death_of(parent)) as Death);
    Ok(Box::pin(Ends { arrivals, is_ending: false, death, watchdog: watchdog.clone() }))
}

type Death = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What ends the process, as it comes.
struct Ends {
    arrivals: Arrivals,
    /// Whether there was a signal already.
    is_ending: bool,
    /// None if there is no parent to be seen, or when its death was told.
    death: Option<Death>,
    watchdog: Watchdog,
}

impl Stream for Ends {
    type Item = Signal;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Signal>> {
        if let Poll::Ready(Some(Ok(number))) = Pin::new(&mut self.arrivals).poll_next(cx) {
            if self.is_ending {
                self.watchdog.exit(128 + number as i32);
            }
            self.is_ending = true;
            self.watchdog.arm();
            return Poll::Ready(Some(Signal::Terminate));
        }
        if let Some(death) = &mut self.death
            && death.as_mut().poll(cx).is_ready()
        {
            tracing::debug!("the process that started this one is gone");
            self.death = None;
            self.watchdog.arm();
            return Poll::Ready(Some(Signal::ParentGone));
        }
        Poll::Pending
    }
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
