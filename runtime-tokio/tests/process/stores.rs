//! Where credentials are kept, on a machine without a keyring (auth.md §4.4–4.7, §12 G14), and
//! stored credentials that may not be used (§11).

use serde_json::{Value, json};
use understudy_tokio::demo::authority::{Ask, Authority};
use understudy_tokio::demo::tokens::api_key;

use crate::browser::{self, PortTurn};
use crate::signin::{begin, failed, signed_in};
use crate::stage::{LOGIN, Outcome, Scene, Stage, eventually, text, tokens};

const NOW: &str = "2026-11-20T00:00:00Z";

fn log_out(stage: &mut Stage) -> Outcome {
    assert_eq!(stage.host.ask("account/logout", Value::Null)?, json!({}));
    assert_eq!(stage.account()?, Value::Null);
    Ok(())
}

#[test]
fn without_a_keyring_a_login_that_belongs_there_fails_clearly() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    Scene::of(&authority).config(r#"cli_auth_credentials_store = "keyring""#).play(|stage| {
        let why = "failed to write OAuth tokens to keyring: there is no keyring to be had";
        let key = json!({"type": "apiKey", "apiKey": api_key()});
        let refused = stage.host.call(LOGIN, key)?;
        let message = text(&refused, "/error/message")?;
        assert!(message.starts_with(&format!("failed to save api key: {why}")), "{message}");
        let login = begin(stage)?;
        let page = browser::sign_in(&login.url)?;
        assert!(page.body.contains("failed to write OAuth tokens to keyring"), "{page:?}");
        let error = failed(stage, &login.id)?;
        assert!(error.contains(&format!("Unable to persist auth file: {why}")), "{error}");
        assert_eq!(stage.account()?, Value::Null);
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
    Ok(())
}

#[test]
fn g14_a_logout_without_a_keyring_clears_memory_then_says_what_is_left() {
    let authority = Authority::default();
    Scene::of(&authority).config(r#"cli_auth_credentials_store = "keyring""#).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let refused = stage.host.call("account/logout", Value::Null)?;
        let message = text(&refused, "/error/message")?;
        let why = "logout failed: failed to delete auth from keyring: ";
        assert!(message.starts_with(why), "{message}");
        assert_eq!(stage.host.notice("account/updated")?["authMode"], Value::Null);
        assert_eq!(stage.account()?, Value::Null);
        Ok(())
    });
}

#[test]
fn a_store_that_cannot_be_read_is_said_at_start() {
    let authority = Authority::default();
    let scene = Scene::of(&authority).config(r#"cli_auth_credentials_store = "keyring""#);
    scene.play(|stage| {
        let warning = stage.host.notice("configWarning")?;
        assert!(text(&warning, "/details")?.contains("failed to load CLI auth from keyring"));
        Ok(())
    });
}

#[test]
fn auto_falls_back_to_the_file_and_logs_out_of_it() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    Scene::of(&authority).config(r#"cli_auth_credentials_store = "auto""#).play(|stage| {
        let login = begin(stage)?;
        browser::sign_in(&login.url)?;
        signed_in(stage, &login.id)?;
        assert_eq!(stage.record()?["auth_mode"], "chatgpt");
        stage.host.ask("account/read", json!({"refreshToken": true}))?;
        assert_eq!(authority.asked(Ask::Refresh), 1);
        let refresh = text(&stage.record()?, "/tokens/refresh_token")?;
        assert!(authority.is_good_refresh(&refresh));
        log_out(stage)?;
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
    Ok(())
}

#[test]
fn an_ephemeral_login_leaves_nothing_behind() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    let scene = Scene::script(authority.model()).authority(&authority);
    scene.config(r#"cli_auth_credentials_store = "ephemeral""#).play(|stage| {
        let login = begin(stage)?;
        browser::sign_in(&login.url)?;
        signed_in(stage, &login.id)?;
        authority.expire();
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(authority.asked(Ask::Refresh), 1);
        assert!(!stage.scratch.has_auth_json());
        log_out(stage)?;
        eventually("the token is taken back", || authority.revoked().len() == 1)
    });
    Ok(())
}

#[test]
fn i42_a_logout_of_the_hosts_tokens_clears_the_stored_login_too() {
    let authority = Authority::default();
    let (scene, _) = Scene::signed_in(&authority, NOW);
    scene.play(|stage| {
        stage.sign_in(&tokens(1))?;
        assert!(stage.scratch.has_auth_json());
        log_out(stage)?;
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
}

#[test]
fn i20_and_i21_stored_credentials_that_are_not_allowed_are_not_used() {
    for (line, record) in [
        (r#"forced_login_method = "api""#, Authority::default().issue().record("org-1", NOW)),
        (r#"forced_login_method = "chatgpt""#, json!({"OPENAI_API_KEY": api_key()})),
        (
            r#"forced_chatgpt_workspace_id = "org-9""#,
            Authority::default().issue().record("org-1", NOW),
        ),
    ] {
        let scene = Scene::of(&Authority::default()).config(line).stored(record.clone());
        scene.play(|stage| {
            let warning = stage.host.notice("configWarning")?;
            let summary = "Stored credentials are not allowed; you are signed out.";
            assert_eq!(warning["summary"], summary, "{line}");
            assert_eq!(stage.account()?, Value::Null, "{line}");
            assert_eq!(stage.record()?, record, "they stay where they are");
            Ok(())
        });
    }
}
