//! Which folders of a project may set anything: the project's root, its `.codex` folders, and
//! whether the user trusts them (config.md §2.5–2.6).
//!
//! Invariant: nothing that a project holds can make it trusted. Only the user's own list does, and
//! a linked worktree inherits trust only if the main checkout knows it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::kinds::TrustLevel;
use super::paths;
use crate::files::Files;
use crate::limits;
use crate::setup::Environment;

/// A project as seen from one folder in it.
pub(super) struct Project {
    /// The folder it is seen from.
    cwd: PathBuf,
    /// The nearest folder above that has a marker; the folder itself without one.
    root: PathBuf,
    /// The main checkout of the repository.
    git_root: Option<PathBuf>,
    trust: BTreeMap<PathBuf, TrustLevel>,
}

/// Whether a folder is trusted, and the entry that says so or would have to.
pub(super) struct Decision {
    pub level: Option<TrustLevel>,
    pub key: PathBuf,
}

impl Project {
    /// Looks at the project around `cwd`. `settings` are those that projects cannot touch.
    pub(super) fn find(
        files: &dyn Files,
        cwd: &Path,
        settings: &Document,
        env: &Environment,
    ) -> Self {
        let default = [".git".to_owned()];
        let markers = settings.project_root_markers.as_deref().unwrap_or(&default);
        let marked = |dir: &&Path| markers.iter().any(|m| files.stat(&dir.join(m)).is_ok());
        let cwd = paths::lexical(cwd);
        let root = cwd.ancestors().find(marked).unwrap_or(&cwd).to_owned();
        let level = |(key, entry): (&String, &super::document::ProjectDocument)| {
            Some((
                paths::resolve(Path::new(key), Path::new("/"), env),
                entry.trust_level?,
            ))
        };
        let trust = settings.projects.iter().filter_map(level).collect();
        Self {
            git_root: git_root(files, &cwd),
            root,
            cwd,
            trust,
        }
    }

    /// Every folder from the root down to where the project is seen from that has a `.codex` folder
    /// of its own. The state folder is none.
    pub(super) fn folders(&self, files: &dyn Files, home: &Path) -> Vec<PathBuf> {
        let is_dir = |path: &Path| files.stat(path).is_ok_and(|stat| stat.is_dir);
        let real_home = files.real_path(home).ok();
        let mut dirs: Vec<&Path> = self
            .cwd
            .ancestors()
            .take_while(|dir| dir.starts_with(&self.root))
            .collect();
        dirs.reverse();
        dirs.retain(|dir| {
            let dot = dir.join(".codex");
            let is_home = || real_home.is_some() && files.real_path(&dot).ok() == real_home;
            is_dir(&dot) && dot != home && !is_home()
        });
        dirs.into_iter().map(Path::to_owned).collect()
    }

    /// Whether the folder is trusted: by its own entry, the root's, or the main checkout's.
    pub(super) fn decide(&self, files: &dyn Files, dir: &Path) -> Decision {
        let candidates = [
            Some(dir),
            Some(self.root.as_path()),
            self.git_root.as_deref(),
        ];
        let found = candidates
            .into_iter()
            .flatten()
            .find_map(|path| self.entry(files, path));
        match found {
            Some((key, level)) => Decision {
                level: Some(level),
                key,
            },
            None => {
                let key = self.git_root.as_ref().unwrap_or(&self.root).clone();
                Decision { level: None, key }
            }
        }
    }

    /// The decision for the folder that the project is seen from.
    pub(super) fn decide_here(&self, files: &dyn Files) -> Decision {
        self.decide(files, &self.cwd)
    }

    /// The entry for a folder by either of its names, as given and with links resolved.
    fn entry(&self, files: &dyn Files, path: &Path) -> Option<(PathBuf, TrustLevel)> {
        let by_name = |name: &Path| Some((name.to_owned(), *self.trust.get(name)?));
        by_name(path).or_else(|| by_name(&files.real_path(path).ok()?))
    }
}

/// Why the settings in an untrusted folder do not count (config.md §2.6).
pub(super) fn disabled_reason(decision: &Decision, user_file: &Path) -> String {
    let (key, file) = (decision.key.display(), user_file.display());
    match decision.level {
        Some(TrustLevel::Untrusted) => {
            format!("{key} is marked as untrusted in {file}. To load config.toml, mark it trusted.")
        }
        _ => format!("To load config.toml, add {key} as a trusted project in {file}."),
    }
}

/// The main checkout of the repository around `cwd`, by reading what git keeps in files.
fn git_root(files: &dyn Files, cwd: &Path) -> Option<PathBuf> {
    let top = cwd
        .ancestors()
        .find(|dir| files.stat(&dir.join(".git")).is_ok())?;
    let dot_git = top.join(".git");
    let main = if files.stat(&dot_git).ok()?.is_dir {
        None
    } else {
        main_checkout(files, top, &dot_git)
    };
    let root = main.unwrap_or_else(|| top.to_owned());
    Some(files.real_path(&root).unwrap_or(root))
}

/// The main checkout of the linked worktree `top`. A `.git` file may name any folder; it is
/// believed only if that folder, which git made, names the `.git` file in turn. Submodules have no
/// main checkout and stand for themselves.
fn main_checkout(files: &dyn Files, top: &Path, dot_git: &Path) -> Option<PathBuf> {
    let line = |path: &Path| {
        let bytes = files.read(path, limits::SMALL_FILE_BYTES_MAX).ok()?;
        Some(String::from_utf8(bytes).ok()?.trim().to_owned())
    };
    let git_dir = paths::lexical(&top.join(line(dot_git)?.strip_prefix("gitdir:")?.trim()));
    let common = paths::lexical(&git_dir.join(line(&git_dir.join("commondir"))?));
    let back = git_dir.join(line(&git_dir.join("gitdir"))?);
    let same = files.real_path(&back).ok()? == files.real_path(dot_git).ok()?;
    // Registered in the very repository whose trust it wants.
    let registered = git_dir.parent() == Some(&common.join("worktrees"));
    (same && registered)
        .then(|| common.parent().map(Path::to_owned))
        .flatten()
}
