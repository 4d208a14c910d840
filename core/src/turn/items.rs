//! Items of a turn while the model writes them: which are open, and what they hold so far.
//!
//! Invariant: every item that was started is completed once, at the latest when the turn ends, with
//! the text that was shown until then.

use jiff::Timestamp;

use super::voice::Voice;
use crate::model::items::{Message, OutputItem, Reasoning, SearchAction, WebSearch};
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::thread::rollout::line::Note;
use crate::wire::response_item::MessagePhase;
use crate::wire::v2::item::{ThreadItem, WebSearchAction};

/// The items of one turn.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Items {
    /// Started and not completed, in order.
    open: Vec<ThreadItem>,
    /// Completed, in order; `turn/completed` shows them (clients.md).
    done: Vec<ThreadItem>,
    /// How many of `done` the thread's file has.
    stored: usize,
    /// The one of `open` that deltas belong to.
    active: Option<String>,
    /// What the model says is not for people: they get it in other words.
    pub(super) hides_messages: bool,
}

impl Items {
    /// Which are open and how many are not in the file, without what they say.
    #[cfg(feature = "sim")]
    pub(super) fn state(&self) -> impl std::fmt::Debug + '_ {
        let open: Vec<&str> = self.open.iter().map(ThreadItem::id).collect();
        let unstored = self.done.len() - self.stored;
        (open, unstored, &self.active, self.hides_messages)
    }

    /// An item that is whole at once, like the user's message.
    pub(super) fn add(&mut self, out: &mut Outside, voice: &Voice, item: ThreadItem) {
        voice.item_started(out, &item);
        self.complete(out, voice, item);
    }

    /// The model begins an item. Kinds that the host is not shown are left out.
    pub(super) fn begin(&mut self, out: &mut Outside, voice: &Voice, item: &OutputItem) {
        if self.hides(item) {
            return;
        }
        let Some(shown) = shown(out, item, None) else { return };
        voice.item_started(out, &shown);
        self.active = Some(shown.id().to_owned());
        self.open.push(shown);
    }

    /// The model has finished an item. One that was not begun is started first.
    pub(super) fn finish(&mut self, out: &mut Outside, voice: &Voice, item: &OutputItem) {
        if self.hides(item) {
            return;
        }
        let begun = self.active.take();
        let Some(shown) = shown(out, item, begun.as_deref()) else {
            self.active = begun;
            return;
        };
        if begun.is_none() {
            voice.item_started(out, &shown);
        }
        self.complete(out, voice, shown);
    }

    fn hides(&self, item: &OutputItem) -> bool {
        self.hides_messages && matches!(item, OutputItem::Message(_))
    }

    /// An item that was started is over.
    pub(super) fn complete(&mut self, out: &mut Outside, voice: &Voice, item: ThreadItem) {
        self.open.retain(|open| open.id() != item.id());
        voice.item_completed(out, &item);
        self.done.push(item);
    }

    /// A tool begins an item.
    pub(super) fn open(&mut self, out: &mut Outside, voice: &Voice, item: ThreadItem) {
        voice.item_started(out, &item);
        self.open.push(item);
    }

    /// What a tool began has ended; `change` says how.
    pub(super) fn close_tool(
        &mut self,
        out: &mut Outside,
        voice: &Voice,
        id: &str,
        change: impl FnOnce(&mut ThreadItem),
    ) {
        let is_tool = |item: &ThreadItem| {
            matches!(item, ThreadItem::FileChange { .. } | ThreadItem::CommandExecution { .. })
        };
        let place = self.open.iter().position(|item| is_tool(item) && item.id() == id);
        let Some(mut item) = place.map(|place| self.open.remove(place)) else { return };
        change(&mut item);
        voice.item_completed(out, &item);
        self.done.push(item);
    }

    pub(super) fn message_delta(&mut self, out: &mut Outside, voice: &Voice, delta: &str) {
        if let Some(ThreadItem::AgentMessage { id, text, .. }) = self.active_item() {
            voice.message_delta(out, id, delta);
            text.push_str(delta);
        }
    }

    pub(super) fn summary_part(&mut self, out: &mut Outside, voice: &Voice, index: i64) {
        if let Some(ThreadItem::Reasoning { id, .. }) = self.active_item() {
            voice.summary_part(out, id, index);
        }
    }

    pub(super) fn summary_delta(
        &mut self,
        out: &mut Outside,
        voice: &Voice,
        delta: &str,
        index: i64,
    ) {
        if let Some(ThreadItem::Reasoning { id, summary, .. }) = self.active_item() {
            voice.summary_delta(out, id, delta, index);
            append_part(summary, index, delta);
        }
    }

    pub(super) fn reasoning_delta(
        &mut self,
        out: &mut Outside,
        voice: &Voice,
        delta: &str,
        index: i64,
    ) {
        if let Some(ThreadItem::Reasoning { id, content, .. }) = self.active_item() {
            voice.reasoning_delta(out, id, delta, index);
            append_part(content, index, delta);
        }
    }

    /// The stream broke off and is begun again: what it had begun stays open.
    pub(super) fn stream_ended(&mut self) {
        self.active = None;
    }

    /// The turn ends: completes what is open.
    pub(super) fn close(&mut self, out: &mut Outside, voice: &Voice) {
        self.active = None;
        for item in std::mem::take(&mut self.open) {
            voice.item_completed(out, &item);
            self.done.push(item);
        }
    }

    /// Gives the completed items away.
    pub(super) fn take_done(&mut self) -> Vec<ThreadItem> {
        std::mem::take(&mut self.done)
    }

    /// All items as they stand.
    pub(super) fn all(&self) -> Vec<ThreadItem> {
        self.done.iter().chain(&self.open).cloned().collect()
    }

    /// Notes newly completed items in the thread's file, so that they can be shown again.
    pub(super) fn store(&mut self, conversation: &mut Conversation, turn_id: &str, at: Timestamp) {
        for item in self.done.iter().skip(self.stored) {
            conversation.note(at, &Note::ItemCompleted { turn_id, item });
        }
        self.stored = self.done.len();
    }

    fn active_item(&mut self) -> Option<&mut ThreadItem> {
        let active = self.active.as_deref()?;
        self.open.iter_mut().rev().find(|item| item.id() == active)
    }
}

/// Appends to the part `index`, which a well-behaved stream counts up from 0. A stranger number
/// appends to the last part, so that a stream cannot make the list grow at will.
fn append_part(parts: &mut Vec<String>, index: i64, delta: &str) {
    let next = parts.len();
    if usize::try_from(index) == Ok(next) {
        parts.push(delta.to_owned());
        return;
    }
    let place = usize::try_from(index).ok().filter(|place| *place < next);
    match place {
        Some(place) => {
            if let Some(part) = parts.get_mut(place) {
                part.push_str(delta);
            }
        }
        None => match parts.last_mut() {
            Some(part) => part.push_str(delta),
            None => parts.push(delta.to_owned()),
        },
    }
}

/// The item as the host sees it. Without an id of the server's it keeps the one it was begun with,
/// or gets a new one (engine.md §2.2.1).
fn shown(out: &mut Outside, item: &OutputItem, begun: Option<&str>) -> Option<ThreadItem> {
    let mut id = |own: Option<&String>| match (own, begun) {
        (Some(own), _) => own.clone(),
        (None, Some(begun)) => begun.to_owned(),
        (None, None) => out.rng.uuid_v4().to_string(),
    };
    match item {
        OutputItem::Message(message) if message.role == "assistant" => {
            Some(shown_message(id(message.id.as_ref()), message))
        }
        OutputItem::Reasoning(reasoning) => {
            Some(shown_reasoning(id(reasoning.id.as_ref()), reasoning))
        }
        OutputItem::WebSearchCall(search) => Some(shown_search(id(search.id.as_ref()), search)),
        OutputItem::Message(_)
        | OutputItem::FunctionCall(_)
        | OutputItem::FunctionCallOutput(_)
        | OutputItem::CustomToolCall(_)
        | OutputItem::CustomToolCallOutput(_)
        | OutputItem::LocalShellCall(_)
        | OutputItem::Compaction(_)
        | OutputItem::Unknown => None,
    }
}

fn shown_message(id: String, message: &Message) -> ThreadItem {
    let phase = match message.phase.as_deref() {
        Some("commentary") => Some(MessagePhase::Commentary),
        Some("final_answer") => Some(MessagePhase::FinalAnswer),
        Some(_) | None => None,
    };
    ThreadItem::AgentMessage { id, text: message.output_texts().collect(), phase }
}

fn shown_reasoning(id: String, reasoning: &Reasoning) -> ThreadItem {
    ThreadItem::Reasoning {
        id,
        summary: reasoning.summary_texts().map(str::to_owned).collect(),
        content: reasoning.content_texts().map(str::to_owned).collect(),
    }
}

fn shown_search(id: String, search: &WebSearch) -> ThreadItem {
    let (query, action) = match &search.action {
        Some(SearchAction::Search { query, queries }) => {
            let first = queries.as_ref().and_then(|all| all.first());
            let text = query.as_ref().or(first).cloned().unwrap_or_default();
            let (query, queries) = (query.clone(), queries.clone());
            (text, WebSearchAction::Search { query, queries })
        }
        Some(SearchAction::OpenPage { url }) => {
            (url.clone().unwrap_or_default(), WebSearchAction::OpenPage { url: url.clone() })
        }
        Some(SearchAction::FindInPage { url, pattern }) => {
            let text = pattern.clone().unwrap_or_default();
            let (url, pattern) = (url.clone(), pattern.clone());
            (text, WebSearchAction::FindInPage { url, pattern })
        }
        Some(SearchAction::Other) | None => (String::new(), WebSearchAction::Other),
    };
    ThreadItem::WebSearch { id, query, action: Some(action) }
}
