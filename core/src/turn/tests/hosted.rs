//! Tools that the client runs itself: offered, called, answered in whatever way.

use serde_json::{Value, json};

use super::{Bench, function};

const CALL: &str = "item/tool/call";

impl Bench {
    /// A turn of a thread that has a tool of the client's own.
    fn hosted() -> (Self, String) {
        let mut bench = Self::new("never", "read-only");
        bench.finish();
        let tool = json!({
            "name": "lookup", "description": "d", "inputSchema": { "properties": { "id": {} } },
        });
        bench.request("thread/start", json!({ "cwd": "/w", "dynamicTools": [tool] }));
        let started = bench.notes("thread/started");
        let thread = started.last().expect("a thread")["thread"]["id"].as_str().expect("an id");
        let thread = thread.to_owned();
        bench.go(&thread);
        (bench, thread)
    }

    fn go(&mut self, thread: &str) {
        let input = json!([{ "type": "text", "text": "go" }]);
        self.request("turn/start", json!({ "threadId": thread, "input": input }));
    }

    fn called(&self) -> Vec<Value> {
        self.said.iter().filter(|line| line["method"] == CALL).cloned().collect()
    }
}

#[test]
fn a_tool_of_the_client_is_offered_and_its_answer_is_the_output() {
    let (mut bench, thread) = Bench::hosted();
    let tools = bench.requests.front().expect("a request").1["tools"].clone();
    let offered = tools.as_array().expect("tools").last().expect("a tool").clone();
    assert_eq!((&offered["name"], &offered["strict"]), (&json!("lookup"), &json!(false)));
    bench.respond(&[
        function("a", "lookup", r#"{"id": "T-1"}"#),
        function("b", "lookup", r#"{"id": "T-2"}"#),
    ]);
    let called = bench.called();
    assert_eq!(called.len(), 1, "one after another");
    let params = &called[0]["params"];
    let expected = json!({
        "threadId": thread, "turnId": params["turnId"], "callId": "a", "tool": "lookup",
        "arguments": { "id": "T-1" },
    });
    assert_eq!(*params, expected);
    let event = &bench.notes("codex/event/dynamic_tool_call_request")[0]["msg"];
    assert_eq!((&event["callId"], &event["arguments"]["id"]), (&json!("a"), &json!("T-1")));
    let answer = json!({ "output": "found it", "success": true });
    bench.line(&json!({ "id": called[0]["id"], "result": answer }));
    let second = bench.called().remove(1);
    bench.line(&json!({ "id": second["id"], "result": { "output": "", "success": false } }));
    assert_eq!(bench.outputs(), ["found it", ""]);
    let shown = bench.notes("item/started");
    let messages = ["userMessage", "agentMessage"].map(|kind| json!(kind));
    assert!(shown.iter().all(|params| messages.contains(&params["item"]["type"])), "no item");
    bench.finish();
}

#[test]
fn what_is_no_answer_is_told_to_the_model() {
    let answers = [
        (json!({ "result": {} }), "dynamic tool response was invalid"),
        (json!({ "result": null }), "dynamic tool response was invalid"),
        (json!({ "error": { "code": -1, "message": "no" } }), "dynamic tool request failed"),
    ];
    for (mut answer, expected) in answers {
        let (mut bench, _) = Bench::hosted();
        bench.respond(&[function("a", "lookup", "{}")]);
        answer["id"] = bench.called()[0]["id"].clone();
        bench.line(&answer);
        assert_eq!(bench.outputs(), [expected]);
        bench.line(&answer);
        assert_eq!(bench.requests.len(), 1, "a second answer is nobody's");
    }
}

#[test]
fn arguments_that_are_no_json_are_not_handed_on() {
    let (mut bench, _) = Bench::hosted();
    bench.respond(&[function("a", "lookup", "{no"), function("b", "look_up", "{}")]);
    assert!(bench.called().is_empty());
    let outputs = bench.outputs();
    assert!(outputs[0].starts_with("failed to parse function arguments: "), "{outputs:?}");
    assert_eq!(outputs[1], "unsupported call: look_up");
}

#[test]
fn an_interrupt_ends_the_call_and_a_late_answer_changes_nothing() {
    let (mut bench, thread) = Bench::hosted();
    bench.respond(&[function("a", "lookup", "{}")]);
    let asked = bench.called().remove(0);
    bench.request("turn/interrupt", json!({ "threadId": thread, "turnId": "" }));
    assert_eq!(bench.turn_statuses(), ["completed", "interrupted"]);
    bench.go(&thread);
    let said = bench.said.len();
    bench.line(&json!({ "id": asked["id"], "result": { "output": "late", "success": true } }));
    assert_eq!(bench.said.len(), said);
    assert_eq!(bench.outputs(), ["dynamic tool call was cancelled before receiving a response"]);
}

#[test]
fn a_stored_thread_has_its_tools_but_the_older_dialect_does_not_call_them() {
    let (mut bench, thread) = Bench::hosted();
    bench.finish();
    let mut bench = Bench::with("never", "read-only", "", bench.files);
    bench.finish();
    bench.request("resumeConversation", json!({ "conversationId": thread }));
    bench.request("addConversationListener", json!({ "conversationId": thread }));
    let items = json!([{ "type": "text", "data": { "text": "go" } }]);
    bench.request("sendUserMessage", json!({ "conversationId": thread, "items": items }));
    bench.respond(&[function("a", "lookup", "{}")]);
    assert!(bench.called().is_empty());
    assert_eq!(bench.outputs(), ["dynamic tool calls require api v2"]);
}

/// The backend's own search, as far as the settings and the sandbox in force let it go.
#[test]
fn the_web_is_searched_as_far_as_it_may_be() {
    let reach = |bench: &Bench| {
        let tools = bench.requests.back().expect("a request").1["tools"].clone();
        let mut tools = tools.as_array().expect("tools").clone().into_iter();
        tools
            .find(|tool| tool["type"] == "web_search")
            .map(|tool| tool["external_web_access"].clone())
    };
    assert_eq!(reach(&Bench::new("never", "danger-full-access")), Some(json!(true)));
    let mut bench = Bench::new("never", "read-only");
    assert_eq!(reach(&bench), Some(json!(false)));
    bench.finish();
    let input = json!([{ "type": "text", "text": "go" }]);
    let policy = json!({ "type": "dangerFullAccess" });
    let params = json!({ "threadId": bench.thread(), "input": input, "sandboxPolicy": policy });
    bench.request("turn/start", params);
    assert_eq!(reach(&bench), Some(json!(true)));
    bench.request("thread/start", json!({ "cwd": "/w", "config": { "web_search": "disabled" } }));
    let started = bench.notes("thread/started");
    let thread = started.last().expect("a thread")["thread"]["id"].as_str().expect("an id");
    bench.go(thread);
    assert_eq!(reach(&bench), None);
}
