//! What is no turn's: skills, searches, settings written by two at once, feedback, and the commands
//! beside the server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::scratch::{Scratch, Settings};
use understudy_tokio::demo::seen::Trouble;
use understudy_tokio::demo::tokens::api_key;

use crate::stage::{Outcome, Scene, text};

/// Settings that each writer writes.
const WRITES: usize = 40;

fn write_often(host: &mut Host, writer: &str) -> Outcome {
    for n in 0..WRITES {
        let key = format!("written.{writer}{n}");
        let edit = json!({"keyPath": key, "value": n, "mergeStrategy": "replace"});
        let done = host.ask("config/value/write", edit)?;
        assert_eq!(done["status"], "ok", "{done}");
    }
    Ok(())
}

#[test]
fn two_servers_that_write_settings_at_once_lose_none() {
    Scene::silent().play(|stage| {
        let mut second = stage.second_server()?;
        let other = thread::spawn(move || write_often(&mut second, "b"));
        write_often(&mut stage.host, "a")?;
        other.join().map_err(|_| Trouble("the other host failed".into()))??;
        let read = stage.host.ask("config/read", json!({}))?;
        for writer in ["a", "b"] {
            for n in 0..WRITES {
                assert_eq!(read["config"]["written"][format!("{writer}{n}")], n, "{writer}{n}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_skill_is_found_told_named_and_switched_off() {
    let replies = [Reply::say(1, "fine"), Reply::say(2, "fine")];
    Scene::replies(replies).stores().play(|stage| {
        stage.host.ask("account/login/start", json!({"type": "apiKey", "apiKey": api_key()}))?;
        let file = stage.scratch.home().join("skills/pages/SKILL.md");
        fs::create_dir_all(file.parent().expect("a folder"))?;
        fs::write(&file, "---\nname: pages\ndescription: about pages\n---\nturn them\n")?;
        let listed = stage.host.ask("skills/list", json!({}))?;
        let names = |listed: &Value| -> Vec<(String, bool)> {
            let skills = listed["data"][0]["skills"].as_array().into_iter().flatten();
            let name = |skill: &Value| skill["name"].as_str().unwrap_or_default().to_owned();
            skills.map(|skill| (name(skill), skill["enabled"] == true)).collect()
        };
        let system = ["skill-creator", "skill-installer"].map(|name| (name.to_owned(), true));
        let expected = [&[("pages".to_owned(), true)], system.as_slice()].concat();
        assert_eq!(names(&listed), expected);

        let thread = stage.thread()?;
        stage.turn(&thread, "use $pages")?;
        let request = stage.backend.model_requests()[0].text.clone();
        let file = text(&listed, "/data/0/skills/0/path")?;
        assert!(request.contains(&format!("- pages: about pages (file: {file})")), "{request}");
        assert!(request.contains("<name>pages</name>") && request.contains("turn them"));

        let switch = json!({"path": file, "enabled": false});
        let done = stage.host.ask("skills/config/write", switch)?;
        assert_eq!(done, json!({"effectiveEnabled": false}));
        assert!(!names(&stage.host.ask("skills/list", json!({}))?)[0].1);
        let thread = stage.thread()?;
        stage.turn(&thread, "use $pages")?;
        let request = stage.backend.model_requests()[1].text.clone();
        assert!(!request.contains("about pages") && !request.contains("turn them"));
        Ok(())
    });
}

#[test]
fn a_search_does_not_hold_up_others() {
    Scene::silent().play(|stage| {
        let work = stage.scratch.work();
        fs::write(work.join("abc.txt"), "")?;
        let root = work.to_string_lossy().into_owned();
        // The whole machine, until it is told to stop.
        let token = json!({"query": "abc", "roots": ["/", root], "cancellationToken": "t"});
        let long = stage.host.post("fuzzyFileSearch", token)?;
        stage.host.ask("getUserAgent", Value::Null)?;
        let short = json!({"query": "abc", "roots": [root], "cancellationToken": "t"});
        let found = stage.host.ask("fuzzyFileSearch", short)?;
        assert_eq!(found["files"][0]["score"], 84, "{found}");
        let first = stage.host.reply_to(&json!(long))?;
        assert!(first["result"]["files"].is_array(), "{first}");
        Ok(())
    });
}

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

#[test]
fn a_log_of_json_is_json() {
    let scratch = Scratch::new().expect("folders");
    let home = scratch.home();
    assert!(Path::new(&home).is_dir());
    let argv = [env!("CARGO_BIN_EXE_understudy"), "--log-format", "json", "app-server"];
    let mut command = scratch.command(&argv.map(str::to_owned));
    command.env("RUST_LOG", "not/a=filter=");
    let done = command.stdin(std::process::Stdio::null()).output().expect("the program runs");
    assert!(done.status.success(), "{done:?}");
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!log.is_empty());
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect(line);
        assert_eq!(line["level"], "ERROR");
    }
}
