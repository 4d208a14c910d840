//! The stage that hosts are tested on. Goal: what it says happened is what happened, and a check of
//! it that fails shows why.
//!
//! The worked example of `docs/testing-hosts.md` runs as a test of the documentation.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_core::ExitStatus;
use understudy_core::files::FileOp;
use understudy_fuzz::testkit::{Answer, Fault, HOME, Reply, Stage, Tokens};

/// A turn of a user who is signed in with the host's tokens; its thread.
fn turn_begins(stage: &mut Stage) -> String {
    stage.initialize();
    stage.sign_in(&Tokens::new("old"));
    let thread = stage.start_thread();
    stage.start_turn(&thread, "hello");
    thread
}

/// What a check says that fails.
fn complaint(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("the check fails");
    panic.downcast_ref::<String>().cloned().expect("it says why")
}

fn status(stage: &mut Stage) -> Value {
    stage.expect("turn/completed")["turn"]["status"].take()
}

#[test]
fn bytes_and_messages_are_two_views_of_the_same_output() {
    let mut stage = Stage::new();
    let id = stage.request("initialize", json!({"clientInfo": {"name": "a", "version": "1"}}));
    let bytes = stage.output();
    let line: Value = serde_json::from_slice(&bytes).expect("one line");
    assert_eq!(line["result"], stage.expect_result(id));
    assert_eq!(stage.output(), b"");
    // Cut anywhere.
    for byte in b"{\"id\":7,\"method\":\"account/read\",\"params\":{}}\n" {
        stage.input(&[*byte]);
    }
    assert_eq!(stage.expect_result(7)["account"], Value::Null);
    assert!(String::from_utf8_lossy(&stage.output()).starts_with("{\"id\":7,"));
    assert!(stage.heard().is_empty());
}

#[test]
fn a_reply_arrives_in_pieces_and_may_break_off() {
    let mut stage = Stage::new();
    turn_begins(&mut stage);
    let request = stage.backend().next_request();
    assert!(request.is_turn() && request.url.ends_with("/responses"), "{}", request.url);
    assert_eq!(request.header("ChatGPT-Account-ID"), Some("org-a"));
    assert!(request.json()["input"].to_string().contains("hello"));
    stage.backend().head(&request, 200, &[]);
    let begin = "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\",\"role\":\"assistant\",\"id\":\"m\",\"content\":[]}}\n\n";
    let (one, other) = begin.split_at(40);
    stage.backend().piece(&request, one);
    stage.expect("item/started");
    stage.expect_no("item/started");
    stage.backend().piece(&request, other);
    assert_eq!(stage.expect("item/started")["item"]["id"], "m");
    stage.backend().cut(&request);
    assert_eq!(status(&mut stage), "failed");
    stage.expect_rest();
    let gone = complaint(|| stage.backend().end(&request));
    assert!(gone.contains("nobody waits for a reply"), "{gone}");
}

#[test]
fn a_script_answers_what_is_sent_in_order() {
    let mut stage = Stage::new();
    let replies = [
        Reply::call("no_such_tool", &json!({})).in_pieces_of(7),
        Reply::say("he said \"so\"").in_pieces_of(1),
    ];
    stage.backend().script(replies);
    turn_begins(&mut stage);
    assert_eq!(status(&mut stage), "completed");
    let requests: Vec<_> =
        stage.backend().requests().iter().filter(|request| request.is_turn()).cloned().collect();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].body.contains("no_such_tool"), "the tool's answer goes with it");
    let said: String = stage
        .heard()
        .iter()
        .filter(|message| message["method"] == "item/agentMessage/delta")
        .filter_map(|message| message["params"]["delta"].as_str())
        .collect();
    assert_eq!(said, "he said \"so\"");
    stage.backend().expect_no_request();
}

#[test]
fn a_connection_that_fails_and_one_that_breaks_end_the_turn() {
    for reply in [Reply::unreachable(), Reply::say("hello").cut_after(90), Reply::status(500)] {
        let mut stage = Stage::new();
        stage.backend().script([reply]);
        turn_begins(&mut stage);
        assert_eq!(status(&mut stage), "failed");
    }
}

#[test]
fn time_stands_still_until_it_is_moved() {
    let mut stage = Stage::new();
    turn_begins(&mut stage);
    let request = stage.backend().next_request();
    stage.backend().reply(&request, &Reply::status(401));
    let asked = stage.refresh_asked();
    assert_eq!((asked.at, asked.previous_account.as_deref()), (Duration::ZERO, Some("org-a")));
    assert_eq!(stage.next_timer(), Some(Duration::from_secs(10)));
    stage.advance(Duration::from_millis(9_999));
    stage.expect_no("turn/completed");
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.now(), Duration::from_secs(10));
    assert_eq!(status(&mut stage), "failed");
    // An answer that comes after all changes nothing.
    stage.answer_refresh(&asked, &Answer::Tokens(Tokens::new("late")));
    stage.backend().expect_no_request();
    stage.expect_rest();
}

#[test]
fn tokens_may_be_denied_or_belong_to_somebody_else() {
    let denied = Answer::Denied { code: -32001, message: "no network".to_owned() };
    let elsewhere = Answer::Tokens(Tokens::new("new").account("org-b").email("b@example.com"));
    let config = "forced_chatgpt_workspace_id = 'org-a'\n";
    for (answer, words) in [(denied, "no network"), (elsewhere, "org-a")] {
        for embeds in [false, true] {
            let plain = Stage::with().config(&format!("{config}{}", provider()));
            let again = answer.clone();
            let setup = if embeds { plain.embedder(move |_| again.clone()) } else { plain };
            let mut stage = setup.raise();
            turn_begins(&mut stage);
            let request = stage.backend().next_request();
            stage.backend().reply(&request, &Reply::status(401));
            if !embeds {
                let (id, params) = stage.expect_question("account/chatgptAuthTokens/refresh");
                assert_eq!(params["reason"], "unauthorized");
                assert_eq!(stage.refresh_asked().id, id);
                let asked = stage.refresh_asked();
                stage.answer_refresh(&asked, &answer);
            }
            let error = stage.expect("turn/completed")["turn"]["error"]["message"].to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}

fn provider() -> &'static str {
    "model_provider = 'p'\n[model_providers.p]\nname = 'P'\nbase_url = 'https://p.test/v1'\n\
     requires_openai_auth = true\nrequest_max_retries = 0\nstream_max_retries = 0\n"
}

#[test]
fn an_embedder_may_take_its_time_or_leave_the_answer_to_the_test() {
    let asked = Rc::new(RefCell::new(0));
    let count = Rc::clone(&asked);
    let setup = Stage::with().embedder(move |_| {
        *count.borrow_mut() += 1;
        Answer::Later
    });
    let mut stage = setup.raise();
    turn_begins(&mut stage);
    let request = stage.backend().next_request();
    stage.backend().reply(&request, &Reply::status(401));
    stage.expect_no("account/chatgptAuthTokens/refresh");
    stage.advance(Duration::from_secs(9));
    let question = stage.refresh_asked();
    stage.answer_refresh(&question, &Answer::Tokens(Tokens::new("new").plan("team")));
    assert_eq!(stage.backend().next_request().bearer(), Some("new"));
    assert_eq!((*asked.borrow(), stage.refreshes().len()), (1, 1));
}

#[test]
fn a_host_that_does_not_read_stops_the_clock_of_its_question() {
    let mut stage = Stage::new();
    turn_begins(&mut stage);
    stage.stop_reading();
    let request = stage.backend().next_request();
    stage.backend().reply(&request, &Reply::status(401));
    stage.advance(Duration::from_secs(60));
    assert!(stage.refreshes().is_empty());
    stage.resume_reading();
    assert_eq!(stage.refresh_asked().at, Duration::from_secs(60));
    stage.advance(Duration::from_millis(9_999));
    stage.expect_no("turn/completed");
}

#[test]
fn files_are_seen_held_and_made_to_fail() {
    let auth = format!("{HOME}/auth.json");
    let login = json!({"type": "apiKey", "apiKey": "sk-1"});
    let mut stage = Stage::with().without_keyring().file("/work/AGENTS.md", "Be kind.").raise();
    stage.initialize();
    stage.hold_files();
    let id = stage.request("account/login/start", login.clone());
    assert!(stage.file(&auth).is_none() && stage.heard().is_empty());
    assert!(stage.finish_files(Fault::Op(FileOp::Write)));
    assert!(stage.expect_refusal(id).1.contains("failed to save api key"));
    stage.release_files();
    stage.call("account/login/start", login);
    assert!(stage.file(&auth).is_some_and(|text| text.contains("sk-1")));
    assert!(stage.files().paths().len() >= 3 && !stage.keyring().is_there());
    // Tokens of the host's never get there.
    stage.call("account/logout", Value::Null);
    stage.sign_in(&Tokens::new("secret-of-the-host"));
    let kept: Vec<String> =
        stage.files().paths().iter().filter_map(|path| stage.file(path)).collect();
    assert!(kept.iter().all(|text| !text.contains("secret-of-the-host")));
}

#[test]
fn a_host_that_hangs_up_ends_the_server() {
    let mut stage = Stage::with().seed(3).raise();
    turn_begins(&mut stage);
    stage.hang_up();
    assert_eq!(status(&mut stage), "interrupted");
    assert_eq!(stage.exit(), Some(&ExitStatus::Clean));
}

#[test]
fn a_check_that_fails_tells_the_whole_story() {
    let mut stage = Stage::new();
    turn_begins(&mut stage);
    let request = stage.backend().next_request();
    stage.backend().reply(&request, &Reply::status(401));
    stage.advance(Duration::from_secs(3));
    let text = complaint(|| drop(stage.expect("turn/completed")));
    for part in [
        "the server has not said turn/completed",
        "host     -> {\"id\":1,\"method\":\"initialize\"",
        "backend  <- https://backend.test/v1/responses, bearer old",
        "backend  -> status 401",
        "host     <- {\"method\":\"account/chatgptAuthTokens/refresh\"",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let open = complaint(|| stage.expect_rest());
    assert!(open.contains("something is open: OpenWork"), "{open}");
    let unanswered = complaint(|| drop(stage.expect_result(99)));
    assert!(unanswered.starts_with("request 99 has no answer"), "{unanswered}");
    stage.advance(Duration::from_secs(7));
    assert!(stage.story().contains("10.000 s  clock       a timer fires"), "{}", stage.story());
}

#[test]
fn the_same_test_gives_the_same_bytes() {
    let run = |seed| {
        let mut stage = Stage::with().seed(seed).raise();
        stage.backend().script([Reply::say("hello")]);
        turn_begins(&mut stage);
        stage.output()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn who_asks_for_the_impossible_is_told() {
    let mut stage = Stage::new();
    turn_begins(&mut stage);
    let other = complaint(|| drop(stage.backend().next_request_to("/oauth/token")));
    assert!(other.starts_with("no request to /oauth/token waits"), "{other}");
    assert!(complaint(|| drop(stage.refresh_asked())).starts_with("the server has not asked"));
    let endless = complaint(|| stage.talk_with(|_| b"{\"id\":1,\"method\":\"x\"}\n".to_vec()));
    assert!(endless.starts_with("host and server do not come to an end"), "{}", &endless[..80]);
}
