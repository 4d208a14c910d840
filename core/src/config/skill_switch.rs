//! Switches a skill on or off in the text of the user's file (config.md §7.4).
//!
//! Invariant: the new text says the same of everything but this skill, or there is no new text.

use toml::Table;
use toml_edit::{Array, ArrayOfTables, InlineTable, Item, TableLike};

use super::edit::EditError;
use super::text::Text;

/// The text after the change. A skill that is off has an entry in `[[skills.config]]`, one that is
/// on has none. `is_it` says whether a path in the file is the skill's.
pub(super) fn with_skill(
    text: &str,
    path: &str,
    is_it: &dyn Fn(&str) -> bool,
    enabled: bool,
) -> Result<String, EditError> {
    let mut changed = Text::read(text).ok_or(EditError::Unfaithful)?;
    let root = changed.document.as_table_mut();
    match enabled {
        true => switch_on(root, is_it)?,
        false => switch_off(root, path, is_it)?,
    }
    let new = changed.written(|new| says_the_same_otherwise(text, new));
    new.ok_or(EditError::Unfaithful)
}

fn switch_off(
    root: &mut dyn TableLike,
    path: &str,
    is_it: &dyn Fn(&str) -> bool,
) -> Result<(), EditError> {
    let skills = root.entry("skills").or_insert_with(|| {
        let mut table = toml_edit::Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let inline = skills.is_inline_table();
    let skills = skills.as_table_like_mut().ok_or(EditError::NotATable)?;
    let config = skills.entry("config").or_insert_with(|| match inline {
        true => Item::Value(Array::new().into()),
        false => Item::ArrayOfTables(ArrayOfTables::new()),
    });
    match config {
        Item::ArrayOfTables(entries) => {
            // The last one of several counts.
            let mut own: Vec<_> = entries.iter_mut().filter(|e| names(*e, is_it)).collect();
            if let Some(last) = own.last_mut() {
                set_off(*last);
                return Ok(());
            }
            let mut entry = toml_edit::Table::new();
            entry.insert("path", toml_edit::value(path));
            set_off(&mut entry);
            entries.push(entry);
        }
        Item::Value(toml_edit::Value::Array(entries)) => {
            let tables = entries.iter_mut().filter_map(toml_edit::Value::as_inline_table_mut);
            let mut own: Vec<_> = tables.filter(|entry| names(*entry, is_it)).collect();
            if let Some(last) = own.last_mut() {
                set_off(*last);
                return Ok(());
            }
            let mut entry = InlineTable::new();
            entry.insert("path", path.into());
            set_off(&mut entry);
            entries.push(entry);
        }
        _ => return Err(EditError::NotATable),
    }
    Ok(())
}

fn switch_on(root: &mut dyn TableLike, is_it: &dyn Fn(&str) -> bool) -> Result<(), EditError> {
    let Some(skills) = root.get_mut("skills") else { return Ok(()) };
    let skills = skills.as_table_like_mut().ok_or(EditError::NotATable)?;
    let Some(config) = skills.get_mut("config") else { return Ok(()) };
    let (had, has) = match config {
        Item::ArrayOfTables(entries) => {
            let had = entries.len();
            entries.retain(|entry| !names(entry, is_it));
            (had, entries.len())
        }
        Item::Value(toml_edit::Value::Array(entries)) => {
            let had = entries.len();
            entries.retain(|entry| !entry.as_inline_table().is_some_and(|e| names(e, is_it)));
            (had, entries.len())
        }
        _ => return Err(EditError::NotATable),
    };
    if has == 0 && had > 0 {
        skills.remove("config");
        if skills.is_empty() {
            root.remove("skills");
        }
    }
    Ok(())
}

fn names(entry: &dyn TableLike, is_it: &dyn Fn(&str) -> bool) -> bool {
    entry.get("path").and_then(Item::as_str).is_some_and(is_it)
}

fn set_off(entry: &mut dyn TableLike) {
    match entry.get_mut("enabled").and_then(Item::as_value_mut) {
        Some(old) => {
            let mut new = toml_edit::Value::from(false);
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => drop(entry.insert("enabled", toml_edit::value(false))),
    }
}

fn says_the_same_otherwise(old: &str, new: &str) -> bool {
    let others = |text: &str| {
        let mut table = toml::from_str::<Table>(text).ok()?;
        table.remove("skills");
        Some(table)
    };
    others(new).is_some_and(|new| others(old) == Some(new))
}

#[cfg(test)]
mod tests {
    use super::with_skill;
    use crate::config::edit::EditError;

    #[track_caller]
    fn check(text: &str, enabled: bool, expected: &str) {
        let found = with_skill(text, "/s", &|path| path == "/s" || path == "~/s", enabled);
        assert_eq!(found.as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn off_is_an_entry_and_on_is_none() {
        let entry = "[[skills.config]]\npath = \"/s\"\nenabled = false\n";
        check("", false, entry);
        check("# top\na = 1 # a\n", false, &format!("# top\na = 1 # a\n\n{entry}"));
        check(entry, true, "");
        check("a = 1\n", true, "a = 1\n");
        let two =
            format!("a = 1\n\n[[skills.config]] # b\npath = '/b'\nenabled = false\n\n{entry}");
        let one = "a = 1\n\n[[skills.config]] # b\npath = '/b'\nenabled = false\n";
        check(&two, true, one);
    }

    #[test]
    fn an_entry_that_is_there_is_changed_in_place() {
        let text =
            |on: &str| format!("[[skills.config]]\npath = '~/s' # mine\nenabled = {on} # x\n");
        check(&text("true"), false, &text("false"));
        check(&text("false"), false, &text("false"));
    }

    #[test]
    fn other_entries_on_one_line_stay() {
        check(
            "skills = {config = [{path = '/b', enabled = false}]}\n",
            false,
            "skills = {config = [{path = '/b', enabled = false}, { path = \"/s\", enabled = false }]}\n",
        );
        check(
            "[skills]\nconfig = [{path = '/s', enabled = false}] # c\nother = 1\n",
            true,
            "[skills]\nother = 1\n",
        );
    }

    #[test]
    fn what_is_no_table_stays() {
        for text in ["skills = 1", "skills.config = 1"] {
            let found = with_skill(text, "/s", &|_| true, false);
            assert_eq!(found, Err(EditError::NotATable), "{text}");
        }
        assert_eq!(with_skill("= 1", "/s", &|_| true, true), Err(EditError::Unfaithful));
    }
}
