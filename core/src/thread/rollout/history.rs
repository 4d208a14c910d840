//! The model's history, rebuilt from lines (engine.md §8.6).
//!
//! Items stay JSON text until the end, so that what was taken back or made short costs no more than
//! a look, and memory is in proportion to what is left.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::compacted::compacted_history;
use super::line::Compacted;
use super::said::ItemPeek;
use crate::wire::response_item::ResponseItem;

/// A history while it is rebuilt.
#[derive(Debug, Default)]
pub struct HistoryBuilder {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    item: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A turn of the user begins here.
    UserTurn,
    /// A summary, which speaks in the user's name.
    Summary,
    Other,
}

impl HistoryBuilder {
    /// Appends an item; false if it is none. What no history holds is left out: system messages,
    /// snapshots of the working directory, kinds that are not known.
    pub fn push(&mut self, item: &str) -> bool {
        let Some(peek) = ItemPeek::new(item) else { return false };
        if belongs(&peek) {
            let kind = if peek.begins_user_turn() { Kind::UserTurn } else { Kind::Other };
            self.entries.push(Entry { item: item.into(), kind });
        }
        true
    }

    /// Takes back the last `turns` turns of the user; more than there are take back all
    /// (engine.md §1.10).
    pub fn roll_back(&mut self, turns: u32) {
        let begins_turn = |entry: &Entry| entry.kind != Kind::Other;
        let begins = self.entries.iter().enumerate().filter(|(_, entry)| begins_turn(entry));
        let begins = begins.map(|(at, _)| at).rev();
        if let Some(cut) = begins.take(usize::try_from(turns).unwrap_or(usize::MAX)).last() {
            self.entries.truncate(cut);
        }
    }

    /// Makes the history short. `initial` is the context that a fresh history begins with.
    pub fn compact(&mut self, compacted: &Compacted<'_>, initial: &[Arc<str>]) {
        if let Some(replacement) = &compacted.replacement_history {
            self.entries.clear();
            for item in replacement {
                self.push(RawValue::get(item));
            }
            return;
        }
        let before = self.entries.iter().filter(|entry| entry.kind != Kind::Summary);
        let before = before.map(|entry| entry.item.as_ref());
        let mut items = compacted_history(initial, before, &compacted.message);
        let summary = items.pop();
        self.entries.clear();
        for item in items {
            self.push(&item);
        }
        self.entries.extend(summary.map(|item| Entry { item, kind: Kind::Summary }));
    }

    /// The history as it goes out. `fit` shortens what is too long for the model; an item that
    /// cannot be decoded is left out, and their number is the second value.
    pub fn finish(self, mut fit: impl FnMut(&mut ResponseItem)) -> (Vec<Arc<str>>, usize) {
        let mut undecodable = 0;
        let mut settle = |Entry { item, .. }: Entry| {
            let settled = serde_json::from_str(&item).ok().and_then(|mut decoded| {
                fit(&mut decoded);
                serde_json::to_string(&decoded).ok()
            });
            undecodable += usize::from(settled.is_none());
            Some(if *settled.as_deref()? == *item { item } else { settled?.into() })
        };
        let history = self.entries.into_iter().filter_map(&mut settle).collect();
        (history, undecodable)
    }
}

fn belongs(item: &ItemPeek<'_>) -> bool {
    match item.kind.as_ref() {
        "message" => item.role.as_deref() != Some("system"),
        "reasoning" | "local_shell_call" | "function_call" | "function_call_output" => true,
        "custom_tool_call" | "custom_tool_call_output" | "web_search_call" => true,
        "compaction" | "compaction_summary" => true,
        _ => false,
    }
}
