//! Turns: streaming, joining, interrupting, retrying, and several at once (protocol.md §4).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_tokio::demo::reply::{Gate, Reply, Speech};
use understudy_tokio::demo::seen::Request;

use crate::stage::{Scene, last_words, text, tokens};

/// The pieces of reply that were streamed in this thread.
fn streamed(deltas: &[Value], thread: &str) -> String {
    let of_thread = deltas.iter().filter(|delta| delta["threadId"] == thread);
    of_thread
        .filter_map(|delta| delta["delta"].as_str())
        .collect()
}

#[test]
fn pieces_come_through_as_they_are_said() {
    let gate = Gate::new();
    let reply = Speech::new(1).delta("Hel").wait(&gate).delta("lo").done();
    Scene::replies([reply]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.begin(&thread, "hi")?;
        let first = stage.host.notice("item/agentMessage/delta")?;
        assert_eq!(
            (&first["delta"], &first["turnId"]),
            (&json!("Hel"), &json!(turn))
        );
        gate.open();
        let ended = stage.completed(&thread)?;
        assert_eq!(
            (&ended["id"], &ended["status"]),
            (&json!(turn), &json!("completed"))
        );
        assert_eq!(
            streamed(&stage.said("item/agentMessage/delta"), &thread),
            "Hello"
        );
        let items = stage.said("item/completed");
        let kinds: Vec<_> = items
            .iter()
            .map(|params| params["item"]["type"].clone())
            .collect();
        assert_eq!(kinds, ["userMessage", "agentMessage"]);
        assert_eq!(
            items.last().map(|params| &params["item"]["text"]),
            Some(&json!("Hello"))
        );
        Ok(())
    });
}

#[test]
fn the_answer_comes_before_anything_of_the_turn() {
    Scene::replies([Reply::say(1, "hello")]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.host.wait("thread/started", |message| {
            message["method"] == "thread/started"
        })?;
        stage.host.forget();
        let input = json!([{"type": "text", "text": "hi"}]);
        let id = stage
            .host
            .post("turn/start", json!({"threadId": thread, "input": input}))?;
        let mut order = Vec::new();
        while order.last().is_none_or(|last| last != "item/completed") {
            let message = stage.host.wait("the turn", |_| true)?;
            match message["method"].as_str() {
                None => assert_eq!(message["id"], id),
                Some(method) if method.starts_with("codex/event/") => continue,
                Some(_) => {}
            }
            order.push(message["method"].as_str().unwrap_or("answer").to_owned());
        }
        assert_eq!(
            order,
            ["answer", "turn/started", "item/started", "item/completed"]
        );
        stage.completed(&thread)?;
        Ok(())
    });
}

#[test]
fn an_interrupted_turn_keeps_what_was_streamed() {
    Scene::replies([Speech::new(1).delta("abc").hang(), Reply::say(2, "next")]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.begin(&thread, "hi")?;
        stage.host.notice("item/agentMessage/delta")?;
        stage.interrupt(&thread, &turn)?;
        let ended = stage.completed(&thread)?;
        assert_eq!(ended["status"], "interrupted");
        assert_eq!(ended["error"], Value::Null);
        let items = stage.said("item/completed");
        let kept = items
            .iter()
            .find(|params| params["item"]["type"] == "agentMessage");
        assert_eq!(
            kept.map(|params| &params["item"]["text"]),
            Some(&json!("abc"))
        );
        assert_eq!(stage.turn(&thread, "and now")?["status"], "completed");
        Ok(())
    });
}

#[test]
fn interrupting_nothing_is_answered_at_once() {
    Scene::silent().play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.interrupt(&thread, "no-such-turn")?;
        assert_eq!(stage.said("turn/completed"), Vec::<Value>::new());
        Ok(())
    });
}

#[test]
fn input_during_a_turn_joins_it() {
    let gate = Gate::new();
    let first = Speech::new(1).delta("one").wait(&gate).done();
    Scene::replies([first, Reply::say(2, "two")]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.begin(&thread, "go")?;
        stage.host.notice("item/agentMessage/delta")?;
        assert_eq!(stage.begin(&thread, "and this")?, turn);
        gate.open();
        let ended = stage.completed(&thread)?;
        assert_eq!(
            (&ended["id"], &ended["status"]),
            (&json!(turn), &json!("completed"))
        );
        let items = stage.said("item/completed");
        let of_user = items
            .iter()
            .filter(|params| params["item"]["type"] == "userMessage");
        let said: Vec<_> = of_user
            .map(|p| (p["turnId"].clone(), p["item"]["content"][0]["text"].clone()))
            .collect();
        let turn = json!(turn);
        assert_eq!(
            said,
            [(turn.clone(), json!("go")), (turn, json!("and this"))]
        );
        let asked: Vec<_> = stage
            .backend
            .model_requests()
            .iter()
            .map(last_words)
            .collect();
        assert_eq!(asked, ["go", "and this"]);
        assert_eq!(stage.said("turn/started").len(), 1);
        Ok(())
    });
}

#[test]
fn a_stream_that_breaks_is_asked_for_again() {
    let replies = [Speech::new(1).delta("par").cut(), Reply::say(2, "whole")];
    Scene::replies(replies).retries(0, 1).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        let errors = stage.said("error");
        let told: Vec<_> = errors
            .iter()
            .map(|e| (&e["willRetry"], &e["error"]["message"]))
            .collect();
        assert_eq!(told, [(&json!(true), &json!("Reconnecting... 1/1"))]);
        assert_eq!(stage.bearers().len(), 2);
        Ok(())
    });
}

#[test]
fn a_stream_that_breaks_for_good_fails_the_turn() {
    let cut = |n| Speech::new(n).delta("par").cut();
    Scene::replies([cut(1), cut(2)])
        .retries(0, 1)
        .play(|stage| {
            let thread = stage.ready(&tokens(1))?;
            let turn = stage.turn(&thread, "hi")?;
            assert_eq!(turn["status"], "failed");
            let message = text(&turn, "/error/message")?;
            assert!(
                message.starts_with("stream disconnected before completion"),
                "{message}"
            );
            let retries = stage
                .said("error")
                .iter()
                .map(|e| e["willRetry"].clone())
                .collect::<Vec<_>>();
            assert_eq!(retries, [true, false]);
            Ok(())
        });
}

#[test]
fn a_server_error_is_tried_again_unseen() {
    let replies = [Reply::error(500, "oops"), Reply::say(1, "fine")];
    Scene::replies(replies).retries(1, 0).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(stage.said("error"), Vec::<Value>::new());
        assert_eq!(stage.bearers().len(), 2);
        Ok(())
    });
}

#[test]
fn a_busy_backend_is_given_the_time_it_asks_for() {
    let busy = Reply::error(429, "slow down").header("retry-after", "1");
    Scene::replies([busy, Reply::say(1, "fine")])
        .retries(1, 1)
        .play(|stage| {
            let thread = stage.ready(&tokens(1))?;
            assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
            let requests = stage.backend.model_requests();
            let times: Vec<_> = requests.iter().map(|request| request.at).collect();
            let [first, second] = times[..] else {
                panic!("{} requests", times.len())
            };
            assert!(
                second - first >= Duration::from_millis(950),
                "{:?}",
                second - first
            );
            Ok(())
        });
}

#[test]
fn several_threads_run_at_once_and_do_not_mix() {
    const THREADS: usize = 6;
    let gate = Gate::new();
    let held = gate.clone();
    let mut n = 0;
    let script = move |request: &Request| {
        n += 1;
        let echo = format!("you said {}", last_words(request));
        Speech::new(n).delta("… ").wait(&held).delta(&echo).done()
    };
    Scene::script(script).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let mut turns = BTreeSet::new();
        let mut threads = Vec::new();
        for i in 0..THREADS {
            let thread = stage.thread()?;
            turns.insert(stage.begin(&thread, &format!("number {i}"))?);
            threads.push(thread);
        }
        for _ in 0..THREADS {
            stage.host.notice("item/agentMessage/delta")?;
        }
        gate.open();
        for thread in &threads {
            assert_eq!(stage.completed(thread)?["status"], "completed");
        }
        let deltas = stage.said("item/agentMessage/delta");
        for (i, thread) in threads.iter().enumerate() {
            assert_eq!(streamed(&deltas, thread), format!("… you said number {i}"));
        }
        assert_eq!(turns.len(), THREADS, "turn ids are unique over all threads");
        let is_v7 = |id: &String| id.len() == 36 && id.as_bytes().get(14) == Some(&b'7');
        assert!(turns.iter().all(is_v7), "{turns:?}");
        Ok(())
    });
}

#[test]
fn a_thread_that_does_not_exist_is_said_to_be_missing() {
    Scene::silent().play(|stage| {
        let absent = "01890000-0000-7000-8000-000000000000";
        let params = json!({"threadId": absent, "input": []});
        let reply = stage.host.call("turn/start", params)?;
        let expected = json!({"code": -32600, "message": format!("thread not found: {absent}")});
        assert_eq!(reply["error"], expected);
        Ok(())
    });
}
