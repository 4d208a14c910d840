//! Owns: one program of a session: its output as it is polled for, its terminal's input, its end.
//!
//! There is no task and no queue: what nobody polls for stays in the pipe, and the program waits.
//! Dropping it kills the program's whole group.
//! Never: keeps output, or decides when a program has run long enough.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_channel::oneshot;
use rustix::io::{ioctl_fionread, read, write};
use understudy_core::{
    OutputStream, ProcessExit, ProcessFailure, ProcessFailureKind, ProcessRequest, limits,
};

use crate::program::{Child, LeftBehind, Programs, Started, Streams};
use crate::runtime::{Alarm, Duty, Runtime, Watched};

/// What a program has to tell.
#[derive(Debug)]
pub(super) enum Told {
    /// So many bytes of the buffer that was polled with.
    Output(OutputStream, usize),
    /// It has ended, but for this.
    Exited(ProcessExit, Option<LeftBehind>),
    Failed(ProcessFailure),
    /// The thread that should have started it panicked.
    Lost,
}

/// A program that is started, runs, or has ended.
pub(super) struct Process<R: Runtime> {
    stage: Stage<R>,
    /// Killed before it ran.
    is_killed: bool,
    /// For its terminal, when that takes it.
    input: VecDeque<u8>,
}

enum Stage<R: Runtime> {
    Starting(oneshot::Receiver<Result<Started, ProcessFailure>>),
    Running(Box<Run<R>>),
    Over,
}

struct Run<R: Runtime> {
    /// None while it is being reaped, and after.
    child: Option<Child>,
    ended: R::Watched,
    /// Those that have not ended.
    streams: Vec<Stream<R::Watched>>,
    drain: Drain,
    alarm: R::Alarm,
}

/// How much longer output is read.
enum Drain {
    /// The program runs.
    NotYet,
    /// It has ended; until then something else may still write.
    Until(Instant),
    /// What was in the pipes when the time was over, and no more.
    Rest,
}

struct Stream<W> {
    from: OutputStream,
    fd: W,
    /// What is still read of it; no limit before [`Drain::Rest`].
    rest: Option<u64>,
}

impl<R: Runtime> Process<R> {
    /// Has the program started. Must be called where the reactor is at hand.
    pub(super) fn start(programs: &Programs, request: ProcessRequest) -> Self {
        let (sender, started) = oneshot::channel();
        programs.start(request, |answer| {
            // Nobody waits for a program that was cancelled: dropping it kills it.
            let _cancelled = sender.send(answer);
        });
        Self { stage: Stage::Starting(started), is_killed: false, input: VecDeque::new() }
    }

    /// Kills the program's whole group, now or as soon as there is one.
    pub(super) fn kill(&mut self) {
        self.is_killed = true;
        if let Stage::Running(run) = &self.stage
            && let Some(child) = &run.child
        {
            child.kill();
        }
    }

    /// Takes bytes for the program's terminal. What is beyond
    /// [`limits::PROCESS_INPUT_BYTES_MAX`] is dropped.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let room = limits::PROCESS_INPUT_BYTES_MAX.saturating_sub(self.input.len());
        if bytes.len() > room {
            tracing::debug!(dropped = bytes.len() - room, "a terminal takes no more");
        }
        self.input.extend(bytes.iter().take(room));
    }

    /// The next that it has to tell; output is read into `buffer`. Not to be polled after the last.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Told> {
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

impl<R: Runtime> Run<R> {
    fn new(started: Started) -> io::Result<Self> {
        let Started { child, streams, ended } = started;
        let stream = |from, fd, duty| {
            let fd = R::Watched::new(fd, duty)?;
            Ok::<_, io::Error>(Stream { from, fd, rest: None })
        };
        let streams = match streams {
            Streams::Pipes { stdout, stderr } => vec![
                stream(OutputStream::Stdout, stdout, Duty::Read)?,
                stream(OutputStream::Stderr, stderr, Duty::Read)?,
            ],
            Streams::Terminal(master) => vec![stream(OutputStream::Stdout, master, Duty::Both)?],
        };
        let ended = R::Watched::new(ended, Duty::Read)?;
        let (drain, alarm) = (Drain::NotYet, R::Alarm::default());
        Ok(Self { child: Some(child), ended, streams, drain, alarm })
    }

    /// Writes what the terminal takes. Only a terminal is ever writable.
    fn poll_input(&mut self, cx: &mut Context<'_>, input: &mut VecDeque<u8>) {
        let Some(stream) = self.streams.first_mut() else { return input.clear() };
        while !input.is_empty() {
            let bytes = input.as_slices().0;
            match stream.fd.poll_write(cx, |fd| Ok(write(fd, bytes)?)) {
                Poll::Ready(Ok(n)) => drop(input.drain(..n)),
                // Nobody reads it any more.
                Poll::Ready(Err(_)) => input.clear(),
                Poll::Pending => return,
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
            && self.ended.poll_readable(cx).is_ready()
        {
            self.drain = Drain::Until(R::Alarm::now() + limits::PROCESS_DRAIN);
        }
        if let Drain::Until(moment) = self.drain
            && self.alarm.poll(cx, moment).is_ready()
        {
            for stream in &mut self.streams {
                stream.rest = Some(ioctl_fionread(&stream.fd).unwrap_or(0));
            }
            self.drain = Drain::Rest;
        }
    }
}

impl<W: Watched> Stream<W> {
    /// Zero at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        let rest = self.rest.map_or(usize::MAX, |rest| usize::try_from(rest).unwrap_or(usize::MAX));
        let room = rest.min(buffer.len());
        let Some(space) = buffer.get_mut(..room).filter(|space| !space.is_empty()) else {
            return Poll::Ready(0);
        };
        // A terminal ends with EIO.
        let read = ready!(self.fd.poll_read(cx, |fd| Ok(read(fd, &mut *space)?))).unwrap_or(0);
        self.rest = self.rest.map(|rest| rest.saturating_sub(read as u64));
        Poll::Ready(read)
    }
}
