//! A thread that outgrows its model is summed up, and goes on after a restart (engine.md §7).

use serde_json::{Value, json};
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Request;

use crate::stage::{REFRESH, Scene, expired, give, last_words, text, tokens};

fn input(request: &Request) -> String {
    request.body.as_ref().map(|body| body["input"].to_string()).unwrap_or_default()
}

#[test]
fn a_401_while_a_thread_is_summed_up_costs_nothing() {
    // Every answer of this backend says that the thread has 20 tokens.
    let replies =
        [Reply::say(1, "medlar"), expired(), Reply::say(2, "THE SUMMARY"), Reply::say(3, "on")];
    let (first, second) = (tokens(1), tokens(2));
    Scene::replies(replies).config("model_auto_compact_token_limit = 20").play(|stage| {
        stage.host.answer(REFRESH, give(&second));
        let thread = stage.ready(&first)?;
        assert_eq!(stage.turn(&thread, "quince")?["status"], "completed");
        let turn = stage.turn(&thread, "next")?;
        assert_eq!((&turn["status"], &turn["error"]), (&json!("completed"), &Value::Null));
        assert_eq!(stage.said(REFRESH).len(), 1);
        let (old, new) = (first.access.as_str(), second.access.as_str());
        assert_eq!(stage.bearers(), [old, old, new, new]);
        let told = stage.said("thread/compacted");
        assert_eq!(told, [json!({"threadId": thread, "turnId": turn["id"]})]);
        assert_eq!(stage.said("codex/event/context_compacted").len(), 1);

        let requests = stage.backend.model_requests();
        assert!(input(&requests[1]).contains("medlar"));
        assert_eq!(input(&requests[1]), input(&requests[2]), "the same is asked again");
        let after = input(&requests[3]);
        assert!(
            after.contains("quince") && after.contains("THE SUMMARY") && !after.contains("medlar")
        );
        assert_eq!(last_words(&requests[3]), "next");
        Ok(())
    });
}

#[test]
fn another_server_reads_the_summary_back() {
    let replies = ["medlar", "THE SUMMARY", "on", "another summary", "there"];
    let replies = (1..).zip(replies).map(|(n, words)| Reply::say(n, words));
    Scene::replies(replies.collect::<Vec<_>>()).config("model_auto_compact_token_limit = 20").play(
        |stage| {
            let thread = stage.ready(&tokens(1))?;
            stage.turn(&thread, "quince")?;
            stage.turn(&thread, "next")?;
            let mut second = stage.second_server()?;
            second.ask("account/login/start", tokens(1).login())?;
            let resumed = second.ask("thread/resume", json!({"threadId": thread}))?;
            assert_eq!(text(&resumed, "/thread/id")?, thread);
            let kinds = |at: &str| resumed.pointer(at).map(|item| item["type"].clone());
            assert_eq!(kinds("/thread/turns/1/items/0"), Some(json!("contextCompaction")));
            let words = json!([{"type": "text", "text": "later"}]);
            second.ask("turn/start", json!({"threadId": thread, "input": words}))?;
            second.notice("turn/completed")?;
            let asked = stage.backend.model_requests();
            let read = input(&asked[3]);
            assert!(read.contains("THE SUMMARY") && read.contains("next"), "{read}");
            assert!(!read.contains("medlar"), "{read}");
            Ok(())
        },
    );
}
