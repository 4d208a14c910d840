//! Owns: which models there are and what each can do (engine.md §9): a built-in table, a list
//! from the backend over it, and a guess by prefix for all other names.
//! Invariant: without a fetched list a catalogue holds nothing on the heap.
//! Never: fetches, or decides who may see the list.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::config::kinds::{ReasoningEffort, Verbosity};
use crate::limits;

mod bundled;

/// The instructions of every model that brings none of its own.
pub(crate) const BASE_INSTRUCTIONS: &str = include_str!("prompts/base.md");

/// An effort that a model knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EffortOption {
    /// Which.
    pub(crate) effort: ReasoningEffort,
    /// For people.
    #[serde(default)]
    pub(crate) description: Cow<'static, str>,
}

/// Which shell tool a model is offered (engine.md §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShellType {
    /// The API's own `local_shell`.
    Local,
    /// `exec_command` and `write_stdin`.
    UnifiedExec,
    /// None.
    Disabled,
    /// `shell_command`, with a command line.
    ShellCommand,
    /// `shell`, with an argument vector; also any word that is not known.
    #[default]
    #[serde(other)]
    Default,
}

/// Whether a model is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Visibility {
    /// In lists.
    List,
    /// Usable, but not in lists.
    Hide,
    /// Not for people; also any word that is not known.
    #[default]
    #[serde(other)]
    None,
}

/// In which form a model is offered `apply_patch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PatchTool {
    /// As a tool with free text.
    Freeform,
    /// As a function.
    Function,
}

/// How much of a tool's output a model gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", content = "limit", rename_all = "snake_case")]
pub(crate) enum Truncation {
    /// So many bytes.
    Bytes(u64),
    /// So many tokens.
    Tokens(u64),
}

impl Default for Truncation {
    fn default() -> Self {
        Self::Bytes(10_000)
    }
}

/// A newer model that users of this one should go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upgrade {
    /// Its slug.
    pub(crate) model: Cow<'static, str>,
    /// Words for people.
    #[serde(default)]
    pub(crate) migration_markdown: Cow<'static, str>,
}

/// Instructions with a slot for a personality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstructionsTemplate {
    /// The text; the slot is a word in double braces that begins with `personality`.
    pub(crate) template: String,
    /// What goes into the slot, by personality.
    #[serde(default)]
    pub(crate) personality_messages: BTreeMap<String, String>,
}

/// All that is known of a model (engine.md §9.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelRecord {
    /// The name on the wire.
    pub(crate) slug: Cow<'static, str>,
    /// The name for people.
    #[serde(default)]
    pub(crate) display_name: Cow<'static, str>,
    /// What it is good for.
    #[serde(default)]
    pub(crate) description: Option<Cow<'static, str>>,
    /// The effort if none is configured.
    #[serde(default, deserialize_with = "known")]
    pub(crate) default_reasoning_level: Option<ReasoningEffort>,
    /// Efforts to choose from.
    #[serde(default, deserialize_with = "known_each")]
    pub(crate) supported_reasoning_levels: Vec<EffortOption>,
    /// The shell tool.
    #[serde(default)]
    pub(crate) shell_type: ShellType,
    /// Whether it is shown.
    #[serde(default)]
    pub(crate) visibility: Visibility,
    /// Whether users with an API key have it.
    #[serde(default)]
    pub(crate) supported_in_api: bool,
    /// Place in lists; the lowest comes first.
    #[serde(default)]
    pub(crate) priority: i64,
    /// Where its users should go.
    #[serde(default)]
    pub(crate) upgrade: Option<Upgrade>,
    /// The system prompt.
    #[serde(default)]
    pub(crate) base_instructions: Cow<'static, str>,
    /// The system prompt with a slot.
    #[serde(default)]
    pub(crate) model_instructions_template: Option<InstructionsTemplate>,
    /// Whether it reasons: `reasoning` is null in requests otherwise.
    #[serde(default)]
    pub(crate) supports_reasoning_summaries: bool,
    /// Whether it knows verbosity.
    #[serde(default)]
    pub(crate) support_verbosity: bool,
    /// The verbosity if none is configured.
    #[serde(default, deserialize_with = "known")]
    pub(crate) default_verbosity: Option<Verbosity>,
    /// The patch tool.
    #[serde(default, deserialize_with = "known")]
    pub(crate) apply_patch_tool_type: Option<PatchTool>,
    /// What it gets of tool outputs.
    #[serde(default)]
    pub(crate) truncation_policy: Truncation,
    /// Whether it may call several tools at once.
    #[serde(default)]
    pub(crate) supports_parallel_tool_calls: bool,
    /// Tokens that fit; none if not known, and then nothing is compacted by itself.
    #[serde(default)]
    pub(crate) context_window: Option<i64>,
    /// Tokens at which a history is compacted; else nine tenths of the window.
    #[serde(default)]
    pub(crate) auto_compact_token_limit: Option<i64>,
    /// The part of the window that may be used.
    #[serde(default = "default_percent")]
    pub(crate) effective_context_window_percent: i64,
    /// More tools, by name.
    #[serde(default)]
    pub(crate) experimental_supported_tools: Vec<Cow<'static, str>>,
}

const fn default_percent() -> i64 {
    95
}

/// A value, or none if this version does not know the word: a newer backend may send more.
fn known<'de, D: Deserializer<'de>, T: DeserializeOwned>(de: D) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(serde_json::Value::deserialize(de)?).ok())
}

/// The values that this version knows.
fn known_each<'de, D: Deserializer<'de>, T: DeserializeOwned>(de: D) -> Result<Vec<T>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(de)?;
    Ok(all.into_iter().filter_map(|value| T::deserialize(value).ok()).collect())
}

impl ModelRecord {
    /// Tokens that a thread may use, as clients are told.
    pub(crate) fn usable_window(&self) -> Option<i64> {
        self.context_window.map(|window| {
            super::usage::usable_window(window, self.effective_context_window_percent)
        })
    }

    /// The system prompt, with the personality's words in its slot if the model has both.
    pub(crate) fn instructions(&self, personality: Option<&str>) -> Cow<'_, str> {
        let filled = self.model_instructions_template.as_ref().and_then(|slotted| {
            let words = slotted.personality_messages.get(personality?)?;
            let (before, after) = slot_of(&slotted.template)?;
            Some(format!("{before}{words}{after}"))
        });
        match filled {
            Some(text) => Cow::Owned(text),
            None if self.base_instructions.is_empty() => Cow::Borrowed(BASE_INSTRUCTIONS),
            None => Cow::Borrowed(&self.base_instructions),
        }
    }

    /// What the model is told of a personality that is chosen later on, if it has words for it.
    pub(crate) fn personality_words(&self, personality: &str) -> Option<&str> {
        let slotted = self.model_instructions_template.as_ref()?;
        slotted.personality_messages.get(personality).map(String::as_str)
    }

    /// Whether the model has words for every personality (config.md §7.8).
    pub(crate) fn supports_personality(&self) -> bool {
        self.model_instructions_template.as_ref().is_some_and(|slotted| {
            slot_of(&slotted.template).is_some()
                && ["friendly", "pragmatic"]
                    .into_iter()
                    .all(|name| slotted.personality_messages.contains_key(name))
        })
    }
}

/// What stands before and after the personality's slot.
fn slot_of(template: &str) -> Option<(&str, &str)> {
    template.match_indices("{{").find_map(|(at, _)| {
        let (word, after) = template.get(at + 2..)?.split_once("}}")?;
        word.trim().starts_with("personality").then_some((template.get(..at)?, after))
    })
}

/// The models of one session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalogue {
    /// From the backend or its stored list, by priority.
    fetched: Vec<Arc<ModelRecord>>,
    fetched_at: Option<Timestamp>,
}

impl Catalogue {
    /// Takes over a list.
    pub(crate) fn replace(&mut self, list: FetchedList) {
        self.fetched = list.models.into_iter().map(Arc::new).collect();
        self.fetched_at = Some(list.fetched_at);
    }

    /// Whether the list need not be fetched. One from the future is not trusted.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        self.fetched_at.is_some_and(|then| is_fresh(then, now))
    }

    /// What is known of `slug`; a guess by its prefix if it is in no list.
    pub(crate) fn find(&self, slug: &str) -> Arc<ModelRecord> {
        if let Some(record) = self.fetched.iter().find(|record| record.slug == slug) {
            return Arc::clone(record);
        }
        let row = bundled::BUNDLED.iter().find(|row| row.slug == slug);
        Arc::new(row.map_or_else(|| bundled::fallback(slug), bundled::Row::record))
    }

    /// The models to show, the default one first. Users with an API key see what the API has.
    pub(crate) fn listed(&self, chatgpt: bool) -> Vec<Arc<ModelRecord>> {
        let own = bundled::BUNDLED
            .iter()
            .filter(|row| !self.fetched.iter().any(|record| record.slug == row.slug))
            .map(|row| Arc::new(row.record()));
        let mut all: Vec<Arc<ModelRecord>> = self
            .fetched
            .iter()
            .map(Arc::clone)
            .chain(own)
            .filter(|record| record.visibility == Visibility::List)
            .filter(|record| chatgpt || record.supported_in_api)
            .collect();
        all.sort_by_key(|record| record.priority);
        all
    }

    /// The slug of the model for a thread that names none.
    pub(crate) fn default_model(&self, chatgpt: bool) -> Cow<'static, str> {
        let listed = self.listed(chatgpt);
        listed.first().map_or(Cow::Borrowed(bundled::BUNDLED[0].slug), |record| record.slug.clone())
    }
}

fn is_fresh(then: Timestamp, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(then)).is_ok_and(|age| age < limits::CATALOGUE_FRESH)
}

/// A list from the backend, or as it was stored.
#[derive(Debug)]
pub(crate) struct FetchedList {
    /// When it came from the backend.
    pub(crate) fetched_at: Timestamp,
    /// Its models; those that did not parse are left out.
    pub(crate) models: Vec<ModelRecord>,
}

/// A model list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// It is no JSON, or lacks a member.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// `fetched_at` is no RFC 3339 time.
    #[error(transparent)]
    Time(#[from] jiff::Error),
}

#[derive(Deserialize)]
struct StoredList<'a> {
    fetched_at: String,
    #[serde(borrow)]
    models: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct ServedList<'a> {
    #[serde(borrow)]
    models: Vec<&'a RawValue>,
}

/// Reads `models_cache.json` (engine.md §9.3).
pub(crate) fn read_stored(text: &str) -> Result<FetchedList, ListError> {
    let stored: StoredList<'_> = serde_json::from_str(text)?;
    let models = records(&stored.models);
    Ok(FetchedList { fetched_at: stored.fetched_at.parse()?, models })
}

/// Reads the backend's answer, and writes what `models_cache.json` will hold: the records as
/// they came, so that other programs that share the file find what only they know.
pub(crate) fn read_served(
    body: &str,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<(FetchedList, String), ListError> {
    #[derive(Serialize)]
    struct Stored<'a> {
        fetched_at: String,
        etag: Option<&'a str>,
        client_version: &'a str,
        models: &'a [&'a RawValue],
    }
    let served: ServedList<'_> = serde_json::from_str(body)?;
    let stored = serde_json::to_string(&Stored {
        fetched_at: now.to_string(),
        etag,
        client_version: super::headers::PROTOCOL_VERSION,
        models: &served.models,
    })?;
    let models = records(&served.models);
    Ok((FetchedList { fetched_at: now, models }, stored))
}

fn records(raw: &[&RawValue]) -> Vec<ModelRecord> {
    raw.iter()
        .take(limits::CATALOGUE_MODELS_MAX)
        .filter_map(|raw| match serde_json::from_str::<ModelRecord>(raw.get()) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::debug!(%error, "model record left out");
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn slugs(models: &[Arc<ModelRecord>]) -> Vec<&str> {
        models.iter().map(|model| &*model.slug).collect()
    }

    #[test]
    fn bundled_list_and_default() {
        let catalogue = Catalogue::default();
        let expect = ["gpt-5.2-codex", "gpt-5.2", "gpt-5.1-codex-max", "gpt-5.1-codex-mini"];
        assert_eq!(slugs(&catalogue.listed(true)), expect);
        assert_eq!(slugs(&catalogue.listed(false)), expect);
        assert_eq!(catalogue.default_model(true), "gpt-5.2-codex");
        let record = catalogue.find("gpt-5.2-codex");
        assert_eq!(record.usable_window(), Some(258_400));
        assert_eq!(record.instructions(Some("friendly")), BASE_INSTRUCTIONS);
        assert!(record.upgrade.is_none());
        assert_eq!(
            catalogue.find("gpt-5").upgrade.as_ref().expect("upgrade").model,
            "gpt-5.2-codex"
        );
    }

    #[test]
    fn a_served_list_goes_over_the_bundled_one() {
        let body = r#"{"models":[
            {"slug":"gpt-5.2","display_name":"Two","visibility":"hide","priority":0},
            {"slug":"new","display_name":"New","visibility":"list","priority":2,"shell_type":"quantum",
             "truncation_policy":{"mode":"tokens","limit":5},"default_reasoning_level":"max",
             "supported_reasoning_levels":[{"effort":"max"},{"effort":"low"}],"unknown":[1],"base_instructions":"own"},
            {"slug":"bad","priority":"high"},
            {"display_name":"nameless"}]}"#;
        let (list, stored) = read_served(body, Some("\"e\""), at(1000)).expect("served");
        assert_eq!(list.models.len(), 2);
        let again = read_stored(&stored).expect("stored");
        assert_eq!(again.models, list.models);
        assert!(stored.contains(r#""etag":"\"e\"""#), "{stored}");
        assert!(stored.contains(r#""unknown":[1]"#) && stored.contains("client_version"));
        let mut catalogue = Catalogue::default();
        catalogue.replace(list);
        let shown = catalogue.listed(true);
        assert_eq!(
            slugs(&shown),
            ["gpt-5.2-codex", "new", "gpt-5.1-codex-max", "gpt-5.1-codex-mini"]
        );
        assert!(!slugs(&catalogue.listed(false)).contains(&"new"), "not in the API");
        assert_eq!(catalogue.find("gpt-5.2").display_name, "Two");
        let new = catalogue.find("new");
        assert_eq!(new.instructions(None), "own");
        assert_eq!(
            (new.shell_type, new.truncation_policy),
            (ShellType::Default, Truncation::Tokens(5))
        );
        assert_eq!((new.default_reasoning_level, new.supported_reasoning_levels.len()), (None, 1));
        assert_eq!(new.effective_context_window_percent, 95);
    }

    #[test]
    fn freshness() {
        let mut catalogue = Catalogue::default();
        assert!(!catalogue.is_fresh(at(0)));
        let stored = r#"{"fetched_at":"1970-01-01T00:16:40.000000Z","etag":null,"client_version":"0.94.0","models":[]}"#;
        catalogue.replace(read_stored(stored).expect("stored"));
        for (now, fresh) in [(999, false), (1000, true), (1299, true), (1300, false)] {
            assert_eq!(catalogue.is_fresh(at(now)), fresh, "{now}");
        }
        assert!(read_stored("{}").is_err() && read_stored("").is_err());
    }

    #[test]
    fn personalities_fill_the_slot() {
        let mut record = bundled::fallback("gpt-5.2");
        assert!(!record.supports_personality());
        record.model_instructions_template = Some(InstructionsTemplate {
            template: "a {{ x }} {{ personality_message }} b".to_owned(),
            personality_messages: BTreeMap::from([("friendly".to_owned(), "F".to_owned())]),
        });
        assert_eq!(record.instructions(Some("friendly")), "a {{ x }} F b");
        assert_eq!(record.instructions(Some("pragmatic")), BASE_INSTRUCTIONS);
        assert!(!record.supports_personality());
    }

    #[test]
    fn names_in_no_list_go_by_prefix() {
        let catalogue = Catalogue::default();
        let window = |slug: &str| catalogue.find(slug).context_window;
        assert_eq!(window("o3-mini"), Some(200_000));
        assert_eq!(window("gpt-4.1-nano"), Some(1_047_576));
        assert_eq!(window("openai/gpt-oss-20b"), Some(96_000));
        assert_eq!(window("mock"), None);
        let unknown = catalogue.find("openrouter/gpt-5");
        assert!(!unknown.supports_reasoning_summaries);
        assert_eq!((unknown.shell_type, unknown.apply_patch_tool_type), (ShellType::Default, None));
        let codex = catalogue.find("gpt-5.1-codex-2026");
        assert_eq!(
            (&*codex.slug, codex.shell_type),
            ("gpt-5.1-codex-2026", ShellType::ShellCommand)
        );
        assert_eq!(codex.display_name, "gpt-5.1-codex-2026");
        assert!(catalogue.find("gpt-5.2-2026").supports_parallel_tool_calls);
        assert_eq!(catalogue.find("codex-mini-latest").shell_type, ShellType::Local);
        assert_eq!(catalogue.find("exp-1").shell_type, ShellType::UnifiedExec);
        assert_eq!(catalogue.find("exp-codex-1").shell_type, ShellType::ShellCommand);
    }
}
