//! Owns: a thread that reads or writes where the reactor cannot: regular files, terminals, devices.
//!
//! One buffer goes to the thread and comes back with the result, so at most one chunk is under way
//! and the thread does nothing that it was not asked for.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, ready};
use std::thread;

use futures_channel::oneshot;
use rustix::io::{Errno, read, retry_on_intr, write};

use crate::runtime::Duty;

/// Most bytes that one turn of the thread moves.
const CHUNK_BYTES: usize = 64 << 10;

/// A buffer, and where it goes when the thread is done with it.
type Work = (Vec<u8>, oneshot::Sender<Done>);
type Done = (Vec<u8>, io::Result<usize>);

#[derive(Debug)]
pub(super) struct Worker {
    to_thread: mpsc::Sender<Work>,
    /// There while the thread is at work.
    from_thread: Option<oneshot::Receiver<Done>>,
    /// Here while the thread has nothing to do.
    idle: Option<Vec<u8>>,
    /// What was read and not yet handed on: the bytes of `idle` from here to there.
    left: std::ops::Range<usize>,
}

impl Worker {
    /// A thread for `fd`, idle.
    pub(super) fn new(fd: OwnedFd, duty: Duty) -> io::Result<Self> {
        let (to_thread, work) = mpsc::channel();
        let name = format!("host-{duty:?}").to_lowercase();
        thread::Builder::new().name(name).spawn(move || run(&fd, duty, &work))?;
        Ok(Self { to_thread, from_thread: None, idle: Some(Vec::new()), left: 0..0 })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.left.is_empty() {
            if let Some(mut chunk) = self.idle.take() {
                chunk.resize(CHUNK_BYTES, 0);
                self.ask(chunk)?;
            }
            let n = ready!(self.poll_done(cx))?;
            self.left = 0..n;
        }
        let n = self.left.len().min(buffer.len());
        let from = self.left.start;
        let bytes = self.idle.as_ref().and_then(|chunk| chunk.get(from..from + n));
        let (Some(bytes), Some(space)) = (bytes, buffer.get_mut(..n)) else {
            return Poll::Ready(Ok(0));
        };
        space.copy_from_slice(bytes);
        self.left.start += n;
        Poll::Ready(Ok(n))
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

    fn ask(&mut self, chunk: Vec<u8>) -> io::Result<()> {
        let (done, from_thread) = oneshot::channel();
        self.to_thread.send((chunk, done)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.from_thread = Some(from_thread);
        Ok(())
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(from_thread) = &mut self.from_thread else { return broken() };
        let done = ready!(Pin::new(from_thread).poll(cx));
        self.from_thread = None;
        let Ok((chunk, result)) = done else { return broken() };
        self.idle = Some(chunk);
        Poll::Ready(result)
    }
}

/// The thread is gone.
fn broken() -> Poll<io::Result<usize>> {
    Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
}

fn run(fd: &OwnedFd, duty: Duty, work: &mpsc::Receiver<Work>) {
    while let Ok((mut chunk, done)) = work.recv() {
        let result = match duty {
            Duty::Read => retry_on_intr(|| read(fd, chunk.as_mut_slice())),
            Duty::Write | Duty::Both => retry_on_intr(|| write(fd, &chunk)),
        };
        // A terminal whose user turned non-blocking mode on is as good as gone.
        let result = result.map_err(|errno: Errno| errno.into());
        if done.send((chunk, result)).is_err() {
            return;
        }
    }
}
