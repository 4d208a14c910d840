//! Owns: what the rooms here that wait want of an async runtime: descriptors that its reactor
//! watches, a clock that wakes, an HTTP client, threads that may block, tasks.
//!
//! A runtime crate implements these five and has a session's calls, timers, streams and
//! measurements made of them; so both runtimes do the same. Polls follow the contract of
//! [`Future::poll`].

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use understudy_core::{HttpFailure, HttpHead, HttpRequest};

use crate::tls::Trust;

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

    /// Runs `work` beside everything else, to its end or that of the process. For what goes on when
    /// the session is over; what belongs to a session is polled in place.
    fn spawn(work: impl Future<Output = ()> + Send + 'static);
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

/// What comes of `work`; nothing if it takes until `moment`.
pub(crate) async fn before<A: Alarm, T>(
    moment: Instant,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut work, mut alarm) = (pin!(work), A::default());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => alarm.poll(cx, moment).map(|()| None),
    })
    .await
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

    /// The same for a POST of bytes that need not be text.
    fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Sending<Self::Body>;

    /// A client with connections of its own, for servers that want something special; with
    /// `is_http2` it speaks HTTP/2 from the first byte. Blocks.
    ///
    /// # Errors
    ///
    /// A certificate, a key or a file that a variable names cannot be used; the text says why.
    fn special(trust: &Trust<'_>, is_http2: bool) -> Result<Self, String>;
}

/// The body of a response. What is not polled for stays in the socket.
pub trait Body: Send + Unpin {
    /// The next bytes; none at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpFailure>>>;

    /// What came behind the bytes; nothing before their end was read.
    fn trailers(&self) -> &HeaderMap;
}
