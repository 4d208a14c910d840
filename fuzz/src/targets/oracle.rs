//! What a line must be taken for, worked out the slow way: the whole of it as a tree of JSON.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use understudy_core::wire::{RequestId, Taken};

/// Members that say what a message is. Each may stand in it once.
const MEMBERS: [&str; 5] = ["id", "method", "params", "result", "error"];

/// Panics if `taken` is not what the line must be taken for.
pub(super) fn check(line: &[u8], taken: &Taken) {
    let Some(wanted) = wanted(line) else { return };
    let shown = String::from_utf8_lossy(line);
    match (&wanted, taken) {
        (
            Taken::Request { id, method, params },
            Taken::Request { id: found, method: named, params: with },
        ) => {
            assert_eq!((id, method), (found, named), "{shown}");
            assert_eq!(*params, with.as_deref().map(written), "{shown}");
        }
        (Taken::Response { id, result: json }, Taken::Response { id: found, result })
        | (Taken::Error { id, error: json }, Taken::Error { id: found, error: result }) => {
            assert_eq!((id, json), (found, &written(result)), "{shown}");
        }
        _ => assert_eq!(&wanted, taken, "{shown}"),
    }
}

/// The JSON as a tree of it is written. Not the tree: what is read of a long fraction is written as
/// something that is not read as the same.
fn written(json: impl AsRef<str>) -> String {
    let tree: Value = serde_json::from_str(json.as_ref()).expect("a part of what is JSON");
    tree.to_string()
}

/// What the line must be taken for; none where a tree cannot be made of it though it is JSON: a
/// number beyond a float, half a surrogate pair, or very deep.
fn wanted(line: &[u8]) -> Option<Taken> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(Taken::NotJson) };
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Some(Taken::Blank);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) if has_a_member_twice(text) => Some(Taken::Unusable(None)),
        Ok(Value::Object(members)) => Some(message(&members)),
        Ok(_) => Some(Taken::Unusable(None)),
        Err(error) => {
            let error = error.to_string();
            let no_tree = ["number out of range", "recursion limit", "hex escape"];
            (!no_tree.iter().any(|why| error.starts_with(why) || error.contains(why)))
                .then_some(Taken::NotJson)
        }
    }
}

fn message(members: &Map<String, Value>) -> Taken {
    let id = members.get("id").map(id_of);
    let method = members.get("method").and_then(Value::as_str);
    let json = |name: &str| members.get(name).map(Value::to_string);
    match (id, method) {
        (Some(None), _) | (None, None) => Taken::Unusable(None),
        (None, Some(_)) => Taken::Notification,
        (Some(Some(id)), Some(method)) => {
            Taken::Request { id, method: method.to_owned(), params: json("params") }
        }
        (Some(Some(id)), None) => match (json("result"), json("error")) {
            (Some(result), _) => Taken::Response { id, result },
            (None, Some(error)) => Taken::Error { id, error },
            (None, None) => Taken::Unusable(Some(id)),
        },
    }
}

fn id_of(id: &Value) -> Option<RequestId> {
    match id {
        Value::Number(number) => number.as_i64().map(RequestId::Number),
        Value::String(text) => Some(RequestId::Text(text.as_str().into())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether one of [`MEMBERS`] stands twice in an object, which a tree does not show.
fn has_a_member_twice(text: &str) -> bool {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    let names = serde_json::Deserializer::from_str(text).deserialize_map(Names);
    let names = names.unwrap_or_default();
    MEMBERS.iter().any(|member| names.iter().filter(|name| name == member).count() > 1)
}
