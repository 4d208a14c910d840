//! The patch of a call: checked, asked about, made (engine.md §4.7, §6.5).

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Turn;
use super::calls::{Begun, Dialect, Doing, Progress};
use crate::approval::{PATCH_DECLINED, PatchReach, Ruling, decide_patch, rows};
use crate::config::kinds::AskForApproval;
use crate::effect::{AskId, Call, CallId};
use crate::files::{FileAnswer, FileJob};
use crate::input::Outcome;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::pending::AskOwner;
use crate::telemetry;
use crate::thread::Conversation;
use crate::tools::{CheckedPatch, CommittedPatch, OutputForm, PatchCommit, Plan, Report};
use crate::wire::decode;
use crate::wire::legacy::approval::{
    ApplyPatchApprovalParams, ApplyPatchApprovalResponse, ReviewDecision,
};
use crate::wire::legacy::id::ThreadId as LegacyThreadId;
use crate::wire::v2::approval::{
    FileChangeApprovalDecision, FileChangeRequestApprovalParams, FileChangeRequestApprovalResponse,
};
use crate::wire::v2::item::{PatchApplyStatus, ThreadItem};

/// What the model is told when nobody knows what became of a patch.
const LOST: &str = "the file backend failed; the files may have been changed";

/// How far a patch is.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum Patching {
    /// What it would do is being worked out, in the sandbox of now: the policy of now goes with it,
    /// because the user may change both meanwhile. No item is shown yet.
    Checking(CallId, AskForApproval),
    /// The user is asked.
    Asking(AskId, Dialect, Arc<Plan>),
    /// Files are being changed.
    Writing(CallId, Arc<Plan>),
}

/// How a patch ended.
struct Ending<'a> {
    status: PatchApplyStatus,
    /// What it printed, as the reference would have.
    printed: &'a str,
}

impl Patching {
    pub(super) fn is_writing(&self) -> bool {
        matches!(self, Self::Writing(..))
    }

    pub(super) fn waits_for_call(&self, id: CallId) -> bool {
        match self {
            Self::Checking(call, _) | Self::Writing(call, _) => *call == id,
            Self::Asking(..) => false,
        }
    }

    pub(super) fn waits_for_answer(&self, id: AskId) -> bool {
        matches!(self, Self::Asking(ask, ..) if *ask == id)
    }
}

impl Turn {
    /// Begins to work out what a patch would do.
    pub(super) fn begin_patch(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        text: String,
        cwd: PathBuf,
    ) -> Progress {
        let job = FileJob::CheckPatch(Box::new(conversation.patch_check(text, cwd)));
        let call = out.start(Call::Files(job), CallOwner::Patch(conversation.id));
        let policy = conversation.settings.approval_policy;
        Progress::Open(Doing::Patch(Patching::Checking(call, policy)))
    }

    /// A job on files has ended.
    pub(super) fn on_patch_outcome(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &mut Begun,
        patch: Patching,
        outcome: Outcome<'_>,
    ) -> Progress {
        let answer = match outcome {
            Outcome::Files(answer) => Some(*answer),
            _ => None,
        };
        match (patch, answer) {
            (Patching::Checking(_, policy), Some(FileAnswer::PatchChecked(checked))) => {
                self.on_checked(out, conversation, begun, policy, *checked)
            }
            (Patching::Writing(_, plan), Some(FileAnswer::PatchCommitted(done))) => {
                self.on_committed(out, conversation, begun, &plan, *done)
            }
            // The backend failed: nobody knows what it has done, so that the patch counts as failed.
            (Patching::Writing(_, plan), _) => {
                let ending = Ending { status: PatchApplyStatus::Failed, printed: LOST };
                self.end_patch(out, conversation, begun, &plan, &ending);
                Progress::Ended(LOST.to_owned())
            }
            (Patching::Checking(..), _) => Progress::Ended("the file backend failed".to_owned()),
            (patch @ Patching::Asking(..), _) => Progress::Open(Doing::Patch(patch)),
        }
    }

    /// It is known what a patch would do: it is refused, asked about, or carried out.
    fn on_checked(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &mut Begun,
        policy: AskForApproval,
        checked: CheckedPatch,
    ) -> Progress {
        if let Ok((_, reach)) = &checked.0 {
            out.reached(|| rows::patch(policy, *reach));
        }
        let ruled = checked
            .0
            .and_then(|(plan, reach)| Ok((may_run(conversation, policy, &plan, reach)?, plan)));
        let (may_run, plan) = match ruled {
            Err(text) => {
                self.decided(out, conversation, begun, telemetry::Decision::Denied, false);
                return Progress::Ended(text);
            }
            Ok(ruled) => ruled,
        };
        let id = begun.slot.call_id.clone();
        self.voice.patch_began(out, &id, &plan, may_run);
        let changes = plan.item_changes();
        let item = ThreadItem::FileChange { id, changes, status: PatchApplyStatus::InProgress };
        self.items.open(out, &self.voice, item);
        Progress::Open(Doing::Patch(match may_run {
            true => {
                self.decided(out, conversation, begun, telemetry::Decision::Approved, false);
                self.write(out, conversation, begun, plan)
            }
            false => self.ask_about_patch(out, conversation, begun, plan),
        }))
    }

    fn ask_about_patch(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &Begun,
        plan: Arc<Plan>,
    ) -> Patching {
        let id = &begun.slot.call_id;
        self.voice.patch_asked(out, id, &plan);
        let owner = AskOwner::Tool(conversation.id);
        let dialect = self.voice.dialect();
        let ask = match dialect {
            Dialect::Legacy => {
                let params = ApplyPatchApprovalParams {
                    conversation_id: LegacyThreadId(conversation.id.0),
                    call_id: id.clone(),
                    file_changes: plan.legacy_changes(),
                    reason: None,
                    grant_root: None,
                };
                out.ask(owner, "applyPatchApproval", params, None)
            }
            Dialect::V2 => {
                let params = FileChangeRequestApprovalParams {
                    thread_id: self.voice.thread_id.to_string(),
                    turn_id: self.id.to_string(),
                    item_id: id.clone(),
                    started_at_ms: out.now.unix_ms(),
                    reason: None,
                    grant_root: None,
                };
                out.ask(owner, "item/fileChange/requestApproval", params, None)
            }
        };
        Patching::Asking(ask, dialect, plan)
    }

    /// The user has answered. What is no answer counts as a no (protocol.md §6).
    pub(super) fn on_patch_answer(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &mut Begun,
        patch: Patching,
        answer: Result<&RawValue, &RawValue>,
    ) -> Progress {
        use FileChangeApprovalDecision::{Accept, AcceptForSession, Cancel, Decline};
        let Patching::Asking(_, dialect, plan) = patch else {
            return Progress::Open(Doing::Patch(patch));
        };
        let (decision, no) = match answer {
            Ok(answer) => (decision(dialect, answer), PatchApplyStatus::Declined),
            Err(_) => (Decline, PatchApplyStatus::Failed),
        };
        let measured = match decision {
            Accept => telemetry::Decision::Approved,
            AcceptForSession => telemetry::Decision::ApprovedForSession,
            Decline => telemetry::Decision::Denied,
            Cancel => telemetry::Decision::Abort,
        };
        self.decided(out, conversation, begun, measured, true);
        match decision {
            Accept | AcceptForSession => {
                if decision == AcceptForSession {
                    conversation.approvals.approve_files(plan.named());
                }
                Progress::Open(Doing::Patch(self.write(out, conversation, begun, plan)))
            }
            Decline | Cancel => {
                let ending = Ending { status: no, printed: PATCH_DECLINED };
                self.end_patch(out, conversation, begun, &plan, &ending);
                let output = PATCH_DECLINED.to_owned();
                match decision == Cancel {
                    true => Progress::EndedTurn(output),
                    false => Progress::Ended(output),
                }
            }
        }
    }

    fn write(
        &self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &mut Begun,
        plan: Arc<Plan>,
    ) -> Patching {
        begun.since = out.now.mono;
        let job = PatchCommit { plan: plan.clone(), diff: self.diff.clone() };
        let job = FileJob::CommitPatch(Box::new(job));
        let call = out.start(Call::Files(job), CallOwner::Patch(conversation.id));
        Patching::Writing(call, plan)
    }

    /// A patch was carried out, or failed.
    fn on_committed(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        plan: &Plan,
        done: CommittedPatch,
    ) -> Progress {
        let took = out.now.mono.saturating_sub(begun.since);
        let (status, printed) = match &done.result {
            Ok(report) => (PatchApplyStatus::Completed, report),
            Err(error) => (PatchApplyStatus::Failed, error),
        };
        self.voice.patch_printed(out, &begun.slot.call_id, printed, done.result.is_ok());
        let exit_code = i32::from(done.result.is_err());
        let form = conversation.output_form(OutputForm::Structured);
        let report = Report { exit_code, took, text: printed };
        let output = report.output(form, conversation.truncation());
        self.end_patch(out, conversation, begun, plan, &Ending { status, printed });
        self.diff = done.diff;
        if self.told_diff != done.diff_text {
            self.told_diff = done.diff_text;
            self.voice.turn_diff(out, &self.told_diff);
        }
        Progress::Ended(output)
    }

    /// Completes the item of the patch.
    fn end_patch(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        plan: &Plan,
        ending: &Ending<'_>,
    ) {
        let made = ending.status == PatchApplyStatus::Completed;
        self.judge_tool(&begun.slot.call_id, made);
        self.voice.patch_ended(out, &begun.slot.call_id, plan, ending.printed, made);
        self.items.close_tool(out, &self.voice, &begun.slot.call_id, |item| {
            if let ThreadItem::FileChange { status, .. } = item {
                *status = ending.status;
            }
        });
        self.items.store(conversation, &self.id, out.now.wall);
    }

    /// The turn ends: what the patch waits for is withdrawn. Gives what the model is told.
    pub(super) fn abort_patch(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        patch: Patching,
    ) -> String {
        let text = begun.aborted_text(out.now.mono);
        let plan = match patch {
            Patching::Checking(call, _) => {
                out.cancel(call);
                None
            }
            Patching::Asking(ask, _, plan) => {
                out.close_ask(ask);
                Some(plan)
            }
            Patching::Writing(_, plan) => Some(plan),
        };
        if let Some(plan) = plan {
            let ending = Ending { status: PatchApplyStatus::Failed, printed: &text };
            self.end_patch(out, conversation, begun, &plan, &ending);
        }
        text
    }
}

/// Whether a patch runs unasked; if it does not run at all, what the model is told.
fn may_run(
    conversation: &Conversation,
    policy: AskForApproval,
    plan: &Plan,
    reach: PatchReach,
) -> Result<bool, String> {
    match decide_patch(policy, reach) {
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
