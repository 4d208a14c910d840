//! Turns as clients see them, rebuilt from lines (protocol.md §7).
//!
//! A turn that this server noted comes back as it was shown, also when turns of other servers stand
//! between its lines, and when some of them were written twice. One that only the reference's events
//! tell of is put together from those, under made-up ids, as the reference does.

use std::collections::BTreeSet;

use super::line::StoredNote;
use crate::wire::legacy::event::{EventMsg, UserMessageEvent};
use crate::wire::v2::item::{ThreadItem, UserInput};
use crate::wire::v2::turn::{Turn, TurnStatus};

/// Turns while they are rebuilt.
#[derive(Debug)]
pub struct TurnsBuilder {
    turns: Vec<Turn>,
    open: Option<Open>,
    /// Turns whose beginning was noted and whose end was not: their server runs, or has stopped there.
    unended: Vec<Unended>,
    next_turn: usize,
    next_item: usize,
    /// Turns were taken back by a note, so the event that follows is none of ours.
    is_rolled_back: bool,
}

#[derive(Debug)]
struct Open {
    turn: Turn,
    told_by: TellsOf,
}

/// Who tells of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TellsOf {
    Events,
    Notes,
}

/// A turn whose end was not noted.
#[derive(Debug)]
struct Unended {
    id: String,
    /// The event of its input has passed.
    saw_input: bool,
    /// What was noted of it: the id of each item. Both ends of a review have the turn's own.
    items: BTreeSet<(bool, String)>,
}

impl Unended {
    /// A turn that begins, or begins again with what was noted of it.
    fn new(id: &str, items: &[ThreadItem]) -> Self {
        let (id, saw_input) = (id.to_owned(), false);
        Self { id, saw_input, items: items.iter().map(key).collect() }
    }
}

fn key(item: &ThreadItem) -> (bool, String) {
    (matches!(item, ThreadItem::ExitedReviewMode { .. }), item.id().to_owned())
}

impl Default for TurnsBuilder {
    fn default() -> Self {
        Self {
            turns: Vec::new(),
            open: None,
            unended: Vec::new(),
            next_turn: 1,
            next_item: 1,
            is_rolled_back: false,
        }
    }
}

impl TurnsBuilder {
    /// Whether an event of this kind matters here.
    pub fn wants(kind: &str) -> bool {
        matches!(
            kind,
            "user_message"
                | "agent_message"
                | "agent_reasoning"
                | "agent_reasoning_raw_content"
                | "turn_aborted"
                | "thread_rolled_back"
        )
    }

    /// Takes an event of a kind that [`Self::wants`] names; others are ignored.
    pub fn event(&mut self, event: &EventMsg<'_>) {
        if let EventMsg::ThreadRolledBack { num_turns } = event {
            if !std::mem::take(&mut self.is_rolled_back) {
                self.roll_back(*num_turns);
            }
            return;
        }
        if self.belongs_to_noted(matches!(event, EventMsg::UserMessage(_))) {
            return;
        }
        match event {
            EventMsg::UserMessage(input) => self.begin_told_by_events(input),
            EventMsg::AgentMessage { message } if !message.is_empty() => {
                let text = message.clone().into_owned();
                self.add(|id| ThreadItem::AgentMessage { id, text, phase: None });
            }
            EventMsg::AgentReasoning { text } if !text.is_empty() => self.think(text, true),
            EventMsg::AgentReasoningRawContent { text } if !text.is_empty() => {
                self.think(text, false);
            }
            EventMsg::TurnAborted { .. } => {
                if let Some(Open { turn, .. }) = &mut self.open {
                    turn.status = TurnStatus::Interrupted;
                }
            }
            _ => {}
        }
    }

    /// Whether an event stands beside notes that tell the same.
    fn belongs_to_noted(&mut self, is_input: bool) -> bool {
        if !is_input {
            let is_told = self.open.as_ref().is_some_and(|open| open.told_by == TellsOf::Events);
            return !is_told && !self.unended.is_empty();
        }
        // An input that none of them waits for is another program's: this server has stopped.
        let waits = self.unended.iter_mut().rev().find(|turn| !turn.saw_input);
        waits.map(|turn| turn.saw_input = true).is_some()
    }

    /// Takes a note.
    pub fn note(&mut self, note: StoredNote<'_>) {
        match note.kind.as_ref() {
            "turn_started" => {
                self.unended.retain(|turn| turn.id != note.turn_id);
                if let Some(turn) = self.turn(&note.turn_id) {
                    // Written again, after an append that failed.
                    let again = Unended::new(&turn.id, &turn.items);
                    return self.unended.push(again);
                }
                self.close();
                self.unended.push(Unended::new(&note.turn_id, &[]));
                // Stands if the turn's end was never noted: this server stopped within it.
                let turn = new_turn(note.turn_id.into_owned(), TurnStatus::Interrupted);
                self.open = Some(Open { turn, told_by: TellsOf::Notes });
            }
            "item_completed" => {
                let item = note.item.and_then(|item| serde_json::from_str(item.get()).ok());
                let unended = self.unended.iter_mut().find(|turn| turn.id == note.turn_id);
                if let (Some(unended), Some(item)) = (unended, item)
                    && unended.items.insert(key(&item))
                    && let Some(turn) = self.turn(&note.turn_id)
                {
                    turn.items.push(item);
                }
            }
            "turn_completed" => {
                self.unended.retain(|turn| turn.id != note.turn_id);
                if let Some(turn) = self.turn(&note.turn_id) {
                    turn.status = note.status.unwrap_or(TurnStatus::Completed);
                    turn.error = note.error;
                }
                if self.open.as_ref().is_some_and(|open| open.turn.id == note.turn_id) {
                    self.close();
                }
            }
            "turns_rolled_back" => {
                self.roll_back(note.num_turns);
                self.is_rolled_back = true;
            }
            _ => {}
        }
    }

    /// The turns.
    pub fn finish(mut self) -> Vec<Turn> {
        self.close();
        self.turns
    }

    fn turn(&mut self, id: &str) -> Option<&mut Turn> {
        let open = self.open.as_mut().map(|open| &mut open.turn);
        open.into_iter().chain(self.turns.iter_mut().rev()).find(|turn| turn.id == id)
    }

    fn close(&mut self) {
        if let Some(Open { turn, told_by }) = self.open.take() {
            let is_shown = !turn.items.is_empty() || told_by == TellsOf::Notes;
            self.turns.extend(is_shown.then_some(turn));
        }
    }

    fn roll_back(&mut self, turns: u32) {
        self.close();
        let turns = usize::try_from(turns).unwrap_or(usize::MAX);
        self.turns.truncate(self.turns.len().saturating_sub(turns));
        self.next_turn = self.turns.len() + 1;
        self.next_item = self.turns.iter().map(|turn| turn.items.len()).sum::<usize>() + 1;
    }

    fn begin_told_by_events(&mut self, input: &UserMessageEvent) {
        self.close();
        self.open_if_closed();
        self.add(|id| ThreadItem::UserMessage { id, content: content_of(input) });
    }

    fn open_if_closed(&mut self) -> &mut Turn {
        let next_turn = &mut self.next_turn;
        let open = self.open.get_or_insert_with(|| {
            let id = format!("turn-{next_turn}");
            *next_turn += 1;
            Open { turn: new_turn(id, TurnStatus::Completed), told_by: TellsOf::Events }
        });
        &mut open.turn
    }

    fn add(&mut self, item: impl FnOnce(String) -> ThreadItem) {
        let id = format!("item-{}", self.next_item);
        self.next_item += 1;
        self.open_if_closed().items.push(item(id));
    }

    fn think(&mut self, text: &str, is_summary: bool) {
        if !matches!(self.open_if_closed().items.last(), Some(ThreadItem::Reasoning { .. })) {
            let (summary, content) = (Vec::new(), Vec::new());
            self.add(|id| ThreadItem::Reasoning { id, summary, content });
        }
        let item = self.open_if_closed().items.last_mut();
        if let Some(ThreadItem::Reasoning { summary, content, .. }) = item {
            let parts = if is_summary { summary } else { content };
            parts.push(text.to_owned());
        }
    }
}

fn new_turn(id: String, status: TurnStatus) -> Turn {
    Turn { id, items: Vec::new(), status, error: None }
}

/// What the user said, from the event: which part came first is not told there.
fn content_of(input: &UserMessageEvent) -> Vec<UserInput> {
    let text = (!input.message.trim().is_empty()).then(|| UserInput::Text {
        text: input.message.clone(),
        text_elements: input.text_elements.iter().cloned().map(Into::into).collect(),
    });
    let images = input.images.iter().flatten().map(|url| UserInput::Image { url: url.clone() });
    let paths = input.local_images.iter().cloned();
    let local_images = paths.map(|path| UserInput::LocalImage { path });
    text.into_iter().chain(images).chain(local_images).collect()
}
