//! Fuzz bodies: no files of settings and no change to them panic, and both keep what they promise.

use std::path::Path;

use serde_json::Value as Json;

use super::write::{Changes, write};
use super::{ConfigAsk, load, startup};
use crate::files::MemoryFiles;

/// Between the parts of a fuzz target's input.
const SEPARATOR: u8 = 0;

/// Loads `data`: the user's file, the project's, the managed one and the requirements, with bytes 0
/// between them.
///
/// # Panics
/// If a configuration that does not load is not warned about.
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
/// If a change that is refused touches the file, or one that is made cannot be read back.
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
    let files = MemoryFiles::new().with(path, text);
    let ask = ConfigAsk { cwd: None, ..ConfigAsk::new("/h", "/w") };
    let edit = (key.to_owned(), value.clone(), false);
    let changes = Changes { edits: vec![edit], file: None, expected_version: None };
    let done = write(&files, &ask, &changes);
    let after = files.content(path).unwrap_or_default();
    if done.is_err() {
        return assert_eq!(after, text);
    }
    let after = String::from_utf8_lossy(&after);
    let table: toml::Table = toml::from_str(&after).unwrap_or_default();
    let keys: Vec<&str> = key.split('.').collect();
    let found = super::layers::at_path(&table, &keys);
    match value {
        Json::Null => assert!(found.is_none(), "{key} is still there: {after}"),
        Json::Object(_) => assert!(found.is_none_or(toml::Value::is_table), "{key}: {after}"),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            assert!(found.is_some(), "{key} is not there: {after}");
        }
    }
}
