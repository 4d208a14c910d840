//! Programs that the model leaves running, and the user's program that is told of turns.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, function};
use crate::effect::CallId;
use crate::files::MemoryFiles;
use crate::input::{Input, Outcome};
use crate::limits;
use crate::process::OutputStream::Stdout;
use crate::process::{ProcessExit, Stdio};

const FEATURE: &str = "[features]\nunified_exec = true\n";

fn bench(policy: &str, sandbox: &str) -> Bench {
    Bench::with(policy, sandbox, FEATURE, MemoryFiles::new())
}

fn exec(id: &str, more: Value) -> Value {
    let mut arguments = json!({ "cmd": "python3 -i" });
    for (name, value) in more.as_object().expect("an object") {
        arguments[name] = value.clone();
    }
    function(id, "exec_command", &arguments.to_string())
}

fn typing(id: &str, session: &str, chars: &str) -> Value {
    let session: i64 = session.parse().expect("a number");
    let arguments = json!({ "session_id": session, "chars": chars });
    function(id, "write_stdin", &arguments.to_string())
}

impl Bench {
    fn timer_fires(&mut self) -> Duration {
        let (timer, after) = self.timers.pop().expect("a timer");
        self.input(Input::TimerFired(timer));
        after
    }

    fn says(&mut self, call: CallId, bytes: &[u8]) {
        self.input(Input::Done(call, Outcome::ProcessOutput(Stdout, bytes)));
    }

    fn ends_with(&mut self, call: CallId, code: i32) {
        self.programs.retain(|(id, _)| *id != call);
        self.input(Input::Done(call, Outcome::ProcessExited(ProcessExit::Code(code))));
    }

    /// The item of each command that was completed.
    fn items(&self) -> Vec<Value> {
        let items = self.notes("item/completed").into_iter().map(|params| params["item"].clone());
        items.filter(|item| item["type"] == "commandExecution").collect()
    }
}

/// The session that an output names.
fn session(output: &str) -> String {
    let (_, rest) = output.split_once("session ID ").expect("a session");
    rest.lines().next().expect("a line").to_owned()
}

#[test]
fn a_program_that_ends_soon_is_like_any_other() {
    let mut bench = bench("never", "workspace-write");
    let tools = &bench.requests.front().expect("a request").1["tools"];
    assert_eq!(
        (&tools[0]["name"], &tools[1]["name"]),
        (&json!("exec_command"), &json!("write_stdin"))
    );
    bench.respond(&[exec("c", json!({}))]);
    let (call, request) = bench.programs[0].clone();
    assert_eq!(request.argv, ["/bin/bash", "-lc", "python3 -i"]);
    assert_eq!((request.stdio, request.confinement.is_some()), (Stdio::Pipes, true));
    assert_eq!(request.env.0.get("TERM").map(String::as_str), Some("dumb"));
    bench.says(call, b"hi\n");
    bench.ends_with(call, 0);
    let output = &bench.outputs()[0];
    let (_, rest) = output.split_once('\n').expect("lines");
    assert!(output.starts_with("Chunk ID: "), "{output}");
    let expected = "Wall time: 0.2000 seconds\nProcess exited with code 0\n\
                    Original token count: 1\nOutput:\nhi\n";
    assert_eq!(rest, expected);
    let item = &bench.items()[0];
    assert_eq!((&item["status"], &item["exitCode"]), (&json!("completed"), &json!(0)));
    let begun = bench.notes("codex/event/exec_command_begin")[0]["msg"].clone();
    assert_eq!(
        (&begun["source"], &begun["process_id"]),
        (&json!("unified_exec_startup"), &item["processId"])
    );
}

#[test]
fn a_program_outlives_its_call_and_its_turn() {
    let mut bench = bench("never", "danger-full-access");
    bench.respond(&[exec("c", json!({ "tty": true, "yield_time_ms": 1 }))]);
    let (call, request) = bench.programs[0].clone();
    assert_eq!(request.stdio, Stdio::Terminal { rows: 24, columns: 80 });
    bench.says(call, b">>> ");
    assert_eq!(bench.timer_fires(), limits::SESSION_WAIT_MIN);
    let id = session(&bench.outputs()[0]);
    assert!(bench.outputs()[0].ends_with("Output:\n>>> "));
    assert!(bench.items().is_empty(), "it still runs");
    bench.respond(&[typing("d", &id, "1\n")]);
    assert_eq!(bench.fed, [(call, b"1\n".to_vec())]);
    let typed = &bench.notes("item/commandExecution/terminalInteraction")[0];
    assert_eq!((&typed["itemId"], &typed["stdin"]), (&json!("c"), &json!("1\n")));
    bench.says(call, b"1\n>>> ");
    bench.timer_fires();
    assert!(bench.outputs()[1].ends_with("Output:\n1\n>>> "), "{:?}", bench.outputs());
    // The turn ends before the program: its item is completed with it.
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
    let item = &bench.items()[0];
    assert_eq!(
        (&item["exitCode"], &item["aggregatedOutput"]),
        (&Value::Null, &json!(">>> 1\n>>> "))
    );
    let deltas = bench.notes("item/commandExecution/outputDelta").len();
    bench.says(call, b"late");
    assert_eq!(bench.notes("item/commandExecution/outputDelta").len(), deltas);
    bench.start_turn();
    bench.respond(&[typing("e", &id, "")]);
    assert_eq!(bench.timers.last().expect("a timer").1, limits::SESSION_LOOK_MIN);
    bench.ends_with(call, 3);
    let output = bench.outputs()[2].clone();
    assert!(output.contains("Process exited with code 3\n") && output.ends_with("late"));
    bench.respond(&[typing("f", &id, "")]);
    let text = format!("write_stdin failed: Unknown process id {id}");
    assert_eq!(bench.outputs()[3], text);
    assert_eq!(bench.items().len(), 1);
}

#[test]
fn a_program_that_ends_between_calls_completes_its_item() {
    let mut bench = bench("never", "danger-full-access");
    bench.respond(&[exec("c", json!({}))]);
    let call = bench.programs[0].0;
    bench.timer_fires();
    let id = session(&bench.outputs()[0]);
    bench.says(call, b"x");
    bench.ends_with(call, 0);
    let item = &bench.items()[0];
    assert_eq!((&item["status"], &item["aggregatedOutput"]), (&json!("completed"), &json!("x")));
    assert_eq!(bench.notes("codex/event/exec_command_end").len(), 1);
    bench.respond(&[typing("d", &id, "y"), typing("e", &id, "")]);
    let outputs = bench.outputs();
    assert!(outputs[1].starts_with("write_stdin failed: stdin is closed for this session"));
    assert!(outputs[2].ends_with("Output:\nx"), "{outputs:?}");
}

#[test]
fn an_interrupt_kills_all_of_them() {
    let mut bench = bench("never", "danger-full-access");
    bench.respond(&[exec("c", json!({}))]);
    bench.timer_fires();
    bench.finish();
    bench.start_turn();
    bench.respond(&[exec("d", json!({}))]);
    bench.timer_fires();
    bench.respond(&[exec("e", json!({}))]);
    let running: Vec<CallId> = bench.programs.iter().map(|(call, _)| *call).collect();
    assert_eq!(running.len(), 3);
    bench.interrupt();
    bench.killed.sort();
    assert_eq!(bench.killed, running);
    let statuses: Vec<_> = bench.items().iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, ["completed", "failed", "failed"]);
    bench.start_turn();
    assert!(bench.outputs().last().expect("an output").starts_with("aborted by user after 0."));
}

#[test]
fn a_thread_that_is_put_away_leaves_nothing_running() {
    let mut bench = bench("never", "danger-full-access");
    bench.respond(&[exec("c", json!({}))]);
    let call = bench.programs[0].0;
    bench.timer_fires();
    bench.finish();
    assert!(bench.killed.is_empty());
    let params = json!({ "threadId": bench.thread() });
    bench.request("thread/archive", params);
    assert_eq!(bench.killed, [call]);
}

#[test]
fn so_many_stay_open_and_no_more() {
    let mut bench = bench("never", "danger-full-access");
    let mut first = None;
    for n in 0..=limits::SESSIONS_MAX {
        bench.respond(&[exec(&format!("c{n}"), json!({}))]);
        first.get_or_insert(bench.programs[0].0);
        bench.timer_fires();
    }
    assert_eq!(bench.killed, [first.expect("a program")]);
    assert_eq!(bench.programs.len(), limits::SESSIONS_MAX);
    let ids: std::collections::BTreeSet<_> =
        bench.outputs().iter().map(|output| session(output)).collect();
    assert_eq!(ids.len(), limits::SESSIONS_MAX + 1);
    let body = bench.requests.front().expect("a request").1["input"].to_string();
    assert!(body.contains("you currently have 60 processes open"));
}

#[test]
fn who_wants_to_leave_the_sandbox_under_another_policy_cannot_ask() {
    let mut bench = bench("never", "workspace-write");
    bench.respond(&[exec("c", json!({ "sandbox_permissions": "require_escalated" }))]);
    assert!(bench.outputs()[0].contains("you cannot ask"), "{:?}", bench.outputs());
    let mut bench = Bench::new("never", "workspace-write");
    bench.respond(&[exec("c", json!({})), typing("d", "1000", "")]);
    let texts = ["unsupported call: exec_command", "unsupported call: write_stdin"];
    assert_eq!(bench.outputs(), texts);
}

#[test]
fn the_users_program_is_told_of_a_turn_that_was_completed() {
    let files = MemoryFiles::new();
    let mut bench = Bench::with("never", "read-only", "[features]\n", files);
    bench.finish();
    assert!(bench.programs.is_empty(), "nobody asked for it");
    let files = MemoryFiles::new().with("/etc/codex/config.toml", "notify = [\"tell\", \"me\"]\n");
    let mut bench = Bench::with("never", "read-only", "", files);
    bench.finish();
    let (call, request) = bench.programs[0].clone();
    assert_eq!(request.argv[..2], ["tell", "me"]);
    assert!(request.confinement.is_none());
    let told: Value = serde_json::from_str(&request.argv[2]).expect("JSON");
    assert_eq!(told["type"], "agent-turn-complete");
    assert_eq!((&told["cwd"], &told["thread-id"]), (&json!("/w"), &json!(bench.thread())));
    assert_eq!(told["input-messages"], json!(["go"]));
    assert_eq!(told["last-assistant-message"], "done");
    bench.ends_with(call, 1);
    bench.start_turn();
    bench.interrupt();
    assert!(bench.programs.is_empty(), "an interrupted turn is nothing to tell of");
}
