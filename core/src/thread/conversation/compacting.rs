//! A history that outgrows its model is replaced by a summary of it (engine.md §7).
//!
//! Invariant: the history in memory and the one that its file gives are the same after that, item by
//! item: the file has them all, so that reading it needs none of the rules here.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Conversation, ItemPeek};
use crate::config::features::Feature;
use crate::model::compact;
use crate::model::request::{self, Request};
use crate::model::usage;
use crate::thread::rollout::compacted::compacted_history;
use crate::thread::rollout::line::NewLine;

impl Conversation {
    /// Whether the next request would be over the model's limit for a history. A reviewer's history
    /// is its own and as short as the review.
    pub(crate) fn is_over_limit(&self) -> bool {
        let last = self.usage.as_ref().map_or(0, |usage| usage.last_token_usage.total_tokens);
        let Some(limit) = self.compact_limit().filter(|_| last > 0 && self.aside.is_none()) else {
            return false;
        };
        last >= limit || last.saturating_add(self.uncounted_reasoning(limit - last)) >= limit
    }

    /// Tokens at which the history is made short; none if the model's window is not known.
    pub(crate) fn compact_limit(&self) -> Option<i64> {
        let window = self.config.model.context_window.or(self.model.context_window);
        let configured = self.config.model.auto_compact_token_limit;
        let own = configured.or(self.model.auto_compact_token_limit);
        own.or_else(|| window.map(|window| window.saturating_mul(9) / 10))
    }

    /// Reasoning that the backend has left out of its count. It is looked for only where all of the
    /// history could make up what is `missing`: four bytes are a token.
    fn uncounted_reasoning(&self, missing: i64) -> i64 {
        let most = i64::try_from(self.history_bytes() / 4).unwrap_or(i64::MAX);
        if self.counts_reasoning || most < missing {
            return 0;
        }
        let asked = self.history.iter().rposition(is_users).unwrap_or(0);
        usage::estimate_reasoning(self.history.iter().take(asked).map(|item| &**item))
    }

    /// Whether the backend itself makes histories short (engine.md §7.3).
    pub(crate) fn compacts_remotely(&self) -> bool {
        self.provider().name == "OpenAI" && self.config.features.has(Feature::RemoteCompaction)
    }

    /// The body of a request that has the backend make this history short.
    pub(crate) fn compact_body(&self, input: &[Arc<str>]) -> Vec<Arc<str>> {
        request::compact_body(&self.model, input, &self.instructions)
    }

    /// The history, for a request that sums it up.
    pub(crate) fn history(&self) -> Vec<Arc<str>> {
        self.history.clone()
    }

    /// What the model is asked when it is to sum up.
    pub(crate) fn compact_prompt(&self) -> &str {
        self.config.instructions.compact_prompt.as_deref().unwrap_or_else(|| compact::prompt())
    }

    /// The body of a request without tools and with this history.
    pub(crate) fn toolless_body(&self, input: &[Arc<str>]) -> Vec<Arc<str>> {
        Request {
            model: &self.model,
            instructions: &self.instructions,
            input,
            tools: &Arc::from("[]"),
            parallel: false,
            effort: self.settings.effort,
            summary: self.settings.summary,
            verbosity: self.config.model.verbosity,
            output_schema: None,
            cache_key: self.session_text(),
            store: request::wants_store(&self.provider_facts()),
        }
        .body()
    }

    /// Replaces the history: the context as it is now, what the user said as far as it fits, and
    /// the summary.
    pub(crate) fn compact(&mut self, at: Timestamp, summary: &str) {
        let said = self.history.iter().filter(|item| !is_summary(item)).map(|item| &**item);
        let history = compacted_history(&self.context(), said, summary);
        self.replace(at, history, summary);
    }

    /// Replaces the history by one that the backend has made, or that goes with a summary.
    pub(crate) fn replace(&mut self, at: Timestamp, history: Vec<Arc<str>>, summary: &str) {
        self.history = history;
        self.mark_turns();
        let tokens = usage::estimate_prompt(&self.instructions, self.history.iter().map(|i| &**i));
        if let Some(usage) = &mut self.usage {
            usage.set_estimate(tokens);
        }
        if let Some(recorder) = &mut self.recorder {
            let replacement = Some(&*self.history);
            recorder.line(at, &NewLine::Compacted { message: summary, replacement });
        }
    }

    /// The next item is the first of a turn of the user.
    pub(crate) fn mark_turn(&mut self) {
        self.turn_marks.push(self.history.len());
    }

    /// Finds anew where turns of the user begin.
    pub(super) fn mark_turns(&mut self) {
        let begins = |item: &Arc<str>| is_users(item) && !is_summary(item);
        let marks = self.history.iter().enumerate().filter(|(_, item)| begins(item));
        self.turn_marks = marks.map(|(at, _)| at).collect();
    }
}

fn is_users(item: &Arc<str>) -> bool {
    ItemPeek::new(item).is_some_and(|item| item.begins_user_turn())
}

/// Summaries speak in the user's name.
fn is_summary(item: &Arc<str>) -> bool {
    let text = ItemPeek::new(item).and_then(|item| item.user_text());
    text.is_some_and(|text| compact::is_marked(&text))
}
