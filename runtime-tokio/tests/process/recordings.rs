//! Sessions that are recorded, and played again in the machine alone: they go the same way, and the
//! recording holds no secret.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_core::trace::{End, Recording, Replay};
use understudy_std::{read_recording, read_recording_lines};
use understudy_tokio::demo::authority::Authority;
use understudy_tokio::demo::reply::{Reply, Speech};
use understudy_tokio::demo::seen::Request;
use understudy_tokio::demo::tokens::{api_key, traces};

use crate::browser::{self, PortTurn};
use crate::signin::{begin, signed_in};
use crate::stage::{
    LOGIN, Outcome, REFRESH, Scene, Stage, expired, give, last_words, text, tokens,
};

/// A folder for recordings, which no server knows.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn recording(&self) -> PathBuf {
        self.0.path().join("session.trace")
    }

    /// What makes a server write it.
    fn arguments(&self) -> Vec<OsString> {
        vec!["--record".into(), self.recording().into()]
    }

    /// The lines of the recording.
    fn lines(&self) -> String {
        let lines = read_recording_lines(&self.recording()).expect("a recording");
        String::from_utf8(lines).expect("text")
    }

    /// Plays the recording to its end, and gives it.
    fn replay(&self) -> Recording {
        let recording = read_recording(&self.recording()).expect("a recording");
        let mut machine = Replay::new(&recording);
        let mut played = 0;
        while let Some(step) = machine.play() {
            assert!(step.difference.is_none(), "{step:?}");
            played += 1;
        }
        assert_eq!(played, recording.len());
        recording
    }

    /// Plays the recording and looks for what must not be in it.
    fn check(&self, more: &[&str]) {
        assert_eq!(self.replay().end(), &End::Over);
        let lines = self.lines();
        // The head of a token is the same in all of them.
        let [mark, encoded, _] = traces();
        for secret in [mark.as_str(), &encoded, "example.com", "org-1"].iter().chain(more) {
            let found = lines.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret}");
        }
    }
}

/// The server writes down its session there.
fn recorded(mut scene: Scene, folder: &Folder) -> Scene {
    scene.arguments = folder.arguments();
    scene
}

/// Answers by what the user says last.
fn model(accepted: &str) -> impl FnMut(&Request) -> Reply + Send + use<> {
    let accepted = accepted.to_owned();
    let mut n = 0;
    move |request| {
        n += 1;
        if request.bearer() != accepted {
            return expired();
        }
        let is_answer = request.text.contains("function_call_output");
        match last_words(request).as_str() {
            "run" if !is_answer => {
                let line = "echo one; echo two >&2; printf three; exit 4";
                Reply::call(n, "shell_command", &json!({"command": line}))
            }
            "wait" => Speech::new(n).delta("for what? ").hang(),
            _ => Reply::say(n, "fine"),
        }
    }
}

/// A turn with a refresh in it, one that runs a command that the user allows, and one that the user
/// interrupts.
fn session(stage: &mut Stage) -> Outcome {
    stage.host.answer(REFRESH, give(&tokens(2)));
    stage.host.answer(
        "item/commandExecution/requestApproval",
        |_| json!({"result": {"decision": "accept"}}),
    );
    stage.sign_in(&tokens(1))?;
    let params = json!({"cwd": stage.scratch.work(), "approvalPolicy": "untrusted",
        "sandbox": "danger-full-access"});
    let thread = text(&stage.host.ask("thread/start", params)?, "/thread/id")?;
    assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
    assert_eq!(stage.turn(&thread, "run")?["status"], "completed");
    let turn = stage.begin(&thread, "wait")?;
    stage.host.notice("item/agentMessage/delta")?;
    stage.interrupt(&thread, &turn)?;
    assert_eq!(stage.completed(&thread)?["status"], "interrupted");
    assert_eq!(stage.account()?["email"], "user-2@example.com");
    let status = stage.host.ask("getAuthStatus", json!({"includeToken": true}))?;
    assert_eq!(status["authToken"], tokens(2).access);
    let params = json!({"command": ["sh", "-c", "echo said"],
        "sandboxPolicy": {"type": "dangerFullAccess"}});
    assert_eq!(stage.host.ask("command/exec", params)?["stdout"], "said\n");
    Ok(())
}

fn scene() -> Scene {
    Scene::script(model(&tokens(2).access))
}

#[test]
fn a_session_with_refresh_approval_and_interrupt_plays_the_same() {
    let folder = Folder::new();
    recorded(scene(), &folder).play(session);
    folder.check(&[]);
}

#[test]
fn stored_tokens_and_their_refresh_stay_out() -> Outcome {
    let authority = Authority::default();
    let (scene, issued) = Scene::signed_in(&authority, "2026-11-20T00:00:00Z");
    let folder = Folder::new();
    recorded(scene, &folder).play(|stage| {
        authority.expire();
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        stage.host.ask("account/logout", Value::Null)?;
        Ok(())
    });
    folder.check(&[&issued.access, &issued.refresh]);
    Ok(())
}

#[test]
fn a_login_with_the_browser_plays_the_same() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    let folder = Folder::new();
    recorded(Scene::of(&authority), &folder).play(|stage| {
        let login = begin(stage)?;
        browser::sign_in(&login.url)?;
        signed_in(stage, &login.id)?;
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        Ok(())
    });
    folder.check(&[]);
    Ok(())
}

#[test]
fn keys_of_the_configuration_stay_out() {
    let folder = Folder::new();
    let key = "hunter2-of-the-provider";
    let scene = Scene::replies([Reply::say(1, "fine")])
        .stores()
        .config("model_providers.other.name = 'other'")
        .config(&format!("model_providers.other.experimental_bearer_token = '{key}'"))
        .config("shell_environment_policy.set.MY_TOKEN = 'hunter3-of-the-shell'");
    recorded(scene, &folder).play(|stage| {
        stage.host.ask(LOGIN, json!({"type": "apiKey", "apiKey": api_key()}))?;
        stage.host.notice("account/updated")?;
        stage.host.ask("config/read", json!({"includeLayers": true}))?;
        let edit = json!({"keyPath": "model", "value": "other", "mergeStrategy": "replace"});
        stage.host.ask("config/value/write", edit)?;
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        Ok(())
    });
    folder.check(&[key, "hunter3-of-the-shell"]);
}

#[test]
fn the_recording_of_a_server_that_was_killed_is_read() {
    let folder = Folder::new();
    scene().play(|stage| {
        let mut host = stage.server_with(&folder.arguments())?;
        host.ask("account/read", json!({}))?;
        // It is in the file after a second, whatever happens then.
        thread::sleep(Duration::from_millis(1500));
        let killed = Command::new("kill").args(["-9", &host.pid().to_string()]).status()?;
        assert!(killed.success());
        Ok(())
    });
    let recording = folder.replay();
    assert_eq!(recording.end(), &End::Torn);
    assert!(recording.len() > 4);
}
