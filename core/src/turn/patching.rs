//! The calls of a response, worked off one after the other; most of it is about patches
//! (engine.md §3.2, §4.6, §6.5).
//!
//! Invariants: an item that was started is completed before the call has its output, and every call
//! has one output. A question that is open is withdrawn when the turn ends; an answer that comes
//! after that finds nobody.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{Next, Phase, Turn};
use crate::approval::{PATCH_DECLINED, PatchReach, Ruling, decide_patch};
use crate::effect::{AskId, Call, CallId};
use crate::files::FileJob;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::pending::AskOwner;
use crate::thread::Conversation;
use crate::tools::PatchCommit;
use crate::tools::{
    CheckedPatch, CommittedPatch, OutputSlot, PLAN_UPDATED, Plan, ToolCall, Work, patch_output,
};
use crate::wire::decode;
use crate::wire::legacy::approval::{
    ApplyPatchApprovalParams, ApplyPatchApprovalResponse, ReviewDecision,
};
use crate::wire::legacy::id::ThreadId as LegacyThreadId;
use crate::wire::v2::approval::{
    FileChangeApprovalDecision, FileChangeRequestApprovalParams, FileChangeRequestApprovalResponse,
};
use crate::wire::v2::item::{PatchApplyStatus, ThreadItem};

/// What the model is told of a call that a failed response left behind (engine.md §1.9).
const ABORTED: &str = "aborted";

/// What the model is told when nobody knows what became of a patch.
const LOST: &str = "the file backend failed; the files may have been changed";

/// The call that is being worked on.
#[derive(Debug)]
pub(super) struct Working {
    slot: OutputSlot,
    /// When it was begun, in time since the runtime's start.
    since: Duration,
    step: Step,
}

/// How far its patch is.
#[derive(Debug)]
enum Step {
    /// What it would do is being worked out. No item is shown yet.
    Checking(CallId),
    /// The user is asked.
    Asking(AskId, Dialect, Arc<Plan>),
    /// Files are being changed.
    Writing(Arc<Plan>),
}

/// In which words the user is asked.
#[derive(Clone, Copy, Debug)]
enum Dialect {
    V2,
    Legacy,
}

/// How a patch ended.
struct Ending<'a> {
    status: PatchApplyStatus,
    /// What it printed, as the reference would have.
    printed: &'a str,
    /// What the model is told.
    output: String,
}

impl Turn {
    /// Works off calls until one has to be waited for; after the last one the turn goes on.
    pub(super) fn run_calls(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        while let Some(call) = self.sampling.as_mut().and_then(|s| s.calls.pop_front()) {
            let ToolCall { slot, work } = call;
            match work {
                Work::Answer(text) => self.answer(&slot, &text),
                Work::ShowPlan(update) => {
                    self.voice.plan_updated(out, update);
                    self.answer(&slot, PLAN_UPDATED);
                }
                Work::Patch(text) => {
                    let job = FileJob::CheckPatch(Box::new(conversation.patch_check(text)));
                    let call = out.start(Call::Files(job), CallOwner::Patch(conversation.id));
                    let (since, step) = (out.now.mono, Step::Checking(call));
                    self.phase = Phase::Working(Working { slot, since, step });
                    return Next::Wait;
                }
            }
        }
        self.after_calls(out, conversation)
    }

    fn answer(&mut self, slot: &OutputSlot, text: &str) {
        if let Some(sampling) = &mut self.sampling {
            sampling.outputs.extend(slot.filled(text));
        }
    }

    /// Whether files are being changed: that is never left in the middle.
    pub(super) fn is_writing(&self) -> bool {
        matches!(&self.phase, Phase::Working(Working { step: Step::Writing(_), .. }))
    }

    /// It is known what a patch would do: it is refused, asked about, or carried out.
    pub(crate) fn on_checked(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        checked: CheckedPatch,
    ) -> Next {
        let Phase::Working(Working { slot, step: Step::Checking(_), .. }) = &self.phase else {
            return Next::Wait;
        };
        let id = slot.call_id.clone();
        let ruled =
            checked.0.and_then(|(plan, reach)| Ok((may_run(conversation, &plan, reach)?, plan)));
        match ruled {
            Err(text) => {
                self.answer_patch(&text);
                self.run_calls(out, conversation)
            }
            Ok((may_run, plan)) => {
                self.voice.patch_began(out, &id, &plan, may_run);
                let changes = plan.item_changes();
                let status = PatchApplyStatus::InProgress;
                let item = ThreadItem::FileChange { id, changes, status };
                self.items.open(out, &self.voice, item);
                match may_run {
                    true => self.write(out, conversation, plan),
                    false => self.ask(out, conversation, plan),
                }
                Next::Wait
            }
        }
    }

    fn ask(&mut self, out: &mut Outside, conversation: &Conversation, plan: Arc<Plan>) {
        let Phase::Working(working) = &mut self.phase else { return };
        let id = &working.slot.call_id;
        self.voice.patch_asked(out, id, &plan);
        let owner = AskOwner::Approval(conversation.id);
        let legacy = !self.voice.audience.is_empty() && !self.voice.audience.hears_v2();
        let (ask, dialect) = if legacy {
            let params = ApplyPatchApprovalParams {
                conversation_id: LegacyThreadId(conversation.id.0),
                call_id: id.clone(),
                file_changes: plan.legacy_changes(),
                reason: None,
                grant_root: None,
            };
            (out.ask(owner, "applyPatchApproval", params, None), Dialect::Legacy)
        } else {
            let params = FileChangeRequestApprovalParams {
                thread_id: self.voice.thread_id.to_string(),
                turn_id: self.id.to_string(),
                item_id: id.clone(),
                started_at_ms: out.now.unix_ms(),
                reason: None,
                grant_root: None,
            };
            (out.ask(owner, "item/fileChange/requestApproval", params, None), Dialect::V2)
        };
        working.step = Step::Asking(ask, dialect, plan);
    }

    /// The user has answered. What is no answer counts as a no (protocol.md §6).
    pub(crate) fn on_approval(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        answer: Result<&RawValue, &RawValue>,
    ) -> Next {
        use FileChangeApprovalDecision::{Accept, AcceptForSession, Cancel, Decline};
        let Phase::Working(Working { step: Step::Asking(_, dialect, plan), .. }) = &self.phase
        else {
            return Next::Wait;
        };
        let plan = plan.clone();
        let (decision, no) = match answer {
            Ok(answer) => (decision(*dialect, answer), PatchApplyStatus::Declined),
            Err(_) => (Decline, PatchApplyStatus::Failed),
        };
        match decision {
            Accept | AcceptForSession => {
                if decision == AcceptForSession {
                    conversation.approvals.approve_files(plan.named());
                }
                self.write(out, conversation, plan);
                Next::Wait
            }
            Decline | Cancel => {
                let output = PATCH_DECLINED.to_owned();
                let ending = Ending { status: no, printed: PATCH_DECLINED, output };
                self.end_patch(out, conversation, &plan, &ending);
                if decision == Cancel {
                    return self.stop(out, conversation);
                }
                self.run_calls(out, conversation)
            }
        }
    }

    fn write(&mut self, out: &mut Outside, conversation: &Conversation, plan: Arc<Plan>) {
        let Phase::Working(working) = &mut self.phase else { return };
        working.since = out.now.mono;
        working.step = Step::Writing(plan.clone());
        let job = PatchCommit { plan, diff: self.diff.clone() };
        let job = FileJob::CommitPatch(Box::new(job));
        out.start(Call::Files(job), CallOwner::Patch(conversation.id));
    }

    /// A patch was carried out, or failed.
    pub(crate) fn on_committed(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        done: CommittedPatch,
    ) -> Next {
        let Phase::Working(Working { slot, since, step: Step::Writing(plan) }) = &self.phase else {
            return Next::Wait;
        };
        let (plan, took) = (plan.clone(), out.now.mono.saturating_sub(*since));
        let (status, printed) = match &done.result {
            Ok(report) => (PatchApplyStatus::Completed, report),
            Err(error) => (PatchApplyStatus::Failed, error),
        };
        self.voice.patch_printed(out, &slot.call_id, printed, done.result.is_ok());
        let freeform = conversation.has_freeform_patch();
        let output = patch_output(done.result.is_ok(), took, printed, freeform);
        self.end_patch(out, conversation, &plan, &Ending { status, printed, output });
        self.diff = done.diff;
        if self.told_diff != done.diff_text {
            self.told_diff = done.diff_text;
            self.voice.turn_diff(out, &self.told_diff);
        }
        self.after_writing(out, conversation)
    }

    /// The backend failed: nobody knows what it has done, so that the patch counts as failed.
    pub(crate) fn on_patch_lost(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
    ) -> Next {
        let Phase::Working(working) = &self.phase else { return Next::Wait };
        match &working.step {
            Step::Asking(..) => return Next::Wait,
            Step::Checking(_) => self.answer_patch("the file backend failed"),
            Step::Writing(plan) => {
                let plan = plan.clone();
                let (status, output) = (PatchApplyStatus::Failed, LOST.to_owned());
                self.end_patch(out, conversation, &plan, &Ending { status, printed: LOST, output });
            }
        }
        self.after_writing(out, conversation)
    }

    fn after_writing(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        match std::mem::take(&mut self.is_stopping) {
            true => self.stop(out, conversation),
            false => self.run_calls(out, conversation),
        }
    }

    /// Completes the item of the patch and answers its call.
    fn end_patch(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        plan: &Plan,
        ending: &Ending<'_>,
    ) {
        let Phase::Working(Working { slot, .. }) = &self.phase else { return };
        let made = ending.status == PatchApplyStatus::Completed;
        self.voice.patch_ended(out, &slot.call_id, plan, ending.printed, made);
        self.items.close_change(out, &self.voice, &slot.call_id, ending.status);
        self.items.store(conversation, &self.id, out.now.wall);
        self.answer_patch(&ending.output);
    }

    /// Answers the call that is being worked on, and is done with it.
    fn answer_patch(&mut self, text: &str) {
        if let Phase::Working(working) = std::mem::replace(&mut self.phase, Phase::Ready) {
            self.answer(&working.slot, text);
        }
    }

    /// The turn ends early: the call that is being worked on ends, and those after it never begin.
    pub(super) fn abort_calls(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        let mut text = ABORTED.to_owned();
        if let Phase::Working(Working { since, step, .. }) = &self.phase {
            // What the reference says is never less (engine.md §1.8).
            let seconds = out.now.mono.saturating_sub(*since).as_secs_f64().max(0.1);
            text = format!("aborted by user after {seconds:.1}s");
            let plan = match step {
                Step::Checking(call) => {
                    out.cancel(*call);
                    None
                }
                Step::Asking(ask, _, plan) => {
                    out.close_ask(*ask);
                    Some(plan.clone())
                }
                Step::Writing(plan) => Some(plan.clone()),
            };
            match plan {
                None => self.answer_patch(&text),
                Some(plan) => {
                    let (status, output) = (PatchApplyStatus::Failed, text.clone());
                    let ending = Ending { status, printed: &text, output };
                    self.end_patch(out, conversation, &plan, &ending);
                }
            }
        }
        let Some(sampling) = &mut self.sampling else { return };
        let left = sampling.calls.drain(..);
        sampling.outputs.extend(left.filter_map(|call| call.slot.filled(&text)));
    }
}

/// Whether a patch runs unasked; if it does not run at all, what the model is told.
fn may_run(conversation: &Conversation, plan: &Plan, reach: PatchReach) -> Result<bool, String> {
    match decide_patch(conversation.settings.approval_policy, reach) {
        Ruling::Run(_) => Ok(true),
        Ruling::Ask(_) => {
            let named = plan.named();
            Ok(conversation.approvals.has_files(named.iter().map(|path| path.as_path())))
        }
        Ruling::Refuse(_) => Err(reach.refusal_text().to_owned()),
    }
}

/// The decision in an answer.
fn decision(dialect: Dialect, answer: &RawValue) -> FileChangeApprovalDecision {
    use FileChangeApprovalDecision::{Accept, AcceptForSession, Cancel, Decline};
    match dialect {
        Dialect::V2 => decode::value::<FileChangeRequestApprovalResponse>(answer)
            .map_or(Decline, |answer| answer.decision),
        Dialect::Legacy => match decode::value::<ApplyPatchApprovalResponse>(answer) {
            Err(_) => Decline,
            Ok(answer) => match answer.decision {
                ReviewDecision::Approved | ReviewDecision::ApprovedExecpolicyAmendment { .. } => {
                    Accept
                }
                ReviewDecision::ApprovedForSession => AcceptForSession,
                ReviewDecision::Denied => Decline,
                ReviewDecision::Abort => Cancel,
            },
        },
    }
}
