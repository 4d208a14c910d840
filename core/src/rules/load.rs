//! Reads the `.rules` files of all folders (config.md §5.1, §5.3).

use std::path::{Path, PathBuf};

use super::evaluate::{Evaluated, evaluate};
use super::fault::{Fault, RulesError};
use super::parse::parse;
use super::policy::{Decision, RuleSet};
use super::token::tokens;
use crate::config::kinds::TrustLevel;
use crate::config::{LayerSource, Layers};
use crate::files::Files;
use crate::limits;

/// A configuration folder that may hold rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesFolder {
    /// The folder; its rules lie in `rules/` within it.
    pub folder: PathBuf,
    /// Whether its rules may allow anything. False for a project that the user does not trust.
    pub trusted: bool,
}

impl RulesFolder {
    /// The folders of a configuration's layers, lowest first. A project's rules may allow only if
    /// the user trusts the project and the layer itself counts.
    pub fn of(layers: &Layers, trust: Option<TrustLevel>) -> Vec<Self> {
        let folder = |layer: &crate::config::Layer| match &layer.source {
            LayerSource::System { file } | LayerSource::User { file } => {
                Some(Self { folder: file.parent()?.to_owned(), trusted: true })
            }
            LayerSource::Project { dot_codex_folder } => {
                let trusted = trust == Some(TrustLevel::Trusted) && layer.disabled.is_none();
                Some(Self { folder: dot_codex_folder.clone(), trusted })
            }
            LayerSource::SessionFlags | LayerSource::LegacyManagedConfigTomlFromFile { .. } => None,
        };
        layers.iter().filter_map(folder).collect()
    }
}

/// Reads all rules. Data for a thread that may block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesJob {
    /// The folders, lowest precedence first.
    pub folders: Vec<RulesFolder>,
}

/// The rules that hold, and what is wrong with the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedRules {
    /// The rules.
    pub rules: RuleSet,
    /// One for each file or folder at fault, in the order of reading.
    pub errors: Vec<RulesError>,
}

impl RulesJob {
    /// Does the work. Never panics on what the files hold.
    pub fn run(&self, files: &dyn Files) -> LoadedRules {
        let mut loading = Loading::default();
        for folder in &self.folders {
            loading.folder(files, folder);
        }
        loading.finish()
    }
}

#[derive(Default)]
struct Loading {
    found: Vec<super::Rule>,
    errors: Vec<RulesError>,
    /// A file that might have forbidden something was not read in full.
    in_doubt: bool,
}

impl Loading {
    fn folder(&mut self, files: &dyn Files, folder: &RulesFolder) {
        let dir = folder.folder.join("rules");
        let names = match files.list(&dir) {
            Ok(entries) => {
                let plain = entries.into_iter().filter(|entry| !entry.is_dir);
                let mut names: Vec<_> = plain.map(|entry| entry.name).collect();
                names.retain(|name| Path::new(name).extension().is_some_and(|e| e == "rules"));
                names.sort();
                names
            }
            Err(error) if error.is_not_found() => return,
            Err(error) => {
                let message = format!("failed to read rules files from {}: {error}", dir.display());
                return self.failed(folder, RulesError::unreadable(&dir, message));
            }
        };
        if names.len() > limits::RULES_FILES_MAX {
            let message = format!("too many rules files in {}", dir.display());
            return self.failed(folder, RulesError::unreadable(&dir, message));
        }
        let real_dir = files.real_path(&dir).ok();
        for name in names {
            let path = dir.join(&name);
            // Links are not followed (config.md §5.1).
            let own = real_dir.as_ref().map(|dir| dir.join(&name));
            if own.is_some() && files.real_path(&path).ok() == own {
                self.file(files, folder, &path);
            }
        }
    }

    fn failed(&mut self, folder: &RulesFolder, error: RulesError) {
        self.in_doubt |= folder.trusted;
        self.errors.push(error);
    }

    fn file(&mut self, files: &dyn Files, folder: &RulesFolder, path: &Path) {
        let read = files.read(path, limits::RULES_FILE_BYTES_MAX).map_err(|error| error.text);
        let text = read.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| "stream did not contain valid UTF-8".to_owned())
        });
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                let message = format!("failed to read rules file {}: {why}", path.display());
                return self.failed(folder, RulesError::unreadable(path, message));
            }
        };
        let Evaluated { mut rules, fault } = read_rules(&text);
        if !folder.trusted || fault.is_some() {
            rules.retain(|rule| rule.decision != Decision::Allow);
        }
        self.found.append(&mut rules);
        if let Some(fault) = fault {
            self.failed(folder, RulesError::at(path, &text, &fault));
        }
    }

    fn finish(self) -> LoadedRules {
        let mut rules = RuleSet::default();
        let allowed = |rule: &super::Rule| !self.in_doubt || rule.decision != Decision::Allow;
        self.found.into_iter().filter(allowed).for_each(|rule| rules.add(rule));
        LoadedRules { rules, errors: self.errors }
    }
}

/// The rules in a file's text. Of a text that cannot be parsed, each call that can be read by
/// itself; who asks must not let those allow anything.
pub(super) fn read_rules(text: &str) -> Evaluated {
    let mut steps = limits::RULES_STEPS_MAX;
    match tokens(text).and_then(|tokens| parse(&tokens)) {
        Ok(statements) => evaluate(&statements, &mut steps),
        Err(fault) => Evaluated { rules: salvaged(text, &mut steps), fault: Some(fault) },
    }
}

fn salvaged(text: &str, steps: &mut usize) -> Vec<super::Rule> {
    let mut rules = Vec::new();
    for piece in calls(text) {
        if let Ok(statements) = tokens(piece).and_then(|tokens: Vec<_>| parse(&tokens)) {
            rules.extend(evaluate(&statements, steps).rules);
        }
    }
    rules.truncate(limits::RULES_PER_FILE_MAX);
    rules
}

/// The text cut before each line that begins with a call.
fn calls(text: &str) -> Vec<&str> {
    let starts = text.match_indices("prefix_rule").map(|(at, _)| at);
    let at_line = |at: &usize| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n');
    let starts: Vec<_> = starts.filter(at_line).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let pieces = starts.iter().zip(ends).filter_map(|(start, end)| text.get(*start..end));
    pieces.collect()
}

impl Fault {
    /// The fault of a text, for tests of what is wrong with it.
    #[cfg(test)]
    pub(super) fn of(text: &str) -> Option<Self> {
        read_rules(text).fault
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
