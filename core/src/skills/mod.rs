//! Skills: folders of instructions that the model opens when a task wants them (config.md §7.1–7.4,
//! engine.md §10.2).
//!
//! Owns: where they are looked for, what makes a file one, what clients and the model are told of
//! them, and which of them the user's words name.
//!
//! Invariants: whatever lies on the disk, a listing comes: a file that is no skill is an error in
//! it. Nothing is kept between two listings, so that none is out of date.
//!
//! Never: decides when the model is told; see the turn.

mod bundled;
mod discover;
#[cfg(any(test, feature = "sim"))]
mod fuzz;
mod head;
mod mention;
mod metadata;
mod section;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Config, ConfigAsk, Layers};
use crate::files::{FileErrorKind, Files};
use crate::limits;
use crate::wire::v2::skills::{
    SkillDependencies, SkillErrorInfo, SkillInterface, SkillMetadata, SkillScope, SkillsListEntry,
    SkillsListResponse,
};
use discover::Discovered;
#[cfg(any(test, feature = "sim"))]
pub use fuzz::fuzz_skill;
pub(crate) use mention::named;
pub(crate) use section::section;

/// A skill as its head and what lies beside it describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skill {
    name: String,
    description: String,
    short_description: Option<String>,
    interface: Option<SkillInterface>,
    dependencies: Option<SkillDependencies>,
    /// The path of its file, without links.
    path: String,
    scope: SkillScope,
}

/// What a thread has to know of a skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillPlace {
    /// Its name.
    pub name: Arc<str>,
    /// The path of its file.
    pub path: Arc<str>,
}

/// Reads skills that the user named. Data for a thread that may block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillsRead {
    /// Which ones.
    pub skills: Vec<SkillPlace>,
}

/// What a [`SkillsRead`] found: for each skill its text, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkillTexts(pub Vec<(SkillPlace, Result<String, String>)>);

impl Skill {
    pub(crate) fn place(&self) -> SkillPlace {
        SkillPlace { name: self.name.as_str().into(), path: self.path.as_str().into() }
    }

    fn view(self, enabled: bool) -> SkillMetadata {
        SkillMetadata {
            name: self.name,
            description: self.description,
            short_description: self.short_description,
            interface: self.interface,
            dependencies: self.dependencies,
            path: self.path,
            scope: self.scope,
            enabled,
        }
    }
}

impl SkillsRead {
    pub(crate) fn run(self, files: &dyn Files) -> SkillTexts {
        let read = |skill: SkillPlace| {
            let text = read_text(files, Path::new(&*skill.path));
            (skill, text)
        };
        SkillTexts(self.skills.into_iter().map(read).collect())
    }
}

/// The skills that a thread with this configuration may use, in order.
pub(crate) fn usable(
    files: &dyn Files,
    home: &Path,
    layers: &Layers,
    config: &Config,
) -> Vec<Skill> {
    let mut found = search(files, home, layers).skills;
    let off = switched_off(files, config);
    found.retain(|skill| !off.contains(Path::new(&skill.path)));
    found
}

/// The answer to `skills/list` for these folders, each as the client wrote it and absolute.
pub(crate) fn list(
    files: &dyn Files,
    ask: &ConfigAsk,
    cwds: Vec<(String, PathBuf)>,
) -> SkillsListResponse {
    let data = cwds.into_iter().map(|(cwd, absolute)| {
        let ask = ConfigAsk { cwd: Some(absolute), ..ask.clone() };
        entry(files, &ask, cwd)
    });
    SkillsListResponse { data: data.collect() }
}

/// The skills of one folder. A configuration that is at fault is said, and what is right of it
/// counts all the same, as it does for threads.
fn entry(files: &dyn Files, ask: &ConfigAsk, cwd: String) -> SkillsListEntry {
    let mut errors = Vec::new();
    let loaded = config::load(files, ask).or_else(|error| {
        errors.push(SkillErrorInfo { path: cwd.clone(), message: error.to_string() });
        config::load_or_default(files, ask)
    });
    let Ok(loaded) = loaded else {
        return SkillsListEntry { cwd, skills: Vec::new(), errors };
    };
    let found = search(files, &ask.home, &loaded.layers);
    errors.extend(found.errors);
    let off = switched_off(files, &loaded.config);
    let view = |skill: Skill| {
        let enabled = !off.contains(Path::new(&skill.path));
        skill.view(enabled)
    };
    SkillsListEntry { cwd, skills: found.skills.into_iter().map(view).collect(), errors }
}

fn search(files: &dyn Files, home: &Path, layers: &Layers) -> Discovered {
    bundled::install(files, home);
    discover::discover(files, &discover::roots(layers))
}

/// Paths of the skills that the user switched off, also as they are without links.
fn switched_off(files: &dyn Files, config: &Config) -> BTreeSet<PathBuf> {
    let off = config.skills.iter().filter(|(_, enabled)| !**enabled).map(|(path, _)| path);
    off.flat_map(|path| [Some(path.clone()), files.real_path(path).ok()]).flatten().collect()
}

/// The text of a skill's file, or why there is none.
fn read_text(files: &dyn Files, path: &Path) -> Result<String, String> {
    let bytes = files.read(path, limits::SKILL_BYTES_MAX).map_err(|error| match error.kind {
        FileErrorKind::TooLarge => format!("larger than {} bytes", limits::SKILL_BYTES_MAX),
        FileErrorKind::NotFound | FileErrorKind::Denied | FileErrorKind::Other => error.text,
    })?;
    String::from_utf8(bytes).map_err(|_| "stream did not contain valid UTF-8".to_owned())
}
