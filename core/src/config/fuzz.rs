//! Fuzz bodies: no files of settings and no change to them panic, and both keep what they promise.

use std::path::Path;

use serde_json::{Map, Value as Json};
use toml_edit::{Item, TableLike};

use super::layers::at_path;
use super::write::{Changes, write};
use super::{ConfigAsk, edit, load, origins, shown, startup};
use crate::files::MemoryFiles;

/// Between the parts of a fuzz target's input.
const SEPARATOR: u8 = 0;

/// Loads `data`: the user's file, the project's, the managed one and the requirements, with bytes 0
/// between them.
///
/// # Panics
/// If a configuration that does not load is not warned about, or an origin names a layer that does
/// not have the setting.
pub fn fuzz_config(data: &[u8]) {
    let paths = [
        "/h/config.toml",
        "/w/.codex/config.toml",
        "/etc/codex/managed_config.toml",
        "/etc/codex/requirements.toml",
    ];
    let files = MemoryFiles::new();
    for (path, text) in paths.iter().zip(data.split(|byte| *byte == SEPARATOR)) {
        files.put(path, text);
    }
    let ask = ConfigAsk::new("/h", "/w");
    let strict = load(&files, &ask);
    let found = startup(&files, &ask);
    for (path, origin) in origins(&found.layers) {
        let first = path.split('.').next().unwrap_or_default();
        let named = found.layers.enabled().find(|layer| layer.source == origin.name);
        assert!(named.is_some_and(|layer| layer.value.keys().any(|key| key.starts_with(first))));
    }
    match strict {
        Ok(loaded) => assert_eq!(loaded.config, found.config),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!found.warnings.is_empty(), "{error}");
        }
    }
}

/// Changes a file: `data` is its text, a dotted key and a value in JSON, with bytes 0 between them.
///
/// # Panics
/// If a change that is refused touches the file, one that is made cannot be read back, or anything
/// else in the file is another.
pub fn fuzz_edit(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == SEPARATOR);
    let (Some(text), Some(key), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let (Ok(key), Ok(value)) = (std::str::from_utf8(key), serde_json::from_slice::<Json>(value))
    else {
        return;
    };
    let path = Path::new("/h/config.toml");
    for merge in [false, true] {
        let files = MemoryFiles::new().with(path, text);
        let ask = ConfigAsk { cwd: None, ..ConfigAsk::new("/h", "/w") };
        let edit = (key.to_owned(), value.clone(), merge);
        let changes = Changes { edits: vec![edit], file: None, expected_version: None };
        let done = write(&files, &ask, &changes);
        let after = files.content(path).unwrap_or_default();
        if done.is_err() {
            assert_eq!(after, text, "{key}");
            continue;
        }
        let old = std::str::from_utf8(text).expect("it could be changed");
        let new = std::str::from_utf8(&after).expect("text stays text");
        check_edit(old, new, key, &value, merge);
    }
}

fn check_edit(old: &str, new: &str, key: &str, value: &Json, merge: bool) {
    let shown = || format!("{key} = {value}, merge: {merge}\n{old:?}\n{new:?}");
    let table = |text: &str| toml::from_str::<toml::Table>(text).expect("it could be changed");
    let (mut before, mut after) = (table(old), table(new));
    let keys: Vec<&str> = key.split('.').collect();
    let found = at_path(&after, &keys).map(|found| without_empty(&shown::json(found)));
    match value {
        Json::Null => assert_eq!(found, None, "{}", shown()),
        Json::Object(_) if merge => {
            let holds = found.is_none_or(|found| found.is_object());
            assert!(holds, "{}", shown());
        }
        Json::Object(_) => {
            let wanted = without_empty(value);
            let none = Json::Object(Map::new());
            assert_eq!(found.unwrap_or(none), wanted, "{}", shown());
        }
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            assert_eq!(found.as_ref(), Some(value), "{}", shown());
        }
    }
    take(&mut before, &keys);
    take(&mut after, &keys);
    assert!(edit::same(&before, &after), "another setting changed: {}", shown());
    if !value.is_object() {
        assert!(stays(old, new, &keys, value.is_null()), "other bytes changed: {}", shown());
    }
    // Once more is no change.
    let ask = ConfigAsk { cwd: None, ..ConfigAsk::new("/h", "/w") };
    let files = MemoryFiles::new().with("/h/config.toml", new);
    let edits = vec![(key.to_owned(), value.clone(), merge)];
    let again = write(&files, &ask, &Changes { edits, file: None, expected_version: None });
    let text = files.content("/h/config.toml").unwrap_or_default();
    assert!(again.is_err() || text == new.as_bytes(), "{:?} the second time: {}", text, shown());
}

/// Objects without members say nothing, except in arrays.
fn without_empty(value: &Json) -> Json {
    let Json::Object(members) = value else { return value.clone() };
    let members = members.iter().map(|(key, value)| (key.clone(), without_empty(value)));
    let is_empty = |value: &Json| value.as_object().is_some_and(Map::is_empty);
    Json::Object(members.filter(|(_, value)| !is_empty(value)).collect())
}

fn take(table: &mut toml::Table, keys: &[&str]) {
    let Some((last, parents)) = keys.split_last() else { return };
    let parent = parents.iter().try_fold(table, |table, key| table.get_mut(*key)?.as_table_mut());
    parent.map(|parent| parent.remove(*last));
}

/// Whether the bytes around a change of one setting are what they were. A table that gives way
/// may have stood in several places, so nothing is said of that.
fn stays(old: &str, new: &str, keys: &[&str], is_removal: bool) -> bool {
    let Ok(document) = toml_edit::Document::parse(old) else { return false };
    let Some((key, parents)) = keys.split_last() else { return false };
    let table: &dyn TableLike = document.as_table();
    let parent = parents.iter().try_fold(table, |table, key| table.get(key)?.as_table_like());
    let value = match parent.and_then(|parent| parent.get(key)) {
        None if is_removal => return old == new,
        None => return is_inserted(old, new),
        Some(Item::Value(toml_edit::Value::InlineTable(table))) if table.is_dotted() => {
            return true;
        }
        Some(Item::Value(value)) => value,
        Some(Item::None | Item::Table(_) | Item::ArrayOfTables(_)) => return true,
    };
    match value.span() {
        _ if is_removal => is_inserted(new, old),
        Some(span) => {
            let (head, tail) = (&old[..span.start], &old[span.end..]);
            // The last line may be given its end.
            let ended = new.strip_suffix('\n').filter(|_| !old.ends_with('\n'));
            let new = ended.filter(|new| new.ends_with(tail)).unwrap_or(new);
            new.starts_with(head) && new.ends_with(tail) && new.len() >= head.len() + tail.len()
        }
        None => true,
    }
}

/// Whether `long` is `short` with something put in at one place.
fn is_inserted(short: &str, long: &str) -> bool {
    let (short, long) = (short.as_bytes(), long.as_bytes());
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    long.len() >= short.len() && long.ends_with(&short[same..])
}
