//! Threads that outlive their process: read, resumed and forked by the next one (protocol.md §3).

use serde_json::{Value, json};
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::reply::Reply;

use crate::stage::{LOGIN, Scene, last_words, text, tokens};

/// Ids and kinds of the items of a turn.
fn items_of(turn: &Value) -> Vec<(String, String)> {
    let items = turn["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items.iter().map(|item| (text(&item["id"]), text(&item["type"]))).collect()
}

fn quit(mut host: Host) {
    host.close_input();
    let ended = host.wait_exit(crate::stage::EXIT_LIMIT);
    assert!(ended.is_ok_and(|status| status.success()));
}

#[test]
fn a_thread_goes_on_in_the_next_process() {
    let replies = ["quince", "damson", "medlar"];
    let replies = replies.iter().zip(1..).map(|(words, n)| Reply::say(n, words));
    Scene::replies(replies).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.turn(&thread, "first")?;
        let live = stage.said("item/completed");
        let live: Vec<_> = live.iter().map(|said| said["item"]["id"].clone()).collect();

        let mut next = stage.second_server()?;
        next.ask(LOGIN, tokens(1).login())?;
        let listed = next.ask("thread/list", json!({}))?;
        assert_eq!(listed["data"][0]["id"], thread);
        assert_eq!(listed["data"][0]["preview"], "first");
        let resumed = next.ask("thread/resume", json!({"threadId": thread}))?;
        let items = items_of(&resumed["thread"]["turns"][0]);
        let ids: Vec<_> = items.iter().map(|(id, _)| json!(id)).collect();
        assert_eq!(ids, live, "the same ids as were shown live");
        let forked = next.ask("thread/fork", json!({"threadId": thread}))?;
        let fork = text(&forked, "/thread/id")?;
        assert_ne!(fork, thread);
        for thread in [&thread, &fork] {
            let input = json!([{"type": "text", "text": "again"}]);
            next.ask("turn/start", json!({"threadId": thread, "input": input}))?;
            next.notice("turn/completed")?;
        }
        let requests = stage.backend.model_requests();
        for request in requests.iter().skip(1) {
            assert_eq!(last_words(request), "again");
            let input = request.body.as_ref().map(|body| body["input"].to_string());
            let input = input.unwrap_or_default();
            assert!(input.contains("first") && input.contains("quince"), "{input}");
            assert!(!input.contains("damson"), "a fork goes its own way: {input}");
        }
        assert_eq!(requests.len(), 3);
        quit(next);
        Ok(())
    });
}

#[test]
fn a_file_cut_off_in_a_line_is_read_up_to_there_and_appended_to() {
    let replies = [Reply::say(1, "one"), Reply::say(2, "two")];
    Scene::replies(replies).play(|stage| {
        let mut first = stage.second_server()?;
        first.ask(LOGIN, tokens(1).login())?;
        let work = stage.scratch.work().to_string_lossy().into_owned();
        let started = first.ask("thread/start", json!({"cwd": work}))?;
        let (thread, path) = (text(&started, "/thread/id")?, text(&started, "/thread/path")?);
        let input = json!([{"type": "text", "text": "first"}]);
        first.ask("turn/start", json!({"threadId": thread, "input": input}))?;
        first.notice("turn/completed")?;
        quit(first);
        let mut bytes = std::fs::read(&path)?;
        bytes.extend_from_slice(br#"{"timestamp":"2026-11-23T00:00:00.000Z","type":"resp"#);
        std::fs::write(&path, &bytes)?;

        let mut next = stage.second_server()?;
        next.ask(LOGIN, tokens(1).login())?;
        next.ask("thread/resume", json!({"threadId": thread}))?;
        let input = json!([{"type": "text", "text": "second"}]);
        next.ask("turn/start", json!({"threadId": thread, "input": input}))?;
        next.notice("turn/completed")?;
        let read = next.ask("thread/read", json!({"threadId": thread, "includeTurns": true}))?;
        assert_eq!(read["thread"]["turns"].as_array().map(Vec::len), Some(2), "{read}");
        quit(next);
        let after = std::fs::read_to_string(&path)?;
        let broken = after.lines().filter(|line| serde_json::from_str::<Value>(line).is_err());
        assert!(broken.count() <= 1, "only the line that was cut off");
        Ok(())
    });
}

#[test]
fn what_a_thread_was_begun_with_holds_in_the_next_process() {
    let replies = [Reply::say(1, "one"), Reply::say(2, "two"), Reply::say(3, "three")];
    Scene::replies(replies).play(|stage| {
        let schema = json!({"properties": {"n": {"minimum": 1, "description": "which"}}});
        let tool = |name: &str, schema: &Value| {
            json!({"name": name, "description": "Looks up", "inputSchema": schema})
        };
        stage.sign_in(&tokens(1))?;
        for (tools, text) in [
            (json!([tool("a", &schema), tool("a", &schema)]), "duplicate dynamic tool name: a"),
            (
                json!([tool("a", &json!({"type": "null"}))]),
                "dynamic tool input schema is not supported for a: unknown type `null`",
            ),
        ] {
            let refused = stage.host.call("thread/start", json!({"dynamicTools": tools}))?;
            assert_eq!(refused["error"], json!({"code": -32600, "message": text}));
        }
        let tools = json!([tool("lookup", &schema)]);
        let params = json!({"dynamicTools": tools, "baseInstructions": "Be brief."});
        let thread = text(&stage.host.ask("thread/start", params)?, "/thread/id")?;
        stage.turn(&thread, "first")?;

        let mut next = stage.second_server()?;
        next.ask(LOGIN, tokens(1).login())?;
        next.ask("thread/resume", json!({"threadId": thread}))?;
        let forked = next.ask("thread/fork", json!({"threadId": thread}))?;
        for thread in [&thread, &text(&forked, "/thread/id")?] {
            let input = json!([{"type": "text", "text": "again"}]);
            next.ask("turn/start", json!({"threadId": thread, "input": input}))?;
            next.notice("turn/completed")?;
        }
        for request in stage.backend.model_requests() {
            let body = request.body.unwrap_or_default();
            assert_eq!(body["instructions"], "Be brief.");
            let last = body["tools"].as_array().and_then(|tools| tools.last());
            let parameters = json!({"type": "object",
                "properties": {"n": {"type": "number", "minimum": 1, "description": "which"}}});
            let expected = json!({"type": "function", "name": "lookup", "strict": false,
                "description": "Looks up", "parameters": parameters});
            assert_eq!(last, Some(&expected));
        }
        quit(next);
        Ok(())
    });
}
