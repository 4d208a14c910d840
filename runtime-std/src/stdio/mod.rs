//! Owns: the standard streams of a process, polled.
//!
//! Non-blocking mode belongs to the open file description, and that is shared with whoever gave us
//! the stream: with a parent that uses the same terminal, with a standard error that is the same
//! pipe. So it is not switched on there:
//!
//! * a pipe is opened anew through `/proc/self/fd`, which makes a description of our own. Where
//!   that is refused (no `/proc`, a pipe of another user) the shared one is switched after all, and
//!   switched back at the end;
//! * a socket is read and written with `MSG_DONTWAIT`, which counts for one call only;
//! * everything else (files, terminals, devices) has a thread that may block. The reactor cannot
//!   wait for regular files anyway.

mod worker;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::{read, write};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::runtime::{Duty, Watched};
use crate::watchdog::Watchdog;
use worker::Worker;

#[derive(Debug)]
enum Way<W> {
    Pipe(W),
    Socket(W),
    Thread(Worker),
}

/// A stream that was made non-blocking for all who share it; made blocking again on drop.
#[derive(Debug)]
struct Switched {
    shared: OwnedFd,
    before: OFlags,
}

impl Drop for Switched {
    fn drop(&mut self) {
        if let Err(error) = fcntl_setfl(&self.shared, self.before) {
            tracing::debug!("a stream stays non-blocking: {error}");
        }
    }
}

/// Standard input. Its end arms the watchdog.
#[derive(Debug)]
pub struct HostInput<W> {
    way: Way<W>,
    watchdog: Watchdog,
    _switched: Option<Switched>,
}

impl<W: Watched> HostInput<W> {
    /// Standard input of this process. Must be called where the reactor is at hand.
    ///
    /// # Errors
    ///
    /// Standard input is closed, or there is no thread to be had for it.
    pub fn new(watchdog: Watchdog) -> io::Result<Self> {
        Self::over(io::stdin().as_fd().try_clone_to_owned()?, watchdog)
    }

    /// The same over another descriptor.
    ///
    /// # Errors
    ///
    /// There is no thread to be had for it.
    pub fn over(fd: OwnedFd, watchdog: Watchdog) -> io::Result<Self> {
        let (way, switched) = way_for(fd, Duty::Read)?;
        Ok(Self { way, watchdog, _switched: switched })
    }

    /// Reads what is there; zero at the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let done = ready!(match &mut self.way {
            Way::Thread(worker) => worker.poll_read(cx, buffer),
            Way::Pipe(fd) => fd.poll_read(cx, |fd| Ok(read(fd, &mut *buffer)?)),
            Way::Socket(fd) =>
                fd.poll_read(cx, |fd| { Ok(recv(fd, &mut *buffer, RecvFlags::DONTWAIT)?.0) }),
        });
        if !matches!(done, Ok(1..)) {
            self.watchdog.arm();
        }
        Poll::Ready(done)
    }
}

/// Standard output. An error arms the watchdog.
#[derive(Debug)]
pub struct HostOutput<W> {
    way: Way<W>,
    watchdog: Watchdog,
    _switched: Option<Switched>,
}

impl<W: Watched> HostOutput<W> {
    /// Standard output of this process. Must be called where the reactor is at hand.
    ///
    /// # Errors
    ///
    /// Standard output is closed, or there is no thread to be had for it.
    pub fn new(watchdog: Watchdog) -> io::Result<Self> {
        Self::over(io::stdout().as_fd().try_clone_to_owned()?, watchdog)
    }

    /// The same over another descriptor.
    ///
    /// # Errors
    ///
    /// There is no thread to be had for it.
    pub fn over(fd: OwnedFd, watchdog: Watchdog) -> io::Result<Self> {
        let (way, switched) = way_for(fd, Duty::Write)?;
        Ok(Self { way, watchdog, _switched: switched })
    }

    /// Writes a prefix; what counts as written has left the process.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let done = ready!(match &mut self.way {
            Way::Thread(worker) => worker.poll_write(cx, bytes),
            Way::Pipe(fd) => fd.poll_write(cx, |fd| Ok(write(fd, bytes)?)),
            Way::Socket(fd) => fd.poll_write(cx, |fd| Ok(send(fd, bytes, flags)?)),
        });
        if done.is_err() {
            self.watchdog.arm();
        }
        Poll::Ready(done)
    }
}

fn way_for<W: Watched>(fd: OwnedFd, duty: Duty) -> io::Result<(Way<W>, Option<Switched>)> {
    match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::Fifo => {
            let (own, switched) = match opened_anew(&fd, duty) {
                Ok(own) => (own, None),
                Err(_) => switch(fd)?,
            };
            Ok((Way::Pipe(W::new(own, duty)?), switched))
        }
        FileType::Socket => Ok((Way::Socket(W::new(fd, duty)?), None)),
        _ => Ok((Way::Thread(Worker::new(fd, duty)?), None)),
    }
}

/// The same pipe with a file description, and so a mode, of our own.
fn opened_anew(fd: &OwnedFd, duty: Duty) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let access = match duty {
        Duty::Read => OFlags::RDONLY,
        Duty::Write => OFlags::WRONLY,
        Duty::Both => OFlags::RDWR,
    };
    if cfg!(not(target_os = "linux")) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

fn switch(fd: OwnedFd) -> io::Result<(OwnedFd, Option<Switched>)> {
    let before = fcntl_getfl(&fd)?;
    fcntl_setfl(&fd, before | OFlags::NONBLOCK)?;
    let shared = fd.try_clone()?;
    Ok((fd, Some(Switched { shared, before })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_was_switched_is_switched_back() {
        let is_blocking =
            |fd: &OwnedFd| !fcntl_getfl(fd).expect("flags").contains(OFlags::NONBLOCK);
        let (reader, _writer) = io::pipe().expect("a pipe");
        let shared = OwnedFd::from(reader.try_clone().expect("a copy"));
        let switched = switch(reader.into()).expect("switched");
        assert!(!is_blocking(&shared));
        drop(switched);
        assert!(is_blocking(&shared));
    }
}
