//! Threads that rest: a history that was put away comes back without anybody noticing.

use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Request;

use crate::stage::{Outcome, Scene, Stage, WAIT_LIMIT, text, tokens};

const PUT_AWAY: &str = "histories of idle threads are put away";

/// A server whose threads rest as soon as anything comes in.
fn drowsy(replies: impl IntoIterator<Item = Reply>) -> Scene {
    Scene::replies(replies).config("understudy.thread_idle_ms = 0")
}

fn times_put_away(stage: &mut Stage) -> usize {
    stage.host.stderr().matches(PUT_AWAY).count()
}

/// Runs a turn, after which the thread rests again.
fn turn_and_rest(stage: &mut Stage, thread: &str, words: &str) -> Outcome {
    let before = times_put_away(stage);
    assert_eq!(stage.turn(thread, words)?["status"], "completed");
    rests(stage, before)
}

/// Waits until something was put away since `before` was counted.
fn rests(stage: &mut Stage, before: usize) -> Outcome {
    // Whatever comes in has threads looked over.
    stage.host.ask("account/read", json!({"refreshToken": false}))?;
    let end = Instant::now() + WAIT_LIMIT;
    while times_put_away(stage) <= before {
        assert!(Instant::now() < end, "nothing was put away: {}", stage.host.stderr());
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn body(request: &Request) -> Value {
    request.body.clone().unwrap_or_default()
}

#[test]
fn a_thread_that_rested_goes_on_as_if_nothing_had_been() {
    let replies = ["quince", "damson", "medlar", "sloe"];
    let replies = replies.iter().zip(1..).map(|(words, n)| Reply::say(n, words));
    drowsy(replies).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let work = stage.scratch.work().to_string_lossy().into_owned();
        let params = json!({"cwd": work, "experimentalRawEvents": true});
        let thread = text(&stage.host.ask("thread/start", params)?, "/thread/id")?;
        rests(stage, 0)?;
        let before = times_put_away(stage);
        let input = json!([{"type": "text", "text": "first"}]);
        let params = json!({
            "threadId": thread, "input": input, "model": "other-model", "effort": "high",
        });
        stage.host.ask("turn/start", params)?;
        stage.completed(&thread)?;
        rests(stage, before)?;

        // What is asked of a thread that rests is answered as ever.
        let params = json!({"threadId": thread, "includeTurns": true});
        let read = stage.host.ask("thread/read", params)?;
        assert_eq!(read["thread"]["turns"].as_array().map(Vec::len), Some(1));
        let loaded = stage.host.ask("thread/loaded/list", json!({}))?;
        assert_eq!(loaded["data"], json!([thread]));

        let raw_before = stage.said("rawResponseItem/completed").len();
        turn_and_rest(stage, &thread, "second")?;
        assert!(stage.said("rawResponseItem/completed").len() > raw_before, "still listened to");
        let before = times_put_away(stage);
        let params = json!({"threadId": thread, "numTurns": 1});
        let left = stage.host.ask("thread/rollback", params)?;
        assert_eq!(left["thread"]["turns"].as_array().map(Vec::len), Some(1));
        rests(stage, before)?;
        turn_and_rest(stage, &thread, "third")?;

        let requests = stage.backend.model_requests();
        let bodies: Vec<Value> = requests.iter().map(body).collect();
        let input = |n: usize| bodies[n]["input"].as_array().cloned().unwrap_or_default();
        let (first, second, third) = (input(0), input(1), input(2));
        assert_eq!(second[..first.len()], first, "word for word");
        assert_eq!(second.len(), first.len() + 2, "the answer and the next question");
        assert_eq!(third[..=first.len()], second[..=first.len()]);
        assert_eq!(third.len(), second.len(), "the second turn was taken back");
        for body in &bodies {
            assert_eq!(body["model"], "other-model");
            assert_eq!(body["prompt_cache_key"], bodies[0]["prompt_cache_key"]);
        }
        Ok(())
    });
}

#[test]
fn a_thread_in_memory_never_rests_and_one_that_is_gone_is_said_to_be() {
    let replies = [Reply::say(1, "quince"), Reply::say(2, "damson"), Reply::say(3, "medlar")];
    drowsy(replies).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let ephemeral = stage.host.ask("thread/start", json!({"ephemeral": true}))?;
        let ephemeral = text(&ephemeral, "/thread/id")?;
        stage.turn(&ephemeral, "first")?;
        stage.host.ask("account/read", json!({"refreshToken": false}))?;
        assert_eq!(times_put_away(stage), 0);
        stage.turn(&ephemeral, "second")?;
        let told = body(&stage.backend.model_requests()[1])["input"].to_string();
        assert!(told.contains("first") && told.contains("quince"), "{told}");

        let started = stage.host.ask("thread/start", json!({}))?;
        let (thread, path) = (text(&started, "/thread/id")?, text(&started, "/thread/path")?);
        rests(stage, 0)?;
        turn_and_rest(stage, &thread, "third")?;
        let kept = fs::read(&path)?;
        fs::remove_file(&path)?;
        let input = json!([{"type": "text", "text": "fourth"}]);
        let params = json!({"threadId": thread, "input": input});
        let refused = stage.host.call("turn/start", params)?;
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("failed to load rollout `"), "{refused}");
        fs::write(&path, kept)?;
        Ok(())
    });
}

/// Who attaches to a thread, or takes turns of it back, is not shown a thread without turns when its
/// file cannot be read. What was taken back is, once the file is there again.
#[test]
fn turns_that_cannot_be_read_are_an_error() {
    let replies = [Reply::say(1, "quince"), Reply::say(2, "damson"), Reply::say(3, "medlar")];
    Scene::replies(replies).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let started = stage.host.ask("thread/start", json!({}))?;
        let (thread, path) = (text(&started, "/thread/id")?, text(&started, "/thread/path")?);
        for words in ["first", "second", "third"] {
            stage.turn(&thread, words)?;
        }
        let kept = fs::read(&path)?;
        fs::remove_file(&path)?;
        let text = "No such file or directory (os error 2)";
        let text = format!("failed to load rollout `{path}` for thread {thread}: {text}");
        let back = json!({"threadId": thread, "numTurns": 1});
        for (method, params) in
            [("thread/resume", json!({"threadId": thread})), ("thread/rollback", back.clone())]
        {
            let refused = stage.host.call(method, params)?;
            assert_eq!(refused["error"], json!({"code": -32603, "message": text}), "{method}");
        }
        assert!(!fs::exists(&path)?, "no file is made without a thread's first line");
        fs::write(&path, kept)?;
        let left = stage.host.ask("thread/rollback", back)?;
        assert_eq!(left["thread"]["turns"].as_array().map(Vec::len), Some(1), "{left}");
        Ok(())
    });
}

#[test]
fn what_another_program_wrote_while_a_thread_rested_is_part_of_it() {
    let replies = [Reply::say(1, "quince"), Reply::say(2, "damson")];
    drowsy(replies).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let started = stage.host.ask("thread/start", json!({}))?;
        let (thread, path) = (text(&started, "/thread/id")?, text(&started, "/thread/path")?);
        rests(stage, 0)?;
        turn_and_rest(stage, &thread, "first")?;
        let content = json!([{"type": "input_text", "text": "from elsewhere"}]);
        let item = json!({"type": "message", "role": "user", "content": content});
        let time = "2026-01-29T10:00:00.101Z";
        let line = json!({"timestamp": time, "type": "response_item", "payload": item});
        let kept = fs::read_to_string(&path)?;
        fs::write(&path, format!("{kept}{line}\n"))?;
        stage.turn(&thread, "second")?;
        let told = body(&stage.backend.model_requests()[1])["input"].to_string();
        for words in ["first", "quince", "from elsewhere", "second"] {
            assert!(told.contains(words), "{words}: {told}");
        }
        let params = json!({"threadId": thread, "numTurns": 1});
        stage.host.ask("thread/rollback", params)?;
        Ok(())
    });
}
