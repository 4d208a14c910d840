//! Owns: the one place that hands a file descriptor to tokio's reactor.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `fd`, of which the reactor tells when it is ready. Nobody may put another descriptor in its
/// place (`AsyncFd::get_mut`).
pub(crate) fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped and always gives the same descriptor; the
    // `AsyncFd` owns it, and deregisters before it drops it.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(watched?)
}
