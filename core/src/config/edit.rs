//! Changes to the text of a file of settings that leave the rest of it, comments included, as it is
//! (config.md §4.3, §4.4).
//!
//! Invariant: the new text reads back as exactly the settings that were asked for, or there is no
//! new text.

use serde_json::Value as Json;
use toml::{Table, Value};
use toml_edit::{DocumentMut, InlineTable, Item, TableLike};

use super::fingerprint::fingerprint;
use super::text::Text;

/// One change.
pub(super) struct Edit {
    /// The keys that lead to the setting; never empty.
    pub path: Vec<String>,
    /// Its new value; none takes it away.
    pub value: Option<Value>,
    /// A table is laid over the one that is there instead of taking its place.
    pub merge: bool,
}

/// Why a file cannot be changed. `Display` is the text that clients see (config.md §4.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    #[error("keyPath must not be empty")]
    NoKey,
    #[error("keyPath has too many segments")]
    TooDeep,
    #[error("Path not found")]
    NotFound,
    /// The reference puts a table in the place of some of them, and loses whole arrays
    /// (config.md §10, 26 and 27).
    #[error("cannot set value on non-table parent")]
    NotATable,
    #[error("invalid value: {0}")]
    Unfit(&'static str),
    #[error("the file cannot be changed without changing other settings")]
    Unfaithful,
}

impl Edit {
    /// The change that a client describes.
    pub(super) fn new(key_path: &str, value: &Json, merge: bool) -> Result<Self, EditError> {
        if key_path.trim().is_empty() {
            return Err(EditError::NoKey);
        }
        if super::overrides::is_too_deep(key_path) {
            return Err(EditError::TooDeep);
        }
        let value = match value {
            Json::Null => None,
            value => Some(setting(value)?),
        };
        Ok(Self { path: key_path.split('.').map(str::to_owned).collect(), value, merge })
    }

    fn on_table(&self, table: &mut Table) -> Result<(), EditError> {
        let (key, parents) = self.path.split_last().ok_or(EditError::NoKey)?;
        let mut at = table;
        for parent in parents {
            let next = match &self.value {
                Some(_) => at.entry(parent).or_insert_with(|| Value::Table(Table::new())),
                None => at.get_mut(parent).ok_or(EditError::NotFound)?,
            };
            at = match (next, &self.value) {
                (Value::Table(inner), _) => inner,
                (_, Some(_)) => return Err(EditError::NotATable),
                (_, None) => return Err(EditError::NotFound),
            };
        }
        match (&self.value, at.get_mut(key)) {
            (None, _) => drop(at.remove(key)),
            (Some(Value::Table(new)), Some(Value::Table(old))) if self.merge => {
                super::layers::merge(old, new);
            }
            (Some(value), _) => drop(at.insert(key.clone(), value.clone())),
        }
        Ok(())
    }

    fn on_document(&self, document: &mut DocumentMut) -> Result<(), EditError> {
        let (key, parents) = self.path.split_last().ok_or(EditError::NoKey)?;
        let mut at: &mut dyn TableLike = document.as_table_mut();
        let mut inline = false;
        for parent in parents {
            let next = match &self.value {
                Some(_) => at.entry(parent).or_insert_with(|| fresh(inline)),
                None => at.get_mut(parent).ok_or(EditError::NotFound)?,
            };
            inline = next.is_value();
            at = next.as_table_like_mut().ok_or(EditError::NotATable)?;
        }
        match &self.value {
            None => drop(at.remove(key)),
            Some(value) => put(at, inline, key, value, self.merge),
        }
        Ok(())
    }
}

/// The text after the changes, and the settings in it.
pub(super) fn edited(text: &str, edits: &[Edit]) -> Result<(String, Table), EditError> {
    let (Some(mut text), Ok(mut wanted)) = (Text::read(text), toml::from_str::<Table>(text)) else {
        return Err(EditError::Unfaithful);
    };
    for edit in edits {
        let before = wanted.clone();
        edit.on_table(&mut wanted)?;
        // What is so already stays where and as it is written.
        if wanted != before {
            edit.on_document(&mut text.document)?;
        }
    }
    let table = |text: &str| toml::from_str::<Table>(text).ok();
    let is_right = |text: &str| table(text).is_some_and(|found| same(&found, &wanted));
    let text = text.written(is_right).ok_or(EditError::Unfaithful)?;
    let found = table(&text).ok_or(EditError::Unfaithful)?;
    Ok((text, found))
}

/// Whether two tables say the same. Tables without settings say nothing: a file may have no place
/// for one.
pub(super) fn same(a: &Table, b: &Table) -> bool {
    fingerprint(&without_empty(a)) == fingerprint(&without_empty(b))
}

fn without_empty(table: &Table) -> Table {
    let members = table.iter().filter_map(|(key, value)| match value {
        Value::Table(inner) => {
            let inner = without_empty(inner);
            (!inner.is_empty()).then(|| (key.clone(), Value::Table(inner)))
        }
        value => Some((key.clone(), value.clone())),
    });
    members.collect()
}

/// A table that has no header until it needs one.
fn fresh(inline: bool) -> Item {
    if inline {
        return Item::Value(InlineTable::new().into());
    }
    let mut table = toml_edit::Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// Sets one key. `inline` says that it stands in a table on one line.
fn put(table: &mut dyn TableLike, inline: bool, key: &str, value: &Value, merge: bool) {
    let Some(old) = table.get_mut(key) else {
        table.insert(key, item(value, inline));
        return;
    };
    let inline = inline || old.is_inline_table();
    if let (true, Value::Table(members), Some(inner)) = (merge, value, old.as_table_like_mut()) {
        members.iter().for_each(|(key, value)| put(inner, inline, key, value, true));
        return;
    }
    let mut new = item(value, inline);
    match (&*old, &mut new) {
        (Item::Value(old), Item::Value(new)) => *new.decor_mut() = old.decor().clone(),
        (Item::Table(old), Item::Table(new)) => {
            *new.decor_mut() = old.decor().clone();
            new.set_position(old.position());
        }
        _ => {}
    }
    *old = new;
}

fn item(value: &Value, inline: bool) -> Item {
    match value {
        Value::Table(members) if !inline => {
            let mut table = toml_edit::Table::new();
            for (key, value) in members {
                table.insert(key, item(value, false));
            }
            table.set_implicit(!members.is_empty() && members.values().all(Value::is_table));
            Item::Table(table)
        }
        value => Item::Value(on_one_line(value)),
    }
}

fn on_one_line(value: &Value) -> toml_edit::Value {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(n) => (*n).into(),
        Value::Float(n) => (*n).into(),
        Value::Boolean(b) => (*b).into(),
        Value::Datetime(time) => (*time).into(),
        Value::Array(items) => items.iter().map(on_one_line).collect::<toml_edit::Array>().into(),
        Value::Table(members) => {
            let members = members.iter().map(|(key, value)| (key.as_str(), on_one_line(value)));
            members.collect::<InlineTable>().into()
        }
    }
}

fn setting(value: &Json) -> Result<Value, EditError> {
    Ok(match value {
        Json::Null => {
            return Err(EditError::Unfit("invalid type: null, expected any valid TOML value"));
        }
        Json::Bool(b) => Value::Boolean(*b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => Value::Integer(n),
            (None, Some(f)) if n.is_f64() => Value::Float(f),
            _ => return Err(EditError::Unfit("u64 value was too large")),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(setting).collect::<Result<_, _>>()?),
        Json::Object(members) => {
            let members = members.iter().map(|(key, value)| Ok((key.clone(), setting(value)?)));
            Value::Table(members.collect::<Result<_, EditError>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::{Edit, EditError, edited};

    fn after(text: &str, key: &str, value: Json, merge: bool) -> Result<String, EditError> {
        edited(text, &[Edit::new(key, &value, merge)?]).map(|(text, _)| text)
    }

    #[track_caller]
    fn check(text: &str, key: &str, value: Json, expected: &str) {
        assert_eq!(after(text, key, value, true).as_deref(), Ok(expected), "{key}");
    }

    #[test]
    fn comments_and_order_stay() {
        check(
            "# top\nmodel = 'a' # why\nx = 1\n",
            "model",
            json!("b"),
            "# top\nmodel = \"b\" # why\nx = 1\n",
        );
        check("# only this\n", "a", json!(1), "a = 1\n# only this\n");
        check("x = 1\n\n[t] # t\ny = 2\n", "z", json!(true), "x = 1\nz = true\n\n[t] # t\ny = 2\n");
        check("[t]\ny = 2 # y\n", "t.z", json!([1, "a"]), "[t]\ny = 2 # y\nz = [1, \"a\"]\n");
        check("[t]\ny = 2\nz = 3\n", "t.y", Json::Null, "[t]\nz = 3\n");
    }

    #[test]
    fn tables_are_made_where_they_are_missing() {
        check("", "a.b.c", json!(1), "[a.b]\nc = 1\n");
        check("a = {x = 1}\n", "a.b.c", json!(1), "a = {x = 1, b = { c = 1 } }\n");
        check("a.x = 1\n", "a.y", json!(2), "a.x = 1\na.y = 2\n");
        check("[a]\nx = 1\n", "a", json!({"y": {"z": 2}}), "[a]\nx = 1\n\n[a.y]\nz = 2\n");
    }

    #[test]
    fn what_is_so_already_stays_as_it_is_written() {
        let text = "[a.c]\n\n[b.a]\nb = 0x1 # one\n[a]\n";
        check(text, "b", json!({"a": {"b": 1}}), text);
        check(text, "b.a.b", json!(1), text);
    }

    #[test]
    fn replacing_a_table_leaves_nothing_of_it() {
        let found = after("[a] # a\nx = 1\n[b]\n", "a", json!({"y": 2}), false);
        assert_eq!(found.as_deref(), Ok("[a] # a\ny = 2\n[b]\n"));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let error = |text: &str, key: &str, value| after(text, key, value, false).err();
        assert_eq!(error("", " ", json!(1)), Some(EditError::NoKey));
        assert_eq!(error("", "a.b", Json::Null), Some(EditError::NotFound));
        assert_eq!(error("a = 1", "a.b", Json::Null), Some(EditError::NotFound));
        assert_eq!(error("a = 1", "a.b", json!(1)), Some(EditError::NotATable));
        assert_eq!(error("[[a]]\nx = 1", "a.0.x", json!(1)), Some(EditError::NotATable));
        let deep = "a.".repeat(99);
        assert_eq!(error("", &deep, json!(1)), Some(EditError::TooDeep));
        assert!(matches!(error("", "a", json!([null])), Some(EditError::Unfit(_))));
        assert!(matches!(error("", "a", json!(u64::MAX)), Some(EditError::Unfit(_))));
        // Taking away what is not there is no error.
        assert_eq!(after("x = 1\n", "y", Json::Null, false).as_deref(), Ok("x = 1\n"));
    }

    fn json_value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Json::from),
            any::<bool>().prop_map(Json::from),
            ".{0,4}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
                proptest::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is set one after another can be written, or is refused because something that
        /// is no table is in the way.
        #[test]
        fn any_value_can_be_written_anywhere(
            edits in proptest::collection::vec(("[a-c](\\.[a-c]){0,2}", json_value(), any::<bool>()), 1..6)
        ) {
            let mut text = "# top\nz = 1 # z\n[a] # a\nb = { c = 1 } # b\n".to_owned();
            for (key, value, merge) in edits {
                match after(&text, &key, value, merge) {
                    Ok(new) => text = new,
                    Err(error) => prop_assert_eq!(error, EditError::NotATable),
                }
            }
            prop_assert!(text.contains("z = 1 # z"));
        }
    }
}
