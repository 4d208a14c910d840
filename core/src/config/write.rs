//! Writing the user's file for a client (config.md §4.3, §4.4, §4.6).
//!
//! Invariants: all changes of a request are made, or none. What is answered as the version is that
//! of the text that was written, so it is what the next read finds. Nothing but the user's own file
//! is ever written.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::document::Document;
use super::edit::{Edit, EditError, edited};
use super::layers::{Layer, LayerSource, Layers, at_path, rank};
use super::skill_switch::with_skill;
use super::stack::{Mode, Stack};
use super::{ConfigAsk, paths, read, shown};
use crate::files::{Access, FileLock, Files};
use crate::wire::v2::common::{NotAbsolute, ReasoningEffort};
use crate::wire::v2::config::{ConfigWriteResponse, OverriddenMetadata, WriteStatus};

/// What a client wants written. Does not show its values.
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Changes {
    /// The dotted key, its value and whether tables are merged; one after another.
    pub(crate) edits: Vec<(String, Json, bool)>,
    /// The file that the client means, absolute; the user's own if it names none.
    pub(crate) file: Option<PathBuf>,
    /// The version that the file must have.
    pub(crate) expected_version: Option<String>,
}

/// Why nothing was written. `Display` is the text that clients see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("Only writes to the user config are allowed")]
    ReadOnly,
    #[error("Configuration was modified since last read. Fetch latest version and retry.")]
    Conflict,
    #[error("Path not found")]
    NotFound,
    #[error("{0}")]
    Invalid(String),
    /// Not the client's fault.
    #[error("{0}")]
    Failed(String),
}

impl WriteError {
    /// The word for it on the wire, if it is the client's fault.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self {
            Self::ReadOnly => Some("configLayerReadonly"),
            Self::Conflict => Some("configVersionConflict"),
            Self::NotFound => Some("configPathNotFound"),
            Self::Invalid(_) => Some("configValidationError"),
            Self::Failed(_) => None,
        }
    }
}

impl From<EditError> for WriteError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NotFound => Self::NotFound,
            EditError::Unfaithful => Self::Failed(format!("failed to edit config.toml: {error}")),
            EditError::NoKey | EditError::TooDeep | EditError::NotATable | EditError::Unfit(_) => {
                Self::Invalid(error.to_string())
            }
        }
    }
}

/// `config/value/write` and `config/batchWrite`.
pub(crate) fn write(
    files: &dyn Files,
    ask: &ConfigAsk,
    changes: &Changes,
) -> Result<ConfigWriteResponse, WriteError> {
    let user_file = ask.user_file();
    let named = changes.file.as_deref().unwrap_or(&user_file);
    if !is_same_file(files, named, &user_file) {
        return Err(WriteError::ReadOnly);
    }
    let ask = ConfigAsk { cwd: None, ..ask.clone() };
    let _held = hold(files, &ask)
        .map_err(|why| WriteError::Failed(format!("failed to persist config.toml: {why}")))?;
    let stack = Stack::gather(files, &ask, &Mode::Strict)
        .map_err(|error| WriteError::Failed(format!("failed to load configuration: {error}")))?;
    let version = || stack.layers.user().map(Layer::version);
    if changes.expected_version.is_some() && changes.expected_version != version() {
        return Err(WriteError::Conflict);
    }
    let edits = changes.edits.iter().map(|(key, value, merge)| Edit::new(key, value, *merge));
    let edits = edits.collect::<Result<Vec<_>, _>>()?;
    let (text, table) = edited(stack.user_text(), &edits)?;
    let layers = stack.with_user(&table, &ask);
    check(&table)?;
    check(&layers.effective())?;
    if text != stack.user_text() {
        store(files, &user_file, &text)
            .map_err(|why| WriteError::Failed(format!("failed to persist config.toml: {why}")))?;
    }
    answer(named, &layers, &edits)
        .map_err(|error| WriteError::Failed(format!("failed to load configuration: {error}")))
}

/// `setDefaultModel`: in the active profile, if there is one. None takes a setting away.
pub(crate) fn set_default_model(
    files: &dyn Files,
    ask: &ConfigAsk,
    model: Option<&str>,
    effort: Option<ReasoningEffort>,
) -> Result<(), String> {
    let failed = |why: String| format!("failed to persist model selection: {why}");
    let ask = ConfigAsk { cwd: None, ..ask.clone() };
    let _held = hold(files, &ask).map_err(failed)?;
    let stack =
        Stack::gather(files, &ask, &Mode::Strict).map_err(|error| failed(error.to_string()))?;
    let effective = stack.layers.effective();
    let profile = effective.get("profile").and_then(Value::as_str);
    let user = stack.layers.user().map(|layer| &layer.value);
    let settings = [("model", model), ("model_reasoning_effort", effort.map(|e| e.as_str()))];
    let edits = settings.into_iter().filter_map(|(key, value)| {
        let parents = profile.map(|name| ["profiles", name]);
        let path: Vec<&str> = parents.into_iter().flatten().chain([key]).collect();
        // What is not there need not be taken away.
        let has = user.is_some_and(|user| at_path(user, &path).is_some());
        (value.is_some() || has).then(|| Edit {
            path: path.into_iter().map(str::to_owned).collect(),
            value: value.map(Value::from),
            merge: false,
        })
    });
    let edits: Vec<Edit> = edits.collect();
    let (text, _) = edited(stack.user_text(), &edits).map_err(|error| failed(error.to_string()))?;
    if text == stack.user_text() {
        return Ok(());
    }
    store(files, &ask.user_file(), &text).map_err(failed)
}

/// `skills/config/write`: whether the skill is used now. The path is stored without links if it
/// leads anywhere (config.md §7.4).
pub(crate) fn switch_skill(
    files: &dyn Files,
    ask: &ConfigAsk,
    path: &Path,
    enabled: bool,
) -> Result<bool, String> {
    let failed = |why: String| format!("failed to update skill settings: {why}");
    let ask = ConfigAsk { cwd: None, ..ask.clone() };
    let _held = hold(files, &ask).map_err(failed)?;
    let stack =
        Stack::gather(files, &ask, &Mode::Strict).map_err(|error| failed(error.to_string()))?;
    let real = |path: &Path| files.real_path(path).unwrap_or_else(|_| path.to_owned());
    let path = real(path);
    let is_it = |named: &str| real(&paths::resolve(Path::new(named), &ask.home, &ask.env)) == path;
    let shown = path.to_string_lossy();
    let text = with_skill(stack.user_text(), &shown, &is_it, enabled)
        .map_err(|error| failed(error.to_string()))?;
    if text != stack.user_text() {
        store(files, &ask.user_file(), &text).map_err(failed)?;
    }
    Ok(enabled)
}

/// Keeps other processes from writing the file until the guard is dropped: what was read stays true
/// until it is written.
fn hold(files: &dyn Files, ask: &ConfigAsk) -> Result<Box<dyn FileLock>, String> {
    let file = ask.user_file();
    files.lock(&file).map_err(|error| format!("{} is in use: {error}", file.display()))
}

fn is_same_file(files: &dyn Files, named: &Path, user_file: &Path) -> bool {
    match (files.real_path(named), files.real_path(user_file)) {
        (Ok(named), Ok(user_file)) => named == user_file,
        _ => paths::lexical(named) == paths::lexical(user_file),
    }
}

fn check(table: &Table) -> Result<(), WriteError> {
    let error = match table.clone().try_into::<Document>() {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    let text = read::without_strings(&error);
    Err(WriteError::Invalid(format!("Invalid configuration: {text}")))
}

/// Replaces the file that the path leads to; a link stays one. Only its owner may read it: it may
/// hold keys.
fn store(files: &dyn Files, path: &Path, text: &str) -> Result<(), String> {
    let target = files.real_path(path).unwrap_or_else(|_| path.to_owned());
    files
        .write_atomic(&target, text.as_bytes(), Access::Private)
        .map_err(|error| format!("failed to persist config.toml at {}: {error}", path.display()))
}

fn answer(
    named: &Path,
    layers: &Layers,
    edits: &[Edit],
) -> Result<ConfigWriteResponse, NotAbsolute> {
    let user = layers.user();
    let overridden_metadata = edits.iter().find_map(|edit| overridden(layers, edit)).transpose()?;
    Ok(ConfigWriteResponse {
        status: match overridden_metadata {
            Some(_) => WriteStatus::OkOverridden,
            None => WriteStatus::Ok,
        },
        version: user.map(Layer::version).unwrap_or_default(),
        file_path: named.to_string_lossy().into_owned().try_into()?,
        overridden_metadata,
    })
}

/// What another layer makes of a setting that was written, if it is not what was written. A table
/// that only gains members from below is what it was written to be (config.md §10, 30).
fn overridden(layers: &Layers, edit: &Edit) -> Option<Result<OverriddenMetadata, NotAbsolute>> {
    let path: Vec<&str> = edit.path.iter().map(String::as_str).collect();
    let effective = layers.effective();
    let (user, setter) = (layers.user()?, layers.setter(&path)?);
    let written = at_path(&user.value, &path);
    let effective = at_path(&effective, &path);
    let is_stronger = rank(&setter.source) > rank(&user.source);
    if written == effective || (written.is_some() && !is_stronger) {
        return None;
    }
    Some(shown::metadata(setter).map(|overriding_layer| OverriddenMetadata {
        message: message(setter),
        overriding_layer,
        effective_value: effective.map_or(Json::Null, shown::json),
    }))
}

fn message(layer: &Layer) -> String {
    let file = layer.source.file().unwrap_or_default();
    let file = file.display();
    match layer.source {
        LayerSource::System { .. } => format!("Overridden by managed config (system): {file}"),
        LayerSource::User { .. } => format!("Overridden by user config: {file}"),
        LayerSource::Project { .. } => format!("Overridden by project config: {file}"),
        LayerSource::SessionFlags => "Overridden by session flags".to_owned(),
        LayerSource::LegacyManagedConfigTomlFromFile { .. } => {
            format!("Overridden by legacy managed_config.toml: {file}")
        }
    }
}
