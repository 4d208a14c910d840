//! What is no turn's: skills, searches, settings written by two at once.

use std::fs;
use std::thread;

use serde_json::{Value, json};
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::reply::Reply;
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
