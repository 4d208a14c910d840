//! Owns: what the rooms here that wait want of an async runtime: descriptors that its reactor
//! watches, a clock that wakes, an HTTP client, threads that may block.
//!
//! A runtime crate implements these four and has a session's calls, timers and streams made of
//! them; so both runtimes do the same. Polls follow the contract of [`Future::poll`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use understudy_core::{HttpFailure, HttpHead, HttpRequest};

/// A runtime, as a name for what belongs to it.
pub trait Runtime: 'static {
    /// Its way to wait for descriptors.
    type Watched: Watched;
    /// Its way to wait for a moment.
    type Alarm: Alarm;
    /// Its HTTP client.
    type Http: Http;

    /// Runs `work` on a thread that may block.
    fn run_blocking(work: impl FnOnce() + Send + 'static);
}

/// What is done with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Only read.
    Read,
    /// Only written.
    Write,
    /// Both.
    Both,
}

/// A non-blocking descriptor that a reactor watches.
pub trait Watched: AsFd + Send + Unpin + Sized {
    /// Begins to watch. Must be called where the reactor is at hand.
    ///
    /// # Errors
    ///
    /// The descriptor is nothing to wait for (a regular file), or there is no reactor.
    fn new(fd: OwnedFd, duty: Duty) -> io::Result<Self>;

    /// Tries `read` at once and whenever there may be something to read, until it gives anything
    /// but [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::Interrupted`]. One that would block
    /// although the other side has closed is an error.
    fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>>;

    /// The same for writing.
    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>>;

    /// Ready as soon as there is something to read, without reading it; an error counts as ready.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A clock that wakes a task, at one moment at a time.
pub trait Alarm: Default + Send + Unpin {
    /// The runtime's clock.
    fn now() -> Instant;

    /// Ready from `moment` on; until then wakes the task at `moment`, and at none that was polled
    /// with before.
    fn poll(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<()>;
}

/// A request on its way to the head of its response.
pub type Sending<B> = Pin<Box<dyn Future<Output = Result<(HttpHead, B), HttpFailure>> + Send>>;

/// An HTTP client; clones share its connections.
pub trait Http: Clone + Send + 'static {
    /// What is left of a response when its head was read. Dropping it closes the connection, or
    /// the stream on it, unless all was read.
    type Body: Body;

    /// Sends a request once, without limits of its own but for connecting: follows no redirect and
    /// unpacks no body. Dropping the future breaks the exchange off.
    fn send(&self, request: HttpRequest) -> Sending<Self::Body>;
}

/// The body of a response. What is not polled for stays in the socket.
pub trait Body: Send + Unpin {
    /// The next bytes; none at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpFailure>>>;
}
