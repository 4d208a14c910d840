//! The tools that a model is offered, as the JSON array of a request (engine.md §3.1, §6.1).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::features::Feature;
use crate::config::{Config, features::Features};
use crate::model::catalogue::{ModelRecord, PatchTool};

/// What the free form of `apply_patch` accepts (engine.md §6.2).
const GRAMMAR: &str = r#"start: first section+ last
first: "*** Begin Patch" LF
last: "*** End Patch" LF?
section: add | delete | update
add: "*** Add File: " path LF added+
delete: "*** Delete File: " path LF
update: "*** Update File: " path LF move? lines?
move: "*** Move to: " path LF
lines: (context | change)+ end?
context: ("@@" | "@@ " /(.+)/) LF
change: ("+" | "-" | " ") /(.*)/ LF
added: "+" /(.*)/ LF
end: "*** End of File" LF
path: /(.+)/
%import common.LF
"#;

const FREEFORM: &str = "Changes files. The input is the patch itself, not JSON.";

/// Who gets the function has no grammar to go by.
const FUNCTION: &str = "Changes files by a patch.

The patch begins with the line `*** Begin Patch` and ends with the line `*** End Patch`. Between them is one section for each file:

- `*** Add File: PATH` makes a file; each line of its content follows with `+` before it.
- `*** Delete File: PATH` removes a file.
- `*** Update File: PATH` changes a file; `*** Move to: PATH` on the next line renames it, too.

An update has one block for each place. A block starts with `@@`, or with `@@ LINE` where LINE is a line above the place, such as the head of a function. Each further line has one character before it: a space for a line that stays, `-` for one that goes, `+` for one that is new. Give about three lines that stay on either side. `*** End of File` after a block says that it is at the end of the file.

Paths are relative to the working folder.";

/// The array for a model.
pub(crate) fn offered(model: &ModelRecord, config: &Config) -> Arc<str> {
    let mut tools = vec![update_plan()];
    match patch_tool(model, config.features) {
        Some(PatchTool::Freeform) => tools.push(json!({
            "type": "custom",
            "name": "apply_patch",
            "description": FREEFORM,
            "format": { "type": "grammar", "syntax": "lark", "definition": GRAMMAR },
        })),
        Some(PatchTool::Function) => {
            let input = json!({ "type": "string", "description": "The whole patch" });
            tools.push(function("apply_patch", FUNCTION, &json!({ "input": input }), &["input"]));
        }
        None => {}
    }
    Value::Array(tools).to_string().into()
}

/// Whether the model is offered `apply_patch` with free text.
pub(crate) fn offers_freeform_patch(model: &ModelRecord, config: &Config) -> bool {
    patch_tool(model, config.features) == Some(PatchTool::Freeform)
}

fn patch_tool(model: &ModelRecord, features: Features) -> Option<PatchTool> {
    let by_feature = features.has(Feature::ApplyPatchFreeform).then_some(PatchTool::Freeform);
    model.apply_patch_tool_type.or(by_feature)
}

fn update_plan() -> Value {
    let step = json!({
        "type": "object",
        "properties": {
            "status": { "type": "string", "description": "pending, in_progress or completed" },
            "step": { "type": "string" },
        },
        "required": ["step", "status"],
        "additionalProperties": false,
    });
    let properties = json!({
        "explanation": { "type": "string", "description": "Why the plan changes" },
        "plan": { "type": "array", "description": "All steps in order", "items": step },
    });
    let description = "Shows the user the plan for the task and how far it is. Give the whole plan \
                       each time; at most one step is in progress.";
    function("update_plan", description, &properties, &["plan"])
}

fn function(name: &str, description: &str, properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "function",
        "name": name,
        "description": description,
        "strict": false,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        },
    })
}
