//! Owns: one program of a session: its output as it is polled for, its terminal's input, its end.
//!
//! There is no task and no queue: what nobody polls for stays in the pipe, and the program waits.
//! Dropping it kills the program's whole group.
//! Never: keeps output, or decides when a program has run long enough.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::{Errno, ioctl_fionread, read, write};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use understudy_core::{
    OutputStream, ProcessExit, ProcessFailure, ProcessFailureKind, ProcessRequest, limits,
};
use understudy_std::program::{Child, LeftBehind, Programs, Started, Streams};

use crate::reactor::watched;

/// What a program has to tell.
#[derive(Debug)]
pub(crate) enum Told {
    /// So many bytes of the buffer that was polled with.
    Output(OutputStream, usize),
    /// It has ended, but for this.
    Exited(ProcessExit, Option<LeftBehind>),
    Failed(ProcessFailure),
    /// The thread that should have started it panicked.
    Lost,
}

/// A program that is started, runs, or has ended.
pub(crate) struct Process {
    stage: Stage,
    /// Killed before it ran.
    is_killed: bool,
    /// For its terminal, when that takes it.
    input: VecDeque<u8>,
}

enum Stage {
    Starting(oneshot::Receiver<Result<Started, ProcessFailure>>),
    Running(Box<Run>),
    Over,
}

struct Run {
    /// None while it is being reaped, and after.
    child: Option<Child>,
    ended: AsyncFd<OwnedFd>,
    /// Those that have not ended.
    streams: Vec<Stream>,
    drain: Drain,
}

/// How much longer output is read.
enum Drain {
    /// The program runs.
    NotYet,
    /// It has ended; until then something else may still write.
    Until(Pin<Box<Sleep>>),
    /// What was in the pipes when the time was over, and no more.
    Rest,
}

struct Stream {
    from: OutputStream,
    fd: AsyncFd<OwnedFd>,
    /// What is still read of it; no limit before [`Drain::Rest`].
    rest: Option<u64>,
}

impl Process {
    /// Has the program started. Must be called on a tokio runtime with IO and time.
    pub(crate) fn start(programs: &Programs, request: ProcessRequest) -> Self {
        let (sender, started) = oneshot::channel();
        programs.start(request, |answer| {
            // Nobody waits for a program that was cancelled: dropping it kills it.
            let _cancelled = sender.send(answer);
        });
        Self { stage: Stage::Starting(started), is_killed: false, input: VecDeque::new() }
    }

    /// Kills the program's whole group, now or as soon as there is one.
    pub(crate) fn kill(&mut self) {
        self.is_killed = true;
        if let Stage::Running(run) = &self.stage
            && let Some(child) = &run.child
        {
            child.kill();
        }
    }

    /// Takes bytes for the program's terminal. What is beyond
    /// [`limits::PROCESS_INPUT_BYTES_MAX`] is dropped.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let room = limits::PROCESS_INPUT_BYTES_MAX.saturating_sub(self.input.len());
        if bytes.len() > room {
            tracing::debug!(dropped = bytes.len() - room, "a terminal takes no more");
        }
        self.input.extend(bytes.iter().take(room));
    }

    /// The next that it has to tell; output is read into `buffer`. Not to be polled after the last.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Told> {
        if let Stage::Starting(started) = &mut self.stage {
            let started = match ready!(Pin::new(started).poll(cx)) {
                Ok(Ok(started)) => Run::new(started).map_err(|error| {
                    let text = error.to_string();
                    Told::Failed(ProcessFailure { kind: ProcessFailureKind::Other, text })
                }),
                Ok(Err(failure)) => Err(Told::Failed(failure)),
                Err(_) => Err(Told::Lost),
            };
            match started {
                Ok(run) => self.stage = Stage::Running(Box::new(run)),
                Err(last) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(last);
                }
            }
            if self.is_killed {
                self.kill();
            }
        }
        let Stage::Running(run) = &mut self.stage else { return Poll::Pending };
        run.poll_input(cx, &mut self.input);
        let told = ready!(run.poll(cx, buffer));
        if matches!(told, Told::Exited(..)) {
            self.stage = Stage::Over;
        }
        Poll::Ready(told)
    }
}

impl Run {
    fn new(started: Started) -> io::Result<Self> {
        let Started { child, streams, ended } = started;
        let stream = |from, fd, interest| {
            let fd = watched(fd, interest)?;
            Ok::<_, io::Error>(Stream { from, fd, rest: None })
        };
        let readable = Interest::READABLE;
        let streams = match streams {
            Streams::Pipes { stdout, stderr } => vec![
                stream(OutputStream::Stdout, stdout, readable)?,
                stream(OutputStream::Stderr, stderr, readable)?,
            ],
            Streams::Terminal(master) => {
                vec![stream(OutputStream::Stdout, master, readable | Interest::WRITABLE)?]
            }
        };
        let ended = watched(ended, readable)?;
        Ok(Self { child: Some(child), ended, streams, drain: Drain::NotYet })
    }

    /// Writes what the terminal takes. Only a terminal is ever writable.
    fn poll_input(&self, cx: &mut Context<'_>, input: &mut VecDeque<u8>) {
        let Some(stream) = self.streams.first() else { return input.clear() };
        while !input.is_empty() {
            let Poll::Ready(Ok(mut ready)) = stream.fd.poll_write_ready(cx) else { return };
            match write(stream.fd.get_ref(), input.as_slices().0) {
                Ok(n) => drop(input.drain(..n)),
                Err(Errno::INTR) => {}
                // The reactor never forgets that the other side has closed.
                Err(Errno::AGAIN) if !ready.ready().is_write_closed() => ready.clear_ready(),
                // Nobody reads it any more.
                Err(_) => input.clear(),
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Told> {
        self.poll_end(cx);
        let mut at = 0;
        while let Some(stream) = self.streams.get_mut(at) {
            match stream.poll_read(cx, buffer) {
                Poll::Ready(0) => drop(self.streams.remove(at)),
                Poll::Ready(n) => {
                    let from = stream.from;
                    // The other one is asked first next time.
                    self.streams.rotate_left(at + 1);
                    return Poll::Ready(Told::Output(from, n));
                }
                Poll::Pending => at += 1,
            }
        }
        let is_over = match self.drain {
            Drain::NotYet => return Poll::Pending,
            Drain::Until(_) => self.streams.is_empty(),
            // What is not there now was said too late.
            Drain::Rest => true,
        };
        if is_over && let Some(child) = self.child.take() {
            match child.reap() {
                Ok((exit, left)) => return Poll::Ready(Told::Exited(exit, left)),
                Err(child) => self.child = Some(child),
            }
        }
        Poll::Pending
    }

    /// Notices the program's end, and the end of the time for what it may have left in the pipes.
    fn poll_end(&mut self, cx: &mut Context<'_>) {
        if let Drain::NotYet = self.drain
            && let Poll::Ready(ended) = self.ended.poll_read_ready(cx)
        {
            // An error means that the reactor is gone, and with it the session.
            if let Ok(mut ended) = ended {
                ended.retain_ready();
            }
            self.drain = Drain::Until(Box::pin(sleep(limits::PROCESS_DRAIN)));
        }
        if let Drain::Until(over) = &mut self.drain
            && over.as_mut().poll(cx).is_ready()
        {
            for stream in &mut self.streams {
                stream.rest = Some(ioctl_fionread(stream.fd.get_ref()).unwrap_or(0));
            }
            self.drain = Drain::Rest;
        }
    }
}

impl Stream {
    /// Zero at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        let rest = self.rest.map_or(usize::MAX, |rest| usize::try_from(rest).unwrap_or(usize::MAX));
        let room = rest.min(buffer.len());
        let Some(space) = buffer.get_mut(..room).filter(|space| !space.is_empty()) else {
            return Poll::Ready(0);
        };
        loop {
            let Ok(mut ready) = ready!(self.fd.poll_read_ready(cx)) else {
                return Poll::Ready(0);
            };
            match read(self.fd.get_ref(), &mut *space) {
                Ok(n) => {
                    self.rest = self.rest.map(|rest| rest.saturating_sub(n as u64));
                    return Poll::Ready(n);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !ready.ready().is_read_closed() => ready.clear_ready(),
                // A terminal ends with EIO.
                Err(_) => return Poll::Ready(0),
            }
        }
    }
}
