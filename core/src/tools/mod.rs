//! Tools that the model calls. No tool has a room yet: every call is answered as unsupported, so
//! that the model goes on without it (engine.md §3.1).

pub mod command;
#[expect(dead_code, unused_imports, reason = "offered to no model yet; tested and fuzzed")]
mod patch;

use std::sync::Arc;

use serde::Serialize;

use crate::model::items::OutputItem;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToolOutput<'a> {
    FunctionCallOutput { call_id: &'a str, output: String },
    CustomToolCallOutput { call_id: &'a str, output: String },
}

/// The output for a call, as an item of the history; none for what is no call.
pub(crate) fn answer(item: &OutputItem) -> Option<Arc<str>> {
    let output = match item {
        OutputItem::FunctionCall(call) => ToolOutput::FunctionCallOutput {
            call_id: &call.call_id,
            output: format!("unsupported call: {}", call.name),
        },
        OutputItem::CustomToolCall(call) => ToolOutput::CustomToolCallOutput {
            call_id: &call.call_id,
            output: format!("unsupported custom tool call: {}", call.name),
        },
        OutputItem::LocalShellCall(call) => {
            let Some(call_id) = call.output_id() else {
                let output = "LocalShellCall without call_id or id".to_owned();
                return json(&ToolOutput::FunctionCallOutput { call_id: "", output });
            };
            let output = "unsupported call: local_shell".to_owned();
            ToolOutput::FunctionCallOutput { call_id, output }
        }
        OutputItem::Message(_)
        | OutputItem::Reasoning(_)
        | OutputItem::WebSearchCall(_)
        | OutputItem::FunctionCallOutput(_)
        | OutputItem::CustomToolCallOutput(_)
        | OutputItem::Compaction(_)
        | OutputItem::Unknown => return None,
    };
    json(&output)
}

fn json(output: &ToolOutput<'_>) -> Option<Arc<str>> {
    serde_json::to_string(output).ok().map(Arc::from)
}
