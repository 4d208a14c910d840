//! What the model says, as data: plain answers, and calls of tools.

use serde_json::{Value, json};

use super::table::{Finding, Reach};
use crate::world::backend::Response;

/// A tool that the model calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// To run a command.
    Command {
        /// By which tool.
        by: Shell,
        /// What rules and words say of it.
        finding: Finding,
        /// Without a sandbox.
        escalated: bool,
    },
    /// To change files.
    Patch(Reach),
    /// To type into the program that was left running last, or to look at it.
    Type,
    /// To show a plan.
    Plan,
    /// To ask the user.
    AskUser,
    /// To see a picture that is not there.
    Image,
    /// One that is not known.
    Unknown,
}

/// A tool that runs commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// `shell`, with words.
    Words,
    /// `shell_command`, with a line; after so many milliseconds it is too late.
    Line(Option<u32>),
    /// `exec_command`, perhaps with a terminal.
    Exec(bool),
}

/// What the model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What calls no tool of note, or is a failure.
    Plain(Response),
    /// It calls tools.
    Calls(Vec<Tool>),
}

/// The words of the `n`th command.
pub fn words(n: usize, finding: Finding) -> Vec<String> {
    let program = match finding {
        Finding::Allowed => "allowed",
        Finding::Safe => "cat",
        Finding::Unknown => "make",
        Finding::Dangerous => return ["rm", "-rf", &mark(n)].map(str::to_owned).to_vec(),
        Finding::Prompted => "prompted",
        Finding::Forbidden => "forbidden",
    };
    vec![program.to_owned(), mark(n)]
}

/// What stands in the words of the `n`th command, and in no other.
pub fn mark(n: usize) -> String {
    format!("t{n}.")
}

/// Which command these are the words of, if it is one of the model's.
pub fn marked(argv: &[String]) -> Option<usize> {
    let line = argv.last()?;
    let (_, rest) = line.rsplit_once('t')?;
    rest.strip_suffix('.').and_then(|number| number.parse().ok())
}

/// The file that the `n`th patch makes.
pub fn patched(n: usize, reach: Reach) -> String {
    match reach {
        Reach::Nothing | Reach::Inside => format!("/work/patched-{n}"),
        Reach::Outside => format!("/elsewhere/patched-{n}"),
    }
}

/// The stream of a response that calls these tools, the first of them as the `n`th of all.
pub fn stream(n: usize, tools: &[Tool], session: Option<i64>) -> String {
    let calls = tools.iter().enumerate().map(|(place, tool)| call(n + place, *tool, session));
    let items = calls.map(|item| json!({ "type": "response.output_item.done", "item": item }));
    let usage = json!({
        "input_tokens": 12, "input_tokens_details": null, "output_tokens": 8,
        "output_tokens_details": null, "total_tokens": 20,
    });
    let response = json!({ "id": format!("resp-c{n}"), "usage": usage });
    let end = json!({ "type": "response.completed", "response": response });
    items.chain([end]).map(|event| format!("data: {event}\n\n")).collect()
}

fn call(n: usize, tool: Tool, session: Option<i64>) -> Value {
    let function = |name: &str, arguments: Value| {
        json!({
            "type": "function_call", "call_id": format!("c{n}"), "name": name,
            "arguments": arguments.to_string(),
        })
    };
    match tool {
        Tool::Command { by, finding, escalated } => {
            let words = words(n, finding);
            let mut arguments = match by {
                Shell::Words => json!({ "command": words }),
                Shell::Line(limit) => json!({ "command": words.join(" "), "timeout_ms": limit }),
                Shell::Exec(tty) => json!({ "cmd": words.join(" "), "tty": tty }),
            };
            if escalated {
                arguments["sandbox_permissions"] = json!("require_escalated");
                arguments["justification"] = json!("why not");
            }
            let name = match by {
                Shell::Words => "shell",
                Shell::Line(_) => "shell_command",
                Shell::Exec(_) => "exec_command",
            };
            function(name, arguments)
        }
        Tool::Patch(reach) => {
            let path = patched(n, reach);
            let text = match reach {
                Reach::Nothing => "*** Begin Patch\n*** End Patch".to_owned(),
                _ => format!("*** Begin Patch\n*** Add File: {path}\n+hello\n*** End Patch"),
            };
            json!({
                "type": "custom_tool_call", "call_id": format!("c{n}"), "name": "apply_patch",
                "input": text,
            })
        }
        Tool::Type => {
            let chars = if n.is_multiple_of(2) { "x\n" } else { "" };
            function("write_stdin", json!({ "session_id": session.unwrap_or(1), "chars": chars }))
        }
        Tool::Plan => {
            let step = json!({ "step": "one", "status": "pending" });
            function("update_plan", json!({ "plan": [step] }))
        }
        Tool::AskUser => {
            let option = json!({ "label": "a", "description": "b" });
            let question = json!({
                "id": "q", "header": "h", "question": "what?", "options": [option],
            });
            function("request_user_input", json!({ "questions": [question] }))
        }
        Tool::Image => function("view_image", json!({ "path": "/work/none.png" })),
        Tool::Unknown => function("unheard_of", json!({})),
    }
}
