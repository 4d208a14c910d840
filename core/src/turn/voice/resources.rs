//! Calls that ask MCP servers for resources, in the older dialect.

use super::Voice;
use crate::outside::Outside;
use crate::tools::ResourceCall;
use crate::turn::resources::content;
use crate::wire::legacy::event::EventMsg;
use crate::wire::legacy::event_part::{CallToolResult, Duration, McpInvocation};

impl Voice {
    pub(in crate::turn) fn resources_asked(
        &self,
        out: &mut Outside,
        id: &str,
        call: &ResourceCall,
    ) {
        self.event(out, "codex/event/mcp_tool_call_begin", || EventMsg::McpToolCallBegin {
            call_id: id.to_owned(),
            invocation: invocation(call),
        });
    }

    pub(in crate::turn) fn resources_answered(
        &self,
        out: &mut Outside,
        id: &str,
        call: &ResourceCall,
    ) {
        self.event(out, "codex/event/mcp_tool_call_end", || EventMsg::McpToolCallEnd {
            call_id: id.to_owned(),
            invocation: invocation(call),
            duration: Duration { secs: 0, nanos: 0 },
            result: call.answer.as_deref().map_err(String::clone).map(|text| CallToolResult {
                content: content(text),
                is_error: Some(false),
                structured_content: None,
            }),
        });
    }
}

fn invocation(call: &ResourceCall) -> McpInvocation {
    McpInvocation {
        server: call.server.clone(),
        tool: call.tool.to_owned(),
        arguments: Some(call.arguments.clone()).filter(|arguments| !arguments.is_null()),
    }
}
