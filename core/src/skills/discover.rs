//! Finds skills in the folders of the configuration's layers (config.md §7.1).

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::{Skill, head, metadata};
use crate::config::{LayerSource, Layers};
use crate::files::{Entry, Files};
use crate::limits;
use crate::wire::v2::skills::{SkillErrorInfo, SkillScope};

const FILE: &str = "SKILL.md";

/// A folder that is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    folder: PathBuf,
    scope: SkillScope,
}

/// The skills that were found, and the files that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Discovered {
    /// In order of scope, name and path.
    pub(super) skills: Vec<Skill>,
    /// In the order of the search.
    pub(super) errors: Vec<SkillErrorInfo>,
}

/// The folders of the layers, highest precedence first; those of projects whose settings do not
/// count are among them.
pub(super) fn roots(layers: &Layers) -> Vec<Root> {
    let mut roots = Vec::new();
    for layer in layers.iter().rev() {
        let Some(folder) = layer.source.folder().map(|folder| folder.join("skills")) else {
            continue;
        };
        let scope = match layer.source {
            LayerSource::Project { .. } => SkillScope::Repo,
            LayerSource::System { .. } => SkillScope::Admin,
            LayerSource::User { .. } => {
                roots.push(Root { folder: folder.clone(), scope: SkillScope::User });
                let folder = folder.join(super::bundled::FOLDER);
                roots.push(Root { folder, scope: SkillScope::System });
                continue;
            }
            LayerSource::SessionFlags | LayerSource::LegacyManagedConfigTomlFromFile { .. } => {
                continue;
            }
        };
        roots.push(Root { folder, scope });
    }
    roots
}

/// Searches all folders. What cannot be read is no reason to fail.
pub(super) fn discover(files: &dyn Files, roots: &[Root]) -> Discovered {
    let mut found = Discovered::default();
    let mut seen = BTreeSet::new();
    for root in roots {
        Search { files, scope: root.scope, seen: &mut seen, found: &mut found }.root(&root.folder);
    }
    found
        .skills
        .sort_by(|a, b| (rank(a.scope), &a.name, &a.path).cmp(&(rank(b.scope), &b.name, &b.path)));
    found
}

fn rank(scope: SkillScope) -> u8 {
    match scope {
        SkillScope::Repo => 0,
        SkillScope::User => 1,
        SkillScope::System => 2,
        SkillScope::Admin => 3,
    }
}

struct Search<'a> {
    files: &'a dyn Files,
    scope: SkillScope,
    /// Paths of skills, each of which counts once.
    seen: &'a mut BTreeSet<PathBuf>,
    found: &'a mut Discovered,
}

impl Search<'_> {
    /// Breadth first, each folder once.
    fn root(&mut self, root: &Path) {
        let Ok(root) = self.files.real_path(root) else { return };
        let mut queued = BTreeSet::from([root.clone()]);
        let mut queue = VecDeque::from([(root, 0)]);
        while let Some((folder, depth)) = queue.pop_front() {
            for inner in self.folder(&folder) {
                if depth >= limits::SKILL_DEPTH_MAX || queued.contains(&inner) {
                    continue;
                }
                if queued.len() >= limits::SKILL_FOLDERS_MAX {
                    tracing::warn!(folder = %folder.display(), "too many folders hold skills");
                    return self.rest(queue);
                }
                queued.insert(inner.clone());
                queue.push_back((inner, depth + 1));
            }
        }
    }

    /// No more folders are added.
    fn rest(&mut self, queue: VecDeque<(PathBuf, usize)>) {
        for (folder, _) in queue {
            self.folder(&folder);
        }
    }

    /// Looks into one folder, whose path has no links; gives the folders in it.
    fn folder(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut entries = match self.files.list(folder) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "skills cannot be looked for");
                return Vec::new();
            }
        };
        entries.retain(|entry| !entry.name.starts_with('.'));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut inner = Vec::new();
        for Entry { name, is_dir, is_link } in entries {
            let path = folder.join(&name);
            match (is_dir, is_link) {
                (true, false) => inner.push(path),
                (true, true) if self.scope == SkillScope::System => {}
                (true, true) => inner.extend(self.files.real_path(&path)),
                (false, false) if name == FILE => self.file(folder, path),
                // A link in a skill's place is none.
                (false, _) => {}
            }
        }
        inner
    }

    fn file(&mut self, folder: &Path, path: PathBuf) {
        if !self.seen.insert(path.clone()) {
            return;
        }
        let head = match super::read_text(self.files, &path) {
            Ok(text) => head::read(&text),
            Err(error) => Err(format!("failed to read file: {error}")),
        };
        let shown = path.to_string_lossy().into_owned();
        match head {
            Ok(head::Head { name, description, short_description }) => {
                let metadata::Metadata { interface, dependencies } =
                    metadata::read(self.files, folder);
                let scope = self.scope;
                self.found.skills.push(Skill {
                    name,
                    description,
                    short_description,
                    interface,
                    dependencies,
                    path: shown,
                    scope,
                });
            }
            // Nobody can mend the server's own (config.md §7.2).
            Err(message) if self.scope == SkillScope::System => {
                tracing::warn!(path = shown, message, "a skill of the server is no skill");
            }
            Err(message) => self.found.errors.push(SkillErrorInfo { path: shown, message }),
        }
    }
}
