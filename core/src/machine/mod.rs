//! The machine: verbs, and which room serves what. It has no rules of its own.

mod answers;
mod apps;
#[cfg(test)]
mod bench;
mod commands;
mod config;
mod conversations;
mod dispatch;
mod errands;
mod feedback;
mod mcp;
mod models;
mod opening;
mod page;
mod rest;
mod search;
mod skills;
pub(crate) mod startup;
#[cfg(feature = "sim")]
mod state;
mod threads;
mod turns;
mod usage;

pub use config::{ConfigFound, ConfigJob};
pub use startup::{StartupFound, StartupJob};
#[cfg(feature = "sim")]
pub use state::State;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::auth::{Auth, AuthCall, Waiter, Woken};
use crate::clock::Now;
use crate::command::Commands;
use crate::config::{Config, ConfigWarning};
use crate::effect::{CallId, Effect, ExitStatus, TimerId};
use crate::files::{FileAnswer, FileError};
use crate::input::{Input, Outcome, Signal};
use crate::limits;
use crate::model::catalogue::Catalogue;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};
use crate::pending::Ticket;
use crate::search::Searches;
use crate::session::Session;
use crate::setup::Setup;
use crate::thread::list::KnownOrders;
use crate::thread::open::Opening;
use crate::thread::{ThreadId, Threads};
use crate::turn::{Next, ToolInput};
use crate::wire::decode;
use crate::wire::envelope::Incoming;
use crate::wire::framing::{Framer, Line};
use crate::wire::refusal::{INVALID_REQUEST, PARSE_ERROR, Refusal};
use errands::Errand;
use feedback::Feedback;
use threads::Asked;

/// The whole server for one host. See the crate's documentation for the loop around it.
#[cfg_attr(feature = "sim", derive(Clone))]
#[derive(Debug)]
pub struct Machine {
    setup: Setup,
    out: Outside,
    session: Session,
    auth: Auth,
    /// As of start-up; a thread reads its own again (config.md §2.8).
    config: Option<Arc<Config>>,
    catalogue: Catalogue,
    threads: Threads,
    opening: BTreeMap<CallId, Opening>,
    asked: BTreeMap<CallId, Asked>,
    /// What the last page of threads left behind for the next one.
    known_orders: KnownOrders,
    /// Questions that wait until a thread is stored.
    unstored: Vec<(ThreadId, Asked)>,
    /// Listeners by the older method.
    subscriptions: BTreeMap<uuid::Uuid, ThreadId>,
    /// When threads are looked over next for what can be put away, in time since the start.
    next_rest: Duration,
    errands: BTreeMap<u64, Errand>,
    commands: Commands,
    /// Requests about the configuration, by the file job that serves them.
    config_asked: BTreeMap<CallId, Ticket>,
    /// Feedback on its way.
    feedback: BTreeMap<CallId, Feedback>,
    /// Searches for files.
    searches: Searches,
    next_errand: u64,
    framer: Framer,
    stage: Stage,
    /// What came while [`Stage::Loading`], from a runtime that does not ask `wants_input`.
    held: Held,
    /// Warnings of start-up, for after the reply to `initialize`.
    warnings: Vec<ConfigWarning>,
}

/// What a machine has begun and not ended.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenWork {
    /// Requests of the host without a reply.
    pub requests: usize,
    /// Questions to the host without an answer.
    pub asks: usize,
    /// Calls that have not ended.
    pub calls: usize,
    /// Timers that are set.
    pub timers: usize,
}

/// Input that waits for start-up.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Held {
    bytes: Vec<u8>,
    eof: bool,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Configuration and credentials are being read; input is held back.
    Loading,
    Running,
    /// No more input comes, and what is open is ended.
    Closing,
    /// `Effect::Exit` was given out.
    Gone,
}

impl Machine {
    /// A machine that has read nothing yet. Its first effect loads configuration and credentials.
    pub fn new(setup: Setup, seed: [u8; 32], now: Now) -> Self {
        let mut machine = Self {
            out: Outside::new(seed, now),
            session: Session::new(&setup),
            auth: Auth::new(&setup),
            config: None,
            catalogue: Catalogue::default(),
            threads: Threads::new(),
            opening: BTreeMap::new(),
            asked: BTreeMap::new(),
            known_orders: KnownOrders::default(),
            unstored: Vec::new(),
            subscriptions: BTreeMap::new(),
            next_rest: Duration::ZERO,
            errands: BTreeMap::new(),
            commands: Commands::default(),
            config_asked: BTreeMap::new(),
            feedback: BTreeMap::new(),
            searches: Searches::default(),
            next_errand: 0,
            framer: Framer::new(limits::LINE_BYTES_MAX),
            stage: Stage::Loading,
            held: Held::default(),
            warnings: Vec::new(),
            setup,
        };
        machine.load();
        machine
    }

    /// Takes one input. Total: never fails, never panics on what a peer sent. Drain
    /// [`poll_effect`](Self::poll_effect) before the next input.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.out.begin(now);
        if self.stage == Stage::Gone {
            return;
        }
        let is_bytes = matches!(input, Input::Bytes(_));
        match input {
            Input::Bytes(bytes) => self.on_bytes(bytes),
            Input::Eof => self.on_eof(),
            Input::TimerFired(timer) => self.on_timer(timer),
            Input::Done(call, outcome) => self.on_done(call, outcome),
            Input::AuthRefreshed(ask, answer) => self.on_embedder_refresh(ask, answer),
            Input::Signal(Signal::Terminate | Signal::OutputClosed | Signal::ParentGone) => {
                // Nobody waits for what they say any more.
                self.commands.stop(&mut self.out);
                self.close();
            }
        }
        self.wake_all();
        if !is_bytes {
            self.rest_threads();
        }
        self.end_if_closed();
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.out.poll_effect()
    }

    /// Bytes for the host that were not written yet.
    pub fn pending_output(&self) -> &[u8] {
        self.out.pending_output()
    }

    /// Says that the first `n` pending bytes were written. May queue effects.
    pub fn wrote(&mut self, n: usize) {
        self.out.wrote(n);
    }

    /// Whether more bytes from the host, and more partial answers to calls, may be handed in. While
    /// it is false a runtime delivers only timers, signals, and answers that end a call. What is
    /// handed in all the same is served: what it leads to waits for the host above the mark.
    pub fn wants_input(&self) -> bool {
        self.stage != Stage::Loading
            && !self.out.is_backed_up()
            && self.out.open_requests() < limits::OPEN_REQUESTS_MAX
    }

    /// What is begun and not ended, for checks that nothing is left.
    #[cfg(feature = "sim")]
    pub fn open_work(&self) -> OpenWork {
        let (asks, calls, timers) = self.out.open_work();
        OpenWork { requests: self.out.open_requests(), asks, calls, timers }
    }

    /// What may decide how it behaves from now on, for a search through its states.
    #[cfg(feature = "sim")]
    pub fn state(&self) -> State<'_> {
        State(self)
    }

    /// Rows of tables of rules that were asked so far, for checks that all are.
    #[cfg(feature = "sim")]
    pub fn rows_reached(&self) -> &std::collections::BTreeSet<crate::reached::Row> {
        self.out.rows_reached()
    }

    // --- input ---

    fn on_bytes(&mut self, bytes: &[u8]) {
        match self.stage {
            Stage::Loading => return self.held.bytes.extend_from_slice(bytes),
            Stage::Running => {}
            Stage::Closing | Stage::Gone => return,
        }
        let mut framer = std::mem::replace(&mut self.framer, Framer::new(0));
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(line) = framer.next(&mut rest) else { break };
            self.on_line(&line);
            framer.done();
            // Before the next line, and not before its end: where a chunk ends must not matter.
            self.wake_all();
            self.rest_threads();
        }
        self.framer = framer;
    }

    fn on_eof(&mut self) {
        match self.stage {
            Stage::Loading => {
                // What was said before is still answered, unless the disk hangs.
                if !std::mem::replace(&mut self.held.eof, true) {
                    self.out.start_timer(limits::CLOSING_GRACE, TimerOwner::Closing);
                }
                return;
            }
            Stage::Running => {}
            Stage::Closing | Stage::Gone => return,
        }
        let mut framer = std::mem::replace(&mut self.framer, Framer::new(0));
        if let Some(line) = framer.finish() {
            self.on_line(&line);
        }
        self.close();
    }

    fn on_line(&mut self, line: &Line<'_>) {
        let incoming = match line {
            Line::Whole(bytes) => Incoming::decode(bytes),
            Line::TooLong => {
                let text = format!("the line is longer than {} bytes", limits::LINE_BYTES_MAX);
                return self.out.reject_line(None, INVALID_REQUEST, &text);
            }
        };
        match incoming {
            Incoming::Request { id, method, params } => {
                let ticket = self.out.open_request(id, &method);
                let span = ticket.span();
                span.in_scope(|| self.dispatch(ticket, &method, params));
            }
            Incoming::Response { id, result } => self.on_answer(&id, Ok(result)),
            Incoming::Error { id, error } => self.on_answer(&id, Err(error)),
            // Notifications of the host have no effect (protocol.md §1.2).
            Incoming::Notification | Incoming::Blank => {}
            Incoming::Unusable { id, why } => {
                self.out.reject_line(id.as_ref(), INVALID_REQUEST, why);
            }
            Incoming::NotJson { why } => {
                self.out.reject_line(None, PARSE_ERROR, &format!("Parse error: {why}"));
            }
        }
    }

    /// Decodes params before anything else is checked, as the reference does (auth.md §1.4).
    fn with_params<P: DeserializeOwned>(
        &mut self,
        ticket: Ticket,
        raw: Option<&RawValue>,
        serve: impl FnOnce(&mut Self, Ticket, P),
    ) {
        match decode::params(raw) {
            Err(detail) => self.out.refuse(ticket, &Refusal::undecodable(&detail)),
            Ok(params) => self.when_ready(ticket, |machine, ticket| serve(machine, ticket, params)),
        }
    }

    /// The same for a method without params.
    fn without_params(
        &mut self,
        ticket: Ticket,
        raw: Option<&RawValue>,
        serve: impl FnOnce(&mut Self, Ticket),
    ) {
        match decode::no_params(raw) {
            Err(detail) => self.out.refuse(ticket, &Refusal::undecodable(&detail)),
            Ok(()) => self.when_ready(ticket, serve),
        }
    }

    /// The gate: nothing but `initialize` before `initialize`.
    fn when_ready(&mut self, ticket: Ticket, serve: impl FnOnce(&mut Self, Ticket)) {
        if self.session.is_ready() {
            serve(self, ticket);
        } else {
            self.out.refuse(ticket, &Refusal::invalid("Not initialized"));
        }
    }

    fn on_timer(&mut self, timer: TimerId) {
        match self.out.timer_fired(timer) {
            None => {}
            Some(TimerOwner::Ask(ask)) => self.on_ask_expired(ask),
            Some(TimerOwner::Backoff(thread)) => {
                self.with_turn(thread, |turn, _, _| turn.on_backoff_over())
            }
            Some(TimerOwner::StreamIdle(thread)) => {
                self.with_turn(thread, |turn, out, conversation| turn.on_idle(out, conversation));
            }
            Some(TimerOwner::Tool(thread)) => {
                self.with_turn(thread, |turn, out, conversation| {
                    turn.on_tool_input(out, conversation, ToolInput::Timer(timer))
                });
            }
            Some(TimerOwner::LoginLimit) => self.auth.login_expired(&mut self.out),
            Some(TimerOwner::LoginRetry) => self.auth.retry_login(&mut self.out),
            Some(TimerOwner::RefreshRetry) => self.auth.retry_managed_refresh(&mut self.out),
            Some(TimerOwner::Command(id)) => self.commands.on_limit(&mut self.out, id),
            Some(TimerOwner::Closing) => self.exit(ExitStatus::OutOfTime),
        }
    }

    fn on_done(&mut self, call: CallId, outcome: Outcome<'_>) {
        let Some(owner) = self.out.call_owner(call, outcome.is_last()) else { return };
        match (owner, outcome) {
            (CallOwner::Stream(thread), outcome) => {
                self.with_turn(thread, |turn, out, conversation| {
                    turn.on_outcome(out, conversation, outcome)
                });
            }
            (CallOwner::Feedback, outcome) => self.on_feedback(call, outcome),
            (CallOwner::Command(id), outcome) => {
                self.commands.on_outcome(&mut self.out, id, outcome);
            }
            (CallOwner::Notify, Outcome::ProcessFailed(failure)) => {
                tracing::warn!(error = failure.text, "the program for notices did not start");
            }
            (CallOwner::Notify, _) => {}
            (CallOwner::Process(thread), outcome) => self.on_program(thread, call, outcome),
            (
                CallOwner::Patch(thread) | CallOwner::Amend(thread) | CallOwner::Look(thread),
                outcome,
            ) => {
                self.with_turn(thread, |turn, out, conversation| {
                    turn.on_tool_input(out, conversation, ToolInput::Outcome(call, outcome))
                });
            }
            (CallOwner::Input(thread), outcome) => {
                self.with_turn(thread, |turn, out, conversation| {
                    turn.on_named(out, conversation, call, outcome)
                });
            }
            (CallOwner::Errand(errand), outcome) => self.on_errand(errand, outcome),
            (CallOwner::Auth(purpose), outcome) => self.on_auth(purpose, call, outcome),
            (CallOwner::Search, Outcome::Found(files)) => {
                self.searches.done(&mut self.out, call, files);
            }
            (owner, Outcome::Files(answer)) => self.on_files(owner, call, *answer),
            (owner, Outcome::Lost) => self.on_lost(owner, call),
            (owner, _) => debug_assert!(false, "an answer of the wrong kind for {owner:?}"),
        }
    }

    /// An answer for the credential room.
    fn on_auth(&mut self, purpose: AuthCall, call: CallId, outcome: Outcome<'_>) {
        let (auth, out) = (&mut self.auth, &mut self.out);
        match (purpose, outcome) {
            (AuthCall::Store | AuthCall::RefreshStore, Outcome::Files(answer)) => match *answer {
                FileAnswer::Credentials(answer) => auth.stored(out, call, answer),
                other => debug_assert!(false, "an answer of the wrong kind: {other:?}"),
            },
            (AuthCall::Store | AuthCall::RefreshStore, _) => auth.store_lost(out, call, purpose),
            (AuthCall::Listener, outcome) => auth.on_listener(out, call, outcome),
            (AuthCall::Login, outcome) => auth.on_login_http(out, call, outcome),
            (AuthCall::RefreshLock, outcome) => auth.on_refresh_lock(out, call, outcome),
            (AuthCall::RefreshHttp, outcome) => auth.on_refresh_http(out, call, outcome),
            (AuthCall::Revoke, Outcome::HttpFailed(failure)) => {
                tracing::warn!(kind = ?failure.kind, "the token could not be revoked");
            }
            (AuthCall::Revoke, _) => {}
        }
    }

    fn on_files(&mut self, owner: CallOwner, call: CallId, answer: FileAnswer) {
        match (owner, answer) {
            (CallOwner::Startup, FileAnswer::Startup(found)) => {
                match found.0 {
                    Ok(found) => self.on_loaded(found),
                    Err(fault) => return self.exit(ExitStatus::Failed(fault)),
                }
                self.stage = Stage::Running;
                let Held { bytes, eof } = std::mem::take(&mut self.held);
                self.on_bytes(&bytes);
                if eof {
                    self.on_eof();
                }
            }
            (CallOwner::ThreadFile | CallOwner::ThreadOpen, FileAnswer::Thread(answer)) => {
                self.on_thread_answer(call, *answer);
            }
            (CallOwner::ThreadOpen, FileAnswer::Written(done)) => self.on_forked(call, done),
            (CallOwner::Rollout(thread), FileAnswer::Written(done)) => {
                self.on_appended(thread, call, done);
            }
            (CallOwner::ThreadOpen, FileAnswer::ThreadSetting(found)) => {
                self.on_thread_setting(call, *found);
            }
            (CallOwner::CatalogueFile, FileAnswer::Written(done)) => {
                if let Err(error) = done {
                    tracing::warn!(%error, "the model list could not be stored");
                }
            }
            (CallOwner::Config, FileAnswer::Config(found)) => self.on_config(call, *found),
            (owner, answer) => {
                debug_assert!(false, "an answer of the wrong kind for {owner:?}: {answer:?}");
            }
        }
    }

    /// The backend failed before it could answer: whoever waits is told.
    fn on_lost(&mut self, owner: CallOwner, call: CallId) {
        tracing::error!(?owner, "the backend failed before it could answer");
        match owner {
            // Without configuration nothing may be served.
            CallOwner::Startup => {
                let text = "configuration and credentials could not be read".to_owned();
                self.exit(ExitStatus::Failed(text));
            }
            CallOwner::ThreadOpen => self.open_lost(call),
            CallOwner::ThreadFile => self.ask_lost(call),
            CallOwner::Rollout(thread) => self.on_appended(thread, call, Err(FileError::lost())),
            CallOwner::Config => self.on_config(call, ConfigFound::lost()),
            CallOwner::Search => self.searches.done(&mut self.out, call, Vec::new()),
            CallOwner::Auth(_)
            | CallOwner::Patch(_)
            | CallOwner::Process(_)
            | CallOwner::Notify
            | CallOwner::Amend(_)
            | CallOwner::Look(_)
            | CallOwner::Input(_)
            | CallOwner::Stream(_)
            | CallOwner::Errand(_)
            | CallOwner::Feedback
            | CallOwner::CatalogueFile
            | CallOwner::Command(_) => {}
        }
    }

    /// Carries what one room brought about to the others. One room's reaction may be another's
    /// cause, so this runs until nothing is left.
    fn wake_all(&mut self) {
        loop {
            if let Some((waiter, woken)) = self.auth.next_woken() {
                self.wake(waiter, woken);
            } else if let Some(ticket) = self.auth.next_usage() {
                self.read_usage(ticket);
            } else {
                break;
            }
        }
    }

    fn wake(&mut self, waiter: Waiter, woken: Woken) {
        match waiter {
            Waiter::Turn(thread) => {
                self.with_turn(ThreadId(thread), |turn, out, conversation| match woken {
                    // It was interrupted meanwhile, and only its file is waited for.
                    _ if turn.is_ending() => Next::Wait,
                    Woken::Retry => Next::Send,
                    Woken::Adopted => {
                        turn.adopt_tokens();
                        Next::Send
                    }
                    Woken::Fail(cause) => turn.fail_unauthorized(out, conversation, Some(cause)),
                });
            }
            Waiter::Errand(errand) => self.errand_woken(errand, &woken),
            Waiter::Request(number) => self.auth.serve_waiting(&mut self.out, number),
        }
    }

    // --- the end ---

    /// Ends every turn and lets what was asked before be answered (protocol.md §9 G22).
    fn close(&mut self) {
        match self.stage {
            Stage::Loading => return self.exit(ExitStatus::Clean),
            Stage::Running => self.stage = Stage::Closing,
            Stage::Closing | Stage::Gone => return,
        }
        let running: Vec<ThreadId> = self.threads.keys().copied().collect();
        for id in running {
            self.interrupt_turn(id);
            if let Some(thread) = self.threads.get_mut(&id) {
                thread.conversation.sessions.kill_all(&mut self.out);
                thread.conversation.flush(&mut self.out);
            }
        }
        self.auth.close(&mut self.out);
        self.searches.close(&mut self.out);
        self.out.start_timer(limits::CLOSING_GRACE, TimerOwner::Closing);
    }

    fn end_if_closed(&mut self) {
        if self.stage == Stage::Closing
            && self.out.open_requests() == 0
            && !self.out.running_calls().any(CallOwner::must_finish)
        {
            self.exit(ExitStatus::Clean);
        }
    }

    fn exit(&mut self, status: crate::effect::ExitStatus) {
        self.commands.stop(&mut self.out);
        self.stage = Stage::Gone;
        self.out.push(Effect::Exit(status));
    }
}
