//! A review: one turn, in which a reviewer works in the thread's place and what it found is put
//! into the thread's own history (protocol.md §4.7, engine.md §10.6).
//!
//! Invariant: a review that was entered is left again before its turn ends, however that ends.

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use super::input::user_message_json;
use super::{Next, Turn, in_progress};
use crate::model::catalogue::ModelRecord;
use crate::model::context;
use crate::model::review::{self, ReviewOrder};
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::thread::rollout::line::Note;
use crate::wire::legacy::event::EventMsg;
use crate::wire::legacy::event_part::EnteredReviewModeEvent;
use crate::wire::v2::common::ModeKind;
use crate::wire::v2::item::{ThreadItem, UserInput};
use crate::wire::v2::turn::Turn as TurnView;

/// The item with which the thread says what was found; clients of the reference know it by this.
const ANSWER_ID: &str = "review_rollout_assistant";

impl Turn {
    /// A review that is about to begin, as the reply shows it: with what the user asked for.
    pub(crate) fn view_of_review(id: Uuid, order: &ReviewOrder) -> TurnView {
        let id = id.to_string();
        let message = ThreadItem::UserMessage { id: id.clone(), content: text(&order.hint) };
        TurnView { items: vec![message], ..in_progress(&id) }
    }

    /// Begins a review. The reply to `review/start` was written before.
    pub(crate) fn begin_review(
        out: &mut Outside,
        conversation: &mut Conversation,
        id: Uuid,
        order: ReviewOrder,
        reviewer: Arc<ModelRecord>,
    ) -> (Self, Next) {
        let mut turn = Self::new(out, conversation, id, None);
        turn.voice.turn_started(out, &Self::view_of_review(id, &order));
        conversation.note_before(&Note::TurnStarted { turn_id: &turn.id });
        conversation.begin_turn(out.now.wall);
        turn.voice.raw_items(out, conversation);
        turn.enter(out, conversation, &order);
        let mode = conversation.settings.mode.as_ref().map_or(ModeKind::Custom, |mode| mode.mode);
        turn.voice.task_started(out, conversation.window(), mode);
        let prompt = text(&order.prompt());
        let message = user_message_json(&prompt);
        turn.show_input(out, conversation, prompt, true);
        conversation.step_aside(out.rng.uuid_v7(out.now), reviewer, message);
        turn.items.hides_messages = true;
        turn.sample(out, conversation);
        (turn, Next::Freshen)
    }

    fn enter(&mut self, out: &mut Outside, conversation: &mut Conversation, order: &ReviewOrder) {
        let entered = EventMsg::EnteredReviewMode(EnteredReviewModeEvent {
            target: order.target.clone(),
            user_facing_hint: Some(order.hint.clone()),
        });
        conversation.store_event(out.now.wall, &entered);
        self.voice.event(out, "codex/event/entered_review_mode", || entered);
        let item =
            ThreadItem::EnteredReviewMode { id: self.id.to_string(), review: order.hint.clone() };
        self.items.add(out, &self.voice, item);
    }

    /// Leaves the review, if the turn is one: shows what was found and tells the thread's model of
    /// it. Without an answer the reviewer was stopped or has failed.
    pub(super) fn end_review(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        answer: Option<String>,
    ) {
        let Some(said) = conversation.come_back() else { return };
        let at = out.now.wall;
        self.items.close(out, &self.voice);
        self.items.hides_messages = false;
        let output = answer.map(|answer| review::read_answer(&answer));
        let found = output.as_ref().map(review::shown);
        let exited = EventMsg::ExitedReviewMode { review_output: output };
        conversation.store_event(at, &exited);
        self.voice.event(out, "codex/event/exited_review_mode", || exited);
        let shown = found.as_deref().unwrap_or(review::NO_ANSWER).to_owned();
        let item = ThreadItem::ExitedReviewMode { id: self.id.to_string(), review: shown };
        self.items.add(out, &self.voice, item);
        for message in said {
            conversation.record(at, message);
        }
        let told = text(&review::told(found.as_deref()));
        conversation.record(at, user_message_json(&told));
        let answer = found.unwrap_or_else(|| review::STOPPED.to_owned());
        let event = EventMsg::AgentMessage { message: Cow::Borrowed(&answer) };
        conversation.store_event(at, &event);
        conversation.record(at, context::assistant_message_json(&answer));
        self.voice.raw_items(out, conversation);
        let id = ANSWER_ID.to_owned();
        let item = ThreadItem::AgentMessage { id, text: answer, phase: None };
        self.items.add(out, &self.voice, item);
        self.items.store(conversation, &self.id, at);
    }
}

fn text(text: &str) -> Vec<UserInput> {
    vec![UserInput::Text { text: text.to_owned(), text_elements: Vec::new() }]
}
