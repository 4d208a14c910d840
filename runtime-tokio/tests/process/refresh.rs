//! Tokens that the server keeps itself are refreshed with the authority (auth.md §7, §12 G5–G9,
//! §13.1 I5–I7, I27, I33–I37, I45), and every call in the account's name knows how (G11).

use std::time::Duration;

use serde_json::{Value, json};
use understudy_tokio::demo::authority::{Ask, Authority, Issued};
use understudy_tokio::demo::reply::{Gate, Reply};
use understudy_tokio::demo::seen::Request;

use crate::stage::{EXIT_LIMIT, Outcome, Scene, Stage, WAIT_LIMIT, eventually, text};

const RECENTLY: &str = "2026-11-20T00:00:00Z";

/// A time so many days ago.
fn days_ago(days: u64) -> String {
    let now = std::time::SystemTime::now();
    let then = now - Duration::from_secs(days * 24 * 3600);
    let seconds = then.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(0);
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn refreshes(request: &Request) -> bool {
    request.bare_path().ends_with("/oauth/token")
}

/// A user who signed in a moment ago.
fn signed_in(authority: &Authority) -> (Scene, Issued) {
    Scene::signed_in(authority, &days_ago(0))
}

fn read_with_refresh(stage: &mut Stage) -> Outcome {
    let read = stage.host.ask("account/read", json!({"refreshToken": true}))?;
    assert_eq!(read["account"]["type"], "chatgpt", "{read}");
    Ok(())
}

/// What the record holds is what the authority still takes.
fn assert_stored_well(stage: &Stage, authority: &Authority) -> Outcome {
    let refresh = text(&stage.record()?, "/tokens/refresh_token")?;
    assert!(authority.is_good_refresh(&refresh), "{refresh} is spent");
    Ok(())
}

// --- when ---

#[test]
fn a_401_is_answered_with_a_refresh_and_the_turn_goes_on() {
    let authority = Authority::default();
    let issued = authority.issue();
    let mut record = issued.record("org-1", &days_ago(0));
    record["OPENAI_API_KEY"] = "sk-beside".into();
    record["theirs"] = json!({"keep": true});
    Scene::of(&authority).stored(record).play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        let turn = stage.turn(&thread, "hi")?;
        assert_eq!((&turn["status"], &turn["error"]), (&json!("completed"), &Value::Null));
        let record = stage.record()?;
        let fresh = text(&record, "/tokens/access_token")?;
        assert_eq!(stage.bearers(), [issued.access, fresh]);
        assert_eq!(
            (&record["OPENAI_API_KEY"], &record["theirs"]),
            (&json!("sk-beside"), &json!({"keep": true}))
        );
        assert_eq!(record["tokens"]["account_id"], "org-1");
        assert_eq!(authority.asked(Ask::Refresh), 1);
        assert_eq!(stage.said("error"), Vec::<Value>::new());
        let requests = stage.backend.requests();
        let refresh = requests.iter().find(|request| refreshes(request));
        assert_eq!(refresh.and_then(|request| request.header("originator")), Some("process-test"));
        assert_stored_well(stage, &authority)
    });
}

#[test]
fn i34_age_and_expiry_say_when_tokens_are_old() {
    for (expires_in, days, wanted) in
        [(None, 7, 0), (None, 9, 1), (Some(-10), 0, 1), (Some(3600), 9, 0), (Some(3600), 0, 0)]
    {
        let authority = Authority::default();
        authority.switch(|switches| switches.expires_in = expires_in);
        let (scene, issued) = Scene::signed_in(&authority, &days_ago(days));
        authority.switch(|switches| switches.expires_in = None);
        scene.play(|stage| {
            let thread = stage.thread()?;
            assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
            let case = format!("{expires_in:?}, {days} days");
            assert_eq!(authority.asked(Ask::Refresh), wanted, "{case}");
            assert_eq!(stage.bearers().contains(&issued.access), wanted == 0, "{case}");
            assert_stored_well(stage, &authority)
        });
    }
}

#[test]
fn i33_old_tokens_that_cannot_be_refreshed_are_used_all_the_same() {
    let authority = Authority::default();
    let (scene, issued) = Scene::signed_in(&authority, &days_ago(9));
    for _ in 0..3 {
        authority.next(Ask::Refresh, Reply::error(503, "later"));
    }
    scene.play(|stage| {
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(stage.bearers(), [issued.access]);
        assert_eq!(stage.turn(&thread, "again")?["status"], "completed");
        assert_eq!(authority.asked(Ask::Refresh), 3, "the second turn does not try at once");
        Ok(())
    });
}

#[test]
fn a_host_asks_for_a_refresh() {
    let authority = Authority::default();
    let (scene, issued) = signed_in(&authority);
    scene.play(|stage| {
        read_with_refresh(stage)?;
        assert_eq!(authority.asked(Ask::Refresh), 1);
        let asked = json!({"includeToken": true, "refreshToken": true});
        let status = stage.host.ask("getAuthStatus", asked)?;
        assert_eq!(authority.asked(Ask::Refresh), 2);
        assert_eq!(status["authToken"], stage.record()?["tokens"]["access_token"]);
        assert_ne!(status["authToken"], issued.access);
        assert_stored_well(stage, &authority)
    });
}

#[test]
fn i40_a_slow_refresh_holds_up_nobody_else() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Refresh, &gate);
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        let slow = stage.host.post("account/read", json!({"refreshToken": true}))?;
        stage.backend.wait_for(1, WAIT_LIMIT, refreshes)?;
        stage.account()?;
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        gate.open();
        let read = stage.host.reply_to(&slow.into())?;
        assert_eq!(read["result"]["account"]["type"], "chatgpt");
        Ok(())
    });
}

// --- once ---

#[test]
fn i5_two_turns_share_one_refresh() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Refresh, &gate);
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        authority.expire();
        let threads = [stage.thread()?, stage.thread()?];
        for thread in &threads {
            stage.begin(thread, "hi")?;
        }
        let asked = stage.host.post("account/read", json!({"refreshToken": true}))?;
        stage.backend.wait_for(2, WAIT_LIMIT, Request::asks_model)?;
        stage.backend.wait_for(1, WAIT_LIMIT, refreshes)?;
        stage.host.listen(Duration::from_millis(50))?;
        gate.open();
        for thread in &threads {
            assert_eq!(stage.completed(thread)?["status"], "completed");
        }
        stage.host.reply_to(&asked.into())?;
        assert_eq!(authority.asked(Ask::Refresh), 1);
        assert_eq!(stage.bearers().len(), 4);
        assert_stored_well(stage, &authority)
    });
}

// --- other processes ---

#[test]
fn tokens_that_another_process_refreshed_are_used() {
    let authority = Authority::default();
    let (scene, issued) = Scene::signed_in(&authority, RECENTLY);
    scene.play(|stage| {
        authority.expire();
        let newer = authority.issue();
        stage.write_record(&newer.record("org-1", &days_ago(0)))?;
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(stage.bearers(), [issued.access, newer.access]);
        assert_eq!(authority.asked(Ask::Refresh), 0);
        Ok(())
    });
}

#[test]
fn tokens_of_another_process_that_are_refused_too_are_refreshed() {
    let authority = Authority::default();
    let (scene, _) = Scene::signed_in(&authority, RECENTLY);
    scene.play(|stage| {
        stage.write_record(&authority.issue().record("org-1", &days_ago(0)))?;
        authority.expire();
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!((stage.bearers().len(), authority.asked(Ask::Refresh)), (3, 1));
        stage.write_record(&authority.issue().record("org-1", "2099-01-01T00:00:00Z"))?;
        authority.expire();
        stage.host.ask("account/rateLimits/read", Value::Null)?;
        assert_eq!((authority.asked(Ask::Usage), authority.asked(Ask::Refresh)), (3, 2));
        assert_stored_well(stage, &authority)
    });
}

#[test]
fn the_end_of_the_input_begins_no_refresh() {
    let authority = Authority::default();
    let (scene, issued) = signed_in(&authority);
    scene.play(|stage| {
        let lock = std::fs::File::create(stage.scratch.home().join("auth.refresh.lock"))?;
        lock.lock()?;
        authority.expire();
        let asked = stage.host.post("account/read", json!({"refreshToken": true}))?;
        stage.host.listen(Duration::from_millis(50))?;
        stage.host.close_input();
        stage.host.reply_to(&asked.into())?;
        stage.host.wait_exit(EXIT_LIMIT)?;
        assert_eq!(authority.asked(Ask::Refresh), 0);
        assert!(authority.is_good_refresh(&issued.refresh));
        Ok(())
    });
}

#[test]
fn a_refusal_is_not_believed_when_the_store_has_other_tokens() {
    let authority = Authority::default();
    let (scene, _) = Scene::signed_in(&authority, RECENTLY);
    scene.play(|stage| {
        authority.expire();
        // A process that takes no lock, and whose clock is slow, was faster.
        let theirs = authority.issue();
        let theirs_record = theirs.record("org-1", "2026-11-19T00:00:00Z");
        stage.write_record(&theirs_record)?;
        let reused = json!({"error": {"code": "refresh_token_reused"}});
        authority.next(Ask::Refresh, Reply::json(401, reused));
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(authority.asked(Ask::Refresh), 1);
        assert_eq!(stage.record()?, theirs_record);
        Ok(())
    });
}

#[test]
fn i45_a_record_of_another_account_is_left_alone() {
    let authority = Authority::default();
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        authority.expire();
        let theirs = authority.issue().record("org-2", &days_ago(0));
        for record in [theirs, json!({"OPENAI_API_KEY": "sk-other"}), json!({})] {
            stage.write_record(&record)?;
            let thread = stage.thread()?;
            let turn = stage.turn(&thread, "hi")?;
            assert_eq!(turn["status"], "failed");
            assert_eq!(turn["error"]["codexErrorInfo"], "unauthorized", "{turn}");
            let message = "Your access token could not be refreshed because you have since logged \
                           out or signed in to another account. Please sign in again.";
            assert_eq!(turn["error"]["message"], message);
            assert_eq!(stage.record()?, record);
        }
        assert_eq!(authority.asked(Ask::Refresh), 0);
        Ok(())
    });
}

#[test]
fn i7_a_login_of_another_process_during_a_refresh_is_left_alone() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Refresh, &gate);
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        stage.begin(&thread, "hi")?;
        stage.backend.wait_for(1, WAIT_LIMIT, refreshes)?;
        let theirs = json!({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-other"});
        stage.write_record(&theirs)?;
        gate.open();
        assert_eq!(stage.completed(&thread)?["status"], "failed");
        assert_eq!(stage.record()?, theirs);
        Ok(())
    });
}

// --- failures ---

#[test]
fn i35_a_refusal_for_good_is_remembered_and_says_what_to_do() {
    let authority = Authority::default();
    for code in ["refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"] {
        let (scene, _) = signed_in(&authority);
        let before = authority.asked(Ask::Refresh);
        authority.next(Ask::Refresh, Reply::json(401, json!({"error": {"code": code}})));
        scene.play(|stage| {
            authority.expire();
            let stored = stage.record()?;
            let thread = stage.thread()?;
            for _ in 0..2 {
                let turn = stage.turn(&thread, "hi")?;
                assert_eq!(turn["error"]["codexErrorInfo"], "unauthorized", "{turn}");
                let message = text(&turn, "/error/message")?;
                assert!(message.ends_with("Please log out and sign in again."), "{message}");
            }
            read_with_refresh(stage)?;
            assert_eq!(authority.asked(Ask::Refresh) - before, 1);
            assert_eq!(stage.record()?, stored);
            Ok(())
        });
    }
}

#[test]
fn a_failure_in_passing_is_tried_again() {
    let authority = Authority::default();
    let (scene, _) = signed_in(&authority);
    authority.next(Ask::Refresh, Reply::error(500, "out of order"));
    authority.next(Ask::Refresh, Reply::json(200, json!("no object")));
    scene.play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        assert_eq!(authority.asked(Ask::Refresh), 3);
        assert_stored_well(stage, &authority)
    });
}

#[test]
fn a_failure_that_lasts_fails_the_turn_and_signs_nobody_out() {
    let authority = Authority::default();
    let (scene, issued) = signed_in(&authority);
    let words = format!("out of order: {}", issued.refresh);
    for _ in 0..3 {
        authority.next(Ask::Refresh, Reply::error(500, &words));
    }
    scene.play(|stage| {
        authority.expire();
        let stored = stage.record()?;
        let thread = stage.thread()?;
        let turn = stage.turn(&thread, "hi")?;
        assert_eq!(turn["status"], "failed");
        let message = text(&turn, "/error/message")?;
        assert!(message.contains("Failed to refresh token: 500"), "{message}");
        assert!(message.contains("out of order: ***"), "{message}");
        assert_eq!(stage.account()?["type"], "chatgpt");
        assert_eq!(stage.record()?, stored);
        assert_eq!(stage.turn(&thread, "again")?["status"], "completed");
        Ok(())
    });
}

#[test]
fn tokens_for_another_account_are_not_taken() {
    let authority = Authority::default();
    let (scene, _) = signed_in(&authority);
    authority.switch(|switches| switches.account = "org-2".into());
    scene.play(|stage| {
        authority.expire();
        let stored = stage.record()?;
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "failed");
        assert_eq!(stage.record()?, stored);
        Ok(())
    });
}

// --- endings ---

#[test]
fn i37_an_interrupt_during_a_refresh_loses_nothing() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Refresh, &gate);
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        let turn = stage.begin(&thread, "hi")?;
        stage.backend.wait_for(1, WAIT_LIMIT, refreshes)?;
        stage.interrupt(&thread, &turn)?;
        assert_eq!(stage.completed(&thread)?["status"], "interrupted");
        gate.open();
        assert_eq!(stage.turn(&thread, "again")?["status"], "completed");
        assert_eq!(authority.asked(Ask::Refresh), 1);
        assert_stored_well(stage, &authority)
    });
}

#[test]
fn the_end_of_the_input_during_a_refresh_loses_nothing() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Refresh, &gate);
    let (scene, issued) = signed_in(&authority);
    scene.play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        stage.begin(&thread, "hi")?;
        stage.backend.wait_for(1, WAIT_LIMIT, refreshes)?;
        stage.host.close_input();
        stage.host.listen(Duration::from_millis(50))?;
        gate.open();
        stage.host.wait_exit(EXIT_LIMIT)?;
        assert_ne!(text(&stage.record()?, "/tokens/refresh_token")?, issued.refresh);
        assert_stored_well(stage, &authority)
    });
}

#[test]
fn i3_a_logout_during_a_refresh_is_a_logout() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Refresh, &gate);
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        stage.begin(&thread, "hi")?;
        stage.backend.wait_for(1, WAIT_LIMIT, refreshes)?;
        assert_eq!(stage.host.ask("account/logout", Value::Null)?, json!({}));
        assert_eq!(stage.completed(&thread)?["status"], "failed");
        gate.open();
        stage.host.listen(Duration::from_millis(100))?;
        assert_eq!(stage.account()?, Value::Null);
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
}

#[test]
fn a_logout_takes_the_token_back_and_waits_for_nobody() {
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Revoke, &gate);
    let (scene, issued) = signed_in(&authority);
    scene.play(|stage| {
        assert_eq!(stage.host.ask("account/logout", Value::Null)?, json!({}));
        assert_eq!(stage.host.notice("account/updated")?["authMode"], Value::Null);
        assert!(!stage.scratch.has_auth_json());
        let revokes = |r: &Request| r.bare_path().ends_with("/oauth/revoke");
        stage.backend.wait_for(1, WAIT_LIMIT, revokes)?;
        eventually("the token is taken back", || authority.revoked() == [issued.refresh.as_str()])?;
        let requests = stage.backend.requests();
        let body = requests.iter().find(|r| revokes(r)).and_then(|r| r.body.clone());
        assert_eq!(body.map(|body| body["token_type_hint"].clone()), Some("refresh_token".into()));
        Ok(())
    });
}

// --- calls that are no turn's ---

#[test]
fn g11_the_accounts_usage_knows_the_same_rules() {
    let authority = Authority::default();
    let (scene, _) = signed_in(&authority);
    scene.play(|stage| {
        let read = stage.host.ask("account/rateLimits/read", Value::Null)?;
        let primary = json!({
            "usedPercent": 42, "windowDurationMins": 60, "resetsAt": 1_800_000_000,
        });
        assert_eq!(read["rateLimits"]["primary"], primary);
        assert_eq!(read["rateLimits"]["planType"], "pro");
        assert_eq!(read["rateLimitsByLimitId"]["codex"]["primary"], primary);
        authority.expire();
        let read = stage.host.ask("account/rateLimits/read", Value::Null)?;
        assert_eq!(read["rateLimits"]["primary"], primary);
        assert_eq!((authority.asked(Ask::Refresh), authority.asked(Ask::Usage)), (1, 3));
        Ok(())
    });
}
