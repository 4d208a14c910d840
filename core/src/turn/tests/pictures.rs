//! Pictures in files, which the model asks to see or the user names; and calls about resources.

use serde_json::{Value, json};

use super::{Bench, function};
use crate::files::MemoryFiles;
use crate::input::{Input, Outcome};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n...";
const URL: &str = "data:image/png;base64,iVBORw0KGgouLi4=";

impl Bench {
    fn pictures() -> Self {
        let files = MemoryFiles::new().with("/w/a.png", PNG).with("/w/text.png", "text");
        files.folder("/w/dir");
        Self::with("never", "read-only", "", files)
    }

    /// The content of the last messages of the user that the model gets with the next request.
    fn messages(&self, last: usize) -> Vec<Value> {
        let (_, body) = self.requests.front().expect("a request");
        let input = body["input"].as_array().expect("items");
        let messages: Vec<Value> = input
            .iter()
            .filter(|item| item["role"] == "user")
            .map(|item| item["content"].clone())
            .collect();
        messages[messages.len() - last..].to_vec()
    }

    /// The types of the items that the model gets last.
    fn last_items(&self, count: usize) -> Vec<Value> {
        let (_, body) = self.requests.front().expect("a request");
        let input = body["input"].as_array().expect("items");
        input[input.len() - count..].iter().map(|item| item["type"].clone()).collect()
    }

    fn say(&mut self, parts: Value) {
        self.request("turn/start", json!({ "threadId": self.thread(), "input": parts }));
    }

    fn items_of(&self, kind: &str) -> Vec<Value> {
        let items = self.notes("item/completed").into_iter().map(|params| params["item"].clone());
        items.filter(|item| item["type"] == kind).collect()
    }
}

fn view(id: &str, path: &str) -> Value {
    function(id, "view_image", &json!({ "path": path }).to_string())
}

fn named(n: u32) -> Value {
    json!([
        { "type": "input_text", "text": format!("<image name=[Image #{n}]>") },
        { "type": "input_image", "image_url": URL },
        { "type": "input_text", "text": "</image>" },
    ])
}

#[test]
fn a_picture_comes_to_the_model_behind_the_outputs() {
    let mut bench = Bench::pictures();
    bench.held = Some(Vec::new());
    bench.respond(&[view("a", "a.png"), view("b", "/w/a.png")]);
    assert_eq!(bench.held.as_ref().map(Vec::len), Some(2), "side by side");
    bench.release();
    assert_eq!(bench.outputs(), ["attached local image path", "attached local image path"]);
    let kinds = ["function_call_output", "function_call_output", "message", "message"];
    assert_eq!(bench.last_items(4), kinds);
    let picture = json!([{ "type": "input_image", "image_url": URL }]);
    assert_eq!(bench.messages(2), [picture.clone(), picture]);
    let shown = bench.items_of("imageView");
    assert_eq!(shown[0], json!({ "type": "imageView", "id": "a", "path": "/w/a.png" }));
    let event = &bench.notes("codex/event/view_image_tool_call")[0]["msg"];
    assert_eq!((&event["call_id"], &event["path"]), (&json!("a"), &json!("/w/a.png")));
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
}

#[test]
fn what_is_no_picture_is_told_to_the_model() {
    let mut bench = Bench::pictures();
    bench.respond(&[view("a", "none.png"), view("b", "dir"), view("c", "text.png")]);
    let outputs = bench.outputs();
    assert!(outputs[0].starts_with("unable to locate image at `/w/none.png`: "), "{outputs:?}");
    assert_eq!(outputs[1], "image path `/w/dir` is not a file");
    assert_eq!(outputs[2], "The file at `/w/text.png` is not a PNG, JPEG, GIF or WebP image.");
    assert!(bench.items_of("imageView").is_empty());
    assert_eq!(bench.last_items(1), ["function_call_output"]);
}

#[test]
fn a_look_that_is_lost_or_stopped_has_its_output_too() {
    let mut bench = Bench::pictures();
    bench.held = Some(Vec::new());
    bench.respond(&[view("a", "a.png")]);
    let (call, _) = bench.held.as_mut().and_then(Vec::pop).expect("a job");
    bench.input(Input::Done(call, Outcome::Lost));
    let text = "The image at `/w/a.png` could not be read: the file backend failed";
    assert_eq!(bench.outputs(), [text]);
    bench.respond(&[view("b", "a.png")]);
    bench.interrupt();
    assert_eq!(bench.turn_statuses(), ["interrupted"]);
    bench.release();
    bench.start_turn();
    assert!(bench.outputs()[1].starts_with("aborted by user after "));
}

#[test]
fn the_users_pictures_are_read_before_the_model_is_asked() {
    let mut bench = Bench::pictures();
    bench.finish();
    bench.held = Some(Vec::new());
    let picture = json!({ "type": "localImage", "path": "a.png" });
    let text = json!({ "type": "text", "text": "look" });
    let none = json!({ "type": "localImage", "path": "/none" });
    bench.say(json!([text, picture, none, picture]));
    bench.say(json!([{ "type": "text", "text": "more" }]));
    assert!(bench.requests.is_empty());
    let shown = bench.items_of("userMessage").len();
    bench.release();
    assert_eq!(bench.items_of("userMessage").len(), shown + 2);
    let messages = bench.messages(2);
    let parts = messages[0].as_array().expect("parts");
    assert_eq!(parts[0]["text"], "look");
    assert_eq!(json!(parts[1..4]), named(1));
    let why = parts[4]["text"].as_str().expect("a reason");
    assert!(why.starts_with("The image at `/none` could not be read: "), "{why}");
    assert_eq!(json!(parts[5..8]), named(3));
    assert_eq!(messages[1][0]["text"], "more");
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed", "completed"]);
}

#[test]
fn pictures_named_while_the_turn_runs_hold_back_the_next_request() {
    let mut bench = Bench::pictures();
    bench.held = Some(Vec::new());
    bench.say(json!([{ "type": "localImage", "path": "a.png" }]));
    bench.finish();
    assert!(bench.requests.is_empty() && bench.turn_statuses().is_empty());
    bench.release();
    assert_eq!(bench.messages(1), [named(1)]);
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
}

#[test]
fn an_interrupt_keeps_the_words_without_the_pictures() {
    let mut bench = Bench::pictures();
    bench.finish();
    bench.held = Some(Vec::new());
    let text = json!({ "type": "text", "text": "look" });
    bench.say(json!([text, { "type": "localImage", "path": "a.png" }]));
    bench.interrupt();
    assert_eq!(bench.turn_statuses(), ["completed", "interrupted"]);
    bench.release();
    assert!(bench.requests.is_empty(), "what was read is nobody's");
    bench.start_turn();
    let messages = bench.messages(3);
    assert_eq!(messages[0][0]["text"], "look");
    let why = "The image at `a.png` could not be read: the turn ended before it was read";
    assert_eq!(messages[0][1]["text"], why);
    let mark = messages[1][0]["text"].as_str().expect("a mark");
    assert!(mark.starts_with("<turn_aborted>"), "{mark}");
}

#[test]
fn a_picture_that_the_model_saw_is_no_turn_of_the_users() {
    let mut bench = Bench::pictures();
    bench.respond(&[view("a", "a.png")]);
    bench.finish();
    let thread = bench.thread();
    let files = bench.files;
    let mut bench = Bench::with("never", "read-only", "", files);
    bench.finish();
    bench.request("thread/resume", json!({ "threadId": thread }));
    bench.request("thread/rollback", json!({ "threadId": thread, "numTurns": 1 }));
    let input = json!([{ "type": "text", "text": "again" }]);
    bench.request("turn/start", json!({ "threadId": thread, "input": input }));
    let (_, body) = bench.requests.front().expect("a request");
    let calls = body["input"].as_array().expect("items").iter();
    assert_eq!(calls.filter(|item| item["type"] == "function_call").count(), 0);
}

#[test]
fn resources_are_asked_for_in_vain_without_a_server() {
    let mut bench = Bench::pictures();
    let nobody = r#"{"server":"nope","uri":"u:1"}"#;
    bench.respond(&[
        function("a", "list_mcp_resources", "{}"),
        function("b", "read_mcp_resource", nobody),
    ]);
    let why = "resources/read failed: unknown MCP server 'nope'";
    assert_eq!(bench.outputs(), [r#"{"resources":[]}"#, why]);
    let items = bench.items_of("mcpToolCall");
    assert_eq!((&items[0]["server"], &items[0]["status"]), (&json!("codex"), &json!("completed")));
    let text = json!([{ "type": "text", "text": r#"{"resources":[]}"# }]);
    assert_eq!((&items[0]["arguments"], &items[0]["result"]["content"]), (&json!(null), &text));
    assert_eq!(
        (&items[1]["status"], &items[1]["error"]["message"]),
        (&json!("failed"), &json!(why))
    );
    let ended = bench.notes("codex/event/mcp_tool_call_end");
    assert_eq!(ended[1]["msg"]["result"]["Err"], why);
    assert_eq!(ended[0]["msg"]["result"]["Ok"]["content"], text);
}
