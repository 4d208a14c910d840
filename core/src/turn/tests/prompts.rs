//! Prompts that the user calls.

use serde_json::{Value, json};

use super::Bench;
use super::skills::user_texts;

const PROMPT: &str = "---\ndescription: d\n---\nLook at $1 with $HOW.\n";

/// A thread whose first turn is over, its user having prompts.
fn with_prompts() -> Bench {
    let mut bench = Bench::new("never", "read-only");
    bench.finish();
    bench.files.put("/home/prompts/look.md", PROMPT);
    bench.files.put("/home/prompts/skilled.md", "use $pdf");
    bench.files.put("/home/prompts/broken.md", [0xff]);
    bench.files.put("/home/skills/pdf/SKILL.md", "---\nname: pdf\ndescription: d\n---\nthe tool");
    bench.request("thread/start", json!({ "cwd": "/w" }));
    bench
}

fn say(bench: &mut Bench, text: &str) {
    let thread = bench.notes("thread/started")[1]["thread"]["id"].clone();
    let input = json!([{ "type": "text", "text": text }]);
    bench.request("turn/start", json!({ "threadId": thread, "input": input }));
}

/// The text of the input that was shown last.
fn shown(bench: &Bench) -> Value {
    let items = bench.notes("item/completed").into_iter();
    let mut inputs = items.filter(|params| params["item"]["type"] == "userMessage");
    inputs.next_back().expect("an input")["item"]["content"][0]["text"].clone()
}

#[test]
fn the_model_is_told_the_prompt_and_the_user_shown_the_call() {
    let mut bench = with_prompts();
    say(&mut bench, "/prompts:look 'the end' HOW=care");
    let texts = user_texts(&bench);
    assert_eq!(texts.last().map(String::as_str), Some("Look at the end with care.\n"));
    assert_eq!(shown(&bench), "/prompts:look 'the end' HOW=care");
    bench.finish();
    let thread = bench.notes("thread/started")[1]["thread"].clone();
    let file = bench.files.content(thread["path"].as_str().expect("a path")).expect("a file");
    let file = String::from_utf8(file).expect("text");
    let told = r#""type":"user_message","message":"/prompts:look 'the end' HOW=care""#;
    assert!(file.contains(told), "{file}");
    assert_eq!(bench.turn_statuses(), ["completed"; 2]);
}

#[test]
fn a_prompt_may_name_a_skill() {
    let mut bench = with_prompts();
    say(&mut bench, "/prompts:skilled");
    let texts = user_texts(&bench);
    assert_eq!(texts[texts.len() - 2], "use $pdf");
    assert!(texts.last().is_some_and(|text| text.contains("the tool")), "{texts:?}");
}

#[test]
fn what_is_no_prompt_is_said_as_it_was_typed() {
    for typed in ["/prompts:none x", "/prompts:../look", "see /prompts:look x", "/prompts:broken"] {
        let mut bench = with_prompts();
        say(&mut bench, typed);
        assert_eq!(user_texts(&bench).last().map(String::as_str), Some(typed));
        let warnings = bench.notes("codex/event/warning");
        let texts: Vec<_> = warnings.iter().map(|params| &params["msg"]["message"]).collect();
        let fault = "Failed to use prompt broken: stream did not contain valid UTF-8";
        assert_eq!(texts.contains(&&json!(fault)), typed == "/prompts:broken", "{texts:?}");
    }
}

#[test]
fn input_of_a_running_turn_calls_prompts_too() {
    let mut bench = with_prompts();
    say(&mut bench, "first");
    say(&mut bench, "/prompts:look here HOW=x");
    assert_eq!(shown(&bench), "/prompts:look here HOW=x");
    bench.finish();
    let texts = user_texts(&bench);
    assert_eq!(texts.last().map(String::as_str), Some("Look at here with x.\n"));
}
