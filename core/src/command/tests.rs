//! Requests that run programs, with programs that the test plays.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::effect::{Call, CallId, Effect, TimerId};
use crate::files::{Disk, FileJob, MemoryFiles, NoKeyring};
use crate::input::{Input, Outcome, Signal};
use crate::limits;
use crate::process::{OutputStream, ProcessExit, ProcessFailure, ProcessFailureKind};
use crate::{Machine, Now, ProcessRequest, Setup};

/// A host and the programs that run for it.
struct Bench {
    machine: Machine,
    files: MemoryFiles,
    /// Programs that run, with their time limits.
    runs: Vec<Started>,
    /// What happened to programs besides their start, in order.
    killed: Vec<CallId>,
    said: Vec<Value>,
    exited: bool,
    next_id: u64,
}

struct Started {
    call: CallId,
    request: ProcessRequest,
    timer: Option<(TimerId, Duration)>,
}

impl Bench {
    fn new(files: MemoryFiles) -> Self {
        let now = Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH);
        let mut setup = Setup::new("/home", "/w");
        let vars =
            [("PATH", "/bin"), ("GIT_DIR", "/x"), ("GIT_EXEC_PATH", "/g"), ("GIT_PAGER", "p")];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        setup.env = std::sync::Arc::new(vars.into_iter().collect());
        let mut bench = Self {
            machine: Machine::new(setup, [7; 32], now),
            files,
            runs: Vec::new(),
            killed: Vec::new(),
            said: Vec::new(),
            exited: false,
            next_id: 0,
        };
        bench.settle();
        bench.request("initialize", json!({ "clientInfo": { "name": "t", "version": "1" } }));
        bench
    }

    fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let line = json!({ "id": id, "method": method, "params": params });
        self.input(Input::Bytes(format!("{line}\n").as_bytes()));
        id
    }

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH), input);
        self.settle();
    }

    fn settle(&mut self) {
        let mut jobs: Vec<(CallId, FileJob)> = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Start(call, started) => match *started {
                    Call::Files(job) => jobs.push((call, job)),
                    Call::Process(request) => {
                        self.runs.push(Started { call, request: *request, timer: None });
                    }
                    other => panic!("{other:?}"),
                },
                Effect::StartTimer(timer, after) => {
                    if let Some(run) = self.runs.last_mut().filter(|run| run.timer.is_none()) {
                        run.timer = Some((timer, after));
                    }
                }
                Effect::Cancel(call) => {
                    self.runs.retain(|run| run.call != call);
                    self.killed.push(call);
                }
                Effect::Send => {
                    let bytes = self.machine.pending_output().to_vec();
                    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    self.said.extend(lines.map(|l| serde_json::from_slice(l).expect("JSON")));
                    self.machine.wrote(bytes.len());
                }
                Effect::Exit(_) => self.exited = true,
                _ => {}
            }
        }
        for (call, job) in jobs {
            let answer = job.run(Disk { files: &self.files, keyring: &NoKeyring });
            self.input(Input::Done(call, Outcome::Files(Box::new(answer))));
        }
    }

    fn says(&mut self, run: usize, stream: OutputStream, bytes: &[u8]) {
        let call = self.runs[run].call;
        self.input(Input::Done(call, Outcome::ProcessOutput(stream, bytes)));
    }

    fn ends(&mut self, run: usize, exit: ProcessExit) {
        let call = self.runs.remove(run).call;
        self.input(Input::Done(call, Outcome::ProcessExited(exit)));
    }

    /// The first program says this and ends.
    fn plays(&mut self, stdout: &str, code: i32) {
        self.says(0, OutputStream::Stdout, stdout.as_bytes());
        self.ends(0, ProcessExit::Code(code));
    }

    fn fails(&mut self, kind: ProcessFailureKind, text: &str) {
        let call = self.runs.remove(0).call;
        let failure = ProcessFailure { kind, text: text.to_owned() };
        self.input(Input::Done(call, Outcome::ProcessFailed(failure)));
    }

    fn expire(&mut self, run: usize) {
        let (timer, _) = self.runs[run].timer.expect("a limit");
        self.input(Input::TimerFired(timer));
    }

    fn reply(&self, id: u64) -> Option<&Value> {
        let mut replies = self.said.iter().filter(|line| line["id"] == id);
        let reply = replies.next();
        assert!(replies.next().is_none(), "two replies to {id}");
        reply
    }

    fn result(&self, id: u64) -> &Value {
        &self.reply(id).expect("a reply")["result"]
    }

    /// `code message` of an error.
    fn error(&self, id: u64) -> String {
        let error = &self.reply(id).expect("a reply")["error"];
        format!("{} {}", error["code"], error["message"].as_str().expect("an error"))
    }

    fn words(&self, run: usize) -> Vec<&str> {
        self.runs[run].request.argv.iter().map(String::as_str).collect()
    }
}

fn exec(bench: &mut Bench, params: Value) -> u64 {
    let mut all = json!({ "command": ["x"] });
    all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
    bench.request("command/exec", all)
}

fn bench(config: &str) -> Bench {
    Bench::new(MemoryFiles::new().with("/home/config.toml", config))
}

#[test]
fn a_command_is_run_and_its_end_is_the_reply() {
    let mut bench = bench("");
    let id = bench.request("command/exec", json!({ "command": ["sh", "-c", "x"], "cwd": "sub" }));
    let request = &bench.runs[0].request;
    assert_eq!(request.argv, ["sh", "-c", "x"]);
    assert_eq!(request.cwd.to_str(), Some("/w/sub"));
    assert_eq!(request.env.0["PATH"], "/bin");
    assert_eq!(request.env.0["CODEX_SANDBOX_NETWORK_DISABLED"], "1");
    let confinement = request.confinement.as_ref().expect("the configured sandbox");
    assert_eq!(confinement.cwd().to_str(), Some("/w/sub"));
    bench.says(0, OutputStream::Stdout, b"ou");
    bench.says(0, OutputStream::Stderr, b"err\n");
    bench.says(0, OutputStream::Stdout, b"t\xff\n");
    assert_eq!(bench.reply(id), None);
    bench.ends(0, ProcessExit::Code(3));
    let expected = json!({ "exitCode": 3, "stdout": "out\u{fffd}\n", "stderr": "err\n" });
    assert_eq!(*bench.result(id), expected);
    assert!(bench.killed.is_empty());
}

#[test]
fn what_goes_wrong_is_told_in_the_words_that_clients_know() {
    let mut bench = bench("");
    let id = bench.request("command/exec", json!({ "command": [] }));
    assert_eq!(bench.error(id), "-32600 command must not be empty");
    let id = exec(&mut bench, json!({}));
    bench.fails(ProcessFailureKind::Program, "No such file or directory (os error 2)");
    assert_eq!(bench.error(id), "-32603 exec failed: No such file or directory (os error 2)");
    let id = exec(&mut bench, json!({}));
    bench.ends(0, ProcessExit::Signal(9));
    let killed = "-32603 exec failed: sandbox error: command was killed by a signal";
    assert_eq!(bench.error(id), killed);
    let id = exec(&mut bench, json!({}));
    let call = bench.runs.remove(0).call;
    bench.input(Input::Done(call, Outcome::Lost));
    assert_eq!(bench.error(id), "-32603 exec failed: the process backend failed");
    assert!(bench.killed.is_empty());
}

#[test]
fn a_command_that_takes_too_long_is_killed() {
    let mut bench = bench("");
    let id = exec(&mut bench, json!({ "timeoutMs": 200 }));
    let call = bench.runs[0].call;
    assert_eq!(bench.runs[0].timer.expect("a limit").1, Duration::from_millis(200));
    bench.expire(0);
    assert_eq!(bench.error(id), "-32603 exec failed: sandbox error: command timed out");
    assert_eq!(bench.killed, [call]);
    bench.input(Input::Done(call, Outcome::ProcessExited(ProcessExit::Code(0))));
    assert!(bench.reply(id).is_some(), "a late end is nobody's");
}

#[test]
fn both_dialects_say_how_long_and_in_which_sandbox() {
    let ten = Duration::from_secs(10);
    let cases = [
        ("command/exec", json!(null), ten),
        ("command/exec", json!(-1), ten),
        ("command/exec", json!(0), Duration::ZERO),
        ("command/exec", json!(i64::MAX), limits::COMMAND_LIMIT_MAX),
        ("execOneOffCommand", json!(null), ten),
        ("execOneOffCommand", json!(7), Duration::from_millis(7)),
        ("execOneOffCommand", json!(u64::MAX), Duration::from_secs(60)),
    ];
    let mut bench = bench("");
    for (method, millis, expected) in cases {
        let tag = if method == "command/exec" { "dangerFullAccess" } else { "danger-full-access" };
        let policy = json!({ "type": tag });
        let params = json!({ "command": ["x"], "timeoutMs": millis, "sandboxPolicy": policy });
        let id = bench.request(method, params);
        assert_eq!(bench.runs[0].timer.expect("a limit").1, expected, "{method} {millis}");
        let request = &bench.runs[0].request;
        assert!(request.confinement.is_none());
        assert!(!request.env.0.contains_key("CODEX_SANDBOX_NETWORK_DISABLED"));
        bench.plays("", 0);
        assert_eq!(bench.result(id)["exitCode"], 0);
    }
}

#[test]
fn requirements_hold_for_commands_whatever_else_is_wrong() {
    let required = "allowed_sandbox_modes = ['read-only', 'workspace-write']";
    for config in ["", "sandbox_mode = 'danger-full-access'", "x ="] {
        let files = MemoryFiles::new()
            .with("/home/config.toml", config)
            .with("/etc/codex/requirements.toml", required);
        let mut bench = Bench::new(files);
        let id = exec(&mut bench, json!({ "sandboxPolicy": { "type": "dangerFullAccess" } }));
        let text = "-32600 invalid sandbox policy: invalid value for `sandbox_mode`: \
                    `DangerFullAccess` is not in the allowed set [ReadOnly, WorkspaceWrite] \
                    (set by /etc/codex/requirements.toml)";
        assert_eq!(bench.error(id), text, "{config}");
        exec(&mut bench, json!({}));
        assert!(bench.runs[0].request.confinement.is_some(), "{config}");
    }
}

#[test]
fn commands_run_side_by_side_up_to_a_bound_and_in_turn_beyond_it() {
    let mut bench = bench("");
    let ids: Vec<u64> =
        (0..limits::COMMANDS_MAX + 2).map(|_| exec(&mut bench, json!({}))).collect();
    assert_eq!(bench.runs.len(), limits::COMMANDS_MAX);
    bench.ends(1, ProcessExit::Code(0));
    assert!(bench.reply(ids[1]).is_some() && bench.reply(ids[0]).is_none());
    assert_eq!(bench.runs.len(), limits::COMMANDS_MAX);
    bench.expire(0);
    assert_eq!(bench.runs.len(), limits::COMMANDS_MAX);
    while !bench.runs.is_empty() {
        bench.ends(0, ProcessExit::Code(0));
    }
    assert!(ids.iter().all(|id| bench.reply(*id).is_some()));
}

#[test]
fn output_is_kept_up_to_a_bound() {
    let mut bench = bench("");
    let id = exec(&mut bench, json!({}));
    let chunk = vec![b'a'; limits::PROCESS_CHUNK_BYTES];
    for _ in 0..limits::COMMAND_OUTPUT_BYTES_MAX / chunk.len() + 1 {
        bench.says(0, OutputStream::Stdout, &chunk);
    }
    bench.ends(0, ProcessExit::Code(0));
    let stdout = bench.result(id)["stdout"].as_str().expect("text");
    assert_eq!(stdout.len(), limits::COMMAND_OUTPUT_BYTES_MAX);
}

#[test]
fn at_the_end_of_input_commands_have_the_grace_and_are_killed_after_it() {
    let mut bench = bench("");
    let quick = exec(&mut bench, json!({}));
    let slow = exec(&mut bench, json!({}));
    let call = bench.runs[1].call;
    // The closing timer is the one that is set when no program is begun.
    bench.runs[1].timer = None;
    bench.input(Input::Eof);
    let (closing, grace) = bench.runs[1].timer.expect("the grace");
    assert_eq!(grace, limits::CLOSING_GRACE);
    bench.plays("done", 0);
    assert_eq!(bench.result(quick)["stdout"], "done");
    assert!(!bench.exited);
    bench.input(Input::TimerFired(closing));
    assert_eq!(bench.error(slow), "-32603 exec failed: the server is ending");
    assert_eq!(bench.killed, [call]);
    assert!(bench.exited);
}

#[test]
fn a_server_that_is_told_to_go_kills_them_at_once() {
    let mut bench = bench("");
    let ids: Vec<u64> =
        (0..limits::COMMANDS_MAX + 1).map(|_| exec(&mut bench, json!({}))).collect();
    bench.input(Input::Signal(Signal::Terminate));
    assert_eq!(bench.killed.len(), limits::COMMANDS_MAX);
    assert!(ids.iter().all(|id| bench.error(*id).ends_with("the server is ending")));
    assert!(bench.exited);
}

// --- gitDiffToRemote ---

const A: &str = "00f194c9bbc0c4cdd558ef85b20755911e50f5e9";
const B: &str = "53a3604724989fd01cec45c1ebf3166e14f93fa2";

/// Asked about `/w/sub`; the place is found.
fn diff_bench() -> (Bench, u64) {
    let mut bench = bench("");
    let id = bench.request("gitDiffToRemote", json!({ "cwd": "sub" }));
    assert_eq!(bench.runs[0].request.cwd.to_str(), Some("/w/sub"));
    bench.plays(&format!("/w\n{B}\n"), 0);
    (bench, id)
}

const NO_DIFF: &str = "-32600 failed to compute git diff to remote for cwd: \"sub\"";

#[test]
fn the_difference_is_to_the_nearest_shared_commit_and_has_new_files() {
    let (mut bench, id) = diff_bench();
    assert!(bench.words(0).ends_with(&["rev-list", "--boundary", "HEAD", "--not", "--remotes"]));
    bench.plays(&format!("{B}\n-{A}\n"), 0);
    let words = bench.words(0);
    assert!(words.ends_with(&[A, "--"]), "{words:?}");
    for safe in ["core.fsmonitor=false", "core.hooksPath=/dev/null", "--no-ext-diff"] {
        assert!(words.contains(&safe), "{safe}");
    }
    let Started { request, timer, .. } = &bench.runs[0];
    assert_eq!(request.cwd.to_str(), Some("/w"));
    assert_eq!(timer.expect("a limit").1, limits::GIT_LIMIT);
    let env: Vec<_> = request.env.0.keys().map(String::as_str).collect();
    let expected =
        ["GIT_EXEC_PATH", "GIT_NO_LAZY_FETCH", "GIT_OPTIONAL_LOCKS", "GIT_TERMINAL_PROMPT", "PATH"];
    assert_eq!(env, expected);
    bench.plays("diff a\n", 1);
    bench.plays("-new\0other/\0b\0", 0);
    assert!(bench.words(0).ends_with(&["--binary", "--no-index", "--", "/dev/null", "-new"]));
    bench.plays("diff -new\n", 1);
    bench.plays("", 128);
    assert_eq!(*bench.result(id), json!({ "sha": A, "diff": "diff a\ndiff -new\n" }));
}

#[test]
fn a_shared_head_is_its_own_base_and_of_several_the_latest_is_taken() {
    let (mut bench, id) = diff_bench();
    bench.plays("", 0);
    assert!(bench.words(0).ends_with(&[B, "--"]));
    bench.plays("", 0);
    bench.plays("", 0);
    assert_eq!(*bench.result(id), json!({ "sha": B, "diff": "" }));

    let (mut bench, _) = diff_bench();
    bench.plays(&format!("-{A}\n-{B}\n"), 0);
    assert!(bench.words(0).ends_with(&["merge-base", "--independent", A, B]));
    bench.plays(&format!("{B}\n"), 0);
    assert!(bench.words(0).ends_with(&[B, "--"]));
}

#[test]
fn there_is_no_difference_when_git_cannot_tell_it() {
    let mut outside = bench("");
    let id = outside.request("gitDiffToRemote", json!({ "cwd": "sub" }));
    outside.plays("HEAD\n", 128);
    assert_eq!(outside.error(id), NO_DIFF);

    let (mut unpushed, id) = diff_bench();
    unpushed.plays(&format!("{B}\n{A}\n"), 0);
    assert_eq!(unpushed.error(id), NO_DIFF);

    let (mut slow, id) = diff_bench();
    slow.expire(0);
    assert_eq!(slow.error(id), NO_DIFF);
    assert_eq!(slow.killed.len(), 1);

    let mut without_git = bench("");
    let id = without_git.request("gitDiffToRemote", json!({ "cwd": "sub" }));
    without_git.fails(ProcessFailureKind::Program, "No such file or directory (os error 2)");
    assert_eq!(without_git.error(id), NO_DIFF);

    let (mut crowded, id) = diff_bench();
    crowded.plays("", 0);
    crowded.plays("", 0);
    crowded.plays(&"f\0".repeat(limits::GIT_UNTRACKED_MAX + 1), 0);
    assert_eq!(crowded.error(id), NO_DIFF);

    let (mut ending, id) = diff_bench();
    ending.input(Input::Signal(Signal::ParentGone));
    assert_eq!(ending.error(id), NO_DIFF);
}
