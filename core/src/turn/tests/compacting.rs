//! Threads that outgrow their model: summed up before a turn or within it, whatever happens
//! meanwhile (engine.md §7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Bench, function};
use crate::files::MemoryFiles;
use crate::input::{HttpHead, Input, Outcome};
use crate::model::compact;

const LIMIT: i64 = 100_000;
const REFRESH: &str = "account/chatgptAuthTokens/refresh";

impl Bench {
    /// A thread with a limit, its first turn begun.
    fn limited(more: &str) -> (Self, String) {
        Self::configured(more, json!({ "model_auto_compact_token_limit": LIMIT }))
    }

    /// The same at a backend that makes histories short itself.
    fn remote() -> (Self, String) {
        let config = json!({
            "model_auto_compact_token_limit": LIMIT, "model_providers.mock.name": "OpenAI",
        });
        Self::configured("", config)
    }

    fn configured(more: &str, config: Value) -> (Self, String) {
        let mut bench = Self::with("never", "workspace-write", more, MemoryFiles::new());
        bench.finish();
        bench.request("thread/start", json!({ "cwd": "/w", "config": config }));
        let started = bench.notes("thread/started");
        let thread = started[1]["thread"]["id"].as_str().expect("an id").to_owned();
        bench.tell(&thread, "quince");
        bench.said.clear();
        (bench, thread)
    }

    fn tell(&mut self, thread: &str, words: &str) {
        let input = json!([{ "type": "text", "text": words }]);
        self.request("turn/start", json!({ "threadId": thread, "input": input }));
    }

    /// The model's answer ends with this event.
    fn events(&mut self, items: &[Value], end: &Value) {
        let (id, _) = self.requests.pop_front().expect("a request");
        let head = HttpHead { status: 200, headers: Vec::new() };
        self.input(Input::Done(id, Outcome::HttpHead(head)));
        let done =
            items.iter().map(|item| json!({ "type": "response.output_item.done", "item": item }));
        let events = done.chain([end.clone()]).map(|event| format!("data: {event}\n\n"));
        let stream: String = events.collect();
        self.input(Input::Done(id, Outcome::HttpBytes(stream.as_bytes())));
    }

    /// The model answers, and the thread is that long then.
    fn answer(&mut self, items: &[Value], tokens: i64) {
        let usage = json!({ "input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens });
        let response = json!({ "id": "r", "usage": usage });
        self.events(items, &json!({ "type": "response.completed", "response": response }));
    }

    fn overflow(&mut self) {
        let error = json!({ "code": "context_length_exceeded", "message": "too long" });
        self.events(&[], &json!({ "type": "response.failed", "response": { "error": error } }));
    }

    fn body(&self) -> Value {
        self.requests.front().expect("a request").1.clone()
    }

    fn input_items(&self) -> Vec<Value> {
        self.body()["input"].as_array().expect("items").clone()
    }

    /// The texts of the messages of the user that the model gets, but for the context.
    fn texts(&self) -> Vec<String> {
        let items = self.input_items();
        let texts = items.iter().filter(|item| item["role"] == "user");
        let texts = texts.map(|item| item["content"][0]["text"].as_str().unwrap_or_default());
        let is_context =
            |text: &str| text.starts_with("<environment") || text.starts_with("# AGENTS");
        texts.filter(|text| !is_context(text)).map(str::to_owned).collect()
    }

    fn is_summing_up(&self) -> bool {
        self.texts().last().is_some_and(|text| text == compact::prompt())
    }

    /// Methods and kinds of items, of what was said with one of these methods.
    fn order(&self, methods: &[&str]) -> Vec<String> {
        let lines = self.said.iter().filter(|l| methods.iter().any(|m| l["method"] == *m));
        let shown = lines.map(|line| {
            let method = line["method"].as_str().unwrap_or_default();
            format!("{method} {}", line["params"]["item"]["type"].as_str().unwrap_or_default())
        });
        shown.map(|line| line.trim_end().to_owned()).collect()
    }
}

fn say(text: &str) -> Value {
    let content = json!([{ "type": "output_text", "text": text }]);
    json!({ "type": "message", "role": "assistant", "id": "m", "content": content })
}

#[test]
fn a_thread_at_its_limit_is_summed_up_before_the_next_turn() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[say("medlar")], LIMIT - 1);
    bench.tell(&thread, "short of it");
    assert!(!bench.is_summing_up());
    bench.answer(&[say("pear")], LIMIT);
    bench.said.clear();
    bench.tell(&thread, "next");
    assert!(bench.is_summing_up());
    assert!(bench.notes("item/started").iter().all(|note| note["item"]["type"] != "userMessage"));
    let body = bench.body();
    assert_eq!((&body["tools"], &body["parallel_tool_calls"]), (&json!([]), &json!(false)));
    assert!(body["input"].to_string().contains("medlar"));

    bench.answer(&[say("first try"), say("THE SUMMARY")], 300);
    assert_eq!(
        bench.texts(),
        ["quince", "short of it", &compact::marked("THE SUMMARY"), "next"],
        "the user's words stay, the model's do not"
    );
    assert!(!bench.input_items().iter().any(|item| item["role"] == "assistant"));
    let shown = bench.order(&[
        "turn/started",
        "item/started",
        "item/completed",
        "codex/event/context_compacted",
        "thread/compacted",
        "codex/event/warning",
    ]);
    let expected = [
        "turn/started",
        "item/started contextCompaction",
        "item/completed contextCompaction",
        "codex/event/context_compacted",
        "thread/compacted",
        "codex/event/warning",
        "item/started userMessage",
        "item/completed userMessage",
    ];
    assert_eq!(shown, expected);
    assert!(bench.notes("item/agentMessage/delta").is_empty());
    let used = bench.notes("thread/tokenUsage/updated");
    let last = |at: usize| used[at]["tokenUsage"]["last"]["totalTokens"].as_i64().unwrap();
    assert_eq!(last(0), 300, "what the summary cost");
    assert!((1..LIMIT).contains(&last(1)), "how long the thread is");
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
    bench.tell(&thread, "on");
    assert!(!bench.is_summing_up());
}

#[test]
fn a_long_turn_is_summed_up_between_its_requests() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[function("a", "none", "{}")], LIMIT);
    assert!(bench.is_summing_up());
    assert_eq!(bench.outputs(), ["unsupported call: none"], "the call has its output");
    bench.tell(&thread, "and this");
    bench.answer(&[say("S1")], 10);
    assert_eq!(bench.texts(), ["quince", &compact::marked("S1"), "and this"]);
    assert!(bench.outputs().is_empty());
    bench.answer(&[function("b", "none", "{}")], LIMIT);
    assert!(bench.is_summing_up(), "as often as it is needed");
    bench.answer(&[say("S2")], 10);
    let summary = compact::marked("S2");
    assert_eq!(bench.texts(), ["quince", "and this", &summary], "one summary only");
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
}

#[test]
fn what_cannot_be_made_short_enough_is_not_tried_again_in_the_same_turn() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[say("ok")], LIMIT);
    bench.tell(&thread, "next");
    let long = "word ".repeat(LIMIT as usize);
    bench.answer(&[say(&long)], 10);
    bench.answer(&[function("b", "none", "{}")], LIMIT);
    assert!(!bench.is_summing_up());
    assert_eq!(bench.outputs().len(), 1);
}

#[test]
fn a_stored_thread_has_the_same_history() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[say("ok")], LIMIT);
    bench.tell(&thread, "next");
    bench.answer(&[say("S")], 10);
    let before = bench.input_items();
    bench.finish();

    let mut again = Bench::with("never", "workspace-write", "", bench.files);
    again.finish();
    again.request("thread/resume", json!({ "threadId": thread }));
    again.tell(&thread, "later");
    let input = again.input_items();
    assert_eq!(input[..before.len()], before);
    let read = json!({ "threadId": thread, "includeTurns": true });
    again.finish();
    again.request("thread/read", read);
    let turns = &again.said.last().expect("an answer")["result"]["thread"]["turns"];
    assert_eq!(turns[1]["items"][0]["type"], "contextCompaction", "{turns}");
    assert_eq!(turns[1]["items"][1]["type"], "userMessage", "{turns}");
}

#[test]
fn turns_are_taken_back_across_a_summary() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[say("ok")], LIMIT);
    bench.tell(&thread, "next");
    bench.answer(&[say("S")], 10);
    bench.finish();
    bench.request("thread/rollback", json!({ "threadId": thread, "numTurns": 1 }));
    bench.tell(&thread, "instead");
    assert_eq!(bench.texts(), ["quince", &compact::marked("S"), "instead"]);
    bench.finish();
    bench.request("thread/rollback", json!({ "threadId": thread, "numTurns": 2 }));
    bench.tell(&thread, "anew");
    assert_eq!(bench.texts(), ["anew"]);
}

#[test]
fn an_interrupt_leaves_the_history_as_it_was() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[say("medlar")], LIMIT);
    bench.tell(&thread, "next");
    bench.tell(&thread, "and more");
    assert!(bench.is_summing_up());
    bench.said.clear();
    bench.request("turn/interrupt", json!({ "threadId": thread, "turnId": "" }));
    assert!(bench.requests.is_empty());
    let completed = bench.order(&["item/completed", "turn/completed", "thread/compacted"]);
    let expected = [
        "item/completed userMessage",
        "item/completed userMessage",
        "item/completed contextCompaction",
        "turn/completed",
    ];
    assert_eq!(completed, expected, "nothing says that the thread was made short");
    assert_eq!(bench.turn_statuses(), ["interrupted"]);

    bench.tell(&thread, "again");
    assert!(bench.is_summing_up());
    let input = bench.body()["input"].to_string();
    assert!(input.contains("medlar"), "{input}");
    bench.answer(&[say("S")], 10);
    let texts = bench.texts();
    assert!(texts.len() == 6 && texts[2].starts_with("<turn_aborted>"), "{texts:?}");
    assert_eq!([&texts[0], &texts[1], &texts[3]], ["quince", "next", "and more"]);
    assert_eq!(texts[4..], [compact::marked("S"), "again".to_owned()]);
}

#[test]
fn a_401_asks_for_new_tokens_and_the_summary_is_asked_for_again() {
    let (mut bench, thread) = Bench::limited("requires_openai_auth = true\n");
    let claims = json!({ "https://api.openai.com/auth": { "chatgpt_account_id": "org" } });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), "x");
    let tokens = json!({ "accessToken": token, "chatgptAccountId": "org" });
    let mut login = tokens.clone();
    login["type"] = "chatgptAuthTokens".into();
    bench.request("account/login/start", login);
    bench.answer(&[say("ok")], LIMIT);
    bench.tell(&thread, "next");
    assert!(bench.is_summing_up());
    let body = bench.body();
    let (id, _) = bench.requests.pop_front().expect("a request");
    let head = HttpHead { status: 401, headers: Vec::new() };
    bench.input(Input::Done(id, Outcome::HttpHead(head)));
    bench.input(Input::Done(id, Outcome::HttpEnd));
    assert!(bench.requests.is_empty());
    let asked = bench.said.iter().find(|line| line["method"] == REFRESH).expect("a question");
    let answer = json!({ "id": asked["id"], "result": tokens });
    bench.line(&answer);
    assert_eq!(bench.body(), body);
    bench.answer(&[say("S")], 10);
    assert_eq!(bench.texts(), ["quince", &compact::marked("S"), "next"]);
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed", "completed"]);
    assert!(bench.notes("error").is_empty());
}

#[test]
fn what_does_not_fit_is_summed_up_without_its_oldest_items() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[function("a", "none", "{}")], 10);
    bench.answer(&[say("medlar")], LIMIT);
    bench.tell(&thread, "next");
    let all = bench.input_items();
    let call = all.iter().position(|item| item["type"] == "function_call").expect("a call");
    let mut left = all.len() - 1;
    while bench.input_items().iter().any(|item| item["type"] == "function_call") {
        bench.overflow();
        assert!(bench.is_summing_up());
        left -= 1;
    }
    assert!(bench.input_items().len() <= all.len() - call - 2 && left > 0);
    assert!(bench.outputs().is_empty(), "a call goes with its output");
    bench.answer(&[say("S")], 10);
    let told = bench.notes("codex/event/background_event");
    let message = told[0]["msg"]["message"].as_str().expect("a text");
    assert!(message.starts_with("Trimmed ") && message.contains(" older thread item(s)"));
    assert_eq!(bench.texts(), ["quince", &compact::marked("S"), "next"], "nothing else is lost");
}

#[test]
fn a_failure_to_sum_up_ends_the_turn_and_loses_nothing() {
    let (mut bench, thread) = Bench::limited("");
    bench.answer(&[say("medlar")], LIMIT);
    bench.tell(&thread, "next");
    let mut tries = 0;
    while !bench.requests.is_empty() {
        bench.overflow();
        tries += 1;
    }
    assert!(tries < 8, "{tries}");
    assert_eq!(bench.turn_statuses(), ["completed", "failed"]);
    let errors = bench.notes("error");
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["error"]["codexErrorInfo"], "contextWindowExceeded");
    assert!(bench.notes("thread/compacted").is_empty());
    bench.tell(&thread, "again");
    let input = bench.body()["input"].to_string();
    assert!(input.contains("medlar") && input.contains("next"), "{input}");
    assert!(bench.is_summing_up());
}

#[test]
fn the_vendors_backend_makes_a_history_short_itself() {
    let (mut bench, thread) = Bench::remote();
    bench.answer(&[say("medlar")], LIMIT);
    bench.tell(&thread, "next");
    let body = bench.body();
    let members: Vec<&str> = body.as_object().expect("a body").keys().map(String::as_str).collect();
    assert_eq!(members, ["input", "instructions", "model"]);
    assert_eq!(bench.texts(), ["quince"], "nothing is asked of the model");
    let summary = json!({ "type": "compaction", "encrypted_content": "sealed" });
    let content = json!([{ "type": "input_text", "text": "quince" }]);
    let said = json!({ "type": "message", "role": "user", "content": content });
    let (id, _) = bench.requests.pop_front().expect("a request");
    let head = HttpHead { status: 200, headers: Vec::new() };
    bench.input(Input::Done(id, Outcome::HttpHead(head)));
    let answer = json!({ "output": [said, summary] }).to_string();
    let (first, second) = answer.as_bytes().split_at(20);
    bench.input(Input::Done(id, Outcome::HttpBytes(first)));
    bench.input(Input::Done(id, Outcome::HttpBytes(second)));
    bench.input(Input::Done(id, Outcome::HttpEnd));
    let input = bench.input_items();
    assert_eq!((&input[..2], input.len()), (&[said, summary][..], 3));
    assert_eq!(bench.texts(), ["quince", "next"]);
    assert_eq!(bench.notes("thread/compacted").len(), 1);
    assert!(bench.notes("codex/event/warning").is_empty());
    bench.finish();

    let mut again = Bench::with("never", "workspace-write", "", bench.files);
    again.finish();
    again.request("thread/resume", json!({ "threadId": thread }));
    again.tell(&thread, "later");
    assert_eq!(again.input_items()[..input.len()], input);
}

#[test]
fn a_backend_that_cannot_make_a_history_short_fails_the_turn() {
    for status in [200, 400] {
        let (mut bench, thread) = Bench::remote();
        bench.answer(&[say("medlar")], LIMIT);
        bench.tell(&thread, "next");
        let mut tries = 0;
        while bench.turn_statuses().len() < 2 {
            assert!(tries < 30, "it ends");
            tries += 1;
            if let Some((id, _)) = bench.requests.pop_front() {
                let head = HttpHead { status, headers: Vec::new() };
                bench.input(Input::Done(id, Outcome::HttpHead(head)));
                bench.input(Input::Done(id, Outcome::HttpBytes(b"{}")));
                bench.input(Input::Done(id, Outcome::HttpEnd));
            } else {
                let (timer, _) = bench.timers.pop().expect("a wait");
                bench.input(Input::TimerFired(timer));
            }
        }
        assert_eq!(bench.turn_statuses(), ["completed", "failed"]);
        let errors = bench.notes("error");
        let message = errors.last().expect("an error")["error"]["message"].as_str();
        let start = "Error running remote compact task: ";
        assert!(message.is_some_and(|message| message.starts_with(start)), "{message:?}");
        bench.tell(&thread, "again");
        assert!(bench.body()["input"].to_string().contains("medlar"));
    }
}
