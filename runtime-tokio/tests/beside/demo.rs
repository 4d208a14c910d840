//! `understudy demo`: the first command that a newcomer runs.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use understudy_tokio::demo::seen::Trouble;
use understudy_tokio::demo::tokens::traces;

type Outcome = Result<(), Trouble>;

const SERVER: &str = "UNDERSTUDY_DEMO_SERVER";

/// Runs the demo as in a pipe, with temporary files in a folder of its own, which must be empty
/// again afterwards.
fn demo(args: &[&str], server: Option<&str>) -> Result<Output, Trouble> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    command.arg("demo").args(args).env("TMPDIR", folder.path());
    command.env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR").env_remove(SERVER);
    if let Some(server) = server {
        command.env(SERVER, server);
    }
    let output = command.output()?;
    let left = std::fs::read_dir(folder.path())?.count();
    assert_eq!(left, 0, "the demo left files behind");
    Ok(output)
}

/// Another server than this program, if the tests are tried on one.
fn other_server() -> Option<String> {
    std::env::var("UNDERSTUDY_TEST_SERVER").ok()
}

#[test]
fn the_demo_plays_quickly_and_holds() -> Outcome {
    let began = Instant::now();
    let output = demo(&[], other_server().as_deref())?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("All ") && last.contains(" checks held, in "), "{last}");
    assert!(!text.contains('\u{1b}'), "colour in a pipe");
    assert!(traces().iter().all(|trace| !text.contains(trace)), "tokens are shown shortened");
    assert!(text.lines().all(|line| line.chars().count() <= 79), "a line is too wide");
    Ok(())
}

#[test]
fn the_demo_prints_every_line_as_json() -> Outcome {
    let output = demo(&["--json"], other_server().as_deref())?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let parsed = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let lines = parsed.map_err(|error| Trouble(error.to_string()))?;
    for from in ["host", "server", "backend"] {
        assert!(lines.iter().any(|line| line["from"] == from), "nothing from the {from}");
    }
    let asked = |line: &&Value| line["line"]["method"] == "account/chatgptAuthTokens/refresh";
    assert_eq!(lines.iter().filter(asked).count(), 1);
    assert_eq!(lines.last().map(|line| &line["ok"]), Some(&Value::Bool(true)));
    Ok(())
}

#[test]
fn the_demo_fails_with_a_reason() -> Outcome {
    for (server, reasons) in [
        ("/no/such/server", ["cannot start /no/such/server", "No such file"]),
        // It may be gone before or after the first line is written.
        ("false", ["the server ended before", "the server reads no more"]),
    ] {
        let output = demo(&[], Some(server))?;
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("FAILED after "), "{text}");
        assert!(reasons.iter().any(|reason| text.contains(reason)), "{text}");
    }
    Ok(())
}
