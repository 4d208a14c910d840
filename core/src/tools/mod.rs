//! Tools that the model calls: which it is offered, what a call asks for, and the output that it
//! is answered with (engine.md §3).
//!
//! Never: does what a call asks for; the turn does, call after call.

pub mod command;
pub(crate) mod dynamic;
mod offer;
mod patch;
mod patch_job;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::items::OutputItem;
use crate::wire::legacy::event_part::StepStatus;
use crate::wire::v2::approval::ToolRequestUserInputQuestion;

pub(crate) use offer::{offered, offers_freeform_patch};
pub(crate) use patch::{Plan, TurnDiff};
pub use patch_job::{CheckedPatch, CommittedPatch, PatchCheck, PatchCommit};

/// What the model is told of a plan that was taken over.
pub(crate) const PLAN_UPDATED: &str = "Plan updated";

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct ToolCall {
    /// Where its output belongs.
    pub(crate) slot: OutputSlot,
    /// What it asks for.
    pub(crate) work: Work,
}

/// What a call asks for.
#[derive(Debug)]
pub(crate) enum Work {
    /// Nothing that can be done: the output says why.
    Answer(String),
    /// To show a plan.
    ShowPlan(PlanUpdate),
    /// To apply a patch, given as text.
    Patch(String),
    /// To ask the user.
    AskUser(UserQuestions),
}

impl Work {
    /// Whether it may be done while others like it are (engine.md §3.2).
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Answer(_) => true,
            Self::ShowPlan(_) | Self::Patch(_) | Self::AskUser(_) => false,
        }
    }
}

/// Names the call that an output answers, in the form that its kind wants.
#[derive(Debug)]
pub(crate) struct OutputSlot {
    pub(crate) call_id: String,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Function,
    Custom,
}

/// The arguments of `update_plan`. Fields that are not known are an error (engine.md §3.1).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanUpdate {
    #[serde(default)]
    pub(crate) explanation: Option<String>,
    pub(crate) plan: Vec<PlanStep>,
}

/// A step of a plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanStep {
    pub(crate) step: String,
    pub(crate) status: StepStatus,
}

/// The arguments of `request_user_input`.
#[derive(Debug, Deserialize)]
pub(crate) struct UserQuestions {
    pub(crate) questions: Vec<ToolRequestUserInputQuestion>,
}

/// The arguments of `apply_patch` as a function.
#[derive(Deserialize)]
struct PatchArguments {
    input: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToolOutput<'a> {
    FunctionCallOutput { call_id: &'a str, output: &'a str },
    CustomToolCallOutput { call_id: &'a str, output: &'a str },
}

impl ToolCall {
    /// The call that an item of the model is; none for what is no call.
    pub(crate) fn of(item: &OutputItem) -> Option<Self> {
        let (call_id, form, work) = match item {
            OutputItem::FunctionCall(call) => {
                let work = function(&call.name, &call.arguments);
                (call.call_id.clone(), Form::Function, work)
            }
            OutputItem::CustomToolCall(call) => {
                let work = match call.name.as_str() {
                    "apply_patch" => Work::Patch(call.input.clone()),
                    name => Work::Answer(format!("unsupported custom tool call: {name}")),
                };
                (call.call_id.clone(), Form::Custom, work)
            }
            OutputItem::LocalShellCall(call) => {
                let (call_id, text) = match call.output_id() {
                    Some(id) => (id.to_owned(), "unsupported call: local_shell"),
                    None => (String::new(), "LocalShellCall without call_id or id"),
                };
                (call_id, Form::Function, Work::Answer(text.to_owned()))
            }
            OutputItem::Message(_)
            | OutputItem::Reasoning(_)
            | OutputItem::WebSearchCall(_)
            | OutputItem::FunctionCallOutput(_)
            | OutputItem::CustomToolCallOutput(_)
            | OutputItem::Compaction(_)
            | OutputItem::Unknown => return None,
        };
        Some(Self { slot: OutputSlot { call_id, form }, work })
    }
}

fn function(name: &str, arguments: &str) -> Work {
    let work = match name {
        "request_user_input" => serde_json::from_str(arguments).map(Work::AskUser),
        "update_plan" => serde_json::from_str(arguments).map(Work::ShowPlan),
        "apply_patch" => {
            serde_json::from_str(arguments).map(|PatchArguments { input }| Work::Patch(input))
        }
        _ => return Work::Answer(format!("unsupported call: {name}")),
    };
    work.unwrap_or_else(|error| {
        Work::Answer(format!("failed to parse function arguments: {error}"))
    })
}

impl OutputSlot {
    /// The output, as an item of the history.
    pub(crate) fn filled(&self, output: &str) -> Option<Arc<str>> {
        let call_id = &self.call_id;
        let item = match self.form {
            Form::Function => ToolOutput::FunctionCallOutput { call_id, output },
            Form::Custom => ToolOutput::CustomToolCallOutput { call_id, output },
        };
        serde_json::to_string(&item).ok().map(Arc::from)
    }
}

/// What the model is told of a patch that was tried (engine.md §3.3): as text if it is offered the
/// free form, else as JSON.
pub(crate) fn patch_output(ok: bool, took: Duration, text: &str, freeform: bool) -> String {
    let exit_code = i32::from(!ok);
    let seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
    if freeform {
        return format!("Exit code: {exit_code}\nWall time: {seconds} seconds\nOutput:\n{text}");
    }
    let metadata = serde_json::json!({ "exit_code": exit_code, "duration_seconds": seconds });
    serde_json::json!({ "output": text, "metadata": metadata }).to_string()
}
