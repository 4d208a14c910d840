//! Commands of the model: who is asked, with what rights they run, and what is told of them.

use serde_json::{Value, json};

use super::{Bench, function};
use crate::effect::CallId;
use crate::files::MemoryFiles;
use crate::input::{Input, Outcome};
use crate::limits;
use crate::process::OutputStream::{self, Stderr, Stdout};
use crate::process::{ProcessExit, ProcessFailure, ProcessFailureKind, ProcessRequest};

const ASK: &str = "item/commandExecution/requestApproval";
const DELTA: &str = "item/commandExecution/outputDelta";

/// A call of `shell_command`.
fn script(id: &str, line: &str) -> Value {
    function(id, "shell_command", &json!({ "command": line }).to_string())
}

fn escalated(id: &str, line: &str) -> Value {
    let arguments = json!({
        "command": line, "sandbox_permissions": "require_escalated", "justification": "why not",
    });
    function(id, "shell_command", &arguments.to_string())
}

impl Bench {
    fn program(&self) -> &ProcessRequest {
        &self.programs.front().expect("a program").1
    }

    fn writes(&mut self, stream: OutputStream, bytes: &[u8]) {
        let (id, _) = *self.programs.front().expect("a program");
        self.input(Input::Done(id, Outcome::ProcessOutput(stream, bytes)));
    }

    fn ends(&mut self, outcome: Outcome<'_>) -> CallId {
        let (id, _) = self.programs.pop_front().expect("a program");
        self.input(Input::Done(id, outcome));
        id
    }

    fn exits(&mut self, code: i32) -> CallId {
        self.ends(Outcome::ProcessExited(ProcessExit::Code(code)))
    }

    /// The questions about commands.
    fn questions(&self) -> Vec<Value> {
        self.said.iter().filter(|line| line["method"] == ASK).cloned().collect()
    }

    /// Answers the last of them.
    fn answers(&mut self, decision: Value) {
        let id = self.questions().last().expect("a question")["id"].clone();
        self.line(&json!({ "id": id, "result": { "decision": decision } }));
    }

    /// Status, exit code and output of each command that was completed.
    fn commands(&self) -> Vec<(String, Value, Value)> {
        let items = self.notes("item/completed").into_iter().map(|params| params["item"].clone());
        let commands = items.filter(|item| item["type"] == "commandExecution");
        let told = |item: Value| {
            let status = item["status"].as_str().expect("a status").to_owned();
            (status, item["exitCode"].clone(), item["aggregatedOutput"].clone())
        };
        commands.map(told).collect()
    }
}

fn ended(status: &str, code: i32, output: &str) -> (String, Value, Value) {
    (status.to_owned(), json!(code), json!(output))
}

fn unended(status: &str) -> (String, Value, Value) {
    (status.to_owned(), Value::Null, Value::Null)
}

#[test]
fn a_command_runs_in_the_sandbox_and_the_model_gets_its_output() {
    let mut bench = Bench::new("on-request", "workspace-write");
    bench.respond(&[script("c", "make all")]);
    let program = bench.program();
    assert_eq!(program.argv, ["/bin/bash", "-lc", "make all"]);
    assert_eq!(program.cwd.to_str(), Some("/w"));
    let confinement = program.confinement.as_ref().expect("a sandbox");
    assert_eq!(confinement.cwd().to_str(), Some("/w"));
    let off = program.env.0.get("CODEX_SANDBOX_NETWORK_DISABLED");
    assert_eq!(off.map(String::as_str), Some("1"));
    bench.writes(Stdout, b"one\n");
    bench.writes(Stderr, b"two\n");
    bench.writes(Stdout, b"three\n");
    assert!(bench.requests.is_empty());
    bench.exits(0);
    assert_eq!(bench.commands(), [ended("completed", 0, "one\ntwo\nthree\n")]);
    let text = "Exit code: 0\nWall time: 0.4 seconds\nOutput:\none\ntwo\nthree\n";
    assert_eq!(bench.outputs(), [text]);
    assert!(bench.questions().is_empty() && bench.timers.len() == 1, "{:?}", bench.timers);
    let begun = &bench.notes("codex/event/exec_command_begin")[0]["msg"];
    assert_eq!(begun["parsed_cmd"], json!([{ "type": "unknown", "cmd": "make all" }]));
    let end = &bench.notes("codex/event/exec_command_end")[0]["msg"];
    assert_eq!((&end["stdout"], &end["stderr"]), (&json!("one\nthree\n"), &json!("two\n")));
    assert_eq!(end["duration"], json!({ "secs": 0, "nanos": 400_000_000 }));
    let raw = &bench.notes("codex/event/exec_command_output_delta")[1]["msg"];
    assert_eq!((&raw["stream"], &raw["chunk"]), (&json!("stderr"), &json!("dHdvCg==")));
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
}

#[test]
fn with_full_access_there_is_no_sandbox() {
    let mut bench = Bench::new("never", "danger-full-access");
    bench.respond(&[script("c", "make")]);
    assert!(bench.program().confinement.is_none());
    assert!(!bench.program().env.0.contains_key("CODEX_SANDBOX_NETWORK_DISABLED"));
    bench.exits(3);
    assert_eq!(bench.commands(), [("failed".to_owned(), json!(3), Value::Null)]);
    assert!(bench.outputs()[0].starts_with("Exit code: 3\n"));
}

#[test]
fn the_item_is_there_before_the_question_and_an_accepted_command_runs_in_the_sandbox() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[script("c", "touch x")]);
    assert!(bench.programs.is_empty());
    assert!(bench.position("item/started", "commandExecution") < bench.position(ASK, ""));
    let params = &bench.questions()[0]["params"];
    assert_eq!(params["itemId"], "c");
    assert_eq!(params["command"], "/bin/bash -lc 'touch x'");
    assert_eq!(params["proposedExecpolicyAmendment"], json!(["touch", "x"]));
    assert_eq!(params["reason"], Value::Null);
    bench.answers(json!("accept"));
    assert!(bench.program().confinement.is_some());
    bench.exits(0);
    assert_eq!(bench.commands(), [("completed".to_owned(), json!(0), Value::Null)]);
    bench.respond(&[script("d", "touch x")]);
    assert_eq!(bench.questions().len(), 2);
}

#[test]
fn who_accepts_for_the_session_is_asked_again_only_for_something_else() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[script("a", "touch x")]);
    bench.answers(json!("acceptForSession"));
    bench.exits(0);
    bench.respond(&[script("b", "touch x")]);
    bench.exits(0);
    assert_eq!(bench.questions().len(), 1);
    let elsewhere = json!({ "command": "touch x", "workdir": "sub" }).to_string();
    bench.respond(&[function("c", "shell_command", &elsewhere)]);
    assert_eq!(bench.questions().len(), 2);
    assert_eq!(bench.questions()[1]["params"]["cwd"], "/w/sub");
}

#[test]
fn who_accepts_with_a_rule_makes_one() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[script("a", "touch x")]);
    let rule = json!({ "execpolicy_amendment": ["touch"] });
    bench.answers(json!({ "acceptWithExecpolicyAmendment": rule }));
    let saved = bench.files.content("/home/rules/default.rules").expect("a file");
    let line = "prefix_rule(pattern=[\"touch\"], decision=\"allow\")\n";
    assert_eq!(String::from_utf8_lossy(&saved), line);
    // This time it was the user who let it run; the next time it is the rule.
    assert!(bench.program().confinement.is_some());
    bench.exits(0);
    let body = bench.requests.front().expect("a request").1["input"].to_string();
    assert!(body.contains("Approved command prefix saved:\\n- [\\\"touch\\\"]"), "{body}");
    bench.respond(&[script("b", "touch y")]);
    assert!(bench.program().confinement.is_none());
    assert_eq!(bench.questions().len(), 1);
}

#[test]
fn a_rule_that_cannot_be_saved_is_a_warning_and_the_command_runs() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[script("a", "touch x")]);
    let rule = json!({ "execpolicy_amendment": [] });
    bench.answers(json!({ "acceptWithExecpolicyAmendment": rule }));
    let warning = bench.notes("codex/event/warning")[0]["msg"]["message"].clone();
    let text = warning.as_str().expect("a text");
    assert!(text.starts_with("Failed to apply execpolicy amendment: "), "{text}");
    bench.exits(0);
    assert_eq!(bench.commands().len(), 1);
}

#[test]
fn a_no_is_told_to_the_model_and_the_turn_goes_on() {
    let no = [json!({ "result": { "decision": "decline" } }), json!({ "result": null })];
    let failed = json!({ "error": { "code": -1, "message": "gone" } });
    for (mut answer, status) in no.into_iter().map(|a| (a, "declined")).chain([(failed, "failed")])
    {
        let mut bench = Bench::new("untrusted", "workspace-write");
        bench.respond(&[script("c", "touch x")]);
        answer["id"] = bench.questions()[0]["id"].clone();
        bench.line(&answer);
        assert_eq!(bench.commands(), [unended(status)]);
        assert_eq!(bench.outputs(), ["exec command rejected by user"]);
        let end = &bench.notes("codex/event/exec_command_end")[0]["msg"];
        assert_eq!((&end["exit_code"], &end["stdout"]), (&json!(-1), &json!("")));
        bench.finish();
        assert_eq!(bench.turn_statuses(), ["completed"]);
        assert!(bench.programs.is_empty());
    }
}

#[test]
fn cancel_interrupts_the_turn() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[script("c", "touch x"), script("d", "touch y")]);
    bench.answers(json!("cancel"));
    assert_eq!(bench.commands(), [unended("declined")]);
    assert_eq!(bench.turn_statuses(), ["interrupted"]);
    bench.start_turn();
    assert_eq!(bench.outputs(), ["exec command rejected by user", "aborted"]);
    assert!(bench.programs.is_empty());
}

#[test]
fn what_is_refused_by_policy_is_a_failed_item() {
    let rules = "prefix_rule(pattern=[\"curl\"], decision=\"forbidden\")\n\
                 prefix_rule(pattern=[\"git\", \"push\"], decision=\"prompt\")\n";
    let files = MemoryFiles::new().with("/home/rules/a.rules", rules);
    let mut bench = Bench::with("never", "workspace-write", "", files);
    bench.respond(&[
        script("a", "curl x"),
        script("b", "rm -rf foo"),
        script("c", "git push"),
        escalated("d", "ls"),
    ]);
    let texts = [
        "`/bin/bash -lc 'curl x'` rejected: policy forbids commands starting with `curl`",
        "`/bin/bash -lc 'rm -rf foo'` rejected: blocked by policy",
        "approval required by policy, but AskForApproval is set to Never",
    ];
    let outputs = bench.outputs();
    assert_eq!(outputs[..3], texts);
    assert!(outputs[3].starts_with("approval policy is Never; reject command"), "{outputs:?}");
    assert_eq!(bench.commands(), texts.map(|text| ended("failed", -1, text)));
    assert!(bench.programs.is_empty() && bench.questions().is_empty());
}

#[test]
fn who_wants_to_leave_the_sandbox_is_asked_about_just_that() {
    let mut bench = Bench::new("on-request", "workspace-write");
    bench.respond(&[escalated("c", "make install")]);
    assert_eq!(bench.questions()[0]["params"]["reason"], "why not");
    bench.answers(json!("accept"));
    assert!(bench.program().confinement.is_none());
    let off = bench.program().env.0.get("CODEX_SANDBOX_NETWORK_DISABLED");
    assert_eq!(off.map(String::as_str), Some("1"));
}

#[test]
fn a_second_try_without_a_sandbox_is_a_question_of_its_own() {
    for policy in ["untrusted", "on-failure"] {
        for agrees in [true, false] {
            let mut bench = Bench::new(policy, "workspace-write");
            bench.respond(&[script("c", "touch /etc/x")]);
            if policy == "untrusted" {
                bench.answers(json!("accept"));
            }
            let before = bench.questions().len();
            assert!(bench.program().confinement.is_some());
            bench.writes(Stderr, b"touch: /etc/x: Permission denied\n");
            bench.exits(1);
            assert!(bench.programs.is_empty() && bench.commands().is_empty());
            let asked = bench.questions();
            assert_eq!(asked.len(), before + 1);
            let reason = &asked[before]["params"]["reason"];
            assert_eq!(reason, "command failed; retry without sandbox?");
            if !agrees {
                bench.answers(json!("decline"));
                assert_eq!(bench.commands(), [unended("declined")]);
                continue;
            }
            bench.answers(json!("accept"));
            assert!(bench.program().confinement.is_none());
            bench.exits(0);
            assert_eq!(bench.commands(), [("completed".to_owned(), json!(0), Value::Null)]);
        }
    }
    for policy in ["never", "on-request"] {
        let mut bench = Bench::new(policy, "read-only");
        bench.respond(&[script("c", "touch x")]);
        bench.writes(Stderr, b"Read-only file system\n");
        bench.exits(1);
        assert_eq!(bench.commands(), [ended("failed", 1, "Read-only file system\n")]);
        assert!(bench.questions().is_empty() && bench.programs.is_empty());
    }
}

#[test]
fn without_a_sandbox_to_be_had_nothing_runs_unasked() {
    let none =
        || ProcessFailure { kind: ProcessFailureKind::NoSandbox, text: "no landlock".to_owned() };
    let mut bench = Bench::new("never", "workspace-write");
    bench.respond(&[script("c", "make")]);
    bench.ends(Outcome::ProcessFailed(none()));
    assert_eq!(bench.outputs(), ["execution error: no landlock"]);
    assert_eq!(bench.commands(), [ended("failed", -1, "execution error: no landlock")]);
    let mut bench = Bench::new("on-failure", "workspace-write");
    bench.respond(&[script("c", "make")]);
    bench.ends(Outcome::ProcessFailed(none()));
    assert_eq!(bench.questions().len(), 1);
    assert!(bench.programs.is_empty());
}

#[test]
fn a_program_that_cannot_be_started_or_is_lost_is_a_failed_item() {
    let mut bench = Bench::new("never", "danger-full-access");
    bench.respond(&[script("c", "make"), script("d", "make")]);
    let text = "No such file or directory (os error 2)".to_owned();
    bench.ends(Outcome::ProcessFailed(ProcessFailure { kind: ProcessFailureKind::Folder, text }));
    bench.ends(Outcome::Lost);
    let outputs = bench.outputs();
    assert_eq!(outputs[0], "execution error: No such file or directory (os error 2)");
    assert!(outputs[1].contains("may have run"), "{outputs:?}");
    assert_eq!(bench.commands().len(), 2);
}

#[test]
fn a_command_that_runs_too_long_is_killed_and_keeps_its_output() {
    let mut bench = Bench::new("never", "workspace-write");
    let arguments = json!({ "command": "sleep 99", "timeout_ms": 1500 }).to_string();
    bench.respond(&[function("c", "shell_command", &arguments)]);
    bench.writes(Stdout, b"so far\n");
    let (timer, after) = *bench.timers.last().expect("a timer");
    assert_eq!(after.as_millis(), 1500);
    bench.input(Input::TimerFired(timer));
    assert_eq!(bench.killed, [bench.programs[0].0]);
    bench.ends(Outcome::ProcessExited(ProcessExit::Signal(9)));
    assert_eq!(bench.commands(), [ended("failed", 124, "so far\n")]);
    let text = "Output:\ncommand timed out after 1500 milliseconds\nso far\n";
    assert!(bench.outputs()[0].starts_with("Exit code: 124\n"));
    assert!(bench.outputs()[0].ends_with(text), "{:?}", bench.outputs());
    bench.respond(&[script("d", "sleep 99")]);
    assert_eq!(bench.timers.last().expect("a timer").1, limits::SHELL_LIMIT);
}

#[test]
fn a_signal_is_an_exit_code_and_keeps_the_output() {
    let mut bench = Bench::new("never", "danger-full-access");
    bench.respond(&[script("c", "x")]);
    bench.writes(Stdout, b"out");
    bench.ends(Outcome::ProcessExited(ProcessExit::Signal(11)));
    assert_eq!(bench.commands(), [ended("failed", 139, "out")]);
}

#[test]
fn an_interrupt_kills_the_program_and_completes_the_item_first() {
    let mut bench = Bench::new("never", "workspace-write");
    bench.respond(&[script("c", "sleep 30"), script("d", "touch x")]);
    bench.writes(Stdout, b"so far");
    let program = bench.programs[0].0;
    bench.interrupt();
    assert_eq!(bench.killed, [program]);
    let expected = ("failed".to_owned(), Value::Null, json!("so far"));
    assert_eq!(bench.commands(), [expected]);
    let completed = bench.said.iter().rposition(|line| line["method"] == "item/completed");
    assert!(completed < Some(bench.position("turn/completed", "")));
    bench.start_turn();
    let outputs = bench.outputs();
    assert_eq!(outputs, ["Wall time: 0.2 seconds\naborted by user", "aborted"]);
    // What still comes of it finds nobody.
    bench.input(Input::Done(program, Outcome::ProcessExited(ProcessExit::Code(0))));
    assert_eq!(bench.commands().len(), 1);
}

#[test]
fn an_interrupt_withdraws_the_question_and_a_late_answer_changes_nothing() {
    for late in ["accept", "decline", "cancel"] {
        let mut bench = Bench::new("untrusted", "workspace-write");
        bench.respond(&[script("c", "touch x")]);
        bench.interrupt();
        assert_eq!(bench.commands(), [unended("failed")]);
        bench.start_turn();
        bench.answers(json!(late));
        assert_eq!(bench.turn_statuses(), ["interrupted"], "{late}");
        assert!(bench.programs.is_empty() && bench.commands().len() == 1);
    }
}

#[test]
fn deltas_never_cut_a_character_and_come_to_an_end() {
    let mut bench = Bench::new("never", "danger-full-access");
    bench.respond(&[script("c", "x")]);
    for bytes in [&b"a\xe2\x82"[..], b"\xac", b"\xff", b"\xe2"] {
        bench.writes(Stdout, bytes);
    }
    for _ in 0..limits::SHELL_DELTAS_MAX + 5 {
        bench.writes(Stderr, b"e");
    }
    bench.writes(Stdout, b"\x82");
    bench.exits(0);
    let deltas = bench.notes(DELTA);
    let text: String = deltas.iter().map(|params| params["delta"].as_str().unwrap()).collect();
    let errors = limits::SHELL_DELTAS_MAX as usize;
    assert_eq!(text.replace('e', ""), "a€\u{fffd}\u{fffd}");
    assert_eq!(text.matches('e').count(), errors);
    let raw = bench.notes("codex/event/exec_command_output_delta");
    assert_eq!(raw.len(), errors + 5);
    let output = bench.commands()[0].2.as_str().expect("a text").to_owned();
    assert_eq!(output.matches('e').count(), errors + 5);
}

#[test]
fn what_only_reads_runs_side_by_side_and_the_rest_alone() {
    let mut bench = Bench::new("never", "workspace-write");
    let calls = [
        script("a", "cat a"),
        script("b", "ls"),
        script("c", "touch x"),
        script("d", "cat d"),
        script("e", "cat e"),
    ];
    bench.respond(&calls);
    assert_eq!(bench.programs.len(), 2);
    // The second ends first; outputs keep the order of the calls.
    bench.programs.swap(0, 1);
    bench.writes(Stdout, b"second");
    bench.exits(0);
    assert_eq!(bench.programs.len(), 1);
    bench.writes(Stdout, b"first");
    bench.exits(0);
    assert_eq!(bench.programs.len(), 1);
    assert_eq!(bench.program().argv[2], "touch x");
    bench.exits(0);
    assert_eq!(bench.programs.len(), 2);
    bench.exits(0);
    assert!(bench.requests.is_empty());
    bench.exits(0);
    let outputs = bench.outputs();
    assert_eq!(outputs.len(), 5);
    assert!(outputs[0].ends_with("first") && outputs[1].ends_with("second"));
}

#[test]
fn the_other_tools_take_words_and_answer_in_json() {
    let mut bench = Bench::new("never", "danger-full-access");
    let words = json!({ "command": ["make", "-j"], "timeout": 5, "more": 1 }).to_string();
    let local = json!({
        "type": "local_shell_call", "call_id": "l", "status": "completed",
        "action": { "type": "exec", "command": ["make"], "working_directory": "/x" },
    });
    bench.respond(&[
        function("a", "shell", &words),
        function("b", "container.exec", &words),
        local,
        function("c", "shell", r#"{"command":[]}"#),
        function("d", "shell_command", "{not json"),
        function("e", "shell", r#"{"command":"x"}"#),
    ]);
    assert_eq!(bench.program().argv, ["make", "-j"]);
    bench.writes(Stdout, b"hi");
    bench.exits(0);
    bench.exits(0);
    assert_eq!(bench.program().cwd.to_str(), Some("/x"));
    bench.exits(0);
    let outputs = bench.outputs();
    let json = r#"{"metadata":{"duration_seconds":0.2,"exit_code":0},"output":"hi"}"#;
    assert_eq!(outputs[0], json);
    assert_eq!(outputs[3], "command args are empty");
    let fault = "failed to parse function arguments: ";
    assert_eq!(outputs[4], format!("{fault}key must be a string at line 1 column 2"));
    assert!(outputs[5].starts_with(&format!("{fault}invalid type: string")), "{outputs:?}");
    assert_eq!(bench.commands().len(), 3);
}

#[test]
fn without_the_feature_there_is_no_shell() {
    let off = "[features]\nshell_tool = false\n";
    let mut bench = Bench::with("never", "read-only", off, MemoryFiles::new());
    let tools = &bench.requests.front().expect("a request").1["tools"];
    assert!(tools.as_array().unwrap().iter().all(|tool| tool["name"] != "shell"), "{tools}");
    bench.respond(&[script("c", "ls")]);
    assert_eq!(bench.outputs(), ["unsupported call: shell_command"]);
    let bench = Bench::new("never", "read-only");
    let tools = &bench.requests.front().expect("a request").1["tools"];
    assert_eq!(tools[0]["name"], "shell");
    let properties = tools[0]["parameters"]["properties"].as_object().expect("properties");
    let names: Vec<_> = properties.keys().map(String::as_str).collect();
    let expected =
        ["command", "justification", "prefix_rule", "sandbox_permissions", "timeout_ms", "workdir"];
    assert_eq!(names, expected);
}

#[test]
fn a_patch_in_a_command_is_a_change_of_files() {
    let mut bench = Bench::new("never", "workspace-write");
    bench.files.folder("/w/sub");
    let patch = super::PATCH;
    let line = format!("cd sub && apply_patch <<'EOF'\n{patch}\nEOF\n");
    bench.respond(&[
        script("c", &line),
        function("d", "shell", &json!({ "command": [patch] }).to_string()),
    ]);
    assert!(bench.has("/w/sub/note.txt") && bench.programs.is_empty());
    assert_eq!(bench.changes(), ["completed"]);
    assert!(bench.commands().is_empty());
    let outputs = bench.outputs();
    assert!(outputs[0].contains("A note.txt"), "{outputs:?}");
    assert!(outputs[1].starts_with("apply_patch verification failed: patch detected"));
    let body = bench.requests.front().expect("a request").1["input"].to_string();
    assert!(body.contains("apply_patch was requested via shell_command"), "{body}");
}

#[test]
fn a_host_of_the_older_dialect_is_asked_in_it() {
    for (decision, runs) in [("approved", true), ("denied", false)] {
        let mut bench = Bench::new("untrusted", "workspace-write");
        bench.finish();
        bench.request("newConversation", json!({ "cwd": "/w" }));
        let made = bench.said.iter().find_map(|line| line["result"]["conversationId"].as_str());
        let id = made.expect("a conversation").to_owned();
        bench.request("addConversationListener", json!({ "conversationId": id }));
        let items = json!([{ "type": "text", "data": { "text": "go" } }]);
        bench.request("sendUserMessage", json!({ "conversationId": id, "items": items }));
        bench.respond(&[script("c", "touch x")]);
        let ask = bench.said.iter().find(|line| line["method"] == "execCommandApproval");
        let ask = ask.expect("a question").clone();
        assert_eq!(ask["params"]["command"], json!(["/bin/bash", "-lc", "touch x"]));
        bench.line(&json!({ "id": ask["id"], "result": { "decision": decision } }));
        assert_eq!(bench.programs.len(), usize::from(runs));
    }
}
