//! Calls that the host answers: a question is put, and its answer is the output (engine.md §3.6).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Turn;
use super::calls::{Begun, Dialect, Doing, Progress};
use crate::effect::AskId;
use crate::outside::Outside;
use crate::pending::AskOwner;
use crate::thread::Conversation;
use crate::tools::{DynamicCall, UserQuestions, dynamic};
use crate::wire::decode;
use crate::wire::v2::approval::{
    DynamicToolCallParams, ToolRequestUserInputParams, ToolRequestUserInputResponse,
};
use crate::wire::v2::common::ModeKind;

/// What the model is told when the turn ends before the user has answered.
const UNANSWERED: &str = "request_user_input was cancelled before receiving a response";

/// The same when the client has not run its tool.
const UNCALLED: &str = "dynamic tool call was cancelled before receiving a response";

/// A question that is open.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Asking {
    ask: AskId,
    /// What the model is told of the host's answer.
    output: fn(Result<&RawValue, &RawValue>) -> String,
    /// What it is told when the turn ends first.
    aborted: &'static str,
}

impl Asking {
    pub(super) fn waits_for_answer(&self, ask: AskId) -> bool {
        self.ask == ask
    }

    pub(super) fn output(&self, answer: Result<&RawValue, &RawValue>) -> String {
        (self.output)(answer)
    }

    /// The turn ends: the question is withdrawn.
    pub(super) fn abort(&self, out: &mut Outside) -> String {
        out.close_ask(self.ask);
        self.aborted.to_owned()
    }
}

impl Turn {
    /// Asks the user, in the modes that are for that.
    pub(super) fn ask_user(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &Begun,
        UserQuestions { mut questions }: UserQuestions,
    ) -> Progress {
        let mode = conversation.settings.mode.as_ref().map_or(ModeKind::Custom, |mode| mode.mode);
        let name = match mode {
            ModeKind::Plan | ModeKind::PairProgramming => None,
            ModeKind::Code => Some("Code"),
            ModeKind::Execute => Some("Execute"),
            ModeKind::Custom => Some("Custom"),
        };
        if let Some(name) = name {
            let text = format!("request_user_input is unavailable in {name} mode");
            return Progress::Ended(text);
        }
        if self.voice.dialect() == Dialect::Legacy {
            // The older dialect has no such question: nothing is answered (protocol.md §3.3).
            return Progress::Ended(answers_text(&unanswered()));
        }
        for question in &mut questions {
            // Clients of 0.94.0 rely on it (engine.md §3.6).
            question.is_other = true;
        }
        let id = &begun.slot.call_id;
        self.voice.user_asked(out, id, &questions);
        let params = ToolRequestUserInputParams {
            thread_id: self.voice.thread_id.to_string(),
            turn_id: self.id.to_string(),
            item_id: id.clone(),
            questions,
        };
        let owner = AskOwner::Tool(conversation.id);
        let ask = out.ask(owner, "item/tool/requestUserInput", params, None);
        Progress::Open(Doing::Ask(Asking { ask, output: user_output, aborted: UNANSWERED }))
    }

    /// Has the client run a tool of its own.
    pub(super) fn call_dynamic(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &Begun,
        call: DynamicCall,
    ) -> Progress {
        self.voice.dynamic_called(out, &begun.slot.call_id, &call);
        if self.voice.dialect() == Dialect::Legacy {
            return Progress::Ended("dynamic tool calls require api v2".to_owned());
        }
        let params = DynamicToolCallParams {
            thread_id: self.voice.thread_id.to_string(),
            turn_id: self.id.to_string(),
            call_id: begun.slot.call_id.clone(),
            tool: call.tool,
            arguments: call.arguments,
        };
        let ask = out.ask(AskOwner::Tool(conversation.id), "item/tool/call", params, None);
        Progress::Open(Doing::Ask(Asking { ask, output: dynamic::output, aborted: UNCALLED }))
    }
}

/// What the model is told of the user's answers; what is no answer counts as none (protocol.md §6).
fn user_output(answer: Result<&RawValue, &RawValue>) -> String {
    let answers = answer.ok().and_then(|raw| decode::value(raw).ok());
    answers_text(&answers.unwrap_or_else(unanswered))
}

fn unanswered() -> ToolRequestUserInputResponse {
    ToolRequestUserInputResponse { answers: BTreeMap::new() }
}

fn answers_text(answers: &ToolRequestUserInputResponse) -> String {
    serde_json::to_string(answers).unwrap_or_default()
}
