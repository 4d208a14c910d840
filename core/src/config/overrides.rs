//! Settings from the command line: `-c key=value`, `--enable`, `--disable` (config.md §1.3–1.4).

use std::fmt;

use toml::{Table, Value};

use super::features;
use super::fingerprint::fingerprint;
use crate::limits;

/// Settings from the command line, in the order given. `Debug` shows keys only: a value may be
/// secret.
#[derive(Clone, Default)]
pub struct Overrides {
    settings: Vec<(String, Value)>,
    /// The same as they were given.
    raw: Vec<String>,
    enabled: Vec<String>,
    disabled: Vec<String>,
}

/// Why a setting from the command line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// There is no `=`.
    #[error("Invalid override (missing '='): {0}")]
    MissingEquals(String),
    /// There is nothing before the `=`.
    #[error("Empty key in override: {0}")]
    EmptyKey(String),
    /// There are more than [`limits::CONFIG_KEY_SEGMENTS_MAX`] segments.
    #[error("Key in override has too many segments")]
    TooDeep,
    /// `--enable` or `--disable` names no feature.
    #[error("Unknown feature flag: {0}")]
    UnknownFeature(String),
}

impl Overrides {
    /// Reads the arguments of every `-c`, first to last.
    pub fn parse(raw: &[String]) -> Result<Self, OverrideError> {
        let settings = raw.iter().map(|raw| setting(raw)).collect::<Result<_, _>>()?;
        Ok(Self { settings, raw: raw.to_vec(), ..Self::default() })
    }

    /// Adds `--enable name`. The name may be an alias and is kept as given.
    pub fn enable(mut self, name: &str) -> Result<Self, OverrideError> {
        self.enabled.push(known_feature(name)?);
        Ok(self)
    }

    /// Adds `--disable name`, which beats every `--enable`.
    pub fn disable(mut self, name: &str) -> Result<Self, OverrideError> {
        self.disabled.push(known_feature(name)?);
        Ok(self)
    }

    /// What they were made of: the arguments of `-c`, of `--enable`, of `--disable`.
    pub(crate) fn given(&self) -> (&[String], &[String], &[String]) {
        (&self.raw, &self.enabled, &self.disabled)
    }

    /// The version of the layer that they make.
    pub(crate) fn fingerprint(&self) -> String {
        let mut table = Table::new();
        self.apply(&mut table);
        fingerprint(&table)
    }

    /// Applies the settings to a table, in order; features last, disabled ones after enabled ones.
    pub(super) fn apply(&self, table: &mut Table) {
        for (key, value) in &self.settings {
            set(table, key, value.clone());
        }
        for (names, on) in [(&self.enabled, true), (&self.disabled, false)] {
            for name in names {
                set(table, &format!("features.{name}"), Value::Boolean(on));
            }
        }
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overrides")
            .field("keys", &self.settings.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .field("enabled", &self.enabled)
            .field("disabled", &self.disabled)
            .finish()
    }
}

fn known_feature(name: &str) -> Result<String, OverrideError> {
    match features::by_name(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err(OverrideError::UnknownFeature(name.to_owned())),
    }
}

fn setting(raw: &str) -> Result<(String, Value), OverrideError> {
    let (key, text) =
        raw.split_once('=').ok_or_else(|| OverrideError::MissingEquals(raw.to_owned()))?;
    let (key, text) = (key.trim(), text.trim());
    if key.is_empty() {
        return Err(OverrideError::EmptyKey(raw.to_owned()));
    }
    if is_too_deep(key) {
        return Err(OverrideError::TooDeep);
    }
    Ok((key.to_owned(), value(text)))
}

/// The text as a TOML value, or as the string that it is. A line that smuggles in a second setting
/// is no value (config.md §10, 11).
fn value(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("_x_ = {text}")).ok();
    match parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("_x_")) {
        Some(value) => value,
        None => Value::String(text.trim_matches(['"', '\'']).to_owned()),
    }
}

/// Whether a dotted key has more segments than are allowed.
pub(super) fn is_too_deep(key: &str) -> bool {
    key.split('.').count() > limits::CONFIG_KEY_SEGMENTS_MAX
}

/// Sets the value at a dotted path. What lies in the way and is no table is replaced by one. Empty
/// segments are keys like any other.
pub(super) fn set(table: &mut Table, path: &str, value: Value) {
    let mut at = table;
    let mut segments = path.split('.').peekable();
    while let Some(segment) = segments.next() {
        if segments.peek().is_none() {
            at.insert(segment.to_owned(), value);
            return;
        }
        let next = at.entry(segment).or_insert_with(|| Value::Table(Table::new()));
        if !next.is_table() {
            *next = Value::Table(Table::new());
        }
        let Value::Table(inner) = next else { return };
        at = inner;
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::{OverrideError, Overrides};

    fn table(raw: &[&str]) -> Result<Table, OverrideError> {
        let raw: Vec<String> = raw.iter().map(|s| (*s).to_owned()).collect();
        let mut table = Table::new();
        Overrides::parse(&raw)?.apply(&mut table);
        Ok(table)
    }

    #[test]
    fn values_are_toml_or_text() {
        let cases = [
            ("model=o3", r#"model = "o3""#),
            ("n=1e3", "n = 1000.0"),
            ("a.b.c=[1,2]", "a.b.c = [1, 2]"),
            ("x={y=1}", "x.y = 1"),
            ("e=", r#"e = """#),
            ("eq=a=b", r#"eq = "a=b""#),
            ("q=\"quo\"te", r#"q = 'quo"te'"#),
            ("sq='it''", r#"sq = "it""#),
            ("h=#c", r##"h = "#c""##),
            ("s=str # com", r##"s = "str # com""##),
            ("d=2024-01-01", "d = 2024-01-01"),
            (" spaced = true ", "spaced = true"),
            ("m = [1,\n 2]", "m = [1, 2]"),
            ("nl=1\ninjected=2", r#"nl = "1\ninjected=2""#),
            (
                "projects.\"/a.b\".trust_level=trusted",
                "projects.'\"/a'.'b\"'.trust_level='trusted'",
            ),
            ("a.=1", "a.'' = 1"),
        ];
        for (raw, expected) in cases {
            let expected: Table = toml::from_str(expected).expect("the expectation is TOML");
            assert_eq!(table(&[raw]).as_ref(), Ok(&expected), "{raw:?}");
        }
    }

    #[test]
    fn later_settings_win_and_make_way() {
        let parse = |text| toml::from_str::<Table>(text).expect("TOML");
        assert_eq!(table(&["a=1", "a.b=2"]), Ok(parse("a.b = 2")));
        assert_eq!(table(&["a.b=2", "a=1"]), Ok(parse("a = 1")));
        assert_eq!(table(&["a.b=1", "a.c=2"]), Ok(parse("a = {b = 1, c = 2}")));
    }

    #[test]
    fn bad_settings_are_named() {
        let text = |raw: &str| table(&[raw]).map_err(|e| e.to_string());
        assert_eq!(text("foo"), Err("Invalid override (missing '='): foo".to_owned()));
        assert_eq!(text(" =1"), Err("Empty key in override:  =1".to_owned()));
    }

    #[test]
    fn disabled_features_beat_enabled_ones_and_settings() {
        let overrides = Overrides::parse(&["features.undo=true".to_owned()])
            .and_then(|o| o.disable("undo"))
            .and_then(|o| o.enable("undo"))
            .and_then(|o| o.enable("web_search"))
            .expect("known features");
        let mut table = Table::new();
        overrides.apply(&mut table);
        let expected = "features = {undo = false, web_search = true}";
        assert_eq!(table, toml::from_str::<Table>(expected).expect("TOML"));
        let unknown = Overrides::default().enable("bogus").map_err(|e| e.to_string());
        assert_eq!(unknown.err().as_deref(), Some("Unknown feature flag: bogus"));
    }

    #[test]
    fn debug_shows_no_values() {
        let overrides = Overrides::parse(&["token=sk-secret".to_owned()]).expect("parses");
        let shown = format!("{overrides:?}");
        assert!(shown.contains("token") && !shown.contains("sk-secret"), "{shown}");
    }
}
