//! What the host is told of one turn: every notification of a turn is written here, in both
//! dialects, the older one first (protocol.md §5).
//!
//! Nothing is made for a dialect that nobody wants to hear.

use std::borrow::Cow;
use std::sync::Arc;

use super::legacy;
use crate::model::rate_limits::Snapshot;
use crate::model::usage::TokenUsageInfo;
use crate::outside::Outside;
use crate::thread::{Audience, Conversation};
use crate::wire::legacy::event::{EventMsg, TurnAbortReason};
use crate::wire::v2::account::{AccountRateLimitsUpdatedNotification, RateLimitSnapshot};
use crate::wire::v2::common::ModeKind;
use crate::wire::v2::delta::{
    AgentMessageDeltaNotification, ReasoningSummaryPartAddedNotification,
    ReasoningSummaryTextDeltaNotification, ReasoningTextDeltaNotification,
};
use crate::wire::v2::item::{ItemCompletedNotification, ItemStartedNotification, ThreadItem};
use crate::wire::v2::turn::{
    ThreadTokenUsageUpdatedNotification, Turn, TurnCompletedNotification, TurnStartedNotification,
};
use crate::wire::v2::turn_error::{ErrorNotification, TurnError};

/// Speaks for one turn.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    pub(super) thread_id: Arc<str>,
    pub(super) turn_id: Arc<str>,
    pub(super) audience: Audience,
    /// Finished reasoning is told as it is, not only in summaries (protocol.md §4.3).
    pub(super) shows_raw: bool,
}

impl Voice {
    pub(crate) fn new(conversation: &Conversation, turn_id: Arc<str>) -> Self {
        Self {
            thread_id: conversation.id_text.clone(),
            turn_id,
            audience: conversation.audience,
            shows_raw: conversation.config.show_raw_agent_reasoning,
        }
    }

    fn ids(&self) -> (&str, &str) {
        (&self.thread_id, &self.turn_id)
    }

    /// A notification of today's dialect.
    fn say(&self, out: &mut Outside, method: &'static str, params: impl serde::Serialize) {
        out.tell(&self.thread_id, self.audience, method, params);
    }

    /// An event of the older dialect; `make` is called only if somebody wants it.
    pub(crate) fn event<'a>(
        &self,
        out: &mut Outside,
        method: &'static str,
        make: impl FnOnce() -> EventMsg<'a>,
    ) {
        if out.wants_legacy() {
            let event = make();
            let params = legacy::notification(self, &event);
            out.tell(&self.thread_id, self.audience, method, params);
        }
    }

    // --- the turn ---

    pub(super) fn turn_started(&self, out: &mut Outside, turn: &Turn) {
        if self.audience.hears_v2() {
            let params = TurnStartedNotification { thread_id: &self.thread_id, turn };
            self.say(out, "turn/started", params);
        }
    }

    pub(super) fn task_started(
        &self,
        out: &mut Outside,
        model_context_window: Option<i64>,
        collaboration_mode_kind: ModeKind,
    ) {
        self.event(out, "codex/event/task_started", || EventMsg::TaskStarted {
            model_context_window,
            collaboration_mode_kind,
        });
    }

    pub(super) fn turn_completed(
        &self,
        out: &mut Outside,
        turn: &Turn,
        last_agent_message: Option<&str>,
    ) {
        self.event(out, "codex/event/task_complete", || EventMsg::TaskComplete {
            last_agent_message: last_agent_message.map(str::to_owned),
        });
        self.v2_turn_completed(out, turn);
    }

    /// The turn was stopped; the older dialect says so in place of completing it.
    pub(super) fn turn_aborted(&self, out: &mut Outside, turn: &Turn) {
        self.event(out, "codex/event/turn_aborted", || EventMsg::TurnAborted {
            reason: TurnAbortReason::Interrupted,
        });
        self.v2_turn_completed(out, turn);
    }

    fn v2_turn_completed(&self, out: &mut Outside, turn: &Turn) {
        let params = TurnCompletedNotification { thread_id: &self.thread_id, turn };
        self.say(out, "turn/completed", params);
    }

    pub(super) fn error(&self, out: &mut Outside, error: &TurnError, will_retry: bool) {
        let info = || error.codex_error_info.clone().map(Into::into);
        let message = || error.message.clone();
        if will_retry {
            self.event(out, "codex/event/stream_error", || EventMsg::StreamError {
                message: message(),
                codex_error_info: info(),
                additional_details: error.additional_details.clone(),
            });
        } else {
            self.event(out, "codex/event/error", || EventMsg::Error {
                message: message(),
                codex_error_info: info(),
            });
        }
        let (thread_id, turn_id) = self.ids();
        self.say(out, "error", ErrorNotification { error, will_retry, thread_id, turn_id });
    }

    // --- items ---

    pub(super) fn item_started(&self, out: &mut Outside, item: &ThreadItem) {
        if out.wants_legacy()
            && let Some(event) = legacy::item_started(self, item)
        {
            self.event(out, "codex/event/item_started", || event);
        }
        let started_at_ms = out.now.unix_ms();
        let (thread_id, turn_id) = self.ids();
        let params = ItemStartedNotification { item, thread_id, turn_id, started_at_ms };
        self.say(out, "item/started", params);
        if let ThreadItem::WebSearch { id, .. } = item {
            self.event(out, "codex/event/web_search_begin", || EventMsg::WebSearchBegin {
                call_id: id.clone(),
            });
        }
    }

    pub(super) fn item_completed(&self, out: &mut Outside, item: &ThreadItem) {
        if out.wants_legacy()
            && let Some(event) = legacy::item_completed(self, item)
        {
            self.event(out, "codex/event/item_completed", || event);
        }
        let completed_at_ms = out.now.unix_ms();
        let (thread_id, turn_id) = self.ids();
        let params = ItemCompletedNotification { item, thread_id, turn_id, completed_at_ms };
        self.say(out, "item/completed", params);
        if out.wants_legacy() {
            for (method, event) in legacy::afterwards(item, self.shows_raw) {
                self.event(out, method, || event);
            }
        }
    }

    pub(super) fn message_delta(&self, out: &mut Outside, item_id: &str, delta: &str) {
        let (thread_id, turn_id) = self.ids();
        self.event(out, "codex/event/agent_message_content_delta", || {
            EventMsg::AgentMessageContentDelta {
                thread_id: Cow::Borrowed(thread_id),
                turn_id: Cow::Borrowed(turn_id),
                item_id: Cow::Borrowed(item_id),
                delta: Cow::Borrowed(delta),
            }
        });
        let params = AgentMessageDeltaNotification { thread_id, turn_id, item_id, delta };
        self.say(out, "item/agentMessage/delta", params);
        self.event(out, "codex/event/agent_message_delta", || EventMsg::AgentMessageDelta {
            delta: Cow::Borrowed(delta),
        });
    }

    pub(super) fn summary_part(&self, out: &mut Outside, item_id: &str, summary_index: i64) {
        let (thread_id, turn_id) = self.ids();
        self.event(out, "codex/event/agent_reasoning_section_break", || {
            EventMsg::AgentReasoningSectionBreak { item_id: Cow::Borrowed(item_id), summary_index }
        });
        let params =
            ReasoningSummaryPartAddedNotification { thread_id, turn_id, item_id, summary_index };
        self.say(out, "item/reasoning/summaryPartAdded", params);
    }

    pub(super) fn summary_delta(
        &self,
        out: &mut Outside,
        item_id: &str,
        delta: &str,
        summary_index: i64,
    ) {
        let (thread_id, turn_id) = self.ids();
        self.event(out, "codex/event/reasoning_content_delta", || {
            EventMsg::ReasoningContentDelta {
                thread_id: Cow::Borrowed(thread_id),
                turn_id: Cow::Borrowed(turn_id),
                item_id: Cow::Borrowed(item_id),
                delta: Cow::Borrowed(delta),
                summary_index,
            }
        });
        let params = ReasoningSummaryTextDeltaNotification {
            thread_id,
            turn_id,
            item_id,
            delta,
            summary_index,
        };
        self.say(out, "item/reasoning/summaryTextDelta", params);
        self.event(out, "codex/event/agent_reasoning_delta", || EventMsg::AgentReasoningDelta {
            delta: Cow::Borrowed(delta),
        });
    }

    pub(super) fn reasoning_delta(
        &self,
        out: &mut Outside,
        item_id: &str,
        delta: &str,
        content_index: i64,
    ) {
        let (thread_id, turn_id) = self.ids();
        self.event(out, "codex/event/reasoning_raw_content_delta", || {
            EventMsg::ReasoningRawContentDelta {
                thread_id: Cow::Borrowed(thread_id),
                turn_id: Cow::Borrowed(turn_id),
                item_id: Cow::Borrowed(item_id),
                delta: Cow::Borrowed(delta),
                content_index,
            }
        });
        let params =
            ReasoningTextDeltaNotification { thread_id, turn_id, item_id, delta, content_index };
        self.say(out, "item/reasoning/textDelta", params);
        self.event(out, "codex/event/agent_reasoning_raw_content_delta", || {
            EventMsg::AgentReasoningRawContentDelta { delta: Cow::Borrowed(delta) }
        });
    }

    // --- what it costs ---

    /// Tokens and limits as they are known now. Today's dialect hears only of what has changed.
    pub(crate) fn token_count(
        &self,
        out: &mut Outside,
        info: Option<&TokenUsageInfo>,
        rate_limits: &Snapshot,
        changed: Changed,
    ) {
        self.event(out, "codex/event/token_count", || EventMsg::TokenCount {
            info: info.map(Into::into),
            rate_limits: Some(rate_limits.into()),
        });
        if changed == Changed::Usage
            && let Some(info) = info
        {
            let (thread_id, turn_id) = self.ids();
            let token_usage = info.into();
            let params = ThreadTokenUsageUpdatedNotification { thread_id, turn_id, token_usage };
            self.say(out, "thread/tokenUsage/updated", params);
        }
        if changed == Changed::Limits {
            let rate_limits = &RateLimitSnapshot::from(rate_limits);
            let params = AccountRateLimitsUpdatedNotification { rate_limits };
            self.say(out, "account/rateLimits/updated", params);
        }
    }
}

/// What is new in a token count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Nothing,
    Usage,
    Limits,
}
