//! A small coding task from end to end: a scripted model looks around, patches a program wrongly,
//! sees its test fail, and mends it. Files, commands and the sandbox are real (engine.md §3, §6).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Trouble;

use crate::stage::{Outcome, Scene, Stage, text, tokens};

const PROGRAM: &str = "# Adds two numbers.\necho $(($1 - $2))\n";
const TEST: &str = "got=$(sh add.sh 2 3)\nif [ \"$got\" != 5 ]; then\n\
                    \techo \"2 + 3: expected 5, got $got\" >&2\n\texit 3\nfi\necho passed\n";
/// What the patches make of the program.
const MENDED: &str = "# Adds two numbers.\necho $(($1 + $2))\n";

const WRONG_PATCH: &str = "*** Begin Patch\n*** Update File: add.sh\n@@\n # Adds two numbers.\n\
                           -echo $(($1 - $2))\n+echo $(($1 * $2))\n*** End Patch\n";
const RIGHT_PATCH: &str = "*** Begin Patch\n*** Update File: add.sh\n@@\n # Adds two numbers.\n\
                           -echo $(($1 * $2))\n+echo $(($1 + $2))\n\
                           *** Add File: docs/CHANGES\n+add.sh adds.\n*** End Patch\n";

/// What the model does, a request each; `outside` is a file that it has no business with.
fn script(outside: &Path) -> Vec<Reply> {
    let run = |n, line: &str| Reply::call(n, "shell_command", &json!({"command": line}));
    vec![
        run(1, "ls"),
        run(2, "cat add.sh"),
        Reply::call_freeform(3, "apply_patch", WRONG_PATCH),
        run(4, "sh test.sh"),
        Reply::call_freeform(5, "apply_patch", RIGHT_PATCH),
        run(6, "sh test.sh"),
        run(7, &format!("echo oops > {}", outside.display())),
        Reply::say(8, "add.sh adds now."),
    ]
}

/// A folder that is in no temporary one, so that the sandbox leaves it unwritable.
fn protected_folder() -> Result<tempfile::TempDir, Trouble> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// Whether commands can be confined on this machine.
fn has_sandbox(stage: &mut Stage) -> Result<bool, Trouble> {
    let policy = json!({"type": "workspaceWrite"});
    let params = json!({"command": ["true"], "sandboxPolicy": policy});
    Ok(stage.host.call("command/exec", params)?["result"]["exitCode"] == 0)
}

/// Opens the thread of the task, confined where that can be.
fn open(stage: &mut Stage, confined: bool) -> Result<String, Trouble> {
    let work = stage.scratch.work();
    fs::write(work.join("add.sh"), PROGRAM)?;
    fs::write(work.join("test.sh"), TEST)?;
    let sandbox = if confined { "workspace-write" } else { "danger-full-access" };
    let params = json!({
        "cwd": work, "model": "gpt-5.2-codex", "approvalPolicy": "never", "sandbox": sandbox,
    });
    text(&stage.host.ask("thread/start", params)?, "/thread/id")
}

/// The output of each call, from the request that followed it.
fn outputs(stage: &Stage) -> Vec<String> {
    let requests = stage.backend.model_requests();
    let followed = requests.iter().skip(1).zip(1..);
    let output = |(request, n): (&understudy_tokio::demo::seen::Request, u32)| {
        let input = request.body.as_ref().and_then(|body| body["input"].as_array());
        let last = input.and_then(|items| items.last()).cloned().unwrap_or_default();
        assert_eq!(last["call_id"], format!("call-{n}"), "{last}");
        last["output"].as_str().unwrap_or_default().to_owned()
    };
    followed.map(output).collect()
}

/// Checks what the model was told of a command: its exit code, and output that starts like this.
fn check_told(output: &str, code: i32, said: &str) {
    let head = format!("Exit code: {code}\nWall time: ");
    let (found_head, found) = output.split_once("\nOutput:\n").unwrap_or_default();
    assert!(found_head.starts_with(&head) && found_head.ends_with(" seconds"), "{output}");
    assert!(found.starts_with(said), "{output}");
}

fn completed_items(stage: &mut Stage) -> Vec<Value> {
    stage.said("item/completed").iter().map(|params| params["item"].clone()).collect()
}

/// The items as the host saw them: what was run with which result, and what was changed.
fn check_items(items: &[Value], work: &Path) {
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap_or("none")).collect();
    let (run, change) = ("commandExecution", "fileChange");
    let expected = ["userMessage", run, run, change, run, change, run, run, "agentMessage"];
    assert_eq!(kinds, expected);

    let command = |at: usize| {
        let item = &items[at];
        assert_eq!(item["cwd"], json!(work), "{item}");
        let said = item["aggregatedOutput"].as_str().unwrap_or_default().to_owned();
        (item["status"].as_str().unwrap_or("none"), item["exitCode"].clone(), said)
    };
    assert_eq!(command(1), ("completed", json!(0), "add.sh\ntest.sh\n".to_owned()));
    assert_eq!(items[1]["commandActions"][0]["type"], "listFiles");
    assert_eq!(command(2), ("completed", json!(0), PROGRAM.to_owned()));
    assert_eq!(items[2]["commandActions"][0]["type"], "read");
    let said = "2 + 3: expected 5, got 6\n".to_owned();
    assert_eq!(command(4), ("failed", json!(3), said), "the first patch was made, and is wrong");
    assert_eq!(command(6), ("completed", json!(0), "passed\n".to_owned()));

    let change = |at: usize| {
        let changes = items[at]["changes"].as_array().cloned().unwrap_or_default();
        assert_eq!(items[at]["status"], "completed", "{changes:?}");
        let told = changes.iter().map(|change| {
            let kind = change["kind"]["type"].as_str().unwrap_or("none").to_owned();
            (change["path"].clone(), kind, change["diff"].as_str().unwrap_or("none").to_owned())
        });
        told.collect::<Vec<_>>()
    };
    let (program, notes) = (json!(work.join("add.sh")), json!(work.join("docs/CHANGES")));
    let [(path, kind, diff)] = &change(3)[..] else { panic!("one change") };
    assert_eq!((path, kind.as_str()), (&program, "update"));
    assert!(diff.contains("-echo $(($1 - $2))\n+echo $(($1 * $2))"), "{diff}");
    let mut both = change(5);
    both.sort_by_key(|(path, ..)| path.to_string());
    let [(path, kind, diff), added] = &both[..] else { panic!("two changes") };
    assert_eq!((path, kind.as_str()), (&program, "update"));
    assert!(diff.contains("-echo $(($1 * $2))\n+echo $(($1 + $2))"), "{diff}");
    assert_eq!(added, &(notes, "add".to_owned(), "add.sh adds.\n".to_owned()));
}

/// The difference of the whole turn: the way that it took does not show.
fn check_diff(stage: &mut Stage, turn: &Value) {
    let told = stage.said("turn/diff/updated");
    assert!(told.iter().all(|params| &params["turnId"] == turn), "{told:?}");
    assert_eq!(told.len(), 2, "after each patch: {told:?}");
    let diff = told[1]["diff"].as_str().unwrap_or_default();
    // Outside of a repository paths are whole (engine.md §6.6).
    let work = stage.scratch.work();
    let [program, notes] = ["add.sh", "docs/CHANGES"].map(|name| work.join(name));
    for part in [
        &*format!("--- a/{0}\n+++ b/{0}\n", program.display()),
        "\n-echo $(($1 - $2))\n+echo $(($1 + $2))\n",
        &*format!("--- /dev/null\n+++ b/{}\n", notes.display()),
        "\n+add.sh adds.\n",
    ] {
        assert!(diff.contains(part), "{part:?} in {diff}");
    }
    assert!(!diff.contains("$1 * $2"), "{diff}");
}

#[test]
fn a_program_is_mended_and_its_test_run() -> Outcome {
    let protected = protected_folder()?;
    let outside = protected.path().join("outside");
    Scene::replies(script(&outside)).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let confined = has_sandbox(stage)?;
        let thread = open(stage, confined)?;
        let turn = stage.turn(&thread, "Mend add.sh.")?;
        assert_eq!(turn["status"], "completed");

        let outputs = outputs(stage);
        assert_eq!(outputs.len(), 7);
        check_told(&outputs[0], 0, "add.sh\ntest.sh\n");
        check_told(&outputs[1], 0, PROGRAM);
        assert!(outputs[2].contains("M add.sh"), "{}", outputs[2]);
        check_told(&outputs[3], 3, "2 + 3: expected 5, got 6\n");
        assert!(outputs[4].contains("A docs/CHANGES"), "{}", outputs[4]);
        check_told(&outputs[5], 0, "passed\n");

        let work = stage.scratch.work();
        let items = completed_items(stage);
        check_items(&items, &work);
        assert_eq!(items[8]["text"], "add.sh adds now.");
        check_diff(stage, &turn["id"]);
        assert_eq!(fs::read_to_string(work.join("add.sh"))?, MENDED);
        assert_eq!(fs::read_to_string(work.join("docs/CHANGES"))?, "add.sh adds.\n");
        assert_eq!(fs::read_to_string(work.join("test.sh"))?, TEST);
        if confined {
            assert_eq!(items[7]["status"], "failed", "{}", items[7]);
            check_told(&outputs[6], 1, "/bin/");
            assert!(!outside.exists(), "the sandbox holds");
        }
        for question in ["item/commandExecution/requestApproval", "item/fileChange/requestApproval"]
        {
            assert!(stage.said(question).is_empty(), "nobody is asked: {question}");
        }
        Ok(())
    });
    Ok(())
}
