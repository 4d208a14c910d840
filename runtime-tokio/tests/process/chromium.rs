//! One sign-in by a browser that people use, where there is one.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use understudy_tokio::demo::authority::{Ask, Authority};
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Trouble;

use crate::browser::PortTurn;
use crate::signin::{begin, completions};
use crate::stage::{Outcome, Scene, Stage};

const CHROMIUM: &str = "/usr/bin/chromium";

/// A browser that writes what it shows to its output, and a picture of it where that is asked for.
fn open(stage: &Stage, url: &str, picture: &str) -> Result<Child, Trouble> {
    let profile = stage.scratch.work().join("profile");
    let mut command = Command::new(CHROMIUM);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=900,600",
        "--virtual-time-budget=2000",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    match std::env::var("UNDERSTUDY_TEST_PICTURES") {
        Ok(folder) => command.arg(format!("--screenshot={folder}/{picture}.png")),
        Err(_) => command.arg("--dump-dom"),
    };
    // What it says of the machine that it runs on is of no interest.
    Ok(command.arg(url).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?)
}

/// Waits for what the browser showed.
fn shown(browser: Child) -> Result<String, Trouble> {
    let output = browser.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn chromium_signs_in() -> Outcome {
    if !Path::new(CHROMIUM).exists() {
        eprintln!("skipped: there is no {CHROMIUM} on this machine");
        return Ok(());
    }
    let is_seen = std::env::var_os("UNDERSTUDY_TEST_PICTURES").is_none();
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    authority.next(Ask::Code, Reply::error(403, "this account is not for <you>"));
    Scene::of(&authority).play(|stage| {
        let login = begin(stage)?;
        let page = shown(open(stage, &login.url, "failure")?)?;
        assert!(!is_seen || page.contains("You are not signed in"), "{page}");
        assert!(!is_seen || page.contains("not for &lt;you&gt;"), "{page}");
        assert!(matches!(completions(stage, &login.id).as_slice(), [(false, _)]));

        let login = begin(stage)?;
        let page = shown(open(stage, &login.url, "success")?)?;
        assert!(!is_seen || page.contains("You are signed in"), "{page}");
        assert_eq!(completions(stage, &login.id), [(true, json!(null))]);
        assert_eq!(stage.account()?["email"], "ada@example.com");
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        Ok(())
    });
    Ok(())
}
