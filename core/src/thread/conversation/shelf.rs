//! What an open thread costs in memory: a history that nobody has used for a while is put away, and
//! what is the same in two threads is held once.
//!
//! Invariants: what is put away stands in the thread's file to the last item, and is read back
//! before the next turn; what is shared is never changed.

use std::sync::Arc;

use super::Conversation;
use crate::thread::Recorder;

/// Items at the beginning of a history that another thread is likely to have as well.
const CONTEXT_ITEMS: usize = 8;

impl Conversation {
    /// Whether there is a history that can be put away. One that is in memory only never can.
    pub(crate) fn can_shelve(&self) -> bool {
        !self.history.is_empty()
            && self.aside.is_none()
            && self.unsaid.is_empty()
            && self.recorder.as_ref().is_some_and(Recorder::holds_all)
    }

    /// Puts the history away.
    pub(crate) fn shelve(&mut self) {
        self.shelved = Some(self.history.len());
        self.history = Vec::new();
    }

    /// Whether the history is put away.
    pub(crate) fn is_shelved(&self) -> bool {
        self.shelved.is_some()
    }

    /// Takes the history back as it was read.
    pub(crate) fn unshelve(&mut self, history: Vec<Arc<str>>) {
        let before = self.shelved.take();
        if before == Some(history.len()) {
            self.history = history;
            return;
        }
        // Another program has written to the file: where turns begin is found anew.
        tracing::warn!(?before, now = history.len(), "a stored thread was changed meanwhile");
        let usage = self.usage.take();
        self.restore(history, usage);
    }

    /// Holds what is the same in another thread once: most threads of a host differ in little.
    pub(crate) fn share(&mut self, other: &Self) {
        if self.config == other.config {
            self.config = other.config.clone();
        }
        if self.model == other.model {
            self.model = other.model.clone();
        }
        let texts = [
            (&mut self.instructions, &other.instructions),
            (&mut self.tools, &other.tools),
            (&mut self.user_instructions, &other.user_instructions),
            (&mut self.shell, &other.shell),
        ];
        // The context stands at the beginning of both histories.
        let context = self.history.iter_mut().zip(&other.history).take(CONTEXT_ITEMS);
        for (own, theirs) in texts.into_iter().chain(context) {
            if own == theirs {
                *own = theirs.clone();
            }
        }
        if self.dynamic_tools == other.dynamic_tools {
            self.dynamic_tools = other.dynamic_tools.clone();
        }
    }

    /// Bytes of the history in memory.
    pub(crate) fn history_bytes(&self) -> usize {
        self.history.iter().map(|item| item.len()).sum()
    }
}
