//! The stack of layers: where settings come from, how they merge, and who set what
//! (config.md §2.1, §2.3, §4.2).
//!
//! Invariant: layers lie in order of precedence, lowest first. A disabled layer is kept, and counts
//! for nothing but its folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::{Table, Value};

use super::fingerprint::fingerprint;

/// Where a layer comes from, as the wire names it. Ordered by precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LayerSource {
    /// The administrator's file.
    System {
        /// Its path; it need not exist.
        file: PathBuf,
    },
    /// The user's file.
    User {
        /// Its path; it need not exist.
        file: PathBuf,
    },
    /// A folder of the project.
    Project {
        /// The `.codex` folder.
        dot_codex_folder: PathBuf,
    },
    /// The command line, and the request's own settings.
    SessionFlags,
    /// The administrator's file that beats everything.
    LegacyManagedConfigTomlFromFile {
        /// Its path.
        file: PathBuf,
    },
}

impl LayerSource {
    /// The file that holds the layer's settings.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::System { file }
            | Self::User { file }
            | Self::LegacyManagedConfigTomlFromFile { file } => Some(file.clone()),
            Self::Project { dot_codex_folder } => Some(dot_codex_folder.join("config.toml")),
            Self::SessionFlags => None,
        }
    }

    /// The folder that holds the layer's `skills` and `rules`.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::System { file } | Self::User { file } => file.parent(),
            Self::Project { dot_codex_folder } => Some(dot_codex_folder),
            Self::SessionFlags | Self::LegacyManagedConfigTomlFromFile { .. } => None,
        }
    }
}

/// The settings of one source. `Debug` shows keys only: values may be secret.
#[derive(Clone, PartialEq)]
pub struct Layer {
    /// Where they come from.
    pub source: LayerSource,
    /// The settings, with paths made absolute.
    pub value: Table,
    /// Why the settings do not count, if they don't.
    pub disabled: Option<String>,
}

impl Layer {
    /// A layer that counts.
    pub fn new(source: LayerSource, value: Table) -> Self {
        Self { source, value, disabled: None }
    }

    /// A layer that does not count, and why.
    pub fn disabled(source: LayerSource, value: Table, reason: String) -> Self {
        Self { disabled: Some(reason), ..Self::new(source, value) }
    }

    /// The fingerprint of its settings (config.md §4.1). Made anew each time: every thread's start
    /// reads the layers, and only what shows them wants it.
    pub fn version(&self) -> String {
        fingerprint(&self.value)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("source", &self.source)
            .field("keys", &self.value.keys().collect::<Vec<_>>())
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The layer.
    pub name: LayerSource,
    /// Its fingerprint.
    pub version: String,
}

/// All layers, lowest precedence first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers(Vec<Layer>);

impl Layers {
    /// A stack of these layers, put in order of precedence. Project layers keep theirs.
    pub fn new(mut layers: Vec<Layer>) -> Self {
        layers.sort_by_key(|layer| rank(&layer.source));
        Self(layers)
    }

    /// Every layer, lowest precedence first, disabled ones included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.0.iter()
    }

    /// The layers that count, lowest precedence first.
    pub fn enabled(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.0.iter().filter(|layer| layer.disabled.is_none())
    }

    /// The user's layer.
    pub fn user(&self) -> Option<&Layer> {
        self.0.iter().find(|layer| matches!(layer.source, LayerSource::User { .. }))
    }

    /// The settings that hold when all enabled layers are merged.
    pub fn effective(&self) -> Table {
        let mut all = Table::new();
        self.enabled().for_each(|layer| merge(&mut all, &layer.value));
        all
    }

    /// The highest enabled layer that has a value at this path.
    pub fn setter(&self, path: &[&str]) -> Option<&Layer> {
        self.enabled().rev().find(|layer| at_path(&layer.value, path).is_some())
    }
}

/// Precedence of a source; higher wins.
pub(super) fn rank(source: &LayerSource) -> u8 {
    match source {
        LayerSource::System { .. } => 10,
        LayerSource::User { .. } => 20,
        LayerSource::Project { .. } => 25,
        LayerSource::SessionFlags => 30,
        LayerSource::LegacyManagedConfigTomlFromFile { .. } => 40,
    }
}

/// The value at a path of keys.
pub(super) fn at_path<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (last, parents) = path.split_last()?;
    let parent = parents.iter().try_fold(table, |table, key| table.get(*key)?.as_table())?;
    parent.get(*last)
}

/// Lays `over` on top of `base`: tables merge by key, anything else is replaced.
pub fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (Some(below), _) => *below = value.clone(),
            (None, _) => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Who set each leaf of the merged settings. Paths are joined with dots; elements of arrays have
/// their index as a segment. Leaves that a higher layer covers are left out (config.md §10, 31).
pub fn origins(layers: &Layers) -> BTreeMap<String, Origin> {
    let mut origins = BTreeMap::new();
    for layer in layers.enabled() {
        let origin = Origin { name: layer.source.clone(), version: layer.version() };
        leaves_of(&layer.value, &mut |path| {
            origins.insert(path, origin.clone());
        });
    }
    let mut held = std::collections::BTreeSet::new();
    leaves_of(&layers.effective(), &mut |path| {
        held.insert(path);
    });
    origins.retain(|path, _| held.contains(path));
    origins
}

fn leaves_of(table: &Table, found: &mut impl FnMut(String)) {
    for (key, value) in table {
        leaves(key.clone(), value, found);
    }
}

fn leaves(path: String, value: &Value, found: &mut impl FnMut(String)) {
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| leaves(format!("{path}.{key}"), value, found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| leaves(format!("{path}.{i}"), v, found));
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => found(path),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::{Table, Value};

    use super::{Layer, LayerSource, Layers, leaves_of, merge, origins};

    fn table(text: &str) -> Table {
        toml::from_str(text).expect("TOML")
    }

    fn merged(a: &Table, b: &Table) -> Table {
        let mut out = a.clone();
        merge(&mut out, b);
        out
    }

    fn stack(low: Table, middle: Table, high: Table) -> Layers {
        let user = LayerSource::User { file: "/h/config.toml".into() };
        let system = LayerSource::System { file: "/etc/codex/config.toml".into() };
        // Given out of order on purpose.
        Layers::new(vec![
            Layer::new(LayerSource::SessionFlags, high),
            Layer::new(system, low),
            Layer::new(user, middle),
        ])
    }

    #[test]
    fn tables_merge_and_everything_else_is_replaced() {
        let low = table("a = {x = 1, y = [1, 2, 3]}\nb = 1\nc = {z = 1}");
        let high = table("a = {y = [9]}\nb = {deep = true}\nc = 5");
        let expected = table("a = {x = 1, y = [9]}\nb = {deep = true}\nc = 5");
        assert_eq!(merged(&low, &high), expected);
    }

    #[test]
    fn origins_name_the_setter_and_no_covered_leaf() {
        let layers = stack(
            table("a = [1, 2]\nm = 'low'\nt.x = 1"),
            table("a = [7]\nt = 3"),
            table("m = 'h'"),
        );
        let origins = origins(&layers);
        let keys: Vec<_> = origins.keys().map(String::as_str).collect();
        assert_eq!(keys, ["a.0", "m", "t"]);
        assert_eq!(origins.get("m").map(|o| &o.name), Some(&LayerSource::SessionFlags));
        let user = LayerSource::User { file: "/h/config.toml".into() };
        assert_eq!(origins.get("a.0").map(|o| &o.name), Some(&user));
    }

    #[test]
    fn sources_are_spelled_as_on_the_wire() {
        let source = LayerSource::Project { dot_codex_folder: "/w/.codex".into() };
        let json = serde_json::to_string(&source).expect("serialises");
        assert_eq!(json, r#"{"type":"project","dotCodexFolder":"/w/.codex"}"#);
        let json = serde_json::to_string(&LayerSource::SessionFlags).expect("serialises");
        assert_eq!(json, r#"{"type":"sessionFlags"}"#);
    }

    #[test]
    fn a_disabled_layer_counts_for_nothing() {
        let user = LayerSource::User { file: "/h/config.toml".into() };
        let layers = Layers::new(vec![Layer::disabled(user, table("a = 1"), "why".to_owned())]);
        assert!(layers.effective().is_empty() && origins(&layers).is_empty());
        assert!(layers.setter(&["a"]).is_none());
        assert_eq!(layers.iter().count(), 1);
    }

    /// Tables in which a key's first letter says whether it holds a table or a leaf, so that the
    /// layers agree on shapes; with other shapes replacement makes the order of merging matter.
    fn shaped() -> impl Strategy<Value = Table> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            "[a-z]{0,3}".prop_map(Value::String),
            proptest::collection::vec(any::<bool>().prop_map(Value::Boolean), 0..3)
                .prop_map(Value::Array),
        ];
        let leaves = proptest::collection::btree_map("v[a-c]", leaf, 0..4)
            .prop_map(|map| map.into_iter().collect::<Table>());
        leaves.prop_recursive(3, 24, 3, |inner| {
            let below = proptest::collection::btree_map("t[a-c]", inner.clone(), 0..3);
            (inner, below).prop_map(|(mut table, below)| {
                table.extend(below.into_iter().map(|(key, t)| (key, Value::Table(t))));
                table
            })
        })
    }

    /// Tables in which anything may stand anywhere.
    fn wild() -> impl Strategy<Value = Table> {
        let leaf = any::<bool>().prop_map(Value::Boolean);
        let value = leaf.prop_recursive(3, 24, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                proptest::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|map| Value::Table(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[a-c]", value, 0..4)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn merging_is_associative(a in shaped(), b in shaped(), c in shaped()) {
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }

        #[test]
        fn a_leaf_comes_from_the_highest_layer_that_has_it(a in wild(), b in wild(), c in wild()) {
            let layers = stack(a, b, c);
            let origins = origins(&layers);
            let mut held = Vec::new();
            leaves_of(&layers.effective(), &mut |path| held.push(path));
            prop_assert_eq!(origins.len(), held.len());
            for path in held {
                let setter = layers.enabled().rev().find(|layer| {
                    let mut has = false;
                    leaves_of(&layer.value, &mut |leaf| has |= leaf == path);
                    has
                });
                let named = origins.get(&path).map(|origin| &origin.name);
                prop_assert_eq!(named, setter.map(|layer| &layer.source), "{}", path);
            }
        }
    }
}
