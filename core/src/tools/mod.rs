//! Tools that the model calls: which it is offered, what a call asks for, and the output that it
//! is answered with (engine.md §3).
//!
//! Never: does what a call asks for; the turn does, call after call.

mod captured;
pub mod command;
pub(crate) mod dynamic;
mod image;
mod look;
mod offer;
mod patch;
mod patch_job;
mod resources;
mod session;
mod shell;
mod truncate;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::items::OutputItem;
use crate::wire::legacy::event_part::StepStatus;
use crate::wire::v2::approval::ToolRequestUserInputQuestion;
use crate::wire::v2::thread::DynamicToolSpec;

pub(crate) use captured::{Captured, Decoder, Ends};
pub(crate) use dynamic::DynamicCall;
pub(crate) use image::ImageFault;
pub use image::{ImageJob, ImagesRead};
pub use look::LookJob;
pub(crate) use look::{Look, found};
pub(crate) use offer::{has_sessions, has_shell, offered, offers_freeform_patch};
#[cfg(feature = "sim")]
pub use patch::fuzz_patch;
pub(crate) use patch::{BARE_PATCH, InCommand, Plan, TurnDiff, in_command};
pub use patch_job::{CheckedPatch, CommittedPatch, PatchCheck, PatchCommit};
pub(crate) use resources::ResourceCall;
pub(crate) use session::{PLAIN_TERMINAL, SessionReport, SessionWish, Typing};
pub(crate) use shell::{OutputForm, Report, ShellCall, timed_out_text};
pub(crate) use truncate::truncate;

/// What the model is told of a plan that was taken over.
pub(crate) const PLAN_UPDATED: &str = "Plan updated";

/// A call of a tool.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct ToolCall {
    /// Where its output belongs.
    pub(crate) slot: OutputSlot,
    /// What it asks for.
    pub(crate) work: Work,
}

/// What a call asks for.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) enum Work {
    /// Nothing that can be done: the output says why.
    Answer(String),
    /// To show a plan.
    ShowPlan(PlanUpdate),
    /// To apply a patch, given as text.
    Patch(String),
    /// To ask the user.
    AskUser(UserQuestions),
    /// To run a command and wait for its end.
    Command(Box<ShellCall>),
    /// To type into a program that was left running, or to look at it.
    Type(Typing),
    /// To have the client run a tool of its own.
    Dynamic(DynamicCall),
    /// To show the model a picture, by its path.
    ViewImage(String),
    /// To look at a file or a folder.
    Look(Look),
    /// To ask MCP servers for resources.
    Resources(ResourceCall),
}

/// What decides how a call is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToolFacts<'a> {
    /// Where the user's shell is, if the model may run commands.
    pub(crate) shell: Option<&'a str>,
    /// Whether it may leave programs running.
    pub(crate) has_sessions: bool,
    /// The tools that the model has more than others.
    pub(crate) more: &'a [Cow<'static, str>],
    /// Where paths begin.
    pub(crate) cwd: &'a Path,
    /// The tools of the client's own.
    pub(crate) dynamic: &'a [DynamicToolSpec],
}

impl Work {
    /// The tool by its name; `unsupported` for what is no tool, or was called in a wrong way.
    pub(crate) fn tool(&self) -> &str {
        match self {
            Self::Answer(_) => "unsupported",
            Self::ShowPlan(_) => "update_plan",
            Self::Patch(_) => "apply_patch",
            Self::AskUser(_) => "request_user_input",
            Self::Command(call) => &call.tool,
            Self::Type(_) => "write_stdin",
            Self::Dynamic(call) => &call.tool,
            Self::ViewImage(_) => "view_image",
            Self::Look(Look::Text(_)) => "read_file",
            Self::Look(Look::Folder(_)) => "list_dir",
            Self::Resources(call) => call.tool,
        }
    }

    /// Whether it may be done while others like it are (engine.md §3.2).
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Answer(_) | Self::ViewImage(_) | Self::Look(_) | Self::Resources(_) => true,
            Self::Command(call) => call.is_read_only,
            Self::ShowPlan(_)
            | Self::Patch(_)
            | Self::AskUser(_)
            | Self::Dynamic(_)
            | Self::Type(_) => false,
        }
    }
}

/// Names the call that an output answers, in the form that its kind wants.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
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
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct PlanUpdate {
    #[serde(default)]
    pub(crate) explanation: Option<String>,
    pub(crate) plan: Vec<PlanStep>,
}

/// A step of a plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct PlanStep {
    pub(crate) step: String,
    pub(crate) status: StepStatus,
}

/// The arguments of `request_user_input`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct UserQuestions {
    pub(crate) questions: Vec<ToolRequestUserInputQuestion>,
}

/// The arguments of `view_image`.
#[derive(Deserialize)]
struct ImageArguments {
    path: String,
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
    pub(crate) fn of(item: &OutputItem, facts: ToolFacts<'_>) -> Option<Self> {
        let (call_id, form, work) = match item {
            OutputItem::FunctionCall(call) => {
                let work = function(&call.name, &call.arguments, facts);
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
                let work = match (call.output_id(), facts.shell) {
                    (None, _) => Err("LocalShellCall without call_id or id".to_owned()),
                    (_, None) => Err("unsupported call: local_shell".to_owned()),
                    (Some(_), Some(shell)) => ShellCall::of_local(&call.action, shell),
                };
                let call_id = call.output_id().unwrap_or_default().to_owned();
                (call_id, Form::Function, command(work))
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

fn function(name: &str, arguments: &str, facts: ToolFacts<'_>) -> Work {
    let work = match (name, facts.shell) {
        // First of all: a client's tool may stand in for one of ours.
        _ if facts.dynamic.iter().any(|spec| spec.name == name) => serde_json::from_str(arguments)
            .map(|arguments| Work::Dynamic(DynamicCall { tool: name.to_owned(), arguments })),
        ("view_image", _) => {
            serde_json::from_str(arguments).map(|ImageArguments { path }| Work::ViewImage(path))
        }
        ("request_user_input", _) => serde_json::from_str(arguments).map(Work::AskUser),
        ("update_plan", _) => serde_json::from_str(arguments).map(Work::ShowPlan),
        ("apply_patch", _) => {
            serde_json::from_str(arguments).map(|PatchArguments { input }| Work::Patch(input))
        }
        // All of them, whichever is offered (engine.md §3.1).
        ("shell" | "container.exec" | "local_shell" | "shell_command", Some(shell)) => {
            return command(ShellCall::parse(name, arguments, shell));
        }
        ("exec_command", Some(shell)) if facts.has_sessions => {
            return command(ShellCall::parse_exec(arguments, shell));
        }
        ("write_stdin", Some(_)) if facts.has_sessions => {
            return Typing::parse(arguments).map_or_else(Work::Answer, Work::Type);
        }
        _ => match ResourceCall::parse(name, arguments) {
            Some(call) => call.map(Work::Resources),
            None => {
                let is_more = facts.more.iter().any(|more| more == name);
                let look = is_more.then(|| look::parse(name, arguments, facts.cwd)).flatten();
                let unknown = || Work::Answer(format!("unsupported call: {name}"));
                return look.unwrap_or_else(unknown);
            }
        },
    };
    work.unwrap_or_else(|error| {
        Work::Answer(format!("failed to parse function arguments: {error}"))
    })
}

fn command(call: Result<ShellCall, String>) -> Work {
    call.map_or_else(Work::Answer, |call| Work::Command(Box::new(call)))
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
