//! Turns whose model calls tools, over files in memory and a backend that the test plays.

mod commands;
mod compacting;
mod hosted;
mod looks;
mod pictures;
mod prompts;
mod rights;
mod sessions;
mod skills;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::effect::{Call, CallId, Effect, Feed, TimerId};
use crate::files::{Disk, FileJob, MemoryFiles, NoKeyring};
use crate::input::{HttpHead, Input, Outcome};
use crate::process::ProcessRequest;
use crate::{Machine, Now, Setup};

const PATCH: &str = "*** Begin Patch\n*** Add File: note.txt\n+hello\n*** End Patch";
const OUTSIDE: &str = "*** Begin Patch\n*** Add File: /etc/note\n+hello\n*** End Patch";

/// A host, its files and the backend around one machine.
struct Bench {
    machine: Machine,
    files: MemoryFiles,
    /// Model requests that run, with their bodies.
    requests: VecDeque<(CallId, Value)>,
    /// Jobs that carry patches out or look at files for the model are kept here, if they are to be held back.
    held: Option<Vec<(CallId, FileJob)>>,
    /// Programs that run.
    programs: VecDeque<(CallId, ProcessRequest)>,
    /// Programs that were told to die, and those that were killed with their call.
    killed: Vec<CallId>,
    /// What was typed into programs.
    fed: Vec<(CallId, Vec<u8>)>,
    /// Timers that run.
    timers: Vec<(TimerId, Duration)>,
    /// What the machine has written.
    said: Vec<Value>,
    mono: Duration,
    next_id: u64,
}

impl Bench {
    /// A thread in `/w` under an approval policy, its turn begun and its first request out.
    fn new(policy: &str, sandbox: &str) -> Self {
        Self::with(policy, sandbox, "", MemoryFiles::new())
    }

    /// The same with more files, and more settings for the end of the configuration.
    fn with(policy: &str, sandbox: &str, more: &str, files: MemoryFiles) -> Self {
        let config = format!(
            "model_provider = \"mock\"\nmodel = \"mock-model\"\napproval_policy = \"{policy}\"\n\
             sandbox_mode = \"{sandbox}\"\n[model_providers.mock]\nname = \"mock\"\n\
             base_url = \"http://mock/v1\"\nwire_api = \"responses\"\n{more}"
        );
        let files = files.with("/home/config.toml", config);
        files.folder("/w");
        files.folder("/etc");
        let now = Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH);
        let mut bench = Self {
            machine: Machine::new(Setup::new("/home", "/w"), [7; 32], now),
            files,
            requests: VecDeque::new(),
            held: None,
            programs: VecDeque::new(),
            killed: Vec::new(),
            fed: Vec::new(),
            timers: Vec::new(),
            said: Vec::new(),
            mono: Duration::ZERO,
            next_id: 1,
        };
        bench.settle();
        bench.request("initialize", json!({ "clientInfo": { "name": "t", "version": "1" } }));
        bench.request("thread/start", json!({ "cwd": "/w" }));
        bench.start_turn();
        bench
    }

    fn thread(&self) -> String {
        let started = self.notes("thread/started");
        started[0]["thread"]["id"].as_str().expect("an id").to_owned()
    }

    fn start_turn(&mut self) {
        let input = json!([{ "type": "text", "text": "go" }]);
        let params = json!({ "threadId": self.thread(), "input": input });
        self.request("turn/start", params);
    }

    fn interrupt(&mut self) {
        let params = json!({ "threadId": self.thread(), "turnId": "" });
        self.request("turn/interrupt", params);
    }

    fn request(&mut self, method: &str, params: Value) {
        let id = self.next_id;
        self.next_id += 1;
        self.line(&json!({ "id": id, "method": method, "params": params }));
    }

    /// Answers the question that was put last.
    fn decide(&mut self, decision: &str) {
        let id = self.asked().last().expect("a question")["id"].clone();
        self.line(&json!({ "id": id, "result": { "decision": decision } }));
    }

    fn line(&mut self, line: &Value) {
        let bytes = format!("{line}\n");
        self.input(Input::Bytes(bytes.as_bytes()));
    }

    fn input(&mut self, input: Input<'_>) {
        self.mono += Duration::from_millis(100);
        let now = Now::new(self.mono, Timestamp::UNIX_EPOCH);
        self.machine.handle(now, input);
        self.settle();
    }

    /// Carries out everything but model requests, until nothing is left to do.
    fn settle(&mut self) {
        let mut jobs = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Start(id, call) => match *call {
                    Call::Files(job) => jobs.push((id, job)),
                    Call::Http(request) => {
                        let body = request.body.concat();
                        let body = serde_json::from_str(&body).expect("a body in JSON");
                        self.requests.push_back((id, body));
                    }
                    Call::Process(request) => self.programs.push_back((id, *request)),
                    other => panic!("{other:?}"),
                },
                Effect::Cancel(id) => {
                    self.requests.retain(|(call, _)| *call != id);
                    if self.programs.iter().any(|(call, _)| *call == id) {
                        self.programs.retain(|(call, _)| *call != id);
                        self.killed.push(id);
                    }
                }
                Effect::Feed(id, Feed::Kill) => self.killed.push(id),
                Effect::Feed(id, Feed::Stdin(bytes)) => self.fed.push((id, bytes)),
                Effect::StartTimer(id, after) => self.timers.push((id, after)),
                Effect::CancelTimer(id) => self.timers.retain(|(timer, _)| *timer != id),
                Effect::Send => {
                    let bytes = self.machine.pending_output().to_vec();
                    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    self.said.extend(lines.map(|l| serde_json::from_slice(l).expect("JSON")));
                    self.machine.wrote(bytes.len());
                }
                _ => {}
            }
        }
        for (id, job) in jobs {
            match (&mut self.held, job) {
                (
                    Some(held),
                    job @ (FileJob::CommitPatch(_) | FileJob::Images(_) | FileJob::Look(_)),
                ) => {
                    held.push((id, job));
                }
                (_, job) => self.run(id, job),
            }
        }
    }

    fn run(&mut self, id: CallId, job: FileJob) {
        let answer = job.run(Disk { files: &self.files, keyring: &NoKeyring });
        self.input(Input::Done(id, Outcome::Files(Box::new(answer))));
    }

    /// Lets the jobs that were held back run.
    fn release(&mut self) {
        for (id, job) in self.held.take().unwrap_or_default() {
            self.run(id, job);
        }
    }

    /// The model answers with these items.
    fn respond(&mut self, items: &[Value]) {
        let (id, _) = self.requests.pop_front().expect("a request");
        let head = HttpHead { status: 200, headers: Vec::new() };
        self.input(Input::Done(id, Outcome::HttpHead(head)));
        let done =
            items.iter().map(|item| json!({ "type": "response.output_item.done", "item": item }));
        let end = json!({ "type": "response.completed", "response": { "id": "r" } });
        let stream: String = done.chain([end]).map(|event| format!("data: {event}\n\n")).collect();
        self.input(Input::Done(id, Outcome::HttpBytes(stream.as_bytes())));
    }

    fn finish(&mut self) {
        self.respond(&[json!({
            "type": "message", "role": "assistant", "id": "m",
            "content": [{ "type": "output_text", "text": "done" }],
        })]);
    }

    /// The outputs that the model gets with the request that runs.
    fn outputs(&self) -> Vec<String> {
        let (_, body) = self.requests.front().expect("a request");
        let input = body["input"].as_array().expect("items");
        let is_output =
            |item: &&Value| item["type"].as_str().is_some_and(|t| t.ends_with("_output"));
        input.iter().filter(is_output).map(|i| i["output"].as_str().unwrap().to_owned()).collect()
    }

    fn notes(&self, method: &str) -> Vec<Value> {
        let is_it = |line: &&Value| line["method"] == method;
        self.said.iter().filter(is_it).map(|line| line["params"].clone()).collect()
    }

    fn asked(&self) -> Vec<&Value> {
        let method = "item/fileChange/requestApproval";
        self.said.iter().filter(|line| line["method"] == method).collect()
    }

    /// The status of every change of files that was completed.
    fn changes(&self) -> Vec<String> {
        let items = self.notes("item/completed");
        let changes = items.iter().filter(|params| params["item"]["type"] == "fileChange");
        changes.map(|params| params["item"]["status"].as_str().unwrap().to_owned()).collect()
    }

    fn turn_statuses(&self) -> Vec<String> {
        let turns = self.notes("turn/completed");
        turns.iter().map(|turn| turn["turn"]["status"].as_str().unwrap().to_owned()).collect()
    }

    fn position(&self, method: &str, kind: &str) -> usize {
        let is_it = |line: &Value| {
            line["method"] == method && (kind.is_empty() || line["params"]["item"]["type"] == kind)
        };
        self.said.iter().position(is_it).unwrap_or_else(|| panic!("no {method}"))
    }

    fn has(&self, path: &str) -> bool {
        self.files.content(Path::new(path)).is_some()
    }
}

fn patch(id: &str, text: &str) -> Value {
    json!({ "type": "custom_tool_call", "call_id": id, "name": "apply_patch", "input": text })
}

fn function(id: &str, name: &str, arguments: &str) -> Value {
    json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments })
}

#[test]
fn what_stays_in_the_workspace_runs_unasked() {
    let mut bench = Bench::new("on-request", "workspace-write");
    bench.respond(&[patch("p", PATCH)]);
    assert!(bench.asked().is_empty());
    assert_eq!(bench.files.content("/w/note.txt").as_deref(), Some(&b"hello\n"[..]));
    assert_eq!(bench.changes(), ["completed"]);
    let report = "Success. Updated the following files:\nA note.txt\n";
    assert_eq!(bench.notes("item/fileChange/outputDelta")[0]["delta"], report);
    let diff = bench.notes("turn/diff/updated");
    assert_eq!(diff.len(), 1);
    assert!(diff[0]["diff"].as_str().unwrap().contains("+hello"));
    assert!(bench.outputs()[0].contains("A note.txt"), "{:?}", bench.outputs());
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"]);
}

#[test]
fn calls_run_in_order_and_the_next_request_waits_for_all() {
    let mut bench = Bench::new("on-request", "workspace-write");
    bench.held = Some(Vec::new());
    let again = "*** Begin Patch\n*** Update File: note.txt\n-hello\n+again\n*** End Patch";
    let arguments = json!({ "input": again }).to_string();
    bench.respond(&[patch("p", PATCH), function("q", "apply_patch", &arguments)]);
    assert!(bench.requests.is_empty(), "the model is not asked before its calls are done");
    bench.release();
    assert_eq!(bench.files.content("/w/note.txt").as_deref(), Some(&b"again\n"[..]));
    assert_eq!(bench.changes(), ["completed", "completed"]);
    let outputs = bench.outputs();
    assert!(outputs[0].contains("A note.txt") && outputs[1].contains("M note.txt"));
}

#[test]
fn an_accepted_patch_is_made_after_its_item_and_the_question() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[patch("p", PATCH)]);
    assert!(!bench.has("/w/note.txt"));
    let started = bench.position("item/started", "fileChange");
    assert!(started < bench.position("item/fileChange/requestApproval", ""));
    assert_eq!(bench.asked()[0]["params"]["itemId"], "p");
    bench.decide("accept");
    assert!(bench.has("/w/note.txt"));
    assert_eq!(bench.changes(), ["completed"]);
    assert!(bench.outputs()[0].contains("Success"));
}

#[test]
fn who_accepts_for_the_session_is_not_asked_again_for_the_same_files() {
    let mut bench = Bench::new("on-request", "read-only");
    bench.respond(&[patch("p", PATCH)]);
    bench.decide("acceptForSession");
    let again = "*** Begin Patch\n*** Delete File: note.txt\n*** End Patch";
    bench.respond(&[patch("q", again)]);
    assert_eq!((bench.asked().len(), bench.has("/w/note.txt")), (1, false));
    bench.respond(&[patch("r", OUTSIDE)]);
    assert_eq!(bench.asked().len(), 2);
}

#[test]
fn a_no_is_told_to_the_model_and_the_turn_goes_on() {
    let no = [json!({ "result": { "decision": "decline" } }), json!({ "result": null })];
    let failed = json!({ "error": { "code": -1, "message": "gone" } });
    for (mut answer, status) in no.into_iter().map(|a| (a, "declined")).chain([(failed, "failed")])
    {
        let mut bench = Bench::new("untrusted", "workspace-write");
        bench.respond(&[patch("p", PATCH)]);
        answer["id"] = bench.asked()[0]["id"].clone();
        bench.line(&answer);
        assert_eq!(bench.changes(), [status]);
        assert_eq!(bench.outputs(), ["patch rejected by user"]);
        bench.finish();
        assert_eq!(bench.turn_statuses(), ["completed"]);
        assert!(!bench.has("/w/note.txt"));
    }
}

#[test]
fn cancel_interrupts_the_turn() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.respond(&[patch("p", PATCH), patch("q", PATCH)]);
    bench.decide("cancel");
    assert_eq!(bench.changes(), ["declined"]);
    assert_eq!(bench.turn_statuses(), ["interrupted"]);
    assert!(bench.requests.is_empty() && !bench.has("/w/note.txt"));
    bench.start_turn();
    assert_eq!(bench.outputs(), ["patch rejected by user", "aborted"]);
}

#[test]
fn an_interrupt_withdraws_the_question_and_a_late_answer_changes_nothing() {
    for late in ["accept", "cancel"] {
        let mut bench = Bench::new("untrusted", "workspace-write");
        bench.respond(&[patch("p", PATCH)]);
        bench.interrupt();
        assert_eq!(bench.changes(), ["failed"]);
        assert_eq!(bench.turn_statuses(), ["interrupted"]);
        let completed = bench.said.iter().rposition(|line| line["method"] == "item/completed");
        assert!(completed < Some(bench.position("turn/completed", "")));
        bench.start_turn();
        assert!(bench.outputs()[0].starts_with("aborted by user after 0."));
        bench.decide(late);
        assert_eq!(bench.turn_statuses(), ["interrupted"], "{late}");
        assert!(!bench.has("/w/note.txt"));
        bench.finish();
        assert_eq!(bench.turn_statuses(), ["interrupted", "completed"]);
    }
}

#[test]
fn an_interrupt_lets_the_files_be_written_to_the_end() {
    let mut bench = Bench::new("on-request", "workspace-write");
    bench.held = Some(Vec::new());
    bench.respond(&[patch("p", PATCH), patch("q", OUTSIDE)]);
    bench.interrupt();
    assert!(bench.turn_statuses().is_empty());
    bench.release();
    assert_eq!(bench.changes(), ["completed"]);
    assert_eq!(bench.turn_statuses(), ["interrupted"]);
    assert!(bench.asked().is_empty() && bench.requests.is_empty());
}

#[test]
fn a_job_that_is_lost_fails_the_item_and_the_turn_goes_on() {
    let mut bench = Bench::new("on-request", "workspace-write");
    bench.held = Some(Vec::new());
    bench.respond(&[patch("p", PATCH)]);
    let (id, _) = bench.held.take().expect("held").remove(0);
    bench.input(Input::Done(id, Outcome::Lost));
    assert_eq!(bench.changes(), ["failed"]);
    assert!(bench.outputs()[0].contains("may have been changed"));
}

#[test]
fn what_may_not_run_or_does_not_fit_has_no_item() {
    let mut bench = Bench::new("never", "workspace-write");
    let misfit = "*** Begin Patch\n*** Delete File: none\n*** End Patch";
    bench.respond(&[
        patch("a", OUTSIDE),
        patch("b", "*** Begin Patch\n*** End Patch"),
        patch("c", "no patch"),
        patch("d", misfit),
        function("e", "apply_patch", "{"),
        function("f", "none", "{}"),
    ]);
    let outputs = bench.outputs();
    let starts = [
        "patch rejected: writing outside of the project; rejected by user approval settings",
        "patch rejected: empty patch",
        "apply_patch verification failed: invalid patch: The first line",
        "apply_patch verification failed: Failed to read",
        "failed to parse function arguments: EOF",
        "unsupported call: none",
    ];
    assert_eq!(outputs.len(), starts.len());
    for (output, start) in outputs.iter().zip(starts) {
        assert!(output.starts_with(start), "{output}");
    }
    assert!(bench.changes().is_empty() && !bench.has("/etc/note"));
}

#[test]
fn a_link_does_not_lead_out_of_the_workspace() {
    let mut bench = Bench::new("never", "workspace-write");
    bench.files.link("/w/out", "/etc");
    let text = "*** Begin Patch\n*** Add File: out/note\n+x\n*** End Patch";
    bench.respond(&[patch("p", text)]);
    assert!(bench.outputs()[0].starts_with("patch rejected"), "{:?}", bench.outputs());
    assert!(!bench.has("/etc/note"));
}

#[test]
fn a_plan_is_shown() {
    let mut bench = Bench::new("never", "read-only");
    let plan = json!({ "explanation": "why", "plan": [{ "step": "a", "status": "in_progress" }] });
    let bad = r#"{"plan":[{"step":"a","status":"soon"}]}"#;
    bench.respond(&[
        function("a", "update_plan", &plan.to_string()),
        function("b", "update_plan", bad),
        function("c", "update_plan", r#"{"plan":[],"more":1}"#),
    ]);
    let shown = bench.notes("turn/plan/updated");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["explanation"], "why");
    assert_eq!(shown[0]["plan"], json!([{ "step": "a", "status": "inProgress" }]));
    assert_eq!(bench.notes("codex/event/plan_update")[0]["msg"]["plan"], plan["plan"]);
    let outputs = bench.outputs();
    assert_eq!(outputs[0], "Plan updated");
    assert!(outputs[1].starts_with("failed to parse function arguments: unknown variant `soon`"));
    assert!(outputs[2].starts_with("failed to parse function arguments: unknown field `more`"));
}

#[test]
fn a_host_of_the_older_dialect_is_asked_in_it() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.finish();
    bench.said.clear();
    bench.request("newConversation", json!({ "cwd": "/w" }));
    let made = bench.said.iter().find_map(|line| line["result"]["conversationId"].as_str());
    let id = made.expect("a conversation").to_owned();
    bench.request("addConversationListener", json!({ "conversationId": id }));
    let items = json!([{ "type": "text", "data": { "text": "go" } }]);
    bench.request("sendUserMessage", json!({ "conversationId": id, "items": items }));
    bench.respond(&[patch("p", PATCH)]);
    let ask = bench.said.iter().find(|line| line["method"] == "applyPatchApproval");
    let ask = ask.expect("a question").clone();
    assert_eq!(ask["params"]["callId"], "p");
    assert_eq!(ask["params"]["fileChanges"]["/w/note.txt"]["type"], "add");
    bench.line(&json!({ "id": ask["id"], "result": { "decision": "approved" } }));
    assert!(bench.has("/w/note.txt"));
    let ended = &bench.notes("codex/event/patch_apply_end")[0]["msg"];
    assert_eq!((&ended["success"], &ended["call_id"]), (&json!(true), &json!("p")));
    assert!(bench.notes("turn/diff/updated").is_empty());
    assert_eq!(bench.notes("codex/event/turn_diff").len(), 1);
}

/// Who resumes a thread by the older method gets its reply, also of one that is open, and does not
/// become a listener of today's dialect by it (protocol.md §3.3).
#[test]
fn an_open_thread_is_resumed_in_the_older_dialect() {
    let mut bench = Bench::new("untrusted", "workspace-write");
    bench.finish();
    bench.said.clear();
    bench.request("newConversation", json!({ "cwd": "/w" }));
    let made = bench.said.iter().find(|line| line["result"]["conversationId"].is_string());
    let made = made.expect("a conversation")["result"].clone();
    let id = &made["conversationId"];
    bench.request("addConversationListener", json!({ "conversationId": id }));
    bench.said.clear();
    bench.request("resumeConversation", json!({ "conversationId": id }));
    assert_eq!(bench.notes("sessionConfigured")[0]["sessionId"], *id);
    let reply = &bench.said.last().expect("a reply")["result"];
    for member in ["conversationId", "model", "rolloutPath"] {
        assert_eq!(reply[member], made[member], "{reply}");
    }
    assert!(reply["initialMessages"].is_array() && reply["thread"].is_null(), "{reply}");
    let items = json!([{ "type": "text", "data": { "text": "go" } }]);
    bench.request("sendUserMessage", json!({ "conversationId": id, "items": items }));
    assert!(bench.notes("turn/started").is_empty());
    assert_eq!(bench.notes("codex/event/task_started").len(), 1);
}

/// Lets the next turns be in a mode.
fn start_turn_in(bench: &mut Bench, mode: &str) {
    let input = json!([{ "type": "text", "text": "go" }]);
    let mode = json!({ "mode": mode, "settings": { "model": "mock-model" } });
    let params = json!({ "threadId": bench.thread(), "input": input, "collaborationMode": mode });
    bench.request("turn/start", params);
}

const QUESTION: &str =
    r#"{"questions":[{"id":"q","header":"h","question":"why?","options":null,"isOther":false}]}"#;

#[test]
fn the_user_answers_in_the_modes_that_are_for_that() {
    let mut bench = Bench::new("never", "read-only");
    bench.respond(&[function("a", "request_user_input", QUESTION)]);
    assert_eq!(bench.outputs(), ["request_user_input is unavailable in Custom mode"]);
    bench.finish();
    start_turn_in(&mut bench, "plan");
    bench.respond(&[function("b", "request_user_input", QUESTION), patch("p", OUTSIDE)]);
    let method = "item/tool/requestUserInput";
    let ask = bench.said.iter().find(|line| line["method"] == method).expect("asked").clone();
    assert_eq!(ask["params"]["itemId"], "b");
    assert_eq!(ask["params"]["questions"][0]["isOther"], true);
    let event = &bench.notes("codex/event/request_user_input")[0]["msg"];
    assert_eq!((&event["call_id"], &event["questions"][0]["id"]), (&json!("b"), &json!("q")));
    assert!(bench.requests.is_empty());
    let answers = json!({ "answers": { "q": { "answers": ["so"] } } });
    bench.line(&json!({ "id": ask["id"], "result": answers }));
    assert_eq!(bench.outputs()[1], answers.to_string());
    assert!(bench.outputs()[2].starts_with("patch rejected"));
}

#[test]
fn a_question_that_is_not_answered_leaves_no_answer() {
    let answers =
        [json!({ "result": null }), json!({ "error": { "code": -1, "message": "gone" } })];
    for mut answer in answers {
        let mut bench = Bench::new("never", "read-only");
        bench.finish();
        start_turn_in(&mut bench, "pair_programming");
        bench.respond(&[function("b", "request_user_input", QUESTION)]);
        let method = "item/tool/requestUserInput";
        let ask = bench.said.iter().find(|line| line["method"] == method).expect("asked");
        answer["id"] = ask["id"].clone();
        bench.line(&answer);
        assert_eq!(bench.outputs(), [r#"{"answers":{}}"#]);
    }
    let mut bench = Bench::new("never", "read-only");
    bench.finish();
    start_turn_in(&mut bench, "plan");
    bench.respond(&[function("b", "request_user_input", QUESTION)]);
    bench.interrupt();
    assert_eq!(bench.turn_statuses(), ["completed", "interrupted"]);
    bench.start_turn();
    assert_eq!(bench.outputs(), ["request_user_input was cancelled before receiving a response"]);
}
