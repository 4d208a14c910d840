//! One turn: from the user's input to `turn/completed`.
//!
//! Owns: the turn's items, the sampling request in progress and its retries, input that waits.
//! States: [`Phase`]. A turn runs inside one thread and is gone when it is over.
//!
//! Invariants: it is completed exactly once, and every item before it; the order of its messages is
//! response, `turn/started`, items, `turn/completed`; nothing of a stream that was left behind
//! reaches it, because the call's owner is forgotten with the call.
//!
//! Never: chooses credentials, or knows what a 401 means: it says [`Next`] and is told.

mod asking;
mod calls;
mod commanding;
mod compacting;
mod input;
mod items;
mod legacy;
mod notify;
mod patching;
mod reading;
mod resources;
mod review;
mod sampling;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::auth::Source;
use crate::effect::{CallId, TimerId};
use crate::input::HttpHead;
use crate::model::compact;
use crate::model::errors::ModelError;
use crate::model::sse::SseParser;
use crate::outside::Outside;
use crate::secret::Secret;
use crate::thread::Recorder;
use crate::thread::rollout::line::Note;
use crate::thread::{Audience, Conversation};
use crate::tools::TurnDiff;
use crate::wire::legacy::event::TurnAbortReason;
use crate::wire::v2::common::{Json, ModeKind};
use crate::wire::v2::item::UserInput;
use crate::wire::v2::turn::{Turn as TurnView, TurnStatus};
use crate::wire::v2::turn_error::{CodexErrorInfo, TurnError};
use calls::Calls;
pub(crate) use calls::ToolInput;
use compacting::Compacting;
use input::Inputs;
use items::Items;
pub(crate) use sampling::SendFacts;
pub(crate) use sessions::Sessions;

use sampling::Sampling;
pub(crate) use voice::{Changed, Voice};

/// What a turn wants next. The machine asks the other rooms and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    /// Nothing until the outside speaks.
    Wait,
    /// Credentials, fresh ones if those in force are old; then [`Next::Send`].
    Freshen,
    /// Credentials as they are, to send the request with.
    Send,
    /// What to do about a 401 that a call with these credentials got.
    Unauthorized(Source),
    /// To be forgotten: it is completed.
    Over,
}

/// How far the turn is.
#[derive(Debug)]
enum Phase {
    /// About to send, or waiting for tokens.
    Ready,
    /// Pictures and skills that the user named are being read.
    Reading,
    /// A request is out.
    Streaming(Streaming),
    /// Waiting before the request is sent again.
    Backoff(TimerId),
    /// Calls of the response are being worked on.
    Working,
    /// Over, but for its file.
    Storing(TurnStatus, Option<TurnError>),
}

/// A request that is out.
#[derive(Debug)]
struct Streaming {
    call: CallId,
    source: Source,
    /// What was sent as the bearer; a backend may repeat it in an error.
    bearer: Option<Secret>,
    /// Where the request went, for error texts.
    url: String,
    body: Body,
    idle: TimerId,
    /// Lasts as long as the request.
    _span: tracing::Span,
    /// When the backend was last heard, in time since the runtime's start.
    heard: Duration,
}

/// What has come of the response.
#[derive(Debug)]
enum Body {
    /// Nothing yet.
    Head,
    /// A stream of events.
    Events(SseParser),
    /// An answer that counts only as a whole.
    Whole(Vec<u8>),
    /// The text of an error.
    Error(HttpHead, Vec<u8>),
}

/// A turn that runs.
#[derive(Debug)]
pub(crate) struct Turn {
    id: Arc<str>,
    voice: Voice,
    items: Items,
    phase: Phase,
    sampling: Option<Sampling>,
    /// What the request is for, if it is for a summary of the history.
    compacting: Option<Compacting>,
    /// The history was made short in this turn and is too long all the same: to do it again after
    /// every response would keep the model from ever seeing an output.
    is_compaction_vain: bool,
    /// The calls of the response.
    calls: Calls,
    /// Input that waits for what it names.
    inputs: Inputs,
    /// Messages for the model that came while the turn ran, as items of the history.
    steered: VecDeque<Arc<str>>,
    output_schema: Option<Json>,
    /// Sticky routing: sent back on every request of this turn (engine.md §1.12).
    turn_state: Option<String>,
    /// What the model said last in the last response (engine.md §2.2.1).
    last_agent_message: Option<String>,
    /// What patches changed.
    diff: TurnDiff,
    /// The diff as it was told last.
    told_diff: String,
    /// Lasts as long as the turn.
    _span: tracing::Span,
    /// Somebody asked for the end while files are being written: it comes right after that.
    is_stopping: bool,
    /// Why it was stopped, if it was.
    stopped: TurnAbortReason,
}

impl Turn {
    /// Begins a turn: `turn/started`, the user's message, and the first request. The reply to
    /// `turn/start` was written before.
    pub(crate) fn begin(
        out: &mut Outside,
        conversation: &mut Conversation,
        id: Uuid,
        input: Vec<UserInput>,
        output_schema: Option<Json>,
    ) -> (Self, Next) {
        let mut turn = Self::new(conversation, id, output_schema);
        turn.voice.turn_started(out, &in_progress(&turn.id));
        conversation.note_before(&Note::TurnStarted { turn_id: &turn.id });
        if input.is_empty() {
            let next = turn.complete(out, conversation, TurnStatus::Completed, None);
            return (turn, next);
        }
        let mode = conversation.settings.mode.as_ref().map_or(ModeKind::Custom, |mode| mode.mode);
        turn.voice.task_started(out, conversation.window(), mode);
        conversation.begin_turn(out.now.wall);
        let next = turn.begin_input(out, conversation, input);
        (turn, next)
    }

    fn new(conversation: &Conversation, id: Uuid, output_schema: Option<Json>) -> Self {
        let id: Arc<str> = id.to_string().into();
        Self {
            _span: tracing::debug_span!("turn", thread = %conversation.id_text, turn = %id),
            voice: Voice::new(conversation, id.clone()),
            id,
            items: Items::default(),
            phase: Phase::Ready,
            sampling: None,
            compacting: None,
            is_compaction_vain: false,
            calls: Calls::default(),
            inputs: Inputs::default(),
            steered: VecDeque::new(),
            output_schema,
            turn_state: None,
            last_agent_message: None,
            diff: TurnDiff::new(),
            told_diff: String::new(),
            is_stopping: false,
            stopped: TurnAbortReason::Interrupted,
        }
    }

    /// Who listens has changed.
    pub(crate) fn set_audience(&mut self, audience: Audience) {
        self.voice.audience = audience;
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The turn as a reply shows it.
    pub(crate) fn in_progress(&self) -> TurnView {
        in_progress(&self.id)
    }

    /// A turn that is about to begin, as the reply shows it.
    pub(crate) fn view_of(id: Uuid) -> TurnView {
        in_progress(&id.to_string())
    }

    /// Stops the turn because somebody asked for it.
    pub(crate) fn interrupt(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        if self.is_ending() {
            return Next::Wait;
        }
        if self.calls.is_writing() {
            self.is_stopping = true;
            return Next::Wait;
        }
        self.stop(out, conversation)
    }

    /// Stops the turn because another takes its place (engine.md §1.8).
    pub(crate) fn replace(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        if !self.is_ending() {
            self.stopped = TurnAbortReason::Replaced;
        }
        self.interrupt(out, conversation)
    }

    /// Leaves everything as it is and ends as interrupted.
    fn stop(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        self.stop_reading(out, conversation);
        self.abort_calls(out, conversation);
        self.kill_sessions(out, conversation);
        self.stop_call(out);
        self.keep_finished_items(out, conversation);
        self.end_review(out, conversation, None);
        conversation.record_abort(out.now.wall, self.stopped);
        self.complete(out, conversation, TurnStatus::Interrupted, None)
    }

    /// Ends the turn with an error that no retry mends.
    pub(crate) fn fail(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        error: ModelError,
    ) -> Next {
        self.stop_reading(out, conversation);
        self.abort_calls(out, conversation);
        self.stop_call(out);
        self.keep_finished_items(out, conversation);
        let before = if self.is_compacting_remotely() { compact::REMOTE_FAILED } else { "" };
        let error = TurnError {
            message: format!("{before}{}", error.message),
            codex_error_info: Some(error.info.into()),
            additional_details: None,
        };
        self.voice.error(out, &error, false);
        self.complete(out, conversation, TurnStatus::Failed, Some(error))
    }

    /// The one place where a turn ends: first it is stored, then it is announced.
    fn complete(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        status: TurnStatus,
        error: Option<TurnError>,
    ) -> Next {
        let at = out.now.wall;
        let answer = self.last_agent_message.take_if(|_| conversation.subagent().is_some());
        self.end_review(out, conversation, answer.filter(|_| status == TurnStatus::Completed));
        for message in self.steered.drain(..) {
            conversation.record(at, message);
        }
        self.voice.raw_items(out, conversation);
        self.close_session_items(out, conversation);
        self.items.close(out, &self.voice);
        self.items.store(conversation, &self.id, at);
        let note = Note::TurnCompleted { turn_id: &self.id, status, error: error.as_ref() };
        conversation.note(at, &note);
        conversation.flush(out);
        self.phase = Phase::Storing(status, error);
        self.on_stored(out, conversation)
    }

    /// The thread's file was written: a turn that waited for it is announced as completed. One that
    /// could not be stored is said to have failed, so that nobody takes it for safe.
    pub(crate) fn on_stored(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        if !matches!(self.phase, Phase::Storing(..)) {
            return Next::Wait;
        }
        if !conversation.is_stored() {
            conversation.flush(out);
            return Next::Wait;
        }
        self.finish_now(out, conversation)
    }

    /// Announces a turn that is over, whether its file has been written or not.
    pub(crate) fn finish_now(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
    ) -> Next {
        if self.calls.is_writing() {
            // The files will be changed all the same, but the thread is gone by then.
            self.is_stopping = false;
            let _over = self.stop(out, conversation);
        }
        let (mut status, mut error) = match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Storing(status, error) => (status, error),
            other => {
                self.phase = other;
                return Next::Wait;
            }
        };
        let trouble = conversation.recorder.as_ref().and_then(Recorder::trouble);
        match (trouble, &mut error) {
            (None, _) => {}
            (Some(message), Some(error)) => error.additional_details = Some(message),
            (Some(message), None) => {
                let trouble = TurnError {
                    message,
                    codex_error_info: Some(CodexErrorInfo::Other),
                    additional_details: None,
                };
                self.voice.error(out, &trouble, false);
                (status, error) = (TurnStatus::Failed, Some(trouble));
            }
        }
        let items = self.items.take_done();
        let view = TurnView { id: self.id.to_string(), items, status, error };
        match status {
            TurnStatus::Interrupted => self.voice.turn_aborted(out, &view, self.stopped),
            TurnStatus::Failed => self.voice.turn_completed(out, &view, None),
            TurnStatus::Completed | TurnStatus::InProgress => {
                let last = self.last_agent_message.as_deref();
                self.voice.turn_completed(out, &view, last);
            }
        }
        Next::Over
    }

    /// Whether the turn has ended and waits only for files.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_stopping || matches!(self.phase, Phase::Storing(..))
    }

    /// The turn with what it has done so far.
    pub(crate) fn view(&self) -> TurnView {
        TurnView { items: self.items.all(), ..in_progress(&self.id) }
    }
}

fn in_progress(id: &str) -> TurnView {
    TurnView { id: id.to_owned(), items: Vec::new(), status: TurnStatus::InProgress, error: None }
}
