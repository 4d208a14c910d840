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

mod items;
mod sampling;
mod stream;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::auth::Source;
use crate::effect::{CallId, TimerId};
use crate::input::HttpHead;
use crate::limits;
use crate::model::context::{self, UserContent};
use crate::model::errors::ModelError;
use crate::model::sse::SseParser;
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::wire::refusal::Refusal;
use crate::wire::v2::common::Json;
use crate::wire::v2::item::{ThreadItem, UserInput};
use crate::wire::v2::turn::{Turn as TurnView, TurnStatus};
use crate::wire::v2::turn_error::TurnError;
use items::Items;
pub(crate) use sampling::SendFacts;

use sampling::Sampling;
use voice::Voice;

/// What a turn wants next. The machine asks the other rooms and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    /// Nothing until the outside speaks.
    Wait,
    /// Credentials, to send the request with.
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
    /// A request is out.
    Streaming(Streaming),
    /// Waiting before the request is sent again.
    Backoff(TimerId),
}

/// A request that is out.
#[derive(Debug)]
struct Streaming {
    call: CallId,
    source: Source,
    /// Where the request went, for error texts.
    url: String,
    body: Body,
    idle: TimerId,
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
    /// Input that came while the turn ran, as items of the history.
    steered: VecDeque<Arc<str>>,
    output_schema: Option<Json>,
    /// Sticky routing: sent back on every request of this turn (engine.md §1.12).
    turn_state: Option<String>,
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
        let id: Arc<str> = id.to_string().into();
        let voice = Voice { thread_id: conversation.id_text.clone(), turn_id: id.clone() };
        let mut turn = Self {
            id,
            voice,
            items: Items::default(),
            phase: Phase::Ready,
            sampling: None,
            steered: VecDeque::new(),
            output_schema,
            turn_state: None,
        };
        turn.voice.turn_started(out, &in_progress(&turn.id));
        if input.is_empty() {
            let next = turn.complete(out, conversation, TurnStatus::Completed, None);
            return (turn, next);
        }
        conversation.announce_settings();
        let message = turn.user_message(out, input);
        conversation.record(message);
        turn.sample(conversation);
        (turn, Next::Send)
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

    /// Whether one more input may wait for the model.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        if self.steered.len() < limits::PENDING_INPUTS_MAX {
            return Ok(());
        }
        Err(Refusal::invalid("too many inputs wait for the running turn"))
    }

    /// Input while the turn runs joins it (protocol.md §9 G9): its item is shown now, and the model
    /// sees it with the next request.
    pub(crate) fn steer(&mut self, out: &mut Outside, input: Vec<UserInput>) {
        if !input.is_empty() {
            let message = self.user_message(out, input);
            self.steered.push_back(message);
        }
    }

    fn user_message(&mut self, out: &mut Outside, input: Vec<UserInput>) -> Arc<str> {
        let message = user_message_json(&input);
        let id = out.rng.uuid_v4().to_string();
        self.items.add(out, &self.voice, ThreadItem::UserMessage { id, content: input });
        message
    }

    /// Stops the turn because somebody asked for it.
    pub(crate) fn interrupt(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        self.stop_call(out);
        self.keep_finished_items(conversation);
        conversation.record_abort();
        self.complete(out, conversation, TurnStatus::Interrupted, None)
    }

    /// Ends the turn with an error that no retry mends.
    pub(crate) fn fail(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        error: ModelError,
    ) -> Next {
        self.stop_call(out);
        self.keep_finished_items(conversation);
        let error = TurnError {
            message: error.message,
            codex_error_info: Some(error.info.into()),
            additional_details: None,
        };
        self.voice.error(out, &error, false);
        self.complete(out, conversation, TurnStatus::Failed, Some(error))
    }

    /// The one place where a turn ends.
    fn complete(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        status: TurnStatus,
        error: Option<TurnError>,
    ) -> Next {
        for message in self.steered.drain(..) {
            conversation.record(message);
        }
        let items = self.items.close(out, &self.voice);
        let view = TurnView { id: self.id.to_string(), items, status, error };
        self.voice.turn_completed(out, &view);
        Next::Over
    }
}

/// The input as the model gets it. Skills and mentions are for others; images on disk are read when
/// the tools have a room.
fn user_message_json(input: &[UserInput]) -> Arc<str> {
    let content: Vec<UserContent<'_>> = input
        .iter()
        .filter_map(|part| match part {
            UserInput::Text { text, .. } => Some(UserContent::Text(text)),
            UserInput::Image { url } => Some(UserContent::Image(url)),
            UserInput::LocalImage { path } => Some(UserContent::LostImage(path)),
            UserInput::Skill { .. } | UserInput::Mention { .. } => None,
        })
        .collect();
    context::user_message_json(&content)
}

fn in_progress(id: &str) -> TurnView {
    TurnView { id: id.to_owned(), items: Vec::new(), status: TurnStatus::InProgress, error: None }
}
