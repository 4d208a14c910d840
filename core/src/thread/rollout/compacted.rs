//! A history made short by a summary (engine.md §7.2).

use std::sync::Arc;

use serde_json::json;

use super::said::ItemPeek;

/// What the user said that stays in a history made short, in tokens of four bytes.
const KEPT_TOKENS: usize = 20_000;

const BYTES_PER_TOKEN: usize = 4;

/// The history after it was made short: `initial` context, what the user said as far as it fits,
/// newest first, and the summary.
///
/// `history` is what it was before, without earlier summaries.
pub fn compacted_history<'a>(
    initial: &[Arc<str>],
    history: impl DoubleEndedIterator<Item = &'a str>,
    summary: &str,
) -> Vec<Arc<str>> {
    let mut kept = Vec::new();
    let mut left = KEPT_TOKENS;
    for text in history.rev().filter_map(kept_text) {
        if left == 0 {
            break;
        }
        let tokens = text.len().div_ceil(BYTES_PER_TOKEN);
        kept.push(message(&cut_to_tokens(text, left)));
        left = left.saturating_sub(tokens);
    }
    kept.reverse();
    let summary = if summary.is_empty() { "(no summary available)" } else { summary };
    let summary = message(summary);
    initial.iter().cloned().chain(kept).chain([summary]).collect()
}

/// What of an item stays: words of the user, and that a turn was stopped.
fn kept_text(item: &str) -> Option<String> {
    let item = ItemPeek::new(item)?;
    item.user_text().or_else(|| item.abort_mark())
}

fn message(text: &str) -> Arc<str> {
    let content = [json!({"type": "input_text", "text": text})];
    json!({"type": "message", "role": "user", "content": content}).to_string().into()
}

/// The text, its middle cut out if it is longer than `tokens` (engine.md §3.4).
fn cut_to_tokens(text: String, tokens: usize) -> String {
    let budget = tokens * BYTES_PER_TOKEN;
    if text.len() <= budget {
        return text;
    }
    // Whole characters only.
    let start = (0..=budget / 2).rev().find_map(|at| text.get(..at)).unwrap_or_default();
    let from = text.len() - (budget - budget / 2);
    let end = (from..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default();
    let cut = (text.len() - budget).div_ceil(BYTES_PER_TOKEN);
    format!("{start}\u{2026}{cut} tokens truncated\u{2026}{end}")
}
