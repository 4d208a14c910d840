//! What the host is told of one turn. Every notification of a turn is written here.

use std::sync::Arc;

use crate::outside::Outside;
use crate::wire::v2::delta::{AgentMessageDeltaNotification, ReasoningSummaryPartAddedNotification, ReasoningSummaryTextDeltaNotification, ReasoningTextDeltaNotification};
use crate::wire::v2::item::{ItemCompletedNotification, ItemStartedNotification, ThreadItem};
use crate::wire::v2::turn::{ThreadTokenUsage, ThreadTokenUsageUpdatedNotification, Turn, TurnCompletedNotification, TurnStartedNotification};
use crate::wire::v2::turn_error::{ErrorNotification, TurnError};

/// The two ids that every notification of a turn carries.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    pub(super) thread_id: Arc<str>,
    pub(super) turn_id: Arc<str>,
}

impl Voice {
    pub(super) fn turn_started(&self, out: &mut Outside, turn: &Turn) {
        let params = TurnStartedNotification { thread_id: &self.thread_id, turn };
        out.notify("turn/started", params);
    }

    pub(super) fn turn_completed(&self, out: &mut Outside, turn: &Turn) {
        let params = TurnCompletedNotification { thread_id: &self.thread_id, turn };
        out.notify("turn/completed", params);
    }

    pub(super) fn item_started(&self, out: &mut Outside, item: &ThreadItem) {
        let started_at_ms = out.now.unix_ms();
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params = ItemStartedNotification { item, thread_id, turn_id, started_at_ms };
        out.notify("item/started", params);
    }

    pub(super) fn item_completed(&self, out: &mut Outside, item: &ThreadItem) {
        let completed_at_ms = out.now.unix_ms();
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params = ItemCompletedNotification { item, thread_id, turn_id, completed_at_ms };
        out.notify("item/completed", params);
    }

    pub(super) fn message_delta(&self, out: &mut Outside, item_id: &str, delta: &str) {
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params = AgentMessageDeltaNotification { thread_id, turn_id, item_id, delta };
        out.notify("item/agentMessage/delta", params);
    }

    pub(super) fn summary_part(&self, out: &mut Outside, item_id: &str, summary_index: i64) {
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params =
            ReasoningSummaryPartAddedNotification { thread_id, turn_id, item_id, summary_index };
        out.notify("item/reasoning/summaryPartAdded", params);
    }

    pub(super) fn summary_delta(
        &self,
        out: &mut Outside,
        item_id: &str,
        delta: &str,
        summary_index: i64,
    ) {
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params = ReasoningSummaryTextDeltaNotification {
            thread_id,
            turn_id,
            item_id,
            delta,
            summary_index,
        };
        out.notify("item/reasoning/summaryTextDelta", params);
    }

    pub(super) fn reasoning_delta(
        &self,
        out: &mut Outside,
        item_id: &str,
        delta: &str,
        content_index: i64,
    ) {
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params =
            ReasoningTextDeltaNotification { thread_id, turn_id, item_id, delta, content_index };
        out.notify("item/reasoning/textDelta", params);
    }

    pub(super) fn token_usage(&self, out: &mut Outside, token_usage: ThreadTokenUsage) {
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params = ThreadTokenUsageUpdatedNotification { thread_id, turn_id, token_usage };
        out.notify("thread/tokenUsage/updated", params);
    }

    pub(super) fn error(&self, out: &mut Outside, error: &TurnError, will_retry: bool) {
        let (thread_id, turn_id) = (&*self.thread_id, &*self.turn_id);
        let params = ErrorNotification { error, will_retry, thread_id, turn_id };
        out.notify("error", params);
    }
}
