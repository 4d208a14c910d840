//! How the process ends: soon, in order, and whenever its host is gone (design §4.7, §8).

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use understudy_tokio::demo::reply::{Gate, Reply, Speech};
use understudy_tokio::demo::scratch::{Scratch, Settings};
use understudy_tokio::demo::seen::Trouble;

use crate::stage::{EXIT_LIMIT, Outcome, Scene, Stage, WAIT_LIMIT, server, tokens};

const HELLO: &str =
    r#"{"id":1,"method":"initialize","params":{"clientInfo":{"name":"host","version":"1"}}}"#;

/// The shell has `kill` built in; the program of that name is not everywhere.
fn kill(signal: &str, pid: &str) -> Outcome {
    let status = Command::new("sh")
        .args(["-c", r#"kill "$0" "$1""#, signal, pid])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Trouble(format!("kill {signal} {pid}: {status}")))
    }
}

/// Starts a turn whose reply never ends, ends the server as `how` says, and checks that the turn
/// was interrupted in order.
fn ends_in_order_during_a_turn(how: impl FnOnce(&mut Stage) -> Outcome) {
    Scene::replies([Speech::new(1).delta("abc").hang()]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.begin(&thread, "hi")?;
        stage.host.notice("item/agentMessage/delta")?;
        how(stage)?;
        assert_eq!(stage.completed(&thread)?["status"], "interrupted");
        stage.host.wait_exit(EXIT_LIMIT)?;
        Ok(())
    });
}

#[test]
fn the_end_of_the_input_interrupts_a_running_turn() {
    ends_in_order_during_a_turn(|stage| {
        stage.host.close_input();
        Ok(())
    });
}

#[test]
fn sigterm_interrupts_a_running_turn() {
    ends_in_order_during_a_turn(|stage| kill("-TERM", &stage.host.pid().to_string()));
}

#[test]
fn sigint_interrupts_a_running_turn() {
    ends_in_order_during_a_turn(|stage| kill("-INT", &stage.host.pid().to_string()));
}

#[test]
fn the_end_of_the_input_ends_an_open_refresh() {
    Scene::replies([Reply::error(401, "token expired")]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.begin(&thread, "hi")?;
        stage.host.asked(crate::stage::REFRESH)?;
        stage.host.close_input();
        stage.host.wait_exit(EXIT_LIMIT)?;
        Ok(())
    });
}

#[test]
fn everything_that_was_asked_before_the_end_is_answered() {
    Scene::silent().play(|stage| {
        for _ in 0..500 {
            stage.host.post("account/read", json!({}))?;
        }
        stage.host.close_input();
        stage.host.wait_exit(EXIT_LIMIT)?;
        let answers = stage
            .host
            .unread()
            .filter(|m| m.get("result").is_some())
            .count();
        assert_eq!(answers, 500);
        Ok(())
    });
}

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    let gate = Gate::new();
    Scene::silent().play(|stage| {
        stage.backend.route(
            "/usage",
            Reply::json(200, json!({"plan_type": "pro"})).behind(&gate),
        );
        stage.sign_in(&tokens(1))?;
        let slow = stage.host.post("account/rateLimits/read", Value::Null)?;
        stage
            .backend
            .wait_for(1, WAIT_LIMIT, |r| r.bare_path().ends_with("/usage"))?;
        stage.host.close_input();
        stage.host.listen(Duration::from_millis(100))?;
        gate.open();
        let reply = stage.host.reply_to(&slow.into())?;
        assert!(reply.get("result").is_some(), "{reply}");
        Ok(())
    });
}

/// Reads what is left in the background and tells when it ended.
fn when_ended(mut output: impl Read + Send + 'static) -> mpsc::Receiver<()> {
    let (tell, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut rest = Vec::new();
        // Broken off or at its end: it is over either way.
        let _ = output.read_to_end(&mut rest);
        let _ = tell.send(());
    });
    ended
}

fn scratch() -> Result<Scratch, Trouble> {
    let scratch = Scratch::new()?;
    // No request is made in these tests; port 9 is for what nobody reads.
    scratch.configure("http://127.0.0.1:9", &Settings::default())?;
    Ok(scratch)
}

#[test]
fn a_host_that_stops_reading_is_gone() -> Outcome {
    let scratch = scratch()?;
    let mut command = scratch.command(&server());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child
        .stdin
        .take()
        .ok_or_else(|| Trouble("no input".into()))?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Trouble("no output".into()))?;
    writeln!(input, "{HELLO}")?;
    let mut output = BufReader::new(output);
    output.read_line(&mut String::new())?;
    drop(output);
    writeln!(input, r#"{{"id":2,"method":"account/read","params":{{}}}}"#)?;
    let end = Instant::now() + EXIT_LIMIT;
    while Instant::now() < end {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Err(Trouble(
        "the server runs on although nobody can read what it says".into(),
    ))
}

#[cfg(target_os = "linux")]
#[test]
fn the_server_ends_with_its_parent_even_if_its_pipes_stay_open() -> Outcome {
    let scratch = scratch()?;
    // The shell is the server's parent; both pipes are held by this test, too.
    let script = r#"exec 3<&0; "$0" "$@" <&3 3<&- & echo $!; wait"#;
    let argv = ["sh", "-c", script]
        .map(str::to_owned)
        .into_iter()
        .chain(server());
    let mut command = scratch.command(&argv.collect::<Vec<_>>());
    let mut parent = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = parent
        .stdin
        .take()
        .ok_or_else(|| Trouble("no input".into()))?;
    let output = parent
        .stdout
        .take()
        .ok_or_else(|| Trouble("no output".into()))?;
    let mut output = BufReader::new(output);
    let mut pid = String::new();
    output.read_line(&mut pid)?;
    writeln!(input, "{HELLO}")?;
    output.read_line(&mut String::new())?;
    let ended = when_ended(output);
    parent.kill()?;
    parent.wait()?;
    let outcome = ended.recv_timeout(EXIT_LIMIT);
    if outcome.is_err() {
        kill("-KILL", pid.trim())?;
        return Err(Trouble("the server outlived its parent".into()));
    }
    Ok(())
}

#[test]
fn a_server_that_was_told_nothing_ends_with_its_input() {
    Scene::silent().play_from_start(|_| Ok(()));
}
