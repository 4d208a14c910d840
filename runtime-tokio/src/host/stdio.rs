//! Owns: the standard streams as streams of tokio.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use understudy_std::Watchdog;

use crate::reactor::TokioFd;

/// Standard input. Its end arms the watchdog.
#[derive(Debug)]
pub struct HostInput(understudy_std::HostInput<TokioFd>);

impl HostInput {
    /// Standard input of this process. Must be called on a tokio runtime with IO.
    ///
    /// # Errors
    ///
    /// Standard input is closed, or there is no thread to be had for it.
    pub fn new(watchdog: Watchdog) -> io::Result<Self> {
        understudy_std::HostInput::new(watchdog).map(Self)
    }

    /// The same over another descriptor: a pipe, a socket, a file, a terminal.
    ///
    /// # Errors
    ///
    /// There is no thread to be had for it.
    pub fn over(fd: OwnedFd, watchdog: Watchdog) -> io::Result<Self> {
        understudy_std::HostInput::over(fd, watchdog).map(Self)
    }
}

impl AsyncRead for HostInput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.0.poll_read(cx, buffer.initialize_unfilled()))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// Standard output. An error arms the watchdog.
#[derive(Debug)]
pub struct HostOutput(understudy_std::HostOutput<TokioFd>);

impl HostOutput {
    /// Standard output of this process. Must be called on a tokio runtime with IO.
    ///
    /// # Errors
    ///
    /// Standard output is closed, or there is no thread to be had for it.
    pub fn new(watchdog: Watchdog) -> io::Result<Self> {
        understudy_std::HostOutput::new(watchdog).map(Self)
    }

    /// The same over another descriptor: a pipe, a socket, a file, a terminal.
    ///
    /// # Errors
    ///
    /// There is no thread to be had for it.
    pub fn over(fd: OwnedFd, watchdog: Watchdog) -> io::Result<Self> {
        understudy_std::HostOutput::over(fd, watchdog).map(Self)
    }
}

impl AsyncWrite for HostOutput {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
