//! Everything that was captured from the reference is read and written back as it was, where the
//! captures lie beside the project.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use understudy_core::wire::legacy::event::EventMsg;
use understudy_core::wire::response_item::ResponseItem;
use understudy_core::wire::v2::item::ThreadItem;

#[test]
fn captures_survive_a_round_trip() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let mut lines: Vec<Value> = files(&shared.join("spec/captures"), "jsonl");
    let requests = files(&shared.join("spec/captures"), "json");
    lines.extend(files(&shared.join("conformance/golden"), "json"));
    let mut checked = 0;
    for line in lines.iter().chain(&requests) {
        walk(line, &mut |object| checked += round_trip(object));
    }
    assert!(lines.is_empty() || checked > 500, "only {checked}");
}

fn files(dir: &Path, extension: &str) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let of_kind = |path: &PathBuf| path.extension().is_some_and(|e| e == extension);
    paths
        .filter(of_kind)
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("a readable file");
            let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            values.collect::<Result<Vec<_>, _>>().expect("JSON")
        })
        .collect()
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(members) => {
            visit(value);
            members.values().for_each(|value| walk(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

/// Checks one object of a capture, and says how much of it was checked. Golden transcripts have
/// placeholders such as `<durationMs>` for numbers; objects with one are passed over.
fn round_trip(object: &Value) -> usize {
    let placeholders = [
        "<durationMs>",
        "<createdAt>",
        "<startedAtMs>",
        "<resetsAt>",
        "<time+",
    ];
    let text = object.to_string();
    if placeholders
        .iter()
        .any(|placeholder| text.contains(placeholder))
    {
        return 0;
    }
    match (object["method"].as_str(), object["type"].as_str()) {
        (Some(method), _) if method.starts_with("codex/event/") => {
            same::<EventMsg<'static>>(&object["params"]["msg"], &[])
        }
        (Some("item/started" | "item/completed"), _) => {
            same::<ThreadItem>(&object["params"]["item"], &["phase"])
        }
        (_, Some("event_msg")) => same::<EventMsg<'static>>(&object["payload"], &[]),
        (_, Some("response_item")) => same::<ResponseItem>(&object["payload"], &[]),
        _ => match object.get("input").and_then(Value::as_array) {
            Some(input) if object.get("tools").is_some() => input
                .iter()
                .map(|item| same::<ResponseItem>(item, &[]))
                .sum(),
            _ => 0,
        },
    }
}

fn same<T: DeserializeOwned + Serialize>(json: &Value, added: &[&str]) -> usize {
    if json.is_null() {
        return 0;
    }
    let value: T = serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{json}: {e}"));
    let mut again = serde_json::to_value(value).expect("what was read can be written");
    for name in added {
        again.as_object_mut().expect("an object").remove(*name);
    }
    assert_eq!(&again, json);
    1
}
