//! Looks at files by the tools that some models have for that.

use serde_json::{Value, json};

use super::{Bench, function};
use crate::files::MemoryFiles;
use crate::input::{Input, Outcome};
use crate::process::OutputStream::{Stderr, Stdout};
use crate::process::{ProcessExit, ProcessFailure, ProcessFailureKind};

impl Bench {
    /// A turn of a model that has these tools.
    fn looking(policy: &str) -> Self {
        let files = MemoryFiles::new().with("/w/a.txt", "one\ntwo\n");
        let mut bench = Self::with(policy, "workspace-write", "", files);
        bench.finish();
        let input = json!([{ "type": "text", "text": "look" }]);
        let params = json!({ "threadId": bench.thread(), "input": input, "model": "test-gpt-5" });
        bench.request("turn/start", params);
        bench
    }

    fn program_ends(&mut self, said: &[(bool, &str)], outcome: Outcome<'_>) {
        let (id, _) = self.programs.pop_front().expect("a program");
        for (is_error, text) in said {
            let stream = if *is_error { Stderr } else { Stdout };
            self.input(Input::Done(id, Outcome::ProcessOutput(stream, text.as_bytes())));
        }
        self.input(Input::Done(id, outcome));
    }

    fn grep(&mut self) {
        self.respond(&[function("g", "grep_files", r#"{"pattern":"two","limit":2}"#)]);
        assert_eq!(self.programs.front().expect("a program").1.argv[0], "rg");
    }
}

fn names(body: &Value) -> Vec<&str> {
    let tools = body["tools"].as_array().expect("tools");
    tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
}

const EXITED: fn(i32) -> Outcome<'static> = |code| Outcome::ProcessExited(ProcessExit::Code(code));

#[test]
fn only_who_has_them_is_offered_them_and_may_call_them() {
    let mut bench = Bench::new("never", "read-only");
    assert!(!names(&bench.requests[0].1).contains(&"read_file"));
    bench.respond(&[function("r", "read_file", r#"{"file_path":"/w/a.txt"}"#)]);
    assert_eq!(bench.outputs(), ["unsupported call: read_file"]);

    let bench = Bench::looking("never");
    let names = names(&bench.requests[0].1);
    let first = names.iter().position(|name| *name == "grep_files").expect("offered");
    assert_eq!(names[first..], ["grep_files", "read_file", "list_dir", "view_image"]);
}

#[test]
fn files_and_folders_are_looked_at_side_by_side_and_unasked() {
    let mut bench = Bench::looking("untrusted");
    bench.held = Some(Vec::new());
    bench.respond(&[
        function("r", "read_file", r#"{"file_path":"/w/a.txt"}"#),
        function("l", "list_dir", r#"{"dir_path":"/w"}"#),
        function("e", "list_dir", r#"{"dir_path":"w"}"#),
    ]);
    assert_eq!(bench.held.as_ref().map(Vec::len), Some(2));
    bench.release();
    let outputs =
        ["L1: one\nL2: two", "Absolute path: /w\na.txt", "dir_path must be an absolute path"];
    assert_eq!(bench.outputs(), outputs);
}

#[test]
fn what_is_lost_stopped_or_too_long_has_its_output_too() {
    let mut bench = Bench::looking("never");
    bench.files.put("/w/long", "0123456789\n".repeat(5000));
    bench.respond(&[function("r", "read_file", r#"{"file_path":"/w/long","limit":5000}"#)]);
    let output = &bench.outputs()[0];
    assert!(output.contains(" tokens truncated…") && output.len() < 50_000, "{}", output.len());
    let list = function("l", "list_dir", r#"{"dir_path":"/w"}"#);
    bench.held = Some(Vec::new());
    bench.respond(std::slice::from_ref(&list));
    let (call, _) = bench.held.as_mut().and_then(Vec::pop).expect("a job");
    bench.input(Input::Done(call, Outcome::Lost));
    assert_eq!(bench.outputs()[1], "the file backend failed");
    bench.respond(&[list]);
    bench.interrupt();
    bench.release();
    bench.start_turn();
    assert!(bench.outputs()[2].starts_with("aborted by user after "), "{:?}", bench.outputs());
}

#[test]
fn a_search_is_a_command_in_the_sandbox_whose_paths_are_told() {
    // Nobody is asked: it only reads.
    let mut bench = Bench::looking("untrusted");
    bench.grep();
    let (_, request) = &bench.programs[0];
    assert!(request.confinement.is_some());
    assert_eq!(request.argv.last().map(String::as_str), Some("/w"));
    bench.program_ends(&[(false, "/w/a.txt\n/w/b\n/w/c\n")], EXITED(0));
    assert_eq!(bench.outputs(), ["/w/a.txt\n/w/b"]);
    let items = bench.notes("item/completed");
    let shown = items.iter().map(|params| &params["item"]);
    let shown: Vec<_> = shown.filter(|item| item["type"] == "commandExecution").collect();
    assert_eq!(shown[0]["commandActions"][0]["type"], "search", "{shown:?}");
    bench.grep();
    bench.program_ends(&[], EXITED(1));
    assert_eq!(bench.outputs()[1], "No matches found.");
}

#[test]
fn a_search_that_fails_is_told_like_a_command() {
    let mut bench = Bench::looking("never");
    bench.grep();
    bench.program_ends(&[(true, "regex parse error")], EXITED(2));
    let output = &bench.outputs()[0];
    assert!(output.starts_with("Exit code: 2\n"), "{output}");
    assert!(output.ends_with("Output:\nregex parse error"), "{output}");
    bench.grep();
    let text = "No such file or directory (os error 2)".to_owned();
    let failure = ProcessFailure { kind: ProcessFailureKind::Program, text };
    bench.program_ends(&[], Outcome::ProcessFailed(failure));
    let missing = "execution error: No such file or directory (os error 2)";
    assert_eq!(bench.outputs()[1], missing);
}
