//! Reviews: one turn, in the thread itself or in a copy of it (protocol.md §4.7).

use serde_json::{Value, json};
use understudy_tokio::demo::reply::{Reply, Speech};
use understudy_tokio::demo::seen::{Request, Trouble};

use crate::stage::{Scene, Stage, eventually, last_words, text, tokens};

/// What a reviewer answers when asked for JSON.
fn verdict() -> String {
    let finding = json!({
        "title": "[P1] Prefer X", "body": "Body text.", "confidence_score": 0.9, "priority": 1,
        "code_location": {
            "absolute_file_path": "/tmp/file.rs", "line_range": {"start": 10, "end": 20}
        }
    });
    let (correctness, explanation) = ("patch is incorrect", "Looks solid.");
    json!({
        "findings": [finding], "overall_correctness": correctness,
        "overall_explanation": explanation, "overall_confidence_score": 0.8
    })
    .to_string()
}

const SHOWN: &str =
    "Looks solid.\n\nReview comment:\n\n- [P1] Prefer X — /tmp/file.rs:10-20\n  Body text.";

fn start(stage: &mut Stage, thread: &str, target: Value, more: Value) -> Result<Value, Trouble> {
    let mut params = json!({"threadId": thread, "target": target});
    if let (Some(params), Some(more)) = (params.as_object_mut(), more.as_object()) {
        params.extend(more.clone());
    }
    stage.host.ask("review/start", params)
}

/// Kind, id and text of each item of this turn that was completed, in order.
fn items(stage: &mut Stage, turn: &str) -> Vec<(String, String, String)> {
    let completed = stage.said("item/completed");
    let of_turn = completed.iter().filter(|params| params["turnId"] == turn);
    of_turn.map(|params| facts(&params["item"])).collect()
}

fn facts(item: &Value) -> (String, String, String) {
    let field = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let words = item["content"][0]["text"].as_str().map(str::to_owned);
    (field("type"), field("id"), words.unwrap_or(field("text") + &field("review")))
}

fn kinds(items: &[(String, String, String)]) -> Vec<&str> {
    items.iter().map(|(kind, ..)| kind.as_str()).collect()
}

fn body(request: &Request) -> Value {
    request.body.clone().unwrap_or_default()
}

const REVIEW_KINDS: [&str; 4] =
    ["enteredReviewMode", "userMessage", "exitedReviewMode", "agentMessage"];

#[test]
fn a_review_is_one_turn_and_the_thread_is_told_what_was_found() {
    let replies = [Reply::say(1, "first"), Reply::say(2, &verdict()), Reply::say(3, "third")];
    Scene::replies(replies).config("review_model = \"reviewer\"").play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.turn(&thread, "quince")?;
        let target = json!({"type": "commit", "sha": " abc1234567 ", "title": "Fix it"});
        let answer = start(stage, &thread, target, json!({"delivery": null}))?;
        let turn = text(&answer, "/turn/id")?;
        assert_eq!(answer["reviewThreadId"], thread);
        let shown = facts(&answer["turn"]["items"][0]);
        let hint = "commit abc1234: Fix it".to_owned();
        assert_eq!(shown, ("userMessage".to_owned(), turn.clone(), hint.clone()));
        let started = stage.host.wait("turn/started", |message| {
            message["method"] == "turn/started" && message["params"]["turn"]["id"] == turn
        })?;
        assert_eq!(started["params"]["turn"], answer["turn"]);
        let ended = stage.completed(&thread)?;
        assert_eq!((&ended["id"], &ended["status"]), (&json!(turn), &json!("completed")));

        let live = items(stage, &turn);
        assert_eq!(kinds(&live), REVIEW_KINDS);
        assert_eq!((&live[0].1, &live[0].2), (&turn, &hint));
        assert!(live[1].2.contains("abc1234567 (\"Fix it\")"), "{live:?}");
        assert_eq!((&live[2].1, live[2].2.as_str()), (&turn, SHOWN));
        assert_eq!((live[3].1.as_str(), live[3].2.as_str()), ("review_rollout_assistant", SHOWN));
        for (method, times) in [("entered_review_mode", 1), ("exited_review_mode", 1)] {
            assert_eq!(stage.said(&format!("codex/event/{method}")).len(), times, "{method}");
        }
        let found = &stage.said("codex/event/exited_review_mode")[0]["msg"]["review_output"];
        assert_eq!(found["findings"][0]["priority"], 1);
        assert!(stage.said("item/agentMessage/delta").iter().all(|d| d["turnId"] != turn));

        stage.turn(&thread, "after")?;
        let requests = stage.backend.model_requests();
        let bodies: Vec<Value> = requests.iter().map(body).collect();
        assert_eq!(bodies[1]["model"], "reviewer");
        assert_eq!(requests[1].header("x-openai-subagent"), Some("review"));
        assert_ne!(bodies[1]["prompt_cache_key"], bodies[0]["prompt_cache_key"]);
        assert_ne!(bodies[1]["instructions"], bodies[0]["instructions"]);
        assert!(!bodies[1]["input"].to_string().contains("quince"), "a reviewer begins afresh");
        assert_eq!(bodies[2]["model"], bodies[0]["model"]);
        assert_eq!(bodies[2]["instructions"], bodies[0]["instructions"]);
        let told = bodies[2]["input"].to_string();
        assert!(told.contains("quince") && told.contains("<user_action>"), "{told}");
        assert!(told.contains("- [P1] Prefer X — /tmp/file.rs:10-20"), "{told}");
        assert!(!told.contains("overall_correctness"), "the reviewer's own words stay with it");

        let params = json!({"threadId": thread, "includeTurns": true});
        let read = stage.host.ask("thread/read", params)?;
        let turns = read["thread"]["turns"].as_array().cloned().unwrap_or_default();
        assert_eq!(turns.len(), 3, "a review is one turn: {turns:?}");
        let stored: Vec<_> =
            turns[1]["items"].as_array().into_iter().flatten().map(facts).collect();
        assert_eq!(stored, live);
        let params = json!({"threadId": thread, "numTurns": 2});
        let left = stage.host.ask("thread/rollback", params)?;
        assert_eq!(left["thread"]["turns"].as_array().map(Vec::len), Some(1));
        Ok(())
    });
}

#[test]
fn a_review_that_is_interrupted_or_fails_is_left_before_its_turn_ends() {
    let replies = [
        Speech::new(1).delta("{\"find").hang(),
        Reply::error(400, "no"),
        Reply::say(3, "Nothing to mend."),
    ];
    Scene::replies(replies).retries(0, 0).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        let target = json!({"type": "uncommittedChanges"});
        for status in ["interrupted", "failed", "completed"] {
            let answer = start(stage, &thread, target.clone(), json!({}))?;
            let turn = text(&answer, "/turn/id")?;
            if status == "interrupted" {
                let backend = &stage.backend;
                eventually("the reviewer is asked", || backend.model_requests().len() == 1)?;
                stage.interrupt(&thread, &turn)?;
            }
            assert_eq!(stage.completed(&thread)?["status"], status);
            let items = items(stage, &turn);
            assert_eq!(kinds(&items), REVIEW_KINDS, "{status}");
            let (exited, answer) = match status {
                "completed" => ("Nothing to mend.", "Nothing to mend."),
                _ => (
                    "Reviewer failed to output a response.",
                    "Review was interrupted. Please re-run /review and wait for it to complete.",
                ),
            };
            assert_eq!((items[2].2.as_str(), items[3].2.as_str()), (exited, answer));
        }
        Ok(())
    });
}

#[test]
fn a_review_takes_the_place_of_a_running_turn_and_hears_what_the_user_adds() {
    let gate = understudy_tokio::demo::reply::Gate::new();
    let replies = [
        Speech::new(1).delta("long").hang(),
        Speech::new(2).delta("par").wait(&gate).done(),
        Reply::say(3, "All good."),
        Reply::say(4, "yes"),
    ];
    Scene::replies(replies).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.begin(&thread, "go")?;
        stage.host.notice("item/agentMessage/delta")?;
        let target = json!({"type": "custom", "instructions": "check"});
        let answer = start(stage, &thread, target, json!({}))?;
        let review = text(&answer, "/turn/id")?;
        let replaced = stage.completed(&thread)?;
        assert_eq!((&replaced["id"], &replaced["status"]), (&json!(turn), &json!("interrupted")));
        let aborted = &stage.said("codex/event/turn_aborted")[0]["msg"]["reason"];
        assert_eq!(aborted, "replaced");
        assert_eq!(stage.begin(&thread, "and the tests")?, review, "it joins the review");
        gate.open();
        assert_eq!(stage.completed(&thread)?["status"], "completed");
        stage.turn(&thread, "thanks")?;
        let requests = stage.backend.model_requests();
        assert_eq!(last_words(&requests[2]), "and the tests");
        let told = body(&requests[3])["input"].to_string();
        assert!(told.contains("and the tests") && told.contains("All good."), "{told}");
        assert!(!told.contains("turn_aborted"), "only an interrupt is told: {told}");
        Ok(())
    });
}

#[test]
fn a_detached_review_runs_in_a_copy() {
    let replies = [Reply::say(1, "first"), Reply::say(2, "Fine."), Reply::say(3, "on")];
    Scene::replies(replies).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.turn(&thread, "quince")?;
        stage.host.forget();
        let target = json!({"type": "baseBranch", "branch": "main"});
        let answer = start(stage, &thread, target, json!({"delivery": "detached"}))?;
        let copy = text(&answer, "/reviewThreadId")?;
        assert_ne!(copy, thread);
        let ended = stage.completed(&copy)?;
        assert_eq!((&ended["id"], &ended["status"]), (&answer["turn"]["id"], &json!("completed")));
        let started = stage.said("thread/started");
        assert_eq!(started.last().map(|params| &params["thread"]["id"]), Some(&json!(copy)));
        stage.turn(&thread, "go on")?;
        let told = body(&stage.backend.model_requests()[2])["input"].to_string();
        assert!(!told.contains("user_action"), "the thread itself knows nothing of it: {told}");

        let ephemeral = stage.host.ask("thread/start", json!({"ephemeral": true}))?;
        let ephemeral = text(&ephemeral, "/thread/id")?;
        let target = json!({"type": "uncommittedChanges"});
        let params = json!({"threadId": ephemeral, "target": target, "delivery": "detached"});
        let refused = stage.host.call("review/start", params)?;
        let message = format!("no rollout found for thread id {ephemeral}");
        assert_eq!(refused["error"], json!({"code": -32600, "message": message}));
        Ok(())
    });
}
