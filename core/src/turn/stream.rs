//! What each event of a model stream does to the turn (engine.md §2.2).

use super::Turn;
use super::voice::Changed;
use crate::model::errors;
use crate::model::events::{self, ResponseEvent};
use crate::model::items::OutputItem;
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::tools::ToolCall;

impl Turn {
    /// One event. After the response is whole, or has failed, the rest of the stream is ignored.
    pub(super) fn on_event(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        data: &str,
    ) {
        let Some(sampling) = &mut self.sampling else { return };
        if sampling.is_whole || sampling.failure.is_some() {
            return;
        }
        let event = events::decode(data);
        if self.compacting.as_mut().is_some_and(|compacting| compacting.hears(&event)) {
            return;
        }
        match event {
            ResponseEvent::TextDelta(delta) => self.items.message_delta(out, &self.voice, &delta),
            ResponseEvent::ItemAdded(item) => self.items.begin(out, &self.voice, &item),
            ResponseEvent::ItemDone { item, .. } => self.on_item(out, conversation, item),
            ResponseEvent::SummaryPartAdded { index } => {
                self.items.summary_part(out, &self.voice, index);
            }
            ResponseEvent::SummaryDelta { delta, index } => {
                self.items.summary_delta(out, &self.voice, &delta, index);
            }
            ResponseEvent::ReasoningDelta { delta, index } => {
                self.items.reasoning_delta(out, &self.voice, &delta, index);
            }
            ResponseEvent::Completed { usage, .. } => {
                sampling.is_whole = true;
                sampling.commit(conversation, out.now.wall);
                self.note_tokens(usage);
                conversation.add_usage(usage);
                conversation.tell_tokens(out, &self.voice, Changed::Usage);
            }
            ResponseEvent::Failed { code, message } => {
                sampling.failure = Some(errors::failed(code.as_deref(), message.as_deref()));
            }
            ResponseEvent::Incomplete { reason } => {
                sampling.failure = Some(errors::incomplete(reason.as_deref()));
            }
            ResponseEvent::Created | ResponseEvent::Ignored => {}
        }
    }

    fn on_item(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        item: Box<OutputItem>,
    ) {
        self.items.finish(out, &self.voice, &item);
        self.items.store(conversation, &self.id, out.now.wall);
        if let OutputItem::Message(message) = &*item
            && message.role == "assistant"
        {
            self.last_agent_message = message.output_texts().last().map(str::to_owned);
        }
        let Some(sampling) = &mut self.sampling else { return };
        if let Some(call) = ToolCall::of(&item, conversation.tool_facts()) {
            self.calls.push(call);
        }
        sampling.finished.push(*item);
    }
}
