//! Gathers the layers for one question: reads the files, decides on trust, and puts faulty layers
//! aside when it must (config.md §2.2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::document::{self, Document};
use super::error::{ConfigError, ConfigWarning};
use super::kinds::TrustLevel;
use super::layers::{Layer, LayerSource, Layers, merge, rank};
use super::overrides::{is_too_deep, set};
use super::project::{self, Project};
use super::read::{self, ProjectFile, Source};
use super::requirements::{self, Requirements};
use super::{ConfigAsk, paths};
use crate::files::Files;

/// What to do with a layer that is at fault.
pub(super) enum Mode<'a> {
    /// Fail.
    Strict,
    /// Go on without the layers that were found at fault.
    Without(&'a Aside),
}

/// The layers found at fault, by rank, with what is wrong with them.
#[derive(Default)]
pub(super) struct Aside(BTreeMap<u8, String>);

/// The ranks of layers that can be put aside, in the order in which they are suspected.
const SUSPECTS: [u8; 4] = [25, 20, 10, 40];

impl Aside {
    /// Puts aside the layer that the error names, else the next suspect. False when nothing is
    /// left, or when it is the session's own fault.
    pub(super) fn blame(&mut self, error: &ConfigError) -> bool {
        let named = error.culprit().map(rank);
        if error.culprit() == Some(&LayerSource::SessionFlags) {
            return false;
        }
        let mut suspects = named.into_iter().chain(SUSPECTS);
        let Some(rank) = suspects.find(|rank| !self.0.contains_key(rank)) else {
            return false;
        };
        self.0.insert(rank, error.to_string());
        true
    }
}

impl Mode<'_> {
    pub(super) fn is_strict(&self) -> bool {
        matches!(self, Mode::Strict)
    }

    fn fault(&self, source: &LayerSource) -> Option<&str> {
        match self {
            Mode::Strict => None,
            Mode::Without(aside) => aside.0.get(&rank(source)).map(String::as_str),
        }
    }
}

/// All that the files and the session say.
pub(super) struct Stack {
    pub layers: Layers,
    pub requirements: Requirements,
    /// What the user thinks of the project.
    pub trust: Option<TrustLevel>,
    sources: Vec<(LayerSource, Source)>,
}

impl Stack {
    /// Reads everything.
    pub(super) fn gather(
        files: &dyn Files,
        ask: &ConfigAsk,
        mode: &Mode<'_>,
    ) -> Result<Self, ConfigError> {
        let (requirements, error) = requirements::read(files, ask);
        if let Some(error) = error.filter(|_| mode.is_strict()) {
            return Err(error);
        }
        let mut gather = Gather { files, ask, mode, layers: Vec::new(), sources: Vec::new() };
        gather.managed()?;
        gather.file(LayerSource::System { file: ask.system_dir.join("config.toml") })?;
        gather.file(LayerSource::User { file: ask.user_file() })?;
        let session = gather.session()?;
        let trust = match &ask.cwd {
            Some(cwd) => gather.projects(cwd, session.clone())?,
            None => None,
        };
        gather.layers.extend(session);
        let Gather { layers, sources, .. } = gather;
        Ok(Self { layers: Layers::new(layers), requirements, trust, sources })
    }

    /// The text of the user's file; empty if there is none.
    pub(super) fn user_text(&self) -> &str {
        let user =
            |(source, _): &&(LayerSource, Source)| matches!(source, LayerSource::User { .. });
        self.sources.iter().find(user).map_or("", |(_, read)| read.text.as_str())
    }

    /// The layers as they would be if the user's file said this.
    pub(super) fn with_user(&self, value: &Table, ask: &ConfigAsk) -> Layers {
        let changed = |layer: &Layer| match layer.source {
            LayerSource::User { .. } => {
                Layer::new(layer.source.clone(), normalised(value, &ask.user_file(), ask))
            }
            _ => layer.clone(),
        };
        Layers::new(self.layers.iter().map(changed).collect())
    }

    /// The merged settings with their types.
    pub(super) fn decode(&self, merged: Table) -> Result<Document, ConfigError> {
        decode(merged, self.layers.enabled(), &self.sources)
    }

    /// The warning that folders of the project are not read, if there are any (config.md §2.11 C).
    pub(super) fn project_warning(&self) -> Option<ConfigWarning> {
        let mut list = String::new();
        let disabled = self.layers.iter().filter_map(|layer| match &layer.source {
            LayerSource::Project { dot_codex_folder } => {
                Some((dot_codex_folder, layer.disabled.as_ref()?))
            }
            _ => None,
        });
        for (i, (folder, reason)) in disabled.enumerate() {
            let number = i + 1;
            list.push_str(&format!("    {number}. {}\n       {reason}\n", folder.display()));
        }
        (!list.is_empty()).then(|| ConfigWarning {
            summary: format!(
                "Project config.toml files are disabled in the following folders. Settings in \
                 those files are ignored, but skills and exec policies still load.\n{list}"
            ),
            details: None,
            path: None,
            range: None,
        })
    }
}

struct Gather<'a> {
    files: &'a dyn Files,
    ask: &'a ConfigAsk,
    mode: &'a Mode<'a>,
    layers: Vec<Layer>,
    sources: Vec<(LayerSource, Source)>,
}

impl Gather<'_> {
    /// The managed file's layer, if there is such a file.
    fn managed(&mut self) -> Result<(), ConfigError> {
        let file = self.ask.managed_path();
        let read = read::settings(self.files, &file);
        if !matches!(read, Ok(None)) {
            self.add(LayerSource::LegacyManagedConfigTomlFromFile { file }, read)?;
        }
        Ok(())
    }

    /// The layer of a file that counts as empty when it is missing.
    fn file(&mut self, source: LayerSource) -> Result<(), ConfigError> {
        let path = source.file().unwrap_or_default();
        let read = read::settings(self.files, &path);
        self.add(source, read)
    }

    fn add(
        &mut self,
        source: LayerSource,
        read: Result<Option<Source>, ConfigError>,
    ) -> Result<(), ConfigError> {
        if let Some(reason) = self.mode.fault(&source) {
            let value = read.ok().flatten().map(|read| read.value).unwrap_or_default();
            self.layers.push(Layer::disabled(source, value, reason.to_owned()));
            return Ok(());
        }
        match read.map_err(|error| error.by(source.clone()))? {
            Some(read) => {
                self.layers.push(Layer::new(source.clone(), self.normalised(&read)));
                self.sources.push((source, read));
            }
            None => self.layers.push(Layer::new(source, Table::new())),
        }
        Ok(())
    }

    /// The file's settings with its paths resolved against its own folder.
    fn normalised(&self, read: &Source) -> Table {
        normalised(&read.value, &read.path, self.ask)
    }

    /// The session's layer, if it has any settings. Its paths are those of the state folder, as in
    /// the reference's fallback (config.md §1.3).
    fn session(&self) -> Result<Option<Layer>, ConfigError> {
        let mut value = Table::new();
        self.ask.overrides.apply(&mut value);
        for (key, json) in &self.ask.request {
            if is_too_deep(key) {
                let error = ConfigError::plain("config key has too many segments");
                return Err(error.by(LayerSource::SessionFlags));
            }
            if let Some(setting) = from_json(json) {
                set(&mut value, key, setting);
            }
        }
        let home = &self.ask.home;
        document::normalise(&mut value, &|path| paths::resolve(path, home, &self.ask.env));
        Ok((!value.is_empty()).then(|| Layer::new(LayerSource::SessionFlags, value)))
    }

    /// The project's layers; says what the user thinks of the project.
    fn projects(
        &mut self,
        cwd: &Path,
        session: Option<Layer>,
    ) -> Result<Option<TrustLevel>, ConfigError> {
        let ask = self.ask;
        let outside = |layer: &&Layer| {
            layer.disabled.is_none()
                && !matches!(layer.source, LayerSource::LegacyManagedConfigTomlFromFile { .. })
        };
        let own: Vec<&Layer> = self.layers.iter().filter(outside).chain(&session).collect();
        let mut merged = Table::new();
        own.iter().for_each(|layer| merge(&mut merged, &layer.value));
        let settings = decode(merged, own.into_iter(), &self.sources)?;
        let project = Project::find(self.files, cwd, &settings, &ask.env);
        for dir in project.folders(self.files, &ask.home) {
            self.project(&project, &dir)?;
        }
        Ok(project.decide_here(self.files).level)
    }

    fn project(&mut self, project: &Project, dir: &Path) -> Result<(), ConfigError> {
        let folder = dir.join(".codex");
        let source = LayerSource::Project { dot_codex_folder: folder.clone() };
        let decision = project.decide(self.files, dir);
        let trusted = decision.level == Some(TrustLevel::Trusted);
        let fault = self.mode.fault(&source).map(str::to_owned);
        let reason = match (trusted, fault) {
            (true, fault) => fault,
            (false, _) => Some(project::disabled_reason(&decision, &self.ask.user_file())),
        };
        let path: PathBuf = folder.join("config.toml");
        let file = match (read::project(self.files, &path), &reason) {
            (Ok(file), _) => file,
            (Err(error), Some(_)) if !self.mode.is_strict() => ProjectFile::Broken(error),
            (Err(error), Some(_)) => return Err(error.uncounted().by(source)),
            (Err(error), None) => return Err(error.by(source)),
        };
        match (file, reason) {
            (ProjectFile::Missing, _) => self.layers.push(Layer::new(source, Table::new())),
            (ProjectFile::Parsed(read), Some(reason)) => {
                let value = self.normalised(&read);
                self.layers.push(Layer::disabled(source, value, reason));
            }
            (ProjectFile::Parsed(read), None) => {
                self.layers.push(Layer::new(source.clone(), self.normalised(&read)));
                self.sources.push((source, read));
            }
            (ProjectFile::Broken(_), Some(reason)) => {
                self.layers.push(Layer::disabled(source, Table::new(), reason));
            }
            (ProjectFile::Broken(error), None) => return Err(error.by(source)),
        }
        Ok(())
    }
}

fn normalised(value: &Table, path: &Path, ask: &ConfigAsk) -> Table {
    let base = path.parent().unwrap_or(Path::new("/"));
    let mut value = value.clone();
    document::normalise(&mut value, &|path| paths::resolve(path, base, &ask.env));
    value
}

/// The merged settings with their types. A fault is looked for in each file by itself, lowest
/// first, so that it can be shown.
fn decode<'a>(
    merged: Table,
    layers: impl Iterator<Item = &'a Layer>,
    sources: &[(LayerSource, Source)],
) -> Result<Document, ConfigError> {
    let error = match merged.try_into() {
        Ok(document) => return Ok(document),
        Err(error) => error,
    };
    let message = read::without_strings(&error.to_string()).into_owned();
    for layer in layers {
        let read = sources.iter().find(|(source, _)| *source == layer.source);
        if let Some(fault) = read.and_then(|(_, read)| read.check::<Document>()) {
            return Err(fault.by(layer.source.clone()));
        }
        let session = layer.source == LayerSource::SessionFlags;
        if session && layer.value.clone().try_into::<Document>().is_err() {
            return Err(ConfigError::plain(message).by(LayerSource::SessionFlags));
        }
    }
    Err(ConfigError::plain(message))
}

/// A request's setting as TOML. `null` means that nothing is asked for, at any depth
/// (config.md §2.9, §10 17).
fn from_json(json: &serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match json {
        Json::Null => return None,
        Json::Bool(b) => Value::Boolean(*b),
        Json::Number(n) => match n.as_i64() {
            Some(n) => Value::Integer(n),
            None => Value::Float(n.as_f64()?),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().filter_map(from_json).collect()),
        Json::Object(members) => Value::Table(
            members.iter().filter_map(|(key, v)| Some((key.clone(), from_json(v)?))).collect(),
        ),
    })
}
