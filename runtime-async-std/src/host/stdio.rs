//! Owns: the standard streams as streams of futures-io.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use understudy_std::Watchdog;

use crate::reactor::AsyncFd;

/// Standard input. Its end arms the watchdog.
#[derive(Debug)]
pub struct HostInput(understudy_std::HostInput<AsyncFd>);

impl HostInput {
    /// Standard input of this process.
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
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }
}

/// Standard output. An error arms the watchdog.
#[derive(Debug)]
pub struct HostOutput(understudy_std::HostOutput<AsyncFd>);

impl HostOutput {
    /// Standard output of this process.
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

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
