//! Signing in with the user's browser or a device code (auth.md §6, §14.2, §15.3): what happens
//! when all goes well.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use understudy_tokio::demo::authority::{Ask, Authority, field};
use understudy_tokio::demo::seen::Trouble;
use understudy_tokio::demo::tokens::api_key;

use crate::browser::{self, PortTurn};
use crate::stage::{LOGIN, Outcome, Scene, Stage, text};

/// A login as the host knows it.
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) url: String,
}

/// Begins a browser login.
pub(crate) fn begin(stage: &mut Stage) -> Result<Begun, Trouble> {
    let begun = stage.host.ask(LOGIN, json!({"type": "chatgpt"}))?;
    Ok(Begun { id: text(&begun, "/loginId")?, url: text(&begun, "/authUrl")? })
}

/// The completions of a login so far, each as its success and its error.
pub(crate) fn completions(stage: &mut Stage, id: &str) -> Vec<(bool, Value)> {
    let said = stage.said("account/login/completed");
    let own = said.iter().filter(|params| params["loginId"] == id);
    own.map(|params| (params["success"] == true, params["error"].clone())).collect()
}

/// Waits for the one completion of a login, and gives its error.
pub(crate) fn failed(stage: &mut Stage, id: &str) -> Result<String, Trouble> {
    stage.host.wait("the login's end", |message| {
        message["method"] == "account/login/completed" && message["params"]["loginId"] == id
    })?;
    match completions(stage, id).as_slice() {
        [(false, error)] => Ok(error.as_str().unwrap_or_default().to_owned()),
        other => Err(Trouble(format!("not one failure: {other:?}"))),
    }
}

/// Waits until the user is signed in with ChatGPT.
pub(crate) fn signed_in(stage: &mut Stage, id: &str) -> Outcome {
    let told = stage.host.notice("account/login/completed")?;
    assert_eq!(told, json!({"loginId": id, "success": true, "error": null}));
    assert_eq!(stage.host.notice("account/updated")?["authMode"], "chatgpt");
    Ok(())
}

#[test]
fn a_user_signs_in_with_a_browser_and_a_turn_runs() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    let older = json!({"theirs": {"keep": [1, 2]}, "OPENAI_API_KEY": null});
    Scene::of(&authority).stored(older).play(|stage| {
        fs::set_permissions(stage.scratch.auth_json(), fs::Permissions::from_mode(0o644))?;
        assert_eq!(stage.account()?, Value::Null);
        let login = begin(stage)?;
        check_authorize_url(&login.url);
        let page = browser::sign_in(&login.url)?;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body.contains("You are signed in"), "{page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        signed_in(stage, &login.id)?;
        let account = json!({"type": "chatgpt", "email": "ada@example.com", "planType": "pro"});
        assert_eq!(stage.account()?, account);

        let record = stage.record()?;
        assert_eq!(record["auth_mode"], "chatgpt");
        assert_eq!(record["OPENAI_API_KEY"], api_key());
        assert_eq!(record["tokens"]["account_id"], "org-1");
        assert_eq!(record["theirs"], json!({"keep": [1, 2]}));
        assert!(authority.is_good_refresh(&text(&record, "/tokens/refresh_token")?));
        text(&record, "/last_refresh")?;
        let mode = fs::metadata(stage.scratch.auth_json())?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        let requests = stage.backend.model_requests();
        let sent = requests.iter().map(|r| (r.bearer(), r.header("chatgpt-account-id")));
        let access = text(&record, "/tokens/access_token")?;
        assert_eq!(sent.collect::<Vec<_>>(), [(access.as_str(), Some("org-1"))]);
        assert_eq!(completions(stage, &login.id).len(), 1);
        assert!(browser::get("http://127.0.0.1:1455/success").is_err(), "nobody listens any more");
        Ok(())
    });
    Ok(())
}

fn check_authorize_url(url: &str) {
    let (start, query) = url.split_once('?').expect("a query");
    assert!(start.ends_with("/oauth/authorize"), "{start}");
    let get = |name| field(query, name).unwrap_or_default();
    for (name, want) in [
        ("response_type", "code"),
        ("client_id", "app_EMoamEEZ73f0CkXaXp7hrann"),
        ("redirect_uri", "http://localhost:1455/auth/callback"),
        ("scope", "openid profile email offline_access"),
        ("code_challenge_method", "S256"),
        ("id_token_add_organizations", "true"),
        ("codex_cli_simplified_flow", "true"),
        ("originator", "process-test"),
    ] {
        assert_eq!(get(name), want, "{name}");
    }
    assert_eq!((get("code_challenge").len(), get("state").len()), (43, 43));
    assert_eq!(field(query, "allowed_workspace_id"), None);
}

#[test]
fn the_login_outlives_the_process() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    Scene::of(&authority).play(|stage| {
        let login = begin(stage)?;
        browser::sign_in(&login.url)?;
        signed_in(stage, &login.id)?;
        let mut second = stage.second_server()?;
        let account = second.ask("account/read", json!({}))?;
        assert_eq!(account["account"]["email"], "ada@example.com");
        Ok(())
    });
    Ok(())
}

#[test]
fn a_login_without_an_api_key_is_a_login() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    authority.switch(|switches| switches.gives_keys = false);
    Scene::of(&authority).play(|stage| {
        let login = begin(stage)?;
        assert_eq!(browser::sign_in(&login.url)?.status, 200);
        signed_in(stage, &login.id)?;
        assert_eq!(stage.record()?["OPENAI_API_KEY"], Value::Null);
        assert_eq!(authority.asked(Ask::Key), 1);
        Ok(())
    });
    Ok(())
}

#[test]
fn the_forced_workspace_is_asked_for_and_accepted() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    let scene = Scene::of(&authority).config(r#"forced_chatgpt_workspace_id = "org-1""#);
    scene.play(|stage| {
        let login = begin(stage)?;
        let (_, query) = login.url.split_once('?').unwrap_or_default();
        assert_eq!(field(query, "allowed_workspace_id").as_deref(), Some("org-1"));
        assert_eq!(browser::sign_in(&login.url)?.status, 200);
        signed_in(stage, &login.id)
    });
    Ok(())
}

#[test]
fn legacy_clients_sign_in_too() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    Scene::of(&authority).play(|stage| {
        let begun = stage.host.ask("loginChatGpt", Value::Null)?;
        let (id, url) = (text(&begun, "/loginId")?, text(&begun, "/authUrl")?);
        assert_eq!(browser::sign_in(&url)?.status, 200);
        let told = stage.host.notice("loginChatGptComplete")?;
        assert_eq!(told, json!({"loginId": id, "success": true, "error": null}));
        let told = stage.host.notice("authStatusChange")?;
        assert_eq!(told["authMethod"], "chatgpt");
        assert_eq!(stage.said("account/login/completed"), Vec::<Value>::new());

        let begun = stage.host.ask("loginChatGpt", Value::Null)?;
        let id = text(&begun, "/loginId")?;
        let canceled = stage.host.ask("cancelLoginChatGpt", json!({"loginId": id}))?;
        assert_eq!(canceled, json!({}));
        let told = stage.host.notice("loginChatGptComplete")?;
        let error = "Login server error: Login was not completed";
        assert_eq!(told, json!({"loginId": id, "success": false, "error": error}));
        let again = stage.host.call("cancelLoginChatGpt", json!({"loginId": id}))?;
        assert_eq!(again["error"]["message"], format!("login id not found: {id}"));
        assert_eq!(stage.account()?["type"], "chatgpt", "the earlier login stays");
        Ok(())
    });
    Ok(())
}

// --- device codes ---

fn begin_device(stage: &mut Stage) -> Result<Value, Trouble> {
    stage.host.ask(LOGIN, json!({"type": "chatgptDeviceCode"}))
}

#[test]
fn a_user_signs_in_with_a_code_typed_elsewhere() {
    let authority = Authority::default();
    Scene::of(&authority).play(|stage| {
        let begun = begin_device(stage)?;
        assert_eq!(
            (&begun["type"], &begun["userCode"]),
            (&json!("chatgptDeviceCode"), &json!("ABCD-1234"))
        );
        assert_eq!(begun["verificationUrl"], format!("{}/codex/device", stage.backend.url()));
        signed_in(stage, &text(&begun, "/loginId")?)?;
        assert_eq!(stage.record()?["OPENAI_API_KEY"], Value::Null);
        assert_eq!((authority.asked(Ask::DeviceToken), authority.asked(Ask::Key)), (1, 0));
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        Ok(())
    });
}

#[test]
fn a_device_login_waits_and_can_be_cancelled() {
    let authority = Authority::default();
    authority.switch(|switches| switches.device_typed = false);
    Scene::of(&authority).play(|stage| {
        let id = text(&begin_device(stage)?, "/loginId")?;
        let asks_device = |r: &understudy_tokio::demo::seen::Request| {
            r.bare_path().ends_with("/deviceauth/token")
        };
        stage.backend.wait_for(1, crate::stage::WAIT_LIMIT, asks_device)?;
        let canceled = stage.host.ask("account/login/cancel", json!({"loginId": id}))?;
        assert_eq!(canceled, json!({"status": "canceled"}));
        assert_eq!(failed(stage, &id)?, "Login was not completed");
        Ok(())
    });
}

#[test]
fn a_server_without_device_codes_says_so() {
    let authority = Authority::default();
    authority.next(Ask::UserCode, understudy_tokio::demo::reply::Reply::error(404, "no"));
    authority.next(Ask::UserCode, understudy_tokio::demo::reply::Reply::error(500, "no"));
    Scene::of(&authority).play(|stage| {
        let refused = stage.host.call(LOGIN, json!({"type": "chatgptDeviceCode"}))?;
        let message = "device code login is not enabled for this Codex server. Use the browser \
                       login or verify the server URL.";
        assert_eq!(refused["error"], json!({"code": -32600, "message": message}));
        let refused = stage.host.call(LOGIN, json!({"type": "chatgptDeviceCode"}))?;
        let message = "failed to request device code: device code request failed with status 500";
        assert_eq!(refused["error"]["code"], -32603);
        assert!(text(&refused, "/error/message")?.starts_with(message), "{refused}");
        assert_eq!(stage.said("account/login/completed"), Vec::<Value>::new());
        Ok(())
    });
}
