//! Owns: the one loop between a [`Machine`] and a runtime.
//!
//! A runtime implements [`Port`]: polls for what may arrive, plain calls for what is to be done.
//! [`Driver`] is the future that moves the one to the other; it stands on `std::task` alone and is
//! the only place in core that knows what a waker is.
//!
//! A turn of the loop takes what is there (signals, due timers, answers, one chunk of the host's
//! bytes), lets the machine handle each and carries out its effects, then writes everything that
//! is pending with one call. A lone message is a batch of one, so batching costs no latency.
//!
//! Invariants: effects are drained before the next input. A host that does not read pauses
//! answers, and so the model streams behind them. No allocation a message.
//! Never: reads a clock, decides when to end (the machine does, with [`Effect::Exit`]).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Now;
use crate::effect::{AskId, Call, CallId, Effect, ExitStatus, Feed, RefreshAuth, TimerId};
use crate::input::{FreshTokens, Input, Outcome, RefreshDenied, Signal};
use crate::machine::Machine;
use crate::telemetry::Telemetry;
use crate::trace::{Recorder, Sink};

/// Most bytes of the host handled between two writes.
pub const READ_CHUNK_BYTES: usize = 64 << 10;

/// What is read at first, and again after a read that was smaller: one process may have thousands
/// of drivers, and most hosts are silent most of the time.
const READ_FIRST_BYTES: usize = 4 << 10;

/// Answers handled between two writes, so that neither the host's bytes nor the output starve
/// beside a fast stream. The rest is taken in the next turn.
pub const OUTCOMES_PER_TURN: usize = 64;

/// Turns in one poll; after that the driver yields to the other tasks of its thread.
pub const TURNS_PER_POLL: usize = 32;

/// From [`Effect::Exit`] to the end of the driver, at most; output that the host has not taken by
/// then is dropped.
pub const EXIT_FLUSH_LIMIT: Duration = Duration::from_millis(500);

/// The driver's own timer, for [`EXIT_FLUSH_LIMIT`]. The machine counts its timers upwards from
/// zero and is not asked any more when this one runs.
const FLUSH_TIMER: TimerId = TimerId(u64::MAX);

/// What a runtime supplies: one host's bytes, timers, calls and signals.
///
/// Polls follow the contract of [`Future::poll`]: what is not ready arranges a wake-up.
pub trait Port {
    /// The moment, for the next input.
    fn now(&mut self) -> Now;

    /// Reads bytes of the host into `buffer`. Zero means that nothing more comes, be it in order
    /// or by an error; it is not polled again then.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize>;

    /// Writes a prefix of `bytes` to the host and says how many of them. While it is not ready
    /// the next call has the same bytes, perhaps with more behind them.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Closed>>;

    /// The next timer that is due. Each fires once.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<TimerId>;

    /// The next answer to a call. Answers of one call come in order; what is not polled for is
    /// held back at its source.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(CallId, Outcome<'_>)>;

    /// The next answer to [`Port::refresh_auth`].
    fn poll_refreshed(&mut self, cx: &mut Context<'_>) -> Poll<(AskId, Refreshed)>;

    /// The next signal.
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal>;

    /// Begins a call. A failure is an answer too.
    fn start(&mut self, id: CallId, call: Call);

    /// Hands something to a call, if it still runs.
    fn feed(&mut self, id: CallId, feed: Feed);

    /// Stops a call, if it still runs. What was fed to it before is still carried out.
    fn cancel(&mut self, id: CallId);

    /// Makes timer `id` due once, `delay` from now.
    fn start_timer(&mut self, id: TimerId, delay: Duration);

    /// Forgets timer `id`, if it still waits.
    fn cancel_timer(&mut self, id: TimerId);

    /// Asks the program around the machine for new tokens.
    fn refresh_auth(&mut self, id: AskId, ask: RefreshAuth);

    /// Takes a measurement. Must not block, and may lose it; a runtime that sends measurements
    /// nowhere leaves it at that.
    fn telemetry(&mut self, _said: Telemetry) {}
}

/// The answer to [`Port::refresh_auth`].
pub type Refreshed = Result<FreshTokens, RefreshDenied>;

/// Nothing can be written to the host any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Runs one [`Machine`] over one [`Port`] until the machine ends.
///
/// Dropping it drops the port, and with it every call that still runs.
#[derive(Debug)]
pub struct Driver<P, M = Machine> {
    inner: Loop<M, P>,
}

impl<P: Port> Driver<P> {
    /// A driver that has moved nothing yet; the machine's first effects are carried out by the
    /// first poll.
    pub fn new(machine: Machine, port: P) -> Self {
        Self { inner: Loop::new(machine, port) }
    }
}

impl<P: Port, S: Sink> Driver<P, Recorder<S>> {
    /// The same for a machine that is recorded.
    pub fn recorded(machine: Recorder<S>, port: P) -> Self {
        Self { inner: Loop::new(machine, port) }
    }
}

impl<P: Port + Unpin, M: Verbs + Unpin> Future for Driver<P, M> {
    type Output = ExitStatus;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitStatus> {
        self.get_mut().inner.poll(cx)
    }
}

/// The machine's verbs, apart from the machine so that it can be recorded, and so that the loop's
/// tests can script them.
pub trait Verbs {
    /// [`Machine::handle`]
    fn handle(&mut self, now: Now, input: Input<'_>);
    /// [`Machine::poll_effect`]
    fn poll_effect(&mut self) -> Option<Effect>;
    /// [`Machine::pending_output`]
    fn pending_output(&self) -> &[u8];
    /// [`Machine::wrote`]
    fn wrote(&mut self, n: usize);
    /// [`Machine::wants_input`]
    fn wants_input(&self) -> bool;
}

impl Verbs for Machine {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.handle(now, input);
    }
    fn poll_effect(&mut self) -> Option<Effect> {
        self.poll_effect()
    }
    fn pending_output(&self) -> &[u8] {
        self.pending_output()
    }
    fn wrote(&mut self, n: usize) {
        self.wrote(n);
    }
    fn wants_input(&self) -> bool {
        self.wants_input()
    }
}

#[derive(Debug)]
struct Loop<M, P> {
    machine: M,
    port: P,
    /// As large as the host's last bytes make it seem useful.
    buffer: Box<[u8]>,
    input: Flow,
    output: Flow,
    exit: Option<ExitStatus>,
}

/// Whether a direction still carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    Ended,
}

impl<M: Verbs, P: Port> Loop<M, P> {
    fn new(machine: M, port: P) -> Self {
        let buffer = vec![0; READ_FIRST_BYTES].into_boxed_slice();
        Self { machine, port, buffer, input: Flow::Open, output: Flow::Open, exit: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ExitStatus> {
        self.carry_out();
        for _ in 0..TURNS_PER_POLL {
            let took = if self.exit.is_none() { self.take(cx) } else { self.flush_is_over(cx) };
            let wrote = self.write(cx);
            if let Some(status) = &self.exit
                && self.machine.pending_output().is_empty()
            {
                return Poll::Ready(status.clone());
            }
            if !took && !wrote {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what there is, in the order of urgency; says whether there was anything.
    fn take(&mut self, cx: &mut Context<'_>) -> bool {
        let signal = self.take_signal(cx);
        let timer = self.take_timer(cx);
        let refreshed = self.take_refreshed(cx);
        let outcome = self.take_outcomes(cx);
        let bytes = self.take_bytes(cx);
        signal || timer || refreshed || outcome || bytes
    }

    fn take_signal(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(signal) = self.port.poll_signal(cx) else {
            return false;
        };
        self.feed(Input::Signal(signal));
        true
    }

    fn take_timer(&mut self, cx: &mut Context<'_>) -> bool {
        if self.exit.is_some() {
            return false;
        }
        let Poll::Ready(id) = self.port.poll_timer(cx) else {
            return false;
        };
        self.feed(Input::TimerFired(id));
        true
    }

    fn take_refreshed(&mut self, cx: &mut Context<'_>) -> bool {
        if self.exit.is_some() {
            return false;
        }
        let Poll::Ready((id, answer)) = self.port.poll_refreshed(cx) else {
            return false;
        };
        self.feed(Input::AuthRefreshed(id, answer));
        true
    }

    fn take_outcomes(&mut self, cx: &mut Context<'_>) -> bool {
        for taken in 0..OUTCOMES_PER_TURN {
            // A machine that wants nothing although the host took everything waits for answers:
            // holding them back too would wait for ever.
            let paused = !self.machine.wants_input() && !self.machine.pending_output().is_empty();
            if self.exit.is_some() || paused {
                return taken > 0;
            }
            // Read before the answer, which borrows the port.
            let now = self.port.now();
            let Poll::Ready((id, outcome)) = self.port.poll_outcome(cx) else {
                return taken > 0;
            };
            self.machine.handle(now, Input::Done(id, outcome));
            self.carry_out();
        }
        true
    }

    fn take_bytes(&mut self, cx: &mut Context<'_>) -> bool {
        if self.exit.is_some() || self.input == Flow::Ended || !self.machine.wants_input() {
            return false;
        }
        let Poll::Ready(n) = self.port.poll_read(cx, &mut self.buffer) else {
            return false;
        };
        let now = self.port.now();
        match self.buffer.get(..n) {
            Some(bytes) if n > 0 => self.machine.handle(now, Input::Bytes(bytes)),
            _ => {
                self.input = Flow::Ended;
                self.machine.handle(now, Input::Eof);
            }
        }
        self.carry_out();
        self.fit_buffer(n);
        true
    }

    fn fit_buffer(&mut self, read: usize) {
        let len = self.buffer.len();
        let wanted = if read == len {
            READ_CHUNK_BYTES
        } else if read < READ_FIRST_BYTES {
            READ_FIRST_BYTES
        } else {
            len
        };
        if wanted != len {
            self.buffer = vec![0; wanted].into_boxed_slice();
        }
    }

    /// Gives up on pending output when the time for it is over; says whether it is.
    fn flush_is_over(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(id) = self.port.poll_timer(cx) {
            if id == FLUSH_TIMER {
                self.output = Flow::Ended;
                return true;
            }
        }
        false
    }

    /// Writes what is pending, with one call; says whether bytes went.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let pending = self.machine.pending_output();
        let len = pending.len();
        if len == 0 {
            return false;
        }
        let written = match self.output {
            // Dropped, lest it stand as back-pressure for ever.
            Flow::Ended => Ok(len),
            Flow::Open => match self.port.poll_write(cx, pending) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0)) => Err(Closed),
                Poll::Ready(written) => written,
            },
        };
        match written {
            Ok(n) => {
                self.machine.wrote(n.min(len));
                self.carry_out();
            }
            Err(Closed) => {
                self.output = Flow::Ended;
                if self.exit.is_none() {
                    self.feed(Input::Signal(Signal::OutputClosed));
                }
            }
        }
        true
    }

    fn feed(&mut self, input: Input<'_>) {
        let now = self.port.now();
        self.machine.handle(now, input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                // Pending output is written at the end of every turn.
                Effect::Send => {}
                Effect::RefreshAuth(id, ask) => self.port.refresh_auth(id, ask),
                Effect::StartTimer(id, delay) => self.port.start_timer(id, delay),
                Effect::CancelTimer(id) => self.port.cancel_timer(id),
                Effect::Start(id, call) => self.port.start(id, *call),
                Effect::Feed(id, feed) => self.port.feed(id, feed),
                Effect::Cancel(id) => self.port.cancel(id),
                Effect::Telemetry(said) => self.port.telemetry(*said),
                Effect::Exit(status) => {
                    if self.exit.is_none() {
                        self.exit = Some(status);
                        self.port.start_timer(FLUSH_TIMER, EXIT_FLUSH_LIMIT);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
