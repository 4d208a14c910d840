//! A history that nobody has used for a while is put away: it stands in the thread's file, and is
//! read back before the next turn. Everything else of the thread stays as it is.
//!
//! Invariant: what is put away stands in the file to the last item.

use std::sync::Arc;

use super::Conversation;
use crate::thread::Recorder;

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

    /// Bytes of the history in memory.
    pub(crate) fn history_bytes(&self) -> usize {
        self.history.iter().map(|item| item.len()).sum()
    }
}
