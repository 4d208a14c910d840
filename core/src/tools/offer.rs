//! The tools that a model is offered, as the JSON array of a request (engine.md §3.1, §6.1).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::config::features::Feature;
use crate::config::kinds::WebSearchMode;
use crate::config::{Config, features::Features};
use crate::model::catalogue::{ModelRecord, PatchTool, ShellType};

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

const SHELL: &str = "Runs a program and gives its output. To use shell syntax, run a shell: \
                     [\"bash\", \"-lc\", \"...\"].";

const SHELL_COMMAND: &str = "Runs a script in the user's shell and gives its output. Set `workdir` \
                             rather than changing the folder in the script.";

const EXEC_COMMAND: &str = "Runs a script and gives what it has said after a while. A program that \
                            still runs then stays open, and its session ID is given.";

const WRITE_STDIN: &str = "Types into a program that `exec_command` has left running, and gives what \
                           it has said since.";

const FREEFORM: &str = "Changes files. The input is the patch itself, not JSON.";

/// Who gets the function has no grammar to go by.
const FUNCTION: &str = "Changes files by a patch.

The patch begins with the line `*** Begin Patch` and ends with the line `*** End Patch`. Between them is one section for each file:

- `*** Add File: PATH` makes a file; each line of its content follows with `+` before it.
- `*** Delete File: PATH` removes a file.
- `*** Update File: PATH` changes a file; `*** Move to: PATH` on the next line renames it, too.

An update has one block for each place. A block starts with `@@`, or with `@@ LINE` where LINE is a line above the place, such as the head of a function. Each further line has one character before it: a space for a line that stays, `-` for one that goes, `+` for one that is new. Give about three lines that stay on either side. `*** End of File` after a block says that it is at the end of the file.

Paths are relative to the working folder.";

/// A tool's JSON, made once: every thread is offered tools, and to make them takes longer than most
/// of what else its start does.
type Made = LazyLock<String>;

static UPDATE_PLAN_TOOL: Made = Made::new(|| update_plan().to_string());
static REQUEST_USER_INPUT_TOOL: Made = Made::new(|| request_user_input().to_string());
static PATCH_FREEFORM_TOOL: Made = Made::new(|| patch_freeform().to_string());
static PATCH_FUNCTION_TOOL: Made = Made::new(|| patch_function().to_string());
static VIEW_IMAGE_TOOL: Made = Made::new(|| view_image().to_string());
static WRITE_STDIN_TOOL: Made = Made::new(|| write_stdin().to_string());
static RESOURCES: LazyLock<[String; 3]> =
    LazyLock::new(|| resource_tools().map(|tool| tool.to_string()));
static LOOKS: LazyLock<[(&str, String); 3]> =
    LazyLock::new(|| look_tools().map(|(name, tool)| (name, tool.to_string())));
/// Without rules that the model may propose, and with them.
static RUNS: LazyLock<[Runs; 2]> = LazyLock::new(|| [false, true].map(Runs::new));

/// The array for a model. The search in the web is the backend's own.
pub(crate) fn offered(model: &ModelRecord, config: &Config, web: WebSearchMode) -> Arc<str> {
    let mut tools: Vec<&str> = Vec::new();
    tools.extend(shell_tools(model, config.features));
    tools.extend(RESOURCES.iter().map(String::as_str));
    tools.push(&UPDATE_PLAN_TOOL);
    if config.features.has(Feature::CollaborationModes) {
        tools.push(&REQUEST_USER_INPUT_TOOL);
    }
    match patch_tool(model, config.features) {
        Some(PatchTool::Freeform) => tools.push(&PATCH_FREEFORM_TOOL),
        Some(PatchTool::Function) => tools.push(&PATCH_FUNCTION_TOOL),
        None => {}
    }
    let has = |name: &str| model.experimental_supported_tools.iter().any(|tool| tool == name);
    tools.extend(LOOKS.iter().filter(|(name, _)| has(name)).map(|(_, tool)| tool.as_str()));
    tools.extend(web_search(web));
    tools.push(&VIEW_IMAGE_TOOL);
    format!("[{}]", tools.join(",")).into()
}

fn web_search(mode: WebSearchMode) -> Option<&'static str> {
    match mode {
        WebSearchMode::Disabled => None,
        WebSearchMode::Cached => Some(r#"{"external_web_access":false,"type":"web_search"}"#),
        WebSearchMode::Live => Some(r#"{"external_web_access":true,"type":"web_search"}"#),
    }
}

fn patch_freeform() -> Value {
    json!({
        "type": "custom",
        "name": "apply_patch",
        "description": FREEFORM,
        "format": { "type": "grammar", "syntax": "lark", "definition": GRAMMAR },
    })
}

fn patch_function() -> Value {
    let input = json!({ "type": "string", "description": "The whole patch" });
    function("apply_patch", FUNCTION, &json!({ "input": input }), &["input"])
}

/// Whether the model may run commands.
pub(crate) fn has_shell(model: &ModelRecord, features: Features) -> bool {
    features.has(Feature::ShellTool) && model.shell_type != ShellType::Disabled
}

/// Whether the model may leave programs running.
pub(crate) fn has_sessions(model: &ModelRecord, features: Features) -> bool {
    let by_model = model.shell_type == ShellType::UnifiedExec;
    has_shell(model, features) && (by_model || features.has(Feature::UnifiedExec))
}

/// The shell tools that a model is used to.
fn shell_tools(model: &ModelRecord, features: Features) -> Vec<&'static str> {
    if !has_shell(model, features) {
        return Vec::new();
    }
    let [plain, with_rules] = &*RUNS;
    let runs = if features.has(Feature::RequestRule) { with_rules } else { plain };
    if has_sessions(model, features) {
        return vec![&runs.exec_command, &WRITE_STDIN_TOOL];
    }
    vec![match model.shell_type {
        ShellType::Local => r#"{"type":"local_shell"}"#,
        ShellType::ShellCommand => &runs.shell_command,
        ShellType::Default | ShellType::UnifiedExec | ShellType::Disabled => &runs.shell,
    }]
}

/// The tools that run a command.
struct Runs {
    shell: String,
    shell_command: String,
    exec_command: String,
}

impl Runs {
    fn new(with_rules: bool) -> Self {
        let argv = json!({
            "type": "array",
            "items": { "type": "string" },
            "description": "The program and its arguments",
        });
        let line =
            json!({ "type": "string", "description": "The script, run by the user's shell" });
        let login = json!({
            "type": "boolean",
            "description": "Whether the shell reads the user's profile first; true by default",
        });
        let shell = run_properties(with_rules, [("command", argv)]);
        let shell_command = run_properties(with_rules, [("command", line), ("login", login)]);
        let shell = function("shell", SHELL, &shell, &["command"]);
        let shell_command = function("shell_command", SHELL_COMMAND, &shell_command, &["command"]);
        Self {
            shell: shell.to_string(),
            shell_command: shell_command.to_string(),
            exec_command: exec_command(with_rules).to_string(),
        }
    }
}

fn number(description: &str) -> Value {
    json!({ "type": "number", "description": description })
}

fn exec_command(with_rules: bool) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let flag = |description: &str| json!({ "type": "boolean", "description": description });
    let more = [
        ("cmd", text("The script")),
        ("shell", text("The shell that runs it; the user's by default")),
        ("login", flag("Whether the shell reads the user's profile first; true by default")),
        ("tty", flag("Whether it has a terminal, so that `write_stdin` can type into it")),
        ("yield_time_ms", number("How long to wait for its output; 10000 by default")),
        ("max_output_tokens", number("The rest of the output is cut out of the middle")),
    ];
    let mut properties = run_properties(with_rules, more);
    if let Some(properties) = properties.as_object_mut() {
        properties.remove("timeout_ms");
    }
    function("exec_command", EXEC_COMMAND, &properties, &["cmd"])
}

fn write_stdin() -> Value {
    let properties = json!({
        "chars": { "type": "string", "description": "What to type; nothing, to look only" },
        "max_output_tokens": number("The rest of the output is cut out of the middle"),
        "session_id": number("As `exec_command` gave it"),
        "yield_time_ms": number("How long to wait for what it says; 250 by default"),
    });
    function("write_stdin", WRITE_STDIN, &properties, &["session_id"])
}

/// What every tool that runs a command takes, and more.
fn run_properties<const N: usize>(with_rules: bool, more: [(&'static str, Value); N]) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut all = BTreeMap::from(more);
    all.insert("workdir", text("The folder to run it in; the working folder by default"));
    all.insert(
        "justification",
        text("With `require_escalated` only: one sentence that asks the user whether it may run"),
    );
    all.insert(
        "sandbox_permissions",
        text("`use_default`, or `require_escalated` to run it outside the sandbox"),
    );
    let limit = "Milliseconds after which it is killed; 10000 by default";
    all.insert("timeout_ms", json!({ "type": "number", "description": limit }));
    if with_rules {
        all.insert("prefix_rule", json!({
            "type": "array",
            "items": { "type": "string" },
            "description": "With `require_escalated` only: the words that later commands may begin \
                            with and run unasked, as in [\"git\", \"pull\"]",
        }));
    }
    json!(all)
}

/// Whether the model is offered `apply_patch` with free text.
pub(crate) fn offers_freeform_patch(model: &ModelRecord, config: &Config) -> bool {
    patch_tool(model, config.features) == Some(PatchTool::Freeform)
}

fn patch_tool(model: &ModelRecord, features: Features) -> Option<PatchTool> {
    let by_feature = features.has(Feature::ApplyPatchFreeform).then_some(PatchTool::Freeform);
    model.apply_patch_tool_type.or(by_feature)
}

fn resource_tools() -> [Value; 3] {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let server = || text("The name of an MCP server; all of them by default");
    let cursor = || text("What the page before gave as `nextCursor`; only with `server`");
    let pages = json!({ "cursor": cursor(), "server": server() });
    let one = json!({
        "server": text("The name of the MCP server, as the list of resources has it"),
        "uri": text("The resource, as the list has it"),
    });
    [
        function(
            "list_mcp_resources",
            "Lists resources that MCP servers have, such as files, tables and facts about a program.",
            &pages,
            &[],
        ),
        function(
            "list_mcp_resource_templates",
            "Lists resources of MCP servers that take parameters.",
            &pages,
            &[],
        ),
        function(
            "read_mcp_resource",
            "Reads a resource of an MCP server.",
            &one,
            &["server", "uri"],
        ),
    ]
}

fn request_user_input() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let option = json!({
        "type": "object",
        "properties": {
            "description": text("One sentence: what choosing it leads to"),
            "label": text("What the user picks; a few words"),
        },
        "required": ["label", "description"],
        "additionalProperties": false,
    });
    let question = json!({
        "type": "object",
        "properties": {
            "header": text("What it is about, in a word or two"),
            "id": text("Names the answer, in snake_case"),
            "options": {
                "type": "array",
                "description": "Two or three answers to choose from, the one to recommend first. The user can always write an answer of their own",
                "items": option,
            },
            "question": text("One sentence"),
        },
        "required": ["id", "header", "question", "options"],
        "additionalProperties": false,
    });
    let questions = json!({
        "type": "array",
        "description": "One question, or at most three",
        "items": question,
    });
    let description = "Asks the user, and waits for the answers. Only in the modes Plan and Pair \
                       Programming.";
    function("request_user_input", description, &json!({ "questions": questions }), &["questions"])
}

/// The tools that look at files, by name.
fn look_tools() -> [(&'static str, Value); 3] {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let grep = json!({
        "include": text("Search only files whose paths fit this glob"),
        "limit": number("How many files to name at most; 100 by default"),
        "path": text("The file or folder to search; the working folder by default"),
        "pattern": text("A regular expression"),
    });
    let read = json!({
        "file_path": text("The file's absolute path"),
        "limit": number("How many lines to read at most; 2000 by default"),
        "offset": number("The number of the first line; 1 by default"),
    });
    let list = json!({
        "depth": number("How many levels of folders to show; 2 by default"),
        "dir_path": text("The folder's absolute path"),
        "limit": number("How many entries to show at most; 25 by default"),
        "offset": number("The number of the first entry; 1 by default"),
    });
    let grep_words = "Names the files in which a pattern is found, the latest first.";
    let read_words = "Reads lines of a file; each has its number before it.";
    let list_words = "Lists a folder and the folders below it. Folders end in `/`, links in `@`.";
    let all = [
        ("grep_files", grep_words, grep, "pattern"),
        ("read_file", read_words, read, "file_path"),
        ("list_dir", list_words, list, "dir_path"),
    ];
    all.map(|(name, words, properties, required)| {
        (name, function(name, words, &properties, &[required]))
    })
}

fn view_image() -> Value {
    let path = json!({ "type": "string", "description": "The file's path" });
    let description = "Shows you a picture from a file: PNG, JPEG, GIF or WebP.";
    function("view_image", description, &json!({ "path": path }), &["path"])
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
    let mut parameters = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        parameters["required"] = json!(required);
    }
    json!({
        "type": "function",
        "name": name,
        "description": description,
        "strict": false,
        "parameters": parameters,
    })
}
