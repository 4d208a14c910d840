//! Properties of loading and writing that hold for any files.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::fuzz::{fuzz_config, fuzz_edit};
use super::super::write::{Changes, write};
use super::super::{ConfigAsk, shown};
use super::{USER, user};

/// Lines of a file in which every key stands once, with comments wherever they may stand.
fn document() -> impl Strategy<Value = Vec<String>> {
    let note = prop_oneof![Just(String::new()), Just(" # why".to_owned()), Just("  ".to_owned())];
    let value = prop_oneof![
        any::<i32>().prop_map(|n| n.to_string()),
        "[a-z ]{0,5}".prop_map(|text| format!("'{text}'")),
        Just("[ 1, # one\n  2 ]".to_owned()),
        Just("{a = 1}".to_owned()),
    ];
    let above = prop_oneof![
        3 => Just(None),
        1 => Just(Some(String::new())),
        1 => Just(Some("# about it".to_owned())),
    ];
    let pairs = proptest::collection::vec((above, value, note, "[ ]{0,2}"), 0..8);
    (pairs, 0..8_usize).prop_map(|(pairs, split)| {
        let mut lines = vec!["# top".to_owned()];
        for (at, (above, value, note, gap)) in pairs.into_iter().enumerate() {
            if at == split {
                lines.extend(["".to_owned(), "[t] # table".to_owned()]);
            }
            lines.extend(above);
            lines.push(format!("k{at} ={gap}{value}{note}"));
        }
        lines
    })
}

fn after(text: &str, key: &str, value: Json) -> Option<String> {
    let files = user(text);
    let ask = ConfigAsk { cwd: None, ..ConfigAsk::new("/h", "/w") };
    let edits = vec![(key.to_owned(), value, false)];
    write(&files, &ask, &Changes { edits, file: None, expected_version: None }).ok()?;
    files.content(USER).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Whether the lines of `part` stand in `whole`, in their order.
fn is_within(part: &str, whole: &str) -> bool {
    let mut whole = whole.lines();
    part.lines().all(|line| whole.any(|other| other == line))
}

/// The keys of a document with whether each stands in the table.
fn keys(lines: &[String]) -> Vec<String> {
    let mut prefix = "";
    let mut found = Vec::new();
    for line in lines {
        if line.starts_with('[') {
            prefix = "t.";
        } else if let Some((key, _)) = line.split_once(" =") {
            found.push(format!("{prefix}{key}"));
        }
    }
    found
}

proptest! {
    #[test]
    fn a_new_setting_adds_its_line_and_leaves_every_byte(lines in document(), in_table: bool) {
        let text = lines.join("\n") + "\n";
        let in_table = in_table && text.contains("\n[t]");
        let key = if in_table { "t.added" } else { "added" };
        let new = after(&text, key, json!("x")).expect("written");
        prop_assert!(is_within(&text, &new), "{text}\n---\n{new}");
        let line = "added = \"x\"\n";
        prop_assert_eq!(new.replacen(line, "", 1), text, "{}", new);
    }

    #[test]
    fn a_setting_that_is_changed_changes_its_value_and_nothing_else(
        lines in document(), pick: prop::sample::Index,
    ) {
        let text = lines.join("\n") + "\n";
        let keys = keys(&lines);
        prop_assume!(!keys.is_empty());
        let key = pick.get(&keys);
        let name = key.trim_start_matches("t.");
        let new = after(&text, key, json!(true)).expect("written");
        let start = text.find(&format!("{name} =")).expect("the key");
        let tail = text.len() - text[start..].find("\nk").map_or(text.len(), |at| start + at);
        prop_assert_eq!(&new[..start], &text[..start]);
        prop_assert!(new[start..].starts_with(&format!("{name} =")), "{new}");
        prop_assert_eq!(&new[new.len() - tail..], &text[text.len() - tail..]);
        let found: toml::Table = toml::from_str(&new).expect("TOML");
        let path: Vec<&str> = key.split('.').collect();
        let value = super::super::layers::at_path(&found, &path);
        prop_assert_eq!(value, Some(&toml::Value::Boolean(true)));
    }

    #[test]
    fn a_setting_that_is_taken_away_takes_only_its_own_lines(
        lines in document(), pick: prop::sample::Index,
    ) {
        let text = lines.join("\n") + "\n";
        let keys = keys(&lines);
        prop_assume!(!keys.is_empty());
        let key = pick.get(&keys);
        let new = after(&text, key, Json::Null).expect("written");
        prop_assert!(is_within(&new, &text), "{text}\n---\n{new}");
        let rest: Vec<_> = keys.iter().filter(|other| *other != key).collect();
        for other in rest {
            let path: Vec<&str> = other.split('.').collect();
            let value = |text: &str| {
                let table: toml::Table = toml::from_str(text).expect("TOML");
                super::super::layers::at_path(&table, &path).cloned()
            };
            prop_assert_eq!(value(&new), value(&text));
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(
        key in "[a-c](\\.[a-c]){0,2}", number in any::<i64>(), text in ".{0,6}",
    ) {
        for value in [json!(number), json!(text), json!([text, number]), json!({"x": number})] {
            let files = user("# top\n[a.b]\nz = 1\n");
            let ask = ConfigAsk { cwd: None, ..ConfigAsk::new("/h", "/w") };
            let edits = vec![(key.clone(), value.clone(), false)];
            let changes = Changes { edits, file: None, expected_version: None };
            let Ok(done) = write(&files, &ask, &changes) else { continue };
            let read = shown::read(&files, &ask, true).expect("a configuration");
            let user = &read.layers.expect("layers")[0];
            prop_assert_eq!(&user.version, &done.version);
            let pointer = format!("/{}", key.replace('.', "/"));
            let config = serde_json::to_value(&user.config).expect("JSON");
            prop_assert_eq!(config.pointer(&pointer), Some(&value), "{}", config);
        }
    }

    #[test]
    fn any_files_can_be_loaded(
        text in "([a-z_]{1,8} ?= ?[0-9a-z'\"\\[\\]{}]{0,6}\n|\\[[a-z.]{1,6}\\]\n|\0|.){0,12}",
    ) {
        fuzz_config(text.as_bytes());
    }

    #[test]
    fn any_change_can_be_asked_for(
        text in "([a-c] = (1|'x'|\\{b = 1\\}|\\[1\\])\n|\\[[a-c](\\.[a-c])?\\]\n|# c\n){0,6}",
        key in "[a-c. ]{0,6}",
        value in "(1|null|\"x\"|\\[1, \\{\"a\": 2\\}\\]|\\{\"a\": \\{\"b\": 1\\}\\}|\\{\\}|18446744073709551615)",
    ) {
        fuzz_edit(format!("{text}\0{key}\0{value}").as_bytes());
    }
}
