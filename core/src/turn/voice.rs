//! What the host is told of one turn: every notification of a turn is written here, in both
//! dialects, the older one first (protocol.md §5).
//!
//! Nothing is made for a dialect that nobody wants to hear.

mod commands;
mod resources;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) use commands::{CommandEvent, CommandShown};

use super::calls::Dialect;
use super::legacy;
use crate::config::Deprecation;
use crate::model::rate_limits::Snapshot;
use crate::model::usage::TokenUsageInfo;
use crate::outside::Outside;
use crate::thread::{Audience, Conversation};
use crate::tools::{DynamicCall, Plan, PlanStep, PlanUpdate};
use crate::wire::legacy::event::{EventMsg, TurnAbortReason};
use crate::wire::legacy::event_part::{
    ApplyPatchApprovalRequestEvent, DynamicToolCallRequest, ExecOutputStream, PatchApplyBeginEvent,
    PatchApplyEndEvent, PlanItemArg, StepStatus,
};
use crate::wire::response_item::ResponseItem;
use crate::wire::v2::account::{AccountRateLimitsUpdatedNotification, RateLimitSnapshot};
use crate::wire::v2::approval::ToolRequestUserInputQuestion;
use crate::wire::v2::common::ModeKind;
use crate::wire::v2::delta::{
    AgentMessageDeltaNotification, FileChangeOutputDeltaNotification,
    ReasoningSummaryPartAddedNotification, ReasoningSummaryTextDeltaNotification,
    ReasoningTextDeltaNotification,
};
use crate::wire::v2::item::{
    ItemCompletedNotification, ItemStartedNotification, RawResponseItemCompletedNotification,
    ThreadItem,
};
use crate::wire::v2::notice::DeprecationNoticeNotification;
use crate::wire::v2::thread::ContextCompactedNotification;
use crate::wire::v2::turn::{
    ThreadTokenUsageUpdatedNotification, Turn, TurnCompletedNotification,
    TurnDiffUpdatedNotification, TurnPlanStep, TurnPlanStepStatus, TurnPlanUpdatedNotification,
    TurnStartedNotification,
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

    /// What the history has gained, for a host that asked for it.
    pub(crate) fn raw_items(&self, out: &mut Outside, conversation: &mut Conversation) {
        for json in conversation.unsaid.drain(..) {
            let Ok(item) = serde_json::from_str::<ResponseItem>(&json) else { continue };
            if self.audience.hears_v2() {
                let (thread_id, turn_id) = self.ids();
                let params =
                    RawResponseItemCompletedNotification { thread_id, turn_id, item: &item };
                self.say(out, "rawResponseItem/completed", params);
            }
            self.event(out, "codex/event/raw_response_item", || EventMsg::RawResponseItem {
                item: Cow::Owned(item),
            });
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
    pub(super) fn turn_aborted(&self, out: &mut Outside, turn: &Turn, reason: TurnAbortReason) {
        self.event(out, "codex/event/turn_aborted", || EventMsg::TurnAborted { reason });
        self.v2_turn_completed(out, turn);
    }

    fn v2_turn_completed(&self, out: &mut Outside, turn: &Turn) {
        let params = TurnCompletedNotification { thread_id: &self.thread_id, turn };
        self.say(out, "turn/completed", params);
    }

    pub(crate) fn error(&self, out: &mut Outside, error: &TurnError, will_retry: bool) {
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

    /// A setting goes away that is in use.
    pub(crate) fn deprecated(&self, out: &mut Outside, notice: &Deprecation) {
        self.event(out, "codex/event/deprecation_notice", || EventMsg::DeprecationNotice {
            summary: notice.summary.clone(),
            details: notice.details.clone(),
        });
        let params = DeprecationNoticeNotification {
            summary: notice.summary.clone(),
            details: notice.details.clone(),
        };
        self.say(out, "deprecationNotice", params);
    }

    /// The history was made short.
    pub(super) fn compacted(&self, out: &mut Outside) {
        self.event(out, "codex/event/context_compacted", || EventMsg::ContextCompacted);
        let (thread_id, turn_id) = self.ids();
        self.say(out, "thread/compacted", ContextCompactedNotification { thread_id, turn_id });
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

    // --- tools ---

    /// In which words the host is asked: today's, unless only listeners of the older dialect are
    /// there.
    pub(super) fn dialect(&self) -> Dialect {
        match !self.audience.is_empty() && !self.audience.hears_v2() {
            true => Dialect::Legacy,
            false => Dialect::V2,
        }
    }

    pub(super) fn user_asked(
        &self,
        out: &mut Outside,
        id: &str,
        questions: &[ToolRequestUserInputQuestion],
    ) {
        self.event(out, "codex/event/request_user_input", || EventMsg::RequestUserInput {
            call_id: id.to_owned(),
            turn_id: self.turn_id.to_string(),
            questions: questions.iter().map(legacy::question).collect(),
        });
    }

    pub(super) fn dynamic_called(&self, out: &mut Outside, id: &str, call: &DynamicCall) {
        self.event(out, "codex/event/dynamic_tool_call_request", || {
            EventMsg::DynamicToolCallRequest(DynamicToolCallRequest {
                call_id: id.to_owned(),
                turn_id: self.turn_id.to_string(),
                tool: call.tool.clone(),
                arguments: serde_json::from_str(call.arguments.get()).unwrap_or_default(),
            })
        });
    }

    pub(super) fn image_viewed(&self, out: &mut Outside, id: &str, path: &str) {
        self.event(out, "codex/event/view_image_tool_call", || EventMsg::ViewImageToolCall {
            call_id: id.to_owned(),
            path: path.to_owned(),
        });
    }

    pub(super) fn plan_updated(&self, out: &mut Outside, update: PlanUpdate) {
        let PlanUpdate { explanation, plan } = update;
        if self.audience.hears_v2() {
            let (thread_id, turn_id) = self.ids();
            let step = |step: &PlanStep| step_status(step.status);
            let shown = plan.iter().map(|s| TurnPlanStep { step: &s.step, status: step(s) });
            let (explanation, plan) = (explanation.as_deref(), shown.collect());
            let params = TurnPlanUpdatedNotification { thread_id, turn_id, explanation, plan };
            self.say(out, "turn/plan/updated", params);
        }
        self.event(out, "codex/event/plan_update", || {
            let step = |PlanStep { step, status }| PlanItemArg { step, status };
            EventMsg::PlanUpdate { explanation, plan: plan.into_iter().map(step).collect() }
        });
    }

    pub(super) fn patch_began(&self, out: &mut Outside, id: &str, plan: &Plan, unasked: bool) {
        self.event(out, "codex/event/patch_apply_begin", || {
            EventMsg::PatchApplyBegin(PatchApplyBeginEvent {
                call_id: id.to_owned(),
                turn_id: self.turn_id.to_string(),
                auto_approved: unasked,
                changes: plan.legacy_changes(),
            })
        });
    }

    pub(super) fn patch_asked(&self, out: &mut Outside, id: &str, plan: &Plan) {
        self.event(out, "codex/event/apply_patch_approval_request", || {
            EventMsg::ApplyPatchApprovalRequest(Box::new(ApplyPatchApprovalRequestEvent {
                call_id: id.to_owned(),
                turn_id: self.turn_id.to_string(),
                changes: plan.legacy_changes(),
                reason: None,
                grant_root: None,
            }))
        });
    }

    /// What a patch says when it was tried.
    pub(super) fn patch_printed(&self, out: &mut Outside, item_id: &str, delta: &str, made: bool) {
        self.event(out, "codex/event/exec_command_output_delta", || {
            EventMsg::ExecCommandOutputDelta {
                call_id: Cow::Borrowed(item_id),
                stream: if made { ExecOutputStream::Stdout } else { ExecOutputStream::Stderr },
                chunk: Cow::Owned(STANDARD.encode(delta)),
            }
        });
        let (thread_id, turn_id) = self.ids();
        let params = FileChangeOutputDeltaNotification { thread_id, turn_id, item_id, delta };
        self.say(out, "item/fileChange/outputDelta", params);
    }

    pub(super) fn patch_ended(
        &self,
        out: &mut Outside,
        id: &str,
        plan: &Plan,
        printed: &str,
        made: bool,
    ) {
        self.event(out, "codex/event/patch_apply_end", || {
            let (stdout, stderr) = if made { (printed, "") } else { ("", printed) };
            EventMsg::PatchApplyEnd(PatchApplyEndEvent {
                call_id: id.to_owned(),
                turn_id: self.turn_id.to_string(),
                stdout: stdout.to_owned(),
                stderr: stderr.to_owned(),
                success: made,
                changes: plan.legacy_changes(),
            })
        });
    }

    /// All that patches of the turn changed.
    pub(super) fn turn_diff(&self, out: &mut Outside, diff: &str) {
        self.event(out, "codex/event/turn_diff", || EventMsg::TurnDiff {
            unified_diff: Cow::Borrowed(diff),
        });
        if self.audience.hears_v2() {
            let (thread_id, turn_id) = self.ids();
            self.say(
                out,
                "turn/diff/updated",
                TurnDiffUpdatedNotification { thread_id, turn_id, diff },
            );
        }
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
        self.limits_changed(out, rate_limits, changed);
    }

    /// Tells of limits if they are what has changed.
    pub(crate) fn limits_changed(&self, out: &mut Outside, limits: &Snapshot, changed: Changed) {
        if changed == Changed::Limits {
            let rate_limits = &RateLimitSnapshot::from(limits);
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

fn step_status(status: StepStatus) -> TurnPlanStepStatus {
    match status {
        StepStatus::Pending => TurnPlanStepStatus::Pending,
        StepStatus::InProgress => TurnPlanStepStatus::InProgress,
        StepStatus::Completed => TurnPlanStepStatus::Completed,
    }
}
