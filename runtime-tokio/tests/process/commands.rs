//! Programs that the host has run without a thread: its own commands, and git for what its working
//! tree has that no remote has (protocol.md §3.3, §8).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use understudy_tokio::demo::seen::Trouble;

use crate::stage::{EXIT_LIMIT, Outcome, Scene, Stage, eventually};

/// A shell script as a command without a sandbox.
fn script(text: &str) -> Value {
    json!({"command": ["sh", "-c", text], "sandboxPolicy": {"type": "dangerFullAccess"}})
}

#[test]
fn a_command_runs_with_closed_input_in_the_folder_that_is_named() {
    Scene::silent().config("shell_environment_policy.set.NEW = 'x y'").play(|stage| {
        let text = "cat; pwd; echo \"$NEW\"; printf '\\377' >&2; exit 3";
        let mut params = script(text);
        params["cwd"] = json!(stage.scratch.work().join("."));
        let found = stage.host.ask("command/exec", params)?;
        let work = stage.scratch.work().canonicalize()?;
        let stdout = format!("{}\nx y\n", work.display());
        assert_eq!(found, json!({"exitCode": 3, "stdout": stdout, "stderr": "\u{fffd}"}));
        Ok(())
    });
}

#[test]
fn several_run_side_by_side_in_either_dialect() {
    Scene::silent().play(|stage| {
        // Each waits for what the other one does.
        let wait = |own: &str, other: &str| {
            let text =
                format!("touch {own}; until [ -e {other} ]; do sleep 0.01; done; echo {own}");
            json!(["sh", "-c", text])
        };
        let cwd = json!(stage.scratch.work());
        let policy = json!({"type": "dangerFullAccess"});
        let first = json!({"command": wait("a", "b"), "cwd": cwd, "sandboxPolicy": policy});
        let policy = json!({"type": "danger-full-access"});
        let second = json!({"command": wait("b", "a"), "cwd": cwd, "sandboxPolicy": policy});
        let first = stage.host.post("command/exec", first)?;
        let second = stage.host.post("execOneOffCommand", second)?;
        assert_eq!(stage.host.reply_to(&second.into())?["result"]["stdout"], "b\n");
        assert_eq!(stage.host.reply_to(&first.into())?["result"]["stdout"], "a\n");
        Ok(())
    });
}

/// Whether a process runs that was started with this word.
fn runs(word: &str) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    entries.flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|arg| arg == word.as_bytes())
    })
}

/// A length of sleep that no other test has, in this run or another.
fn unique_sleep(n: u32) -> String {
    format!("{}.{n}", 1_000_000 + std::process::id())
}

#[test]
fn what_takes_too_long_is_killed_with_what_it_has_started() {
    Scene::silent().play(|stage| {
        let word = unique_sleep(1);
        let mut params = script(&format!("sleep {word} & sleep {word}; echo never"));
        params["timeoutMs"] = json!(300);
        let begun = Instant::now();
        let reply = stage.host.call("command/exec", params)?;
        let text = "exec failed: sandbox error: command timed out";
        assert_eq!(reply["error"], json!({"code": -32603, "message": text}));
        assert!(begun.elapsed() >= Duration::from_millis(300));
        eventually("nothing of it is left", || !runs(&word))
    });
}

#[test]
fn the_end_of_the_input_leaves_no_command_behind() {
    Scene::silent().play(|stage| {
        let word = unique_sleep(2);
        let mut params = script(&format!("sleep {word} & sleep {word}"));
        params["timeoutMs"] = json!(60_000);
        let slow = stage.host.post("command/exec", params)?;
        let quick = stage.host.post("command/exec", script("sleep 0.2; echo done"))?;
        eventually("it runs", || runs(&word))?;
        stage.host.close_input();
        stage.host.wait_exit(EXIT_LIMIT)?;
        assert_eq!(stage.host.reply_to(&quick.into())?["result"]["stdout"], "done\n");
        let text = "exec failed: the server is ending";
        assert_eq!(stage.host.reply_to(&slow.into())?["error"]["message"], text);
        eventually("nothing of it is left", || !runs(&word))
    });
}

// --- gitDiffToRemote ---

/// Runs git for the test itself.
fn git(folder: &Path, words: &str) -> Result<String, Trouble> {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]);
    let output = command.current_dir(folder).args(words.split(' ')).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Trouble(format!("git {words}: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A working tree with one commit that its remote has, in the test's folder.
fn cloned(stage: &Stage) -> Result<(std::path::PathBuf, String), Trouble> {
    let work = stage.scratch.work();
    git(&work, "init -q --bare remote")?;
    git(&work, "init -q tree")?;
    let tree = work.join("tree");
    fs::write(tree.join("a"), "one\n")?;
    git(&tree, "add .")?;
    git(&tree, "commit -q -m first")?;
    git(&tree, "remote add origin ../remote")?;
    git(&tree, "push -q origin main")?;
    let sha = git(&tree, "rev-parse HEAD")?;
    Ok((tree, sha))
}

fn difference(stage: &mut Stage, cwd: &Path) -> Result<Value, Trouble> {
    stage.host.ask("gitDiffToRemote", json!({"cwd": cwd}))
}

#[test]
fn the_difference_to_the_remote_has_commits_changes_and_new_files() {
    Scene::silent().play(|stage| {
        let (tree, sha) = cloned(stage)?;
        assert_eq!(difference(stage, &tree)?, json!({"sha": sha, "diff": ""}));
        git(&tree, "checkout -q -b topic")?;
        fs::write(tree.join("a"), "one\ntwo\n")?;
        git(&tree, "commit -q -a -m second")?;
        fs::write(tree.join("a"), "one\ntwo\nthree\n")?;
        fs::create_dir(tree.join("sub"))?;
        fs::write(tree.join("sub/new é"), "new\n")?;
        fs::write(tree.join(".gitignore"), "ignored\n")?;
        fs::write(tree.join("ignored"), "x\n")?;
        // Also for a folder within, where git itself would tell of new files below it only.
        let found = difference(stage, &tree.join("sub"))?;
        assert_eq!(found["sha"], sha);
        let diff = found["diff"].as_str().unwrap_or_default();
        let expected = "diff --git a/a b/a\nindex 5626abf..4cb29ea 100644\n--- a/a\n+++ b/a\n\
                        @@ -1 +1,3 @@\n one\n+two\n+three\n";
        assert!(diff.starts_with(expected), "{diff}");
        for part in ["+++ b/.gitignore\n", "sub/new \\303\\251", "\n+new\n"] {
            assert!(diff.contains(part), "{part:?} in {diff}");
        }
        assert!(!diff.contains("b/ignored"), "{diff}");
        Ok(())
    });
}

#[test]
fn a_remote_that_is_ahead_is_compared_with_where_both_were() {
    Scene::silent().play(|stage| {
        let (tree, sha) = cloned(stage)?;
        fs::write(tree.join("a"), "theirs\n")?;
        git(&tree, "commit -q -a -m theirs")?;
        git(&tree, "push -q origin main")?;
        git(&tree, "reset -q --hard HEAD~1")?;
        fs::write(tree.join("b"), "ours\n")?;
        git(&tree, "add b")?;
        git(&tree, "commit -q -m ours")?;
        let found = difference(stage, &tree)?;
        assert_eq!(found["sha"], sha);
        let diff = found["diff"].as_str().unwrap_or_default();
        assert!(diff.contains("+ours") && !diff.contains("theirs"), "{diff}");
        Ok(())
    });
}

#[test]
fn what_a_project_would_have_run_is_not_run() {
    Scene::silent().play(|stage| {
        let (tree, _) = cloned(stage)?;
        let mark = stage.scratch.work().join("mark");
        let spy = stage.scratch.work().join("spy");
        fs::write(&spy, format!("#!/bin/sh\ntouch {}\n", mark.display()))?;
        git(&tree, &format!("config core.pager {}", spy.display()))?;
        for key in ["core.fsmonitor", "diff.external", "diff.x.command", "diff.x.textconv"] {
            let output = Command::new("git")
                .current_dir(&tree)
                .args(["config", key])
                .arg(format!("sh {}", spy.display()))
                .output()?;
            assert!(output.status.success());
        }
        fs::create_dir_all(tree.join(".git/info"))?;
        fs::write(tree.join(".git/info/attributes"), "* diff=x\n")?;
        fs::write(tree.join("a"), "changed\n")?;
        let found = difference(stage, &tree)?;
        assert!(found["diff"].as_str().is_some_and(|diff| diff.contains("+changed")), "{found}");
        assert!(!mark.exists());
        Ok(())
    });
}

#[test]
fn there_is_no_difference_without_a_repository_or_a_remote() {
    let check = |stage: &mut Stage, cwd: &Path| -> Outcome {
        let reply = stage.host.call("gitDiffToRemote", json!({"cwd": cwd}))?;
        let text = format!("failed to compute git diff to remote for cwd: {cwd:?}");
        assert_eq!(reply["error"], json!({"code": -32600, "message": text}));
        Ok(())
    };
    Scene::silent().play(|stage| {
        let work = stage.scratch.work();
        check(stage, &work.join("missing"))?;
        git(&work, "init -q alone")?;
        let alone = work.join("alone");
        check(stage, &alone)?;
        git(&alone, "commit -q --allow-empty -m only")?;
        check(stage, &alone)
    });
}
