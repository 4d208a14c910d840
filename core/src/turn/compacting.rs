//! A history that has become too long is made short within the turn: the model sums it up, and the
//! turn goes on from the summary (engine.md §7.2); or the backend gives a shorter one (§7.3).
//!
//! Invariants: until the summary is whole the history stays as it is, so that an interrupt or an
//! error costs nothing; the request is like any other of the turn in credentials, retries and
//! limits; what the user says meanwhile comes after it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::input::user_message_json;
use super::sampling::Sampling;
use super::voice::Changed;
use super::{Next, Phase, Turn};
use crate::model::compact;
use crate::model::errors;
use crate::model::events::ResponseEvent;
use crate::model::items::OutputItem;
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::wire::legacy::event::EventMsg;
use crate::wire::v2::item::{ThreadItem, UserInput};

/// A history that is being summed up.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Compacting {
    /// The item that the host sees.
    item: ThreadItem,
    /// The backend is asked for a shorter history instead of the model for a summary.
    pub(super) is_remote: bool,
    /// What is summed up: the history, or as much of it as fits.
    input: Vec<Arc<str>>,
    /// Items at its beginning that were left out.
    trimmed: usize,
    /// What the model said last.
    pub(super) summary: String,
}

impl Compacting {
    /// Takes what matters out of the response, of which the host sees nothing; says whether an
    /// event was of that kind.
    pub(super) fn hears(&mut self, event: &ResponseEvent<'_>) -> bool {
        match event {
            ResponseEvent::ItemDone { item, .. } => {
                if let OutputItem::Message(message) = &**item
                    && message.role == "assistant"
                {
                    self.summary = message.output_texts().collect();
                }
                true
            }
            ResponseEvent::TextDelta(_)
            | ResponseEvent::ItemAdded(_)
            | ResponseEvent::SummaryPartAdded { .. }
            | ResponseEvent::SummaryDelta { .. }
            | ResponseEvent::ReasoningDelta { .. } => true,
            ResponseEvent::Created
            | ResponseEvent::Completed { .. }
            | ResponseEvent::Failed { .. }
            | ResponseEvent::Incomplete { .. }
            | ResponseEvent::Ignored => false,
        }
    }

    /// Leaves out the oldest item, then as many again each time, so that few requests are made in
    /// vain; says whether there was one. A call goes with its output.
    fn trim(&mut self) -> bool {
        let count = self.trimmed.max(1).min(self.input.len());
        let calls: BTreeSet<String> =
            self.input.drain(..count).filter_map(|item| call_id(&item)).collect();
        if !calls.is_empty() {
            self.input.retain(|item| call_id(item).is_none_or(|id| !calls.contains(&id)));
        }
        self.trimmed += count;
        count > 0
    }
}

/// The call that an item is, or is the output of.
fn call_id(item: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(default, borrow)]
        call_id: Option<Cow<'a, str>>,
    }
    serde_json::from_str::<Peek<'_>>(item).ok()?.call_id.map(Cow::into_owned)
}

impl Turn {
    /// Has the model sum up the history.
    pub(super) fn begin_compaction(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
    ) -> Next {
        let item = ThreadItem::ContextCompaction { id: out.rng.uuid_v4().to_string() };
        self.items.open(out, &self.voice, item.clone());
        self.compacting = Some(Compacting {
            item,
            is_remote: conversation.compacts_remotely(),
            input: conversation.history(),
            trimmed: 0,
            summary: String::new(),
        });
        self.sample_summary(conversation);
        Next::Freshen
    }

    /// Makes the request for a summary.
    fn sample_summary(&mut self, conversation: &Conversation) {
        let Some(compacting) = &self.compacting else { return };
        let body = match compacting.is_remote {
            true => conversation.compact_body(&compacting.input),
            false => {
                let text = conversation.compact_prompt().to_owned();
                let prompt = UserInput::Text { text, text_elements: Vec::new() };
                let mut input = compacting.input.clone();
                input.push(user_message_json(&[prompt]));
                conversation.toolless_body(&input)
            }
        };
        self.sampling = Some(Sampling::new(body, conversation.provider()));
        self.phase = Phase::Ready;
    }

    /// What is to be summed up does not fit: tries with less of it, if that is what runs and there
    /// is less.
    pub(super) fn sum_up_less(&mut self, conversation: &Conversation) -> bool {
        let is_less = self.compacting.as_mut().is_some_and(Compacting::trim);
        if is_less {
            self.sample_summary(conversation);
        }
        is_less
    }

    /// The backend's answer is whole: if it is a history, that replaces the thread's own.
    pub(super) fn on_shorter(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        body: &[u8],
    ) -> Next {
        #[derive(Deserialize)]
        struct Shorter<'a> {
            #[serde(borrow)]
            output: Vec<&'a RawValue>,
        }
        let items = serde_json::from_slice::<Shorter<'_>>(body).map(|shorter| shorter.output);
        let items = items.unwrap_or_default().into_iter();
        let history: Vec<Arc<str>> =
            items.filter_map(|item| OutputItem::parse(item.get()).history_json()).collect();
        match self.compacting.take_if(|_| !history.is_empty()) {
            Some(compacting) => {
                conversation.replace(out.now.wall, history, "");
                self.end_compaction(out, conversation, compacting)
            }
            None => {
                let error = errors::malformed_stream("the answer is no history");
                self.on_error(out, conversation, error, None)
            }
        }
    }

    /// The summary is whole: it replaces the history, and the turn goes on.
    pub(super) fn on_summary(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        compacting: Compacting,
    ) -> Next {
        conversation.compact(out.now.wall, &compact::marked(&compacting.summary));
        self.end_compaction(out, conversation, compacting)
    }

    /// The history is short: says so, and goes on.
    fn end_compaction(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        Compacting { item, is_remote, trimmed, .. }: Compacting,
    ) -> Next {
        self.sampling = None;
        if trimmed > 0 {
            self.voice.event(out, "codex/event/background_event", || EventMsg::BackgroundEvent {
                message: compact::trimmed(trimmed),
            });
        }
        let at = out.now.wall;
        conversation.store_event(at, &EventMsg::ContextCompacted);
        conversation.tell_tokens(out, &self.voice, Changed::Usage);
        self.items.complete(out, &self.voice, item);
        self.items.store(conversation, &self.id, at);
        self.voice.compacted(out);
        if !is_remote {
            self.voice.event(out, "codex/event/warning", || EventMsg::Warning {
                message: compact::WARNING.to_owned(),
            });
        }
        self.is_compaction_vain = conversation.is_over_limit();
        self.release_inputs(out, conversation);
        self.sample_when_read(out, conversation)
    }
}
