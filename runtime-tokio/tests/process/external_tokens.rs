//! The host owns its user's tokens (auth.md §8, §9, §12 and I1–I45).

use std::time::Duration;

use serde_json::{Value, json};
use understudy_tokio::demo::reply::{Gate, Reply};
use understudy_tokio::demo::seen::Request;
use understudy_tokio::demo::tokens::{Tokens, api_key};

use crate::stage::{
    LOGIN, Outcome, REFRESH, Scene, Stage, WAIT_LIMIT, expired, give, only, text, tokens,
};

/// The turn failed because of the credentials, and the words say why.
fn assert_unauthorized(turn: &Value, words: &str) {
    assert_eq!(turn["status"], "failed", "{turn}");
    assert_eq!(turn["error"]["codexErrorInfo"], "unauthorized", "{turn}");
    let message = turn["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(words), "{message}");
}

fn answer(stage: &mut Stage, asked: &Value, tokens: &Tokens) -> Outcome {
    stage.host.send(&json!({"id": asked["id"], "result": tokens.refreshed()}))
}

#[test]
fn a_login_is_answered_then_completed_then_announced() {
    Scene::silent().play(|stage| {
        let id = stage.host.post(LOGIN, tokens(1).login())?;
        let mut told = Vec::new();
        while told.len() < 3 {
            let message = stage.host.wait("the login", |_| true)?;
            assert!(message.get("id").is_none_or(|got| *got == id), "{message}");
            told.push(message.get("method").map_or(message["result"].clone(), Value::clone));
        }
        let answer = json!({"type": "chatgptAuthTokens"});
        assert_eq!(told, [answer, "account/login/completed".into(), "account/updated".into()]);
        let account = json!({"type": "chatgpt", "email": "user-1@example.com", "planType": "pro"});
        assert_eq!(stage.account()?, account);
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
}

#[test]
fn the_newer_shape_of_tokens_is_taken_too() {
    Scene::replies([Reply::say(1, "hello")]).play(|stage| {
        // In this shape the access token holds the claims (auth.md §14.1).
        let access = Tokens::fake(1, "new@example.com", "org-of-the-claim").id;
        let login = json!({
            "type": "chatgptAuthTokens", "accessToken": access,
            "chatgptAccountId": "org-7", "chatgptPlanType": "team",
        });
        stage.host.ask(LOGIN, login)?;
        let account = stage.account()?;
        assert_eq!(
            (&account["email"], &account["planType"]),
            (&json!("new@example.com"), &json!("team"))
        );
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        let requests = stage.backend.model_requests();
        let sent = requests.iter().map(|r| (r.bearer(), r.header("chatgpt-account-id")));
        assert_eq!(sent.collect::<Vec<_>>(), [(access.as_str(), Some("org-7"))]);
        Ok(())
    });
}

#[test]
fn a_401_is_answered_with_new_tokens_and_the_turn_goes_on() {
    let (first, second) = (tokens(1), tokens(2));
    Scene::script(only(&second)).play(|stage| {
        stage.host.answer(REFRESH, give(&second));
        let thread = stage.ready(&first)?;
        let turn = stage.turn(&thread, "hi")?;
        assert_eq!((&turn["status"], &turn["error"]), (&json!("completed"), &Value::Null));
        assert_eq!(stage.bearers(), [first.access, second.access]);
        let asked = json!({"reason": "unauthorized", "previousAccountId": "org-1"});
        assert_eq!(stage.said(REFRESH), [asked]);
        assert_eq!(stage.said("error"), Vec::<Value>::new());
        assert_eq!(stage.account()?["email"], "user-2@example.com");
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
}

#[test]
fn a_refused_refresh_fails_the_turn_at_once_with_the_hosts_words() {
    Scene::script(|_| expired()).retries(2, 2).play(|stage| {
        stage
            .host
            .answer(REFRESH, |_| json!({"error": {"code": -32000, "message": "user signed out"}}));
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.turn(&thread, "hi")?;
        assert_unauthorized(
            &turn,
            "auth refresh request failed: code=-32000 message=user signed out",
        );
        assert_eq!(stage.said(REFRESH).len(), 1);
        assert_eq!(stage.bearers().len(), 1);
        assert_eq!(stage.account()?["email"], "user-1@example.com");
        Ok(())
    });
}

#[test]
fn an_answer_that_does_not_parse_changes_nothing() {
    Scene::script(|_| expired()).play(|stage| {
        stage.host.answer(REFRESH, |_| json!({"result": {"idToken": tokens(2).id}}));
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.turn(&thread, "hi")?;
        assert_unauthorized(&turn, "missing field `accessToken`");
        assert_eq!(stage.account()?["email"], "user-1@example.com");
        Ok(())
    });
}

#[test]
fn new_tokens_that_are_refused_too_fail_the_turn_with_the_backends_words() {
    let (first, second) = (tokens(1), tokens(2));
    Scene::script(|_| expired()).retries(2, 2).play(|stage| {
        stage.host.answer(REFRESH, give(&second));
        let thread = stage.ready(&first)?;
        let turn = stage.turn(&thread, "hi")?;
        assert_unauthorized(&turn, "token expired");
        assert_eq!(stage.said(REFRESH).len(), 1);
        assert_eq!(stage.bearers(), [first.access, second.access]);
        Ok(())
    });
}

#[test]
fn a_silent_host_fails_the_turn_and_its_late_answer_does_nothing() {
    let (first, second) = (tokens(1), tokens(2));
    Scene::script(|_| expired()).refresh_limit_ms(300).play(|stage| {
        let thread = stage.ready(&first)?;
        stage.begin(&thread, "hi")?;
        let asked = stage.host.asked(REFRESH)?;
        let turn = stage.completed(&thread)?;
        assert_unauthorized(&turn, "auth refresh request timed out");
        answer(stage, &asked, &second)?;
        assert_eq!(stage.account()?["email"], "user-1@example.com");
        assert_eq!(stage.bearers(), [first.access]);
        Ok(())
    });
}

#[test]
fn logout_ends_an_open_refresh_and_no_ghost_comes_back() {
    Scene::script(|_| expired()).stores().play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.begin(&thread, "hi")?;
        let asked = stage.host.asked(REFRESH)?;
        assert_eq!(stage.host.ask("account/logout", Value::Null)?, json!({}));
        assert_eq!(stage.host.notice("account/updated")?["authMode"], Value::Null);
        assert_eq!(stage.completed(&thread)?["status"], "failed");
        answer(stage, &asked, &tokens(2))?;
        assert_eq!(stage.account()?, Value::Null);
        assert_eq!(stage.bearers().len(), 1, "nothing is sent after the logout");
        let key = json!({"type": "apiKey", "apiKey": api_key()});
        assert_eq!(stage.host.ask(LOGIN, key)?, json!({"type": "apiKey"}));
        Ok(())
    });
}

#[test]
fn two_threads_share_one_refresh() {
    let (first, second) = (tokens(1), tokens(2));
    let gate = Gate::new();
    let (old, held) = (first.access.clone(), gate.clone());
    let mut n = 0;
    let script = move |request: &Request| {
        n += 1;
        if request.bearer() == old { expired().behind(&held) } else { Reply::say(n, "fine") }
    };
    Scene::script(script).play(|stage| {
        stage.host.answer(REFRESH, give(&second));
        let threads = [stage.ready(&first)?, stage.thread()?];
        for thread in &threads {
            stage.begin(thread, "hi")?;
        }
        stage.backend.wait_for(2, WAIT_LIMIT, Request::asks_model)?;
        gate.open();
        for thread in &threads {
            assert_eq!(stage.completed(thread)?["status"], "completed");
        }
        assert_eq!(stage.said(REFRESH).len(), 1);
        let [a, b] = [first.access, second.access];
        assert_eq!(stage.bearers(), [a.clone(), a, b.clone(), b]);
        Ok(())
    });
}

#[test]
fn interrupting_the_turn_keeps_the_tokens_that_then_arrive() {
    let (first, second) = (tokens(1), tokens(2));
    Scene::script(only(&second)).play(|stage| {
        let thread = stage.ready(&first)?;
        let turn = stage.begin(&thread, "hi")?;
        let asked = stage.host.asked(REFRESH)?;
        stage.interrupt(&thread, &turn)?;
        assert_eq!(stage.completed(&thread)?["status"], "interrupted");
        answer(stage, &asked, &second)?;
        assert_eq!(stage.account()?["email"], "user-2@example.com");
        assert_eq!(stage.turn(&thread, "again")?["status"], "completed");
        assert_eq!(stage.said(REFRESH).len(), 1);
        assert_eq!(stage.bearers(), [first.access, second.access]);
        Ok(())
    });
}

#[test]
fn an_answer_finds_its_turn_while_a_slow_request_waits() {
    let (first, second) = (tokens(1), tokens(2));
    let gate = Gate::new();
    Scene::script(only(&second)).play(|stage| {
        stage.backend.route("/usage", Reply::json(200, json!({"plan_type": "pro"})).behind(&gate));
        stage.host.answer(REFRESH, give(&second));
        let thread = stage.ready(&first)?;
        let slow = stage.host.post("account/rateLimits/read", Value::Null)?;
        stage.backend.wait_for(1, WAIT_LIMIT, |r| r.bare_path().ends_with("/usage"))?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        let early = stage.host.unread().any(|message| message["id"] == slow);
        assert!(!early, "the slow request was answered before its backend was");
        gate.open();
        let reply = stage.host.reply_to(&slow.into())?;
        assert!(reply.get("result").is_some(), "{reply}");
        Ok(())
    });
}

#[test]
fn other_logins_are_blocked_until_the_logout() {
    Scene::silent().stores().play(|stage| {
        stage.sign_in(&tokens(1))?;
        let key = json!({"type": "apiKey", "apiKey": api_key()});
        for (method, params) in [
            (LOGIN, key.clone()),
            (LOGIN, json!({"type": "chatgpt"})),
            ("loginApiKey", json!({"apiKey": api_key()})),
            ("loginChatGpt", Value::Null),
        ] {
            let reply = stage.host.call(method, params)?;
            assert_eq!(reply["error"]["code"], -32600, "{reply}");
            let message = text(&reply, "/error/message")?;
            assert!(message.starts_with("External auth is active. "), "{message}");
        }
        assert_eq!(stage.account()?["email"], "user-1@example.com");
        assert!(!stage.scratch.has_auth_json());
        stage.host.ask("account/logout", Value::Null)?;
        assert_eq!(stage.host.ask(LOGIN, key)?, json!({"type": "apiKey"}));
        Ok(())
    });
}

#[test]
fn an_answer_under_an_id_of_another_type_is_not_taken() {
    let (first, second) = (tokens(1), tokens(2));
    Scene::script(only(&second)).play(|stage| {
        let thread = stage.ready(&first)?;
        stage.begin(&thread, "hi")?;
        let asked = stage.host.asked(REFRESH)?;
        let as_text = json!(asked["id"].to_string());
        stage.host.send(&json!({"id": as_text, "result": tokens(3).refreshed()}))?;
        stage.host.listen(Duration::from_millis(50))?;
        assert_eq!(stage.bearers().len(), 1, "nothing is sent before the answer");
        answer(stage, &asked, &second)?;
        answer(stage, &asked, &tokens(3))?;
        assert_eq!(stage.completed(&thread)?["status"], "completed");
        assert_eq!(stage.account()?["email"], "user-2@example.com");
        Ok(())
    });
}
