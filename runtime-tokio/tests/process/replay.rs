//! Sessions that are recorded, and played again by `understudy replay`: they go the same way, and
//! the recording holds no secret.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_std::read_recording;
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
        let unpacked = self.replay(&["--lines"]);
        assert!(unpacked.status.success(), "{unpacked:?}");
        String::from_utf8(unpacked.stdout).expect("text")
    }

    fn replay(&self, args: &[&str]) -> Output {
        replay(&self.recording(), args)
    }

    /// Plays the recording and looks for what must not be in it.
    fn check(&self, more: &[&str]) {
        let output = self.replay(&[]);
        let said = String::from_utf8_lossy(&output.stdout);
        let is_same = output.status.success() && said.contains("the same in all ");
        assert!(is_same, "{output:?}\n{:?}", self.replay(&["--print"]));
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

fn replay(recording: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    command.arg("replay").arg(recording).args(args).output().expect("the program")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
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
    let printed = stdout(&folder.replay(&["--print"]));
    for shown in [
        "host→server  account/login/start  #",
        "server→host  account/chatgptAuthTokens/refresh  #0",
        "backend→server  status 401: /v1/responses",
        "server→host  item/commandExecution/requestApproval  #",
        "server→processes  run ",
        "exited: Code(4)",
        "host→server  turn/interrupt  #",
        "server→files  append to a thread",
    ] {
        assert!(printed.contains(shown), "{shown} is not in:\n{printed}");
    }
    let until = folder.replay(&["--until", "3"]);
    assert!(
        until.status.success() && stdout(&until).contains("the same up to step 3"),
        "{until:?}"
    );
}

#[test]
fn an_altered_input_is_named_by_its_step() {
    let folder = Folder::new();
    recorded(scene(), &folder).play(session);
    let lines = folder.lines();
    let words = r#""delta":"fine"#;
    let said = lines.split_once(words);
    let (before, behind) = said.unwrap_or_else(|| panic!("no words of the model in {lines}"));
    // Each step has a line of its own behind what was said.
    let own = |line: &&str| !line.starts_with(['|', '\\']);
    let step = before.lines().filter(own).count() - 1;
    // A recording may be unpacked, looked at and changed.
    let altered = folder.0.path().join("altered");
    fs::write(&altered, format!("{before}\"delta\":\"find{behind}")).expect("written");
    let output = replay(&altered, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains(&format!("step {step}: what came out is not")), "{output:?}");
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
    let output = folder.replay(&[]);
    let said = stdout(&output);
    assert!(output.status.success() && said.contains("the end is missing"), "{output:?}");
    assert!(read_recording(&folder.recording()).is_ok_and(|recording| recording.len() > 4));
}

#[test]
fn the_page_holds_the_session_and_no_code_of_it() {
    let folder = Folder::new();
    let words = "</script><script>alert(1)</script>";
    recorded(Scene::replies([Reply::say(1, words)]), &folder).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        stage.turn(&thread, words)?;
        Ok(())
    });
    let page = folder.0.path().join("page.html");
    let output = folder.replay(&["--html", &page.to_string_lossy()]);
    assert!(output.status.success(), "{output:?}");
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("turn/start") && page.contains("\\u003c/script>\\u003cscript>alert(1)"));
    assert_eq!(page.matches("<script").count(), 3, "the page's own");
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_is_no_recording_is_refused() {
    let folder = Folder::new();
    fs::write(folder.recording(), "something else").expect("written");
    let output = folder.replay(&[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Error: "), "{output:?}");
}
