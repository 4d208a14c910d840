//! Skills that the user's words name.

use serde_json::json;

use super::Bench;

const SKILL: &str = "---\nname: pdf\ndescription: about pages\n---\nuse the tool\n";

/// A thread with a skill, and the input that begins its turn.
fn with_skill(text: &str) -> Bench {
    let mut bench = Bench::new("never", "read-only");
    bench.finish();
    bench.files.put("/home/skills/pdf/SKILL.md", SKILL);
    bench.request("thread/start", json!({ "cwd": "/w" }));
    let thread = bench.notes("thread/started")[1]["thread"]["id"].clone();
    let input = json!([{ "type": "text", "text": text }]);
    bench.request("turn/start", json!({ "threadId": thread, "input": input }));
    bench
}

/// The texts of the user's messages that the model gets with the request that runs.
pub(super) fn user_texts(bench: &Bench) -> Vec<String> {
    let (_, body) = bench.requests.front().expect("a request");
    let input = body["input"].as_array().expect("items");
    let texts = input.iter().filter(|item| item["role"] == "user");
    texts.map(|item| item["content"][0]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_skill_that_is_named_follows_the_words_that_name_it() {
    let bench = with_skill("do it with $pdf");
    let texts = user_texts(&bench);
    assert!(texts[0].contains("- pdf: about pages (file: /home/skills/pdf/SKILL.md)"), "{texts:?}");
    let expected = format!(
        "<skill>\n<name>pdf</name>\n<path>/home/skills/pdf/SKILL.md</path>\n{SKILL}\n</skill>"
    );
    assert_eq!(texts[texts.len() - 2..], ["do it with $pdf".to_owned(), expected]);
}

#[test]
fn words_that_name_no_skill_wait_for_none() {
    assert_eq!(user_texts(&with_skill("do $it")).last().map(String::as_str), Some("do $it"));
}

#[test]
fn a_skill_that_is_gone_is_said_and_the_turn_goes_on() {
    let mut bench = with_skill("hello");
    bench.finish();
    bench.files.put("/home/skills/pdf/SKILL.md", [0xff]);
    let thread = bench.notes("thread/started")[1]["thread"]["id"].clone();
    let input = json!([{ "type": "skill", "name": "pdf", "path": "/home/skills/pdf/SKILL.md" },
        { "type": "text", "text": "now" }]);
    bench.request("turn/start", json!({ "threadId": thread, "input": input }));
    assert_eq!(user_texts(&bench).last().map(String::as_str), Some("now"));
    let warnings = bench.notes("codex/event/warning");
    let said = warnings.last().expect("a warning")["msg"]["message"].as_str().unwrap_or_default();
    let expected = "Failed to load skill pdf at /home/skills/pdf/SKILL.md: stream did not";
    assert!(said.starts_with(expected), "{said}");
    bench.finish();
    assert_eq!(bench.turn_statuses(), ["completed"; 3]);
}
