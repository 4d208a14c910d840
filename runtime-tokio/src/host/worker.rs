//! Owns: a thread that reads or writes where the reactor cannot: regular files, terminals, devices.
//!
//! One buffer goes to the thread and comes back with the result, so at most one chunk is under way
//! and the thread does nothing that it was not asked for.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc as blocking;
use std::task::{Context, Poll, ready};
use std::thread;

use rustix::io::{Errno, read, retry_on_intr, write};
use tokio::io::ReadBuf;
use tokio::sync::mpsc;

/// Most bytes that one turn of the thread moves.
const CHUNK_BYTES: usize = 64 << 10;

/// What the thread does with a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Duty {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) struct Worker {
    to_thread: blocking::Sender<Vec<u8>>,
    from_thread: mpsc::Receiver<(Vec<u8>, io::Result<usize>)>,
    /// Here while the thread has nothing to do.
    idle: Option<Vec<u8>>,
    /// What was read and not yet handed on: the bytes of `idle` from here to there.
    left: std::ops::Range<usize>,
}

impl Worker {
    /// A thread for `fd`, idle.
    pub(super) fn new(fd: OwnedFd, duty: Duty) -> io::Result<Self> {
        let (to_thread, work) = blocking::channel();
        let (done, from_thread) = mpsc::channel(1);
        let name = format!("host-{duty:?}").to_lowercase();
        thread::Builder::new().name(name).spawn(move || run(&fd, duty, &work, &done))?;
        Ok(Self { to_thread, from_thread, idle: Some(Vec::new()), left: 0..0 })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            if let Some(mut chunk) = self.idle.take() {
                chunk.resize(CHUNK_BYTES, 0);
                self.ask(chunk)?;
            }
            let n = ready!(self.poll_done(cx))?;
            self.left = 0..n;
        }
        let n = self.left.len().min(buffer.remaining());
        let from = self.left.start;
        if let Some(bytes) = self.idle.as_ref().and_then(|chunk| chunk.get(from..from + n)) {
            buffer.put_slice(bytes);
            self.left.start += n;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the thread has written, so that what counts as written has left the process.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(mut chunk) = self.idle.take() {
            chunk.clear();
            chunk.extend(bytes.iter().take(CHUNK_BYTES));
            self.ask(chunk)?;
        }
        self.poll_done(cx)
    }

    fn ask(&self, chunk: Vec<u8>) -> io::Result<()> {
        self.to_thread.send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some((chunk, result)) = ready!(self.from_thread.poll_recv(cx)) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        self.idle = Some(chunk);
        Poll::Ready(result)
    }
}

fn run(
    fd: &OwnedFd,
    duty: Duty,
    work: &blocking::Receiver<Vec<u8>>,
    done: &mpsc::Sender<(Vec<u8>, io::Result<usize>)>,
) {
    while let Ok(mut chunk) = work.recv() {
        let result = match duty {
            Duty::Read => retry_on_intr(|| read(fd, chunk.as_mut_slice())),
            Duty::Write => retry_on_intr(|| write(fd, &chunk)),
        };
        // A terminal whose user turned non-blocking mode on is as good as gone.
        let result = result.map_err(|errno: Errno| errno.into());
        if done.blocking_send((chunk, result)).is_err() {
            return;
        }
    }
}
