//! Calls that ask MCP servers for resources: shown as calls of a tool, and answered at once.

use serde_json::{Value, json};

use super::Turn;
use super::calls::{Begun, Progress};
use crate::outside::Outside;
use crate::tools::ResourceCall;
use crate::wire::v2::item::{McpToolCallError, McpToolCallResult, McpToolCallStatus, ThreadItem};

impl Turn {
    /// Shows the call and its answer.
    pub(super) fn answer_resources(
        &mut self,
        out: &mut Outside,
        begun: &Begun,
        call: ResourceCall,
    ) -> Progress {
        let id = &begun.slot.call_id;
        self.voice.resources_asked(out, id, &call);
        self.items.open(out, &self.voice, shown(id, &call, McpToolCallStatus::InProgress));
        self.voice.resources_answered(out, id, &call);
        let status = match call.answer {
            Ok(_) => McpToolCallStatus::Completed,
            Err(_) => McpToolCallStatus::Failed,
        };
        self.items.complete(out, &self.voice, shown(id, &call, status));
        let (Ok(text) | Err(text)) = call.answer;
        Progress::Ended(text)
    }
}

/// The content blocks of an answer.
pub(super) fn content(text: &str) -> Vec<Value> {
    vec![json!({ "type": "text", "text": text })]
}

fn shown(id: &str, call: &ResourceCall, status: McpToolCallStatus) -> ThreadItem {
    let is_over = status != McpToolCallStatus::InProgress;
    let ended = Some(&call.answer).filter(|_| is_over);
    let result = ended.and_then(|answer| answer.as_ref().ok());
    let error = ended.and_then(|answer| answer.as_ref().err());
    ThreadItem::McpToolCall {
        id: id.to_owned(),
        server: call.server.clone(),
        tool: call.tool.to_owned(),
        status,
        arguments: call.arguments.clone(),
        result: result.map(|text| McpToolCallResult {
            content: content(text),
            structured_content: Value::Null,
        }),
        error: error.map(|message| McpToolCallError { message: message.clone() }),
        duration_ms: is_over.then_some(0),
    }
}
