//! `understudy replay`: what it says of a recording, and what it draws. That sessions of all kinds
//! play the same is shown by `tests/process/recordings.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use understudy_tokio::demo::backend::Backend;
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::reply::{Reply, Speech};
use understudy_tokio::demo::scratch::{Scratch, Settings};
use understudy_tokio::demo::seen::{Request, Trouble};
use understudy_tokio::demo::tokens::Tokens;

type Outcome = Result<(), Trouble>;

const LIMIT: Duration = Duration::from_secs(10);
const PROGRAM: &str = env!("CARGO_BIN_EXE_understudy");

/// What the user and the model say to each other.
const WORDS: &str = "</script><script>alert(1)</script>";

/// The recording of a session, in a folder that goes with it.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    /// A turn with a refresh and a command in it, which the user allows, and one that the user
    /// interrupts.
    fn new() -> Result<Self, Trouble> {
        let recorded = Self { folder: tempfile::tempdir()? };
        let scratch = Scratch::new()?;
        let (tell, facts) = mpsc::channel();
        let backend = Backend::start(tell.clone(), Box::new(model(tokens(2).access)))?;
        scratch.configure(&backend.url(), &Settings::default())?;
        let argv = [PROGRAM, "app-server", "--record"].map(str::to_owned);
        let mut command = scratch.command(&argv);
        command.arg(recorded.path());
        let mut host = Host::start(&mut command, (tell, facts), LIMIT, Box::new(|_| {}))?;
        play(&mut host, &scratch)?;
        host.close_input();
        assert!(host.wait_exit(LIMIT)?.success());
        Ok(recorded)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("session.trace")
    }

    /// The lines of the recording.
    fn lines(&self) -> String {
        let (output, said) = self.replay(&["--lines"]);
        assert!(output.status.success(), "{output:?}");
        said
    }

    /// Somebody has unpacked the recording, and it holds these lines.
    fn rewrite(&self, lines: &str) -> Outcome {
        Ok(fs::write(self.path(), lines)?)
    }

    fn replay(&self, arguments: &[&str]) -> (Output, String) {
        replay(&self.path(), arguments)
    }
}

/// Plays it again; what was said is text, too.
fn replay(recording: &Path, arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(PROGRAM);
    let output = command.arg("replay").arg(recording).args(arguments).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

fn tokens(n: u32) -> Tokens {
    Tokens::fake(n, &format!("user-{n}@example.com"), "org-1")
}

/// Takes only this token, has a command run, says something, and then does not come to an end.
fn model(accepted: String) -> impl FnMut(&Request) -> Reply + Send {
    let mut n = 0;
    move |request| {
        if request.bearer() != accepted {
            return Reply::error(401, "token expired");
        }
        n += 1;
        match n {
            1 => Reply::call(n, "shell_command", &json!({"command": "echo one; exit 4"})),
            2 => Reply::say(n, WORDS),
            _ => Speech::new(n).delta("for what? ").hang(),
        }
    }
}

fn play(host: &mut Host, scratch: &Scratch) -> Outcome {
    let fresh = tokens(2).refreshed();
    host.answer("account/chatgptAuthTokens/refresh", move |_| json!({"result": fresh}));
    host.answer(
        "item/commandExecution/requestApproval",
        |_| json!({"result": {"decision": "accept"}}),
    );
    host.ask("initialize", json!({"clientInfo": {"name": "replay-test", "version": "1"}}))?;
    host.ask("account/login/start", tokens(1).login())?;
    let params = json!({"cwd": scratch.work(), "approvalPolicy": "untrusted",
        "sandbox": "danger-full-access"});
    let thread = host.ask("thread/start", params)?["thread"]["id"].take();
    let input = json!([{"type": "text", "text": WORDS}]);
    let turn = json!({"threadId": thread, "input": input});
    host.ask("turn/start", turn.clone())?;
    assert_eq!(host.notice("turn/completed")?["turn"]["status"], "completed");
    host.forget();
    let turn = host.ask("turn/start", turn)?["turn"]["id"].take();
    host.notice("item/agentMessage/delta")?;
    host.ask("turn/interrupt", json!({"threadId": thread, "turnId": turn}))?;
    assert_eq!(host.notice("turn/completed")?["turn"]["status"], "interrupted");
    Ok(())
}

#[test]
fn each_message_and_effect_can_be_printed() -> Outcome {
    let recorded = Recorded::new()?;
    let (output, said) = recorded.replay(&[]);
    assert!(output.status.success() && said.contains("the same in all "), "{output:?}");
    assert!(!said.contains("the end is missing"), "{said}");
    let (_, printed) = recorded.replay(&["--print"]);
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
    let (until, said) = recorded.replay(&["--until", "3"]);
    assert!(until.status.success() && said.contains("the same up to step 3"), "{until:?}");
    Ok(())
}

#[test]
fn an_altered_input_is_named_by_its_step() -> Outcome {
    let recorded = Recorded::new()?;
    let lines = recorded.lines();
    let said = lines.split_once(r#""delta":"for what"#);
    let (before, behind) = said.unwrap_or_else(|| panic!("no words of the model in {lines}"));
    // Each step has a line of its own behind what was said.
    let own = |line: &&str| !line.starts_with(['|', '\\']);
    let step = before.lines().filter(own).count() - 1;
    recorded.rewrite(&format!("{before}\"delta\":\"for that{behind}"))?;
    let (output, said) = recorded.replay(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("step {step}: what came out is not")), "{output:?}");
    Ok(())
}

#[test]
fn a_recording_without_an_end_says_so() -> Outcome {
    let recorded = Recorded::new()?;
    let lines = recorded.lines();
    let (all_but_one, _) = lines.trim_end().rsplit_once('\n').unwrap_or_default();
    recorded.rewrite(all_but_one)?;
    let (output, said) = recorded.replay(&[]);
    assert!(output.status.success() && said.contains("the end is missing"), "{output:?}");
    Ok(())
}

#[test]
fn the_page_holds_the_session_and_no_code_of_it() -> Outcome {
    let recorded = Recorded::new()?;
    let page = recorded.folder.path().join("page.html");
    let (output, _) = recorded.replay(&["--html", &page.to_string_lossy()]);
    assert!(output.status.success(), "{output:?}");
    let page = fs::read_to_string(page)?;
    assert!(page.contains("turn/start") && page.contains("\\u003c/script>\\u003cscript>alert(1)"));
    assert_eq!(page.matches("<script").count(), 3, "the page's own");
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    Ok(())
}

#[test]
fn what_is_no_recording_is_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("session.trace");
    fs::write(&path, "something else")?;
    let (output, _) = replay(&path, &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Error: "), "{output:?}");
    Ok(())
}
