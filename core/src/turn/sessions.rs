//! Programs that the model leaves running: they outlive the call that began them, and its turn
//! (engine.md §3.5).
//!
//! Owns: which of them a thread has, what they have said that the model was not given, and the calls
//! that type into one. Bounded: see [`limits::SESSIONS_MAX`].
//!
//! Invariants: the item of such a program is completed when it ends, and at the latest with its
//! turn; nothing is told of a completed item. All of them are killed when the user interrupts the
//! thread's turn, and when the thread or the session ends.

use std::sync::Arc;
use std::time::Duration;

use super::calls::{Begun, Doing, Progress, ToolInput};
use super::commanding::{Command, Ending, Running};
use super::{Next, Turn};
use crate::effect::{CallId, Feed, TimerId};
use crate::input::Outcome;
use crate::limits;
use crate::model::context;
use crate::outside::Outside;
use crate::owner::TimerOwner;
use crate::process::ProcessExit;
use crate::thread::Conversation;
use crate::tools::{Ends, SessionReport, SessionWish, Typing};
use crate::wire::v2::item::CommandExecutionStatus;

/// The programs that a thread has left running.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Sessions {
    list: Vec<Session>,
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Session {
    id: i32,
    call: CallId,
    tty: bool,
    /// The item that it was begun with, for what is typed.
    item_id: String,
    /// How it ended.
    exit: Option<i32>,
    /// What the model was not given.
    unread: Ends,
    /// When a call was last about it, in time since the runtime's start.
    used: Duration,
    /// What its item still wants to be told.
    item: Option<OpenItem>,
}

/// The item of a program, while the turn that began it runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct OpenItem {
    command: Arc<Command>,
    running: Box<Running>,
}

/// A call that waits for what a program says.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Looking {
    session: i32,
    call: CallId,
    timer: TimerId,
    tokens: u64,
}

impl Sessions {
    /// Whether the program of this call was left running.
    pub(crate) fn has(&self, call: CallId) -> bool {
        self.list.iter().any(|session| session.call == call)
    }

    /// What a program says or how it ends, while no turn runs.
    pub(crate) fn on_outcome(&mut self, call: CallId, outcome: &Outcome<'_>) {
        let Some(session) = self.list.iter_mut().find(|session| session.call == call) else {
            return;
        };
        match outcome {
            Outcome::ProcessOutput(_, bytes) => session.unread.push(bytes),
            Outcome::ProcessExited(exit) => session.exit = Some(code(*exit)),
            // Nobody knows how it ended.
            _ => session.exit = Some(-1),
        }
    }

    /// Kills all of them.
    pub(crate) fn kill_all(&mut self, out: &mut Outside) {
        for session in self.list.drain(..) {
            out.cancel(session.call);
        }
    }

    /// A number for one more, which no other has.
    pub(super) fn reserve(&self, out: &mut Outside) -> i32 {
        loop {
            let id = 1000 + i32::try_from(out.rng.below(99_000)).unwrap_or(0);
            if self.list.iter().all(|session| session.id != id) {
                return id;
            }
        }
    }

    fn find(&mut self, id: i64) -> Option<&mut Session> {
        self.list.iter_mut().find(|session| i64::from(session.id) == id)
    }

    /// Makes room for one more.
    fn make_room(&mut self) -> Option<Session> {
        if self.list.len() < limits::SESSIONS_MAX {
            return None;
        }
        let mut by_use: Vec<usize> = (0..self.list.len()).collect();
        by_use.sort_by_key(|place| self.list.get(*place).map(|session| session.used));
        by_use.truncate(self.list.len().saturating_sub(limits::SESSIONS_IN_USE));
        let has_ended =
            |place: &&usize| self.list.get(**place).is_some_and(|session| session.exit.is_some());
        let place = by_use.iter().find(has_ended).or(by_use.first()).copied()?;
        Some(self.list.remove(place))
    }
}

impl Looking {
    pub(super) fn waits_for(&self, input: &ToolInput<'_>) -> bool {
        match input {
            ToolInput::Timer(timer) => self.timer == *timer,
            ToolInput::Ended(call) => self.call == *call,
            ToolInput::Outcome(..) | ToolInput::Answer(..) => false,
        }
    }

    /// The turn ends: nobody waits any more.
    pub(super) fn abort(&self, out: &mut Outside, begun: &Begun) -> String {
        out.cancel_timer(self.timer);
        begun.aborted_text(out.now.mono)
    }
}

impl Turn {
    /// The wait for a program is over and it still runs: it is left running.
    pub(super) fn leave_running(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        command: Arc<Command>,
        running: Box<Running>,
        (wish, id): (SessionWish, i32),
    ) -> Progress {
        let said = running.captured.aggregated();
        let took = out.now.mono.saturating_sub(running.since);
        let report = SessionReport {
            chunk: chunk(out),
            took,
            end: Err(id),
            text: &said,
            tokens: wish.tokens,
        };
        let text = report.output();
        if let Some(gone) = conversation.sessions.make_room() {
            self.drop_session(out, conversation, gone);
        }
        conversation.sessions.list.push(Session {
            id,
            call: running.call,
            tty: wish.tty,
            item_id: begun.slot.call_id.clone(),
            exit: None,
            unread: Ends::default(),
            used: out.now.mono,
            item: Some(OpenItem { command, running }),
        });
        let open = conversation.sessions.list.len();
        if open >= limits::SESSIONS_MANY {
            let warning = format!(
                "Warning: The maximum number of unified exec processes you can keep open is {} \
                 and you currently have {open} processes open. Reuse them or let them end.",
                limits::SESSIONS_MANY
            );
            conversation.record(out.now.wall, context::developer_json(&warning));
        }
        Progress::Ended(text)
    }

    /// A program goes to make room for another.
    fn drop_session(&mut self, out: &mut Outside, conversation: &mut Conversation, gone: Session) {
        out.cancel(gone.call);
        if let Some(OpenItem { command, running }) = gone.item {
            let ending = Ending::stopped(&running, out.now.mono);
            self.end_command(out, conversation, &gone.item_id, &command, ending);
        }
    }

    /// A program that was left running says something, or has ended.
    pub(crate) fn on_session(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        call: CallId,
        outcome: &Outcome<'_>,
    ) -> Next {
        conversation.sessions.on_outcome(call, outcome);
        let found = conversation.sessions.list.iter_mut().find(|session| session.call == call);
        let Some(session) = found else { return Next::Wait };
        let (id, exit) = (session.item_id.clone(), session.exit);
        if let (Some(item), Outcome::ProcessOutput(stream, bytes)) = (&mut session.item, outcome) {
            self.on_output(out, &id, &mut item.running, *stream, bytes);
        }
        let Some(exit) = exit else { return Next::Wait };
        if let Some(OpenItem { command, mut running }) = session.item.take() {
            self.tell_rest(out, &id, &mut running);
            let ending = Ending::ran(&running, exit, out.now.mono, conversation.truncation());
            self.end_command(out, conversation, &id, &command, ending);
        }
        self.on_tool_input(out, conversation, ToolInput::Ended(call))
    }

    /// The model types into a program, or looks at it.
    pub(super) fn begin_typing(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        typing: Typing,
    ) -> Progress {
        let Typing { session: id, text, wait, tokens } = typing;
        let Some(session) = conversation.sessions.find(id) else {
            return Progress::Ended(format!("write_stdin failed: Unknown process id {id}"));
        };
        if !text.is_empty() && !session.tty {
            let fault = "write_stdin failed: stdin is closed for this session; rerun exec_command \
                         with tty=true to keep stdin open";
            return Progress::Ended(fault.to_owned());
        }
        session.used = out.now.mono;
        let (call, id) = (session.call, session.id);
        self.voice.typed(out, &session.item_id, &id.to_string(), &text);
        if session.exit.is_some() {
            return self.report_session(out, conversation, begun, id, tokens);
        }
        if !text.is_empty() {
            out.feed(call, Feed::Stdin(text.into_bytes()));
        }
        let timer = out.start_timer(wait, TimerOwner::Tool(conversation.id));
        Progress::Open(Doing::Look(Looking { session: id, call, timer, tokens }))
    }

    /// The wait for a program is over.
    pub(super) fn on_looked(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        looking: &Looking,
    ) -> Progress {
        out.cancel_timer(looking.timer);
        self.report_session(out, conversation, begun, looking.session, looking.tokens)
    }

    /// Gives the model what a program has said. One that has ended is forgotten with it.
    fn report_session(
        &self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        id: i32,
        tokens: u64,
    ) -> Progress {
        let took = out.now.mono.saturating_sub(begun.since);
        let Some(session) = conversation.sessions.find(id.into()) else {
            return Progress::Ended(format!("write_stdin failed: Unknown process id {id}"));
        };
        let said = std::mem::take(&mut session.unread).text();
        let end = session.exit.ok_or(id);
        if end.is_ok() {
            conversation.sessions.list.retain(|session| session.id != id);
        }
        let report = SessionReport { chunk: chunk(out), took, end, text: &said, tokens };
        Progress::Ended(report.output())
    }

    /// The user has stopped the turn: nothing is left running.
    pub(super) fn kill_sessions(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        for session in std::mem::take(&mut conversation.sessions.list) {
            self.drop_session(out, conversation, session);
        }
    }

    /// The turn is over: the items of what still runs are completed with what was told until now.
    pub(super) fn close_session_items(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
    ) {
        for session in &mut conversation.sessions.list {
            if let Some(OpenItem { mut running, .. }) = session.item.take() {
                self.tell_rest(out, &session.item_id, &mut running);
                let status = CommandExecutionStatus::Completed;
                let took = out.now.mono.saturating_sub(running.since);
                let output = running.captured.aggregated();
                self.close_command_item(out, &session.item_id, status, None, Some(took), output);
            }
        }
    }
}

/// The code of an end; a signal counts as shells count it.
pub(super) fn code(exit: ProcessExit) -> i32 {
    match exit {
        ProcessExit::Code(code) => code,
        ProcessExit::Signal(signal) => signal.saturating_add(128),
    }
}

pub(super) fn chunk(out: &mut Outside) -> u32 {
    out.rng.below(1 << 24)
}
