//! Owns: the standard streams as async streams.
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

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::{Errno, read, write};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::watchdog::Watchdog;
use super::worker::{Duty, Worker};
use crate::reactor::watched;

#[derive(Debug)]
enum Way {
    Pipe(AsyncFd<OwnedFd>),
    Socket(AsyncFd<OwnedFd>),
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
pub struct HostInput {
    way: Way,
    /// Whether no read was tried yet. A pipe that we opened when its writers were gone already is
    /// never reported as readable, so the first read does not wait for that.
    untried: bool,
    watchdog: Watchdog,
    _switched: Option<Switched>,
}

impl HostInput {
    /// Standard input of this process. Must be called on a tokio runtime with IO.
    ///
    /// # Errors
    ///
    /// Standard input is closed, or there is no thread to be had for it.
    pub fn new(watchdog: Watchdog) -> io::Result<Self> {
        Self::over(io::stdin().as_fd().try_clone_to_owned()?, watchdog)
    }

    fn over(fd: OwnedFd, watchdog: Watchdog) -> io::Result<Self> {
        let (way, switched) = way_for(fd, Duty::Read)?;
        Ok(Self { way, untried: true, watchdog, _switched: switched })
    }
}

impl AsyncRead for HostInput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let input = &mut *self;
        let before = buffer.filled().len();
        let untried = std::mem::take(&mut input.untried);
        let done = match &mut input.way {
            Way::Thread(worker) => worker.poll_read(cx, buffer),
            Way::Pipe(fd) => poll_filled(fd, cx, buffer, untried, |fd, space| read(fd, space)),
            Way::Socket(fd) => poll_filled(fd, cx, buffer, untried, |fd, space| {
                recv(fd, space, RecvFlags::DONTWAIT).map(|(n, _)| n)
            }),
        };
        let done = ready!(done);
        if done.is_err() || buffer.filled().len() == before {
            input.watchdog.arm();
        }
        Poll::Ready(done)
    }
}

fn poll_filled(
    fd: &AsyncFd<OwnedFd>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
    mut untried: bool,
    read: impl Fn(&OwnedFd, &mut [u8]) -> Result<usize, Errno>,
) -> Poll<io::Result<()>> {
    loop {
        let ready =
            if std::mem::take(&mut untried) { None } else { Some(ready!(fd.poll_read_ready(cx))?) };
        match read(fd.get_ref(), buffer.initialize_unfilled()) {
            Ok(n) => {
                buffer.advance(n);
                return Poll::Ready(Ok(()));
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if let Some(mut guard) = ready {
                    guard.clear_ready();
                }
            }
            Err(errno) => return Poll::Ready(Err(errno.into())),
        }
    }
}

/// Standard output. An error arms the watchdog.
#[derive(Debug)]
pub struct HostOutput {
    way: Way,
    watchdog: Watchdog,
    _switched: Option<Switched>,
}

impl HostOutput {
    /// Standard output of this process. Must be called on a tokio runtime with IO.
    ///
    /// # Errors
    ///
    /// Standard output is closed, or there is no thread to be had for it.
    pub fn new(watchdog: Watchdog) -> io::Result<Self> {
        Self::over(io::stdout().as_fd().try_clone_to_owned()?, watchdog)
    }

    fn over(fd: OwnedFd, watchdog: Watchdog) -> io::Result<Self> {
        let (way, switched) = way_for(fd, Duty::Write)?;
        Ok(Self { way, watchdog, _switched: switched })
    }
}

impl AsyncWrite for HostOutput {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = match &mut self.way {
            Way::Thread(worker) => worker.poll_write(cx, bytes),
            Way::Pipe(fd) => poll_taken(fd, cx, || write(fd.get_ref(), bytes)),
            Way::Socket(fd) => poll_taken(fd, cx, || {
                send(fd.get_ref(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }),
        };
        let done = ready!(done);
        if done.is_err() {
            self.watchdog.arm();
        }
        Poll::Ready(done)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn poll_taken(
    fd: &AsyncFd<OwnedFd>,
    cx: &mut Context<'_>,
    write: impl Fn() -> Result<usize, Errno>,
) -> Poll<io::Result<usize>> {
    loop {
        let mut guard = ready!(fd.poll_write_ready(cx))?;
        match write() {
            Ok(n) => return Poll::Ready(Ok(n)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => guard.clear_ready(),
            Err(errno) => return Poll::Ready(Err(errno.into())),
        }
    }
}

fn way_for(fd: OwnedFd, duty: Duty) -> io::Result<(Way, Option<Switched>)> {
    let interest = match duty {
        Duty::Read => Interest::READABLE,
        Duty::Write => Interest::WRITABLE,
    };
    match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::Fifo => {
            let (own, switched) = match opened_anew(&fd, duty) {
                Ok(own) => (own, None),
                Err(_) => switch(fd)?,
            };
            Ok((Way::Pipe(watched(own, interest)?), switched))
        }
        FileType::Socket => Ok((Way::Socket(watched(fd, interest)?), None)),
        _ => Ok((Way::Thread(Worker::new(fd, duty)?), None)),
    }
}

/// The same pipe with a file description, and so a mode, of our own.
fn opened_anew(fd: &OwnedFd, duty: Duty) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let access = match duty {
        Duty::Read => OFlags::RDONLY,
        Duty::Write => OFlags::WRONLY,
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
    use std::fs::{self, File};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Reads to the end in pieces, as the driver does, while `feed` is at work on a thread.
    async fn read_all(fd: OwnedFd, feed: impl FnOnce() + Send + 'static) -> Vec<u8> {
        let mut input = HostInput::over(fd, Watchdog::tame()).expect("a stream");
        let feeder = std::thread::spawn(feed);
        let mut bytes = Vec::new();
        let read = input.read_to_end(&mut bytes);
        timeout(Duration::from_secs(5), read).await.expect("an end").expect("bytes");
        feeder.join().expect("the feeder");
        bytes
    }

    fn is_blocking(fd: &impl AsFd) -> bool {
        !fcntl_getfl(fd).expect("flags").contains(OFlags::NONBLOCK)
    }

    #[tokio::test]
    async fn every_kind_of_input_is_read_to_its_end() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let feed = move || {
            for _ in 0..1000 {
                writer.write_all(&[b'x'; 300]).expect("written");
            }
        };
        assert_eq!(read_all(reader.into(), feed).await.len(), 300_000);

        let (reader, mut writer) = UnixStream::pair().expect("sockets");
        let shared = reader.try_clone().expect("a copy");
        let feed = move || writer.write_all(&[b'x'; 300_000]).expect("written");
        assert_eq!(read_all(reader.into(), feed).await.len(), 300_000);
        assert!(is_blocking(&shared));

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("input");
        fs::write(&path, vec![b'x'; 300_000]).expect("written");
        let file = File::open(&path).expect("opened");
        assert_eq!(read_all(file.into(), || {}).await.len(), 300_000);
    }

    #[tokio::test]
    async fn a_pipe_without_writers_ends() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(writer);
        assert_eq!(read_all(reader.into(), || {}).await, b"");
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"last").expect("written");
        drop(writer);
        assert_eq!(read_all(reader.into(), || {}).await, b"last");
    }

    #[tokio::test]
    async fn the_mode_of_a_shared_pipe_is_not_touched() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let (shared_reader, shared_writer) =
            (reader.try_clone().expect("a copy"), writer.try_clone().expect("a copy"));
        let input = HostInput::over(reader.into(), Watchdog::tame()).expect("a stream");
        let output = HostOutput::over(writer.into(), Watchdog::tame()).expect("a stream");
        assert!(is_blocking(&shared_reader) && is_blocking(&shared_writer));
        drop((input, output));
    }

    #[tokio::test]
    async fn a_mode_that_was_switched_is_switched_back() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let shared = reader.try_clone().expect("a copy");
        let switched = switch(reader.into()).expect("switched");
        assert!(!is_blocking(&shared));
        drop(switched);
        assert!(is_blocking(&shared));
    }

    #[tokio::test]
    async fn a_slow_reader_gets_everything_and_a_gone_one_is_an_error() {
        let (reader, writer) = io::pipe().expect("a pipe");
        check_output(writer.into(), reader.into()).await;
        let (reader, writer) = UnixStream::pair().expect("sockets");
        check_output(OwnedFd::from(writer), reader.into()).await;
    }

    async fn check_output(to: OwnedFd, from: OwnedFd) {
        let mut output = HostOutput::over(to, Watchdog::tame()).expect("a stream");
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            let mut bytes = vec![0; 500_000];
            File::from(from).read_exact(&mut bytes).expect("bytes");
            bytes
        });
        output.write_all(&vec![b'x'; 500_000]).await.expect("written");
        assert!(reader.join().expect("the reader").iter().all(|byte| *byte == b'x'));
        sleep(Duration::from_millis(1)).await;
        assert!(output.write(b"x").await.is_err());
    }

    #[tokio::test]
    async fn a_file_has_what_was_said_to_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("output");
        let file = File::create(&path).expect("made");
        let mut output = HostOutput::over(file.into(), Watchdog::tame()).expect("a stream");
        output.write_all(&vec![b'x'; 200_000]).await.expect("written");
        assert_eq!(fs::metadata(&path).expect("facts").len(), 200_000);
    }
}
