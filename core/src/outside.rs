//! What a room may do to the outside: answer, tell, ask, start a call, set a timer.
//!
//! Owns the correlation of all of these. An answer whose call, timer or question is not in a table
//! any more is dropped here and nowhere else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Now;
use crate::effect::{AskId, Call, CallId, Effect, Feed, TimerId};
use crate::limits;
use crate::owner::{CallOwner, TimerOwner};
use crate::pending::{AskOwner, Asks, Measured, Requests, Ticket};
use crate::reached::Row;
use crate::rng::Rng;
use crate::session::OptOuts;
use crate::telemetry::{Event, Happening, Measure, Meter, Scope, Sinks, Telemetry, Within, Work};
use crate::thread::Audience;
use crate::wire::RequestId;
use crate::wire::refusal::Refusal;
use crate::wire::reply::Output;

/// What was said of a thread before anybody listened.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Unheard {
    lines: Vec<u8>,
    is_full: bool,
}

impl Unheard {
    /// Keeps a notification. At the bound the rest is dropped, so that what was kept stays in order.
    fn keep(&mut self, method: &str, params: impl Serialize) {
        if self.is_full {
            return;
        }
        let mut line = Output::default();
        line.notification(method, params);
        if self.lines.len() + line.pending().len() > limits::UNHEARD_BYTES_MAX {
            self.is_full = true;
            return tracing::warn!("a thread without listeners has said more than is kept");
        }
        self.lines.extend_from_slice(line.pending());
    }
}

/// Everything that leaves the machine goes through here.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Outside {
    pub(crate) now: Now,
    pub(crate) rng: Rng,
    output: Output,
    effects: VecDeque<Effect>,
    requests: Requests,
    asks: Asks,
    opt_outs: OptOuts,
    /// What was said of threads that nobody listens to.
    unheard: BTreeMap<Arc<str>, Unheard>,
    /// Where measurements go somewhere.
    meter: Option<Box<Meter>>,
    calls: BTreeMap<CallId, CallOwner>,
    timers: BTreeMap<TimerId, TimerOwner>,
    next_call: u64,
    next_timer: u64,
    /// `Effect::Send` was given out for what is pending.
    send_said: bool,
    /// The host did not read when last looked at.
    was_backed_up: bool,
    /// When it was last seen to read again, in time since the runtime's start.
    unblocked_at: Duration,
    #[cfg(feature = "sim")]
    reached: std::collections::BTreeSet<Row>,
}

impl Outside {
    pub(crate) fn new(seed: [u8; 32], now: Now) -> Self {
        Self {
            now,
            rng: Rng::new(seed),
            output: Output::default(),
            effects: VecDeque::new(),
            requests: Requests::default(),
            asks: Asks::default(),
            opt_outs: OptOuts::default(),
            unheard: BTreeMap::new(),
            meter: None,
            calls: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_call: 0,
            next_timer: 0,
            send_said: false,
            was_backed_up: false,
            unblocked_at: now.mono,
            #[cfg(feature = "sim")]
            reached: std::collections::BTreeSet::new(),
        }
    }

    // --- requests of the host ---

    pub(crate) fn open_request(&mut self, id: RequestId, method: &str) -> Ticket {
        let measure = self.measure(Within::Nothing);
        self.requests.open(id, method, measure)
    }

    pub(crate) fn open_requests(&self) -> usize {
        self.requests.count()
    }

    /// Answers a request.
    pub(crate) fn reply(&mut self, ticket: Ticket, result: impl Serialize) {
        let (id, measured) = self.requests.close(ticket);
        self.output.response(&id, result);
        self.answered(measured, None);
    }

    /// Answers a request with an error.
    pub(crate) fn refuse(&mut self, ticket: Ticket, refusal: &Refusal) {
        let (id, measured) = self.requests.close(ticket);
        self.output.refusal_of(&id, refusal);
        self.answered(measured, Some(refusal.code));
    }

    fn answered(&mut self, measured: Option<Box<Measured>>, refused: Option<i64>) {
        let Some(measured) = measured else { return };
        let Measured { measure, method } = *measured;
        self.measured(Some(measure), || Work::Request { method, refused });
    }

    /// Says that a line could not be taken for a request.
    pub(crate) fn reject_line(&mut self, id: Option<&RequestId>, code: i64, message: &str) {
        self.output.refusal(id, code, message);
    }

    // --- what the host is told and asked ---

    pub(crate) fn notify(&mut self, method: &str, params: impl Serialize) {
        if !self.opt_outs.has(method) {
            self.output.notification(method, params);
        }
    }

    /// Tells the listeners of a thread. Without any, what is said is kept for the first one.
    pub(crate) fn tell(
        &mut self,
        thread: &Arc<str>,
        audience: Audience,
        method: &str,
        params: impl Serialize,
    ) {
        if !audience.is_empty() {
            return self.notify(method, params);
        }
        if !self.opt_outs.has(method) {
            self.unheard.entry(thread.clone()).or_default().keep(method, params);
        }
    }

    /// A first listener: it hears what it has missed.
    pub(crate) fn catch_up(&mut self, thread: &Arc<str>) {
        if let Some(unheard) = self.unheard.remove(thread) {
            self.output.lines(&unheard.lines);
        }
    }

    /// A thread is gone, and what nobody heard of it.
    pub(crate) fn forget_unheard(&mut self, thread: &Arc<str>) {
        self.unheard.remove(thread);
    }

    pub(crate) fn set_opt_outs(&mut self, opt_outs: OptOuts) {
        self.opt_outs = opt_outs;
    }

    /// Whether any notification of the older dialect is wanted; if not, none is made.
    pub(crate) fn wants_legacy(&self) -> bool {
        !self.opt_outs.all_legacy
    }

    /// Asks the host on the wire. With a limit, [`TimerOwner::Ask`] fires when no answer came in time.
    pub(crate) fn ask(
        &mut self,
        owner: AskOwner,
        method: &str,
        params: impl Serialize,
        limit: Option<Duration>,
    ) -> AskId {
        let id = self.asks.open(owner, limit);
        self.output.request(id.0, method, params);
        self.asks.queued(id, self.output.end());
        id
    }

    /// Asks the embedding program: `effect` makes the question, the clock starts at once.
    pub(crate) fn ask_embedder(
        &mut self,
        owner: AskOwner,
        limit: Duration,
        effect: impl FnOnce(AskId) -> Effect,
    ) -> AskId {
        let id = self.asks.open(owner, Some(limit));
        self.effects.push_back(effect(id));
        self.start_ask_timer(id, limit);
        id
    }

    /// Ends a question because an answer came, or none is wanted any more. `None`: it was over.
    pub(crate) fn close_ask(&mut self, id: AskId) -> Option<AskOwner> {
        let (owner, timer) = self.asks.close(id)?;
        if let Some(timer) = timer {
            self.cancel_timer(timer);
        }
        Some(owner)
    }

    fn start_ask_timer(&mut self, id: AskId, limit: Duration) {
        let timer = self.start_timer(limit, TimerOwner::Ask(id));
        self.asks.set_timer(id, timer);
    }

    // --- calls and timers ---

    pub(crate) fn start(&mut self, call: Call, owner: CallOwner) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(id, owner);
        self.effects.push_back(Effect::Start(id, Box::new(call)));
        id
    }

    /// Hands something to a call that runs.
    pub(crate) fn feed(&mut self, id: CallId, feed: Feed) {
        if self.calls.contains_key(&id) {
            self.effects.push_back(Effect::Feed(id, feed));
        }
    }

    pub(crate) fn cancel(&mut self, id: CallId) {
        if self.calls.remove(&id).is_some() {
            self.effects.push_back(Effect::Cancel(id));
        }
    }

    /// Who wants the answer to `id`, and forgets it when the answer is the last one.
    pub(crate) fn call_owner(&mut self, id: CallId, is_last: bool) -> Option<CallOwner> {
        if is_last { self.calls.remove(&id) } else { self.calls.get(&id).copied() }
    }

    pub(crate) fn running_calls(&self) -> impl Iterator<Item = &CallOwner> {
        self.calls.values()
    }

    pub(crate) fn start_timer(&mut self, after: Duration, owner: TimerOwner) -> TimerId {
        let id = TimerId(self.next_timer);
        self.next_timer += 1;
        self.timers.insert(id, owner);
        self.effects.push_back(Effect::StartTimer(id, after));
        id
    }

    pub(crate) fn cancel_timer(&mut self, id: TimerId) {
        if self.timers.remove(&id).is_some() {
            self.effects.push_back(Effect::CancelTimer(id));
        }
    }

    pub(crate) fn timer_fired(&mut self, id: TimerId) -> Option<TimerOwner> {
        self.timers.remove(&id)
    }

    // --- measurements ---

    /// Measuring begins.
    pub(crate) fn begin_measuring(&mut self, mut sinks: Box<Sinks>) {
        self.meter = Some(Box::new(Meter::new(&mut sinks, self.rng.apart())));
        self.effects.push_back(Effect::Telemetry(Box::new(Telemetry::Begin(sinks))));
    }

    /// A piece of work begins that is to be measured, if anything is.
    pub(crate) fn measure(&mut self, within: Within) -> Option<Measure> {
        let now = self.now;
        self.meter.as_mut().map(|meter| meter.begin(now, within))
    }

    /// A piece of work is over. Without a measure nothing is made of it.
    pub(crate) fn measured(&mut self, measure: Option<Measure>, work: impl FnOnce() -> Work) {
        let Some(measure) = measure else { return };
        let said = Telemetry::Measured(measure.end(self.now, work()));
        self.effects.push_back(Effect::Telemetry(Box::new(said)));
    }

    /// Something has happened. `what` is told whether the words of prompts are wanted.
    pub(crate) fn happened(&mut self, within: Option<Scope>, what: impl FnOnce(bool) -> Happening) {
        let Some(meter) = &self.meter else { return };
        let what = what(meter.has_prompts);
        let said = Telemetry::Happened(Event { within, at: self.now.wall, what });
        self.effects.push_back(Effect::Telemetry(Box::new(said)));
    }

    // --- the machine's side ---

    /// Sets the time for the input that is about to be handled.
    pub(crate) fn begin(&mut self, now: Now) {
        self.now = now;
        let backed_up = self.is_backed_up();
        if self.was_backed_up && !backed_up {
            self.unblocked_at = now.mono;
        }
        self.was_backed_up = backed_up;
    }

    /// Until when the host did not read. Streams were not read either, so their silence before it
    /// is not the backend's.
    pub(crate) fn unblocked_at(&self) -> Duration {
        self.unblocked_at
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.send_said || self.output.pending().is_empty() {
            return None;
        }
        self.send_said = true;
        Some(Effect::Send)
    }

    pub(crate) fn pending_output(&self) -> &[u8] {
        self.output.pending()
    }

    pub(crate) fn is_backed_up(&self) -> bool {
        self.output.is_over_high_water()
    }

    pub(crate) fn wrote(&mut self, n: usize) {
        self.output.wrote(n);
        if self.output.pending().is_empty() {
            self.send_said = false;
        }
        while let Some((id, limit)) = self.asks.next_written(self.output.written()) {
            self.start_ask_timer(id, limit);
        }
    }

    /// What is open, and what waits for the host; for [`Machine::state`](crate::Machine::state).
    #[cfg(feature = "sim")]
    pub(crate) fn state(&self) -> impl std::fmt::Debug + '_ {
        let Self { requests, asks, opt_outs, unheard, calls, timers, .. } = self;
        let pending = String::from_utf8_lossy(self.output.pending());
        let flags = (self.send_said, self.was_backed_up, self.effects.len());
        (pending, requests, asks.state(), opt_outs, unheard, calls, timers, flags)
    }

    /// Notes that a row of a table of rules was asked. Nothing in builds that are no simulation.
    #[cfg(feature = "sim")]
    pub(crate) fn reached(&mut self, row: impl FnOnce() -> Row) {
        self.reached.insert(row());
    }

    /// Notes that a row of a table of rules was asked. Nothing in builds that are no simulation.
    #[cfg(not(feature = "sim"))]
    pub(crate) fn reached(&mut self, _: impl FnOnce() -> Row) {}

    /// Rows that were asked so far.
    #[cfg(feature = "sim")]
    pub(crate) fn rows_reached(&self) -> &std::collections::BTreeSet<Row> {
        &self.reached
    }

    /// How many questions, calls and timers are open; for tests of "nothing is left".
    #[cfg(feature = "sim")]
    pub(crate) fn open_work(&self) -> (usize, usize, usize) {
        (self.asks.count(), self.calls.len(), self.timers.len())
    }
}
