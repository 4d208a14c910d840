//! The commands beside the server.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use understudy_tokio::demo::scratch::{Scratch, Settings};
use understudy_tokio::demo::tokens::api_key;

/// Runs a command of the program on these folders.
fn run(scratch: &Scratch, arguments: &[&str]) -> Output {
    let argv: Vec<String> = [env!("CARGO_BIN_EXE_understudy")]
        .iter()
        .chain(arguments)
        .map(|part| (*part).to_owned())
        .collect();
    let mut command: Command = scratch.command(&argv);
    command.output().expect("the program runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_doctor_says_what_is_wrong_and_nothing_secret() {
    let scratch = Scratch::new().expect("folders");
    // Nobody listens there.
    scratch.configure("http://127.0.0.1:9", &Settings::default()).expect("configured");
    let config = scratch.home().join("config.toml");
    let servers = "\n[mcp_servers.docs]\ncommand = 'docs'\nenv = {KEY = 'hidden'}\n\
                   [otel.exporter.otlp-grpc]\nendpoint = 'https://me:hidden@c:4317/?hidden'\n";
    let text = fs::read_to_string(&config).expect("a file") + servers;
    fs::write(&config, text).expect("written");
    let record = json!({"OPENAI_API_KEY": api_key()}).to_string();
    fs::write(scratch.auth_json(), record).expect("written");

    let report = run(&scratch, &["doctor"]);
    assert_eq!(report.status.code(), Some(1));
    let text = said(&report);
    let telemetry = "  traces: c:4317 (otlp-grpc)";
    for line in ["signed in    apikey", "  ! cannot be reached: ", "  docs (stdio)", telemetry] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let report = run(&scratch, &["doctor", "--json"]);
    let json: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!((&json["login"]["mode"], &json["homeExists"]), (&json!("apikey"), &json!(true)));
    assert!(json["reachability"]["problem"].is_string() && json["sandbox"]["works"].is_boolean());
    assert!(json["sandbox"]["ownMounts"].is_boolean());
    let all = text + &json.to_string();
    assert!(!all.contains(&api_key()) && !all.contains("hidden"), "{all}");
}

#[test]
fn descriptions_are_written_where_they_are_wanted() {
    let scratch = Scratch::new().expect("folders");
    let out = scratch.work().join("made/for/it");
    let wanted = out.to_string_lossy().into_owned();
    for command in ["generate-json-schema", "generate-ts"] {
        let done = run(&scratch, &["app-server", command, "--out", &wanted]);
        assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");
    }
    let json = fs::read_to_string(out.join("v2/TurnStartParams.json")).expect("a schema");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["title"], "TurnStartParams");
    for path in ["codex_app_server_protocol.schemas.json", "index.ts", "v2/Turn.ts"] {
        assert!(out.join(path).is_file(), "{path}");
    }
    let missing = run(&scratch, &["app-server", "generate-ts"]);
    assert_eq!(missing.status.code(), Some(2));
    let blocked = run(&scratch, &["app-server", "generate-ts", "--out", "/proc/none"]);
    assert_eq!(blocked.status.code(), Some(1));
    let text = String::from_utf8_lossy(&blocked.stderr).into_owned();
    assert!(text.starts_with("Error: Failed to create output directory /proc/none"), "{text}");
}

#[test]
fn shells_and_readers_are_helped() {
    let scratch = Scratch::new().expect("folders");
    let bash = said(&run(&scratch, &["completions", "bash"]));
    assert!(bash.contains("_understudy()") && bash.contains("app-server"), "{bash}");
    let page = said(&run(&scratch, &["man"]));
    assert!(page.contains(".TH") && page.contains("doctor"), "{page}");
    let help = said(&run(&scratch, &["--help"]));
    assert!(!help.contains("completions") && help.contains("doctor"), "{help}");
}
