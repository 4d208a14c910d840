//! Tokens stay where they belong. Every test of this folder runs at the most talkative log level
//! and ends with a search for tokens (see `stage`); here are the paths that no other test takes.

use serde_json::{Value, json};
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Request;
use understudy_tokio::demo::tokens::{api_key, traces};

use crate::stage::{LOGIN, REFRESH, Scene, expired, give, tokens};

fn assert_clean(value: &Value) {
    let text = value.to_string();
    assert!(traces().iter().all(|trace| !text.contains(trace)), "{text}");
}

#[test]
fn a_login_that_does_not_parse_is_refused_without_repeating_it() {
    Scene::silent().play(|stage| {
        let (access, id) = (tokens(1).access, tokens(1).id);
        for params in [
            json!({"type": "chatgptAuthTokens", "accessToken": access}),
            json!({"type": "chatgptAuthTokens", "accessToken": access, "idToken": [id]}),
            json!({"type": "chatgptAuthTokens", "accessToken": access, "idToken": "a.%.c"}),
            json!({"type": "apiKey", "apiKey": {"key": api_key()}}),
        ] {
            let reply = stage.host.call(LOGIN, params)?;
            assert_eq!(reply["error"]["code"], -32600, "{reply}");
            assert_clean(&reply);
        }
        assert_eq!(stage.account()?, Value::Null);
        Ok(())
    });
}

#[test]
fn a_broken_line_with_a_token_is_not_repeated() {
    Scene::silent().play(|stage| {
        let login = json!({"id": "x", "method": LOGIN, "params": tokens(1).login()}).to_string();
        let broken = login.get(..login.len() - 3).unwrap_or_default();
        stage.host.send_bytes(format!("{broken}\n").as_bytes())?;
        let reply = stage.host.wait("an error", |message| message.get("error").is_some())?;
        assert_clean(&reply);
        Ok(())
    });
}

#[test]
fn an_answer_with_tokens_that_nobody_asked_for_is_dropped_quietly() {
    Scene::silent().play(|stage| {
        stage.host.send(&json!({"id": 99, "result": tokens(1).refreshed()}))?;
        stage.host.send(&json!({"id": 0, "error": {"code": 1, "message": tokens(1).access}}))?;
        assert_eq!(stage.account()?, Value::Null);
        Ok(())
    });
}

#[test]
fn a_backend_that_repeats_the_token_does_not_get_it_into_the_log() {
    let echo = |request: &Request| Reply::error(403, &format!("not for {}", request.bearer()));
    Scene::script(echo).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "failed");
        Ok(())
    });
}

#[test]
fn a_refresh_that_fails_leaves_no_trace_of_the_tokens() {
    Scene::script(|_| expired()).play(|stage| {
        stage.host.answer(
            REFRESH,
            |_| json!({"result": {"accessToken": tokens(2).access, "idToken": 5}}),
        );
        let thread = stage.ready(&tokens(1))?;
        let turn = stage.turn(&thread, "hi")?;
        assert_eq!(turn["status"], "failed");
        assert_clean(&turn);
        Ok(())
    });
}

#[test]
fn a_stored_key_is_in_the_store_and_nowhere_else() {
    Scene::replies([Reply::say(1, "fine")]).stores().play(|stage| {
        stage.host.ask(LOGIN, json!({"type": "apiKey", "apiKey": api_key()}))?;
        stage.host.notice("account/updated")?;
        assert!(stage.scratch.has_auth_json());
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(stage.bearers(), [api_key()]);
        Ok(())
    });
}

#[test]
fn getting_a_token_back_does_not_log_it() {
    let second = tokens(2);
    Scene::replies([expired(), Reply::say(1, "fine")]).play(|stage| {
        stage.host.answer(REFRESH, give(&second));
        let thread = stage.ready(&tokens(1))?;
        stage.turn(&thread, "hi")?;
        let status = stage.host.ask("getAuthStatus", json!({"includeToken": true}))?;
        assert_eq!(status["authToken"], second.access);
        assert_eq!(status["authMethod"], "chatgptAuthTokens");
        Ok(())
    });
}
