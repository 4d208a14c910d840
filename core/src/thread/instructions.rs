//! What users and projects tell the model in AGENTS.md files (engine.md §10.1).

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::files::{FileError, Files};
use crate::limits;

/// Names of such files, the first that is there counts.
const NAMES: [&str; 2] = ["AGENTS.override.md", "AGENTS.md"];
/// Stands between what the user and what the project says.
const SEPARATOR: &str = "\n\n--- project-doc ---\n\n";

/// The text that goes to the model as the user's instructions: the user's own file, those of the
/// project from its root down to `cwd`, and the section about skills. Empty if there is none.
pub(super) fn user_instructions(
    files: &dyn Files,
    home: &Path,
    cwd: &Path,
    config: &Config,
    skills: Option<String>,
) -> String {
    let own = own_instructions(files, home);
    let project = match project_instructions(files, cwd, config) {
        Ok(text) => text,
        Err((path, error)) => {
            tracing::error!("cannot read {}: {error}", path.display());
            None
        }
    };
    let docs = match (own, project) {
        (Some(own), Some(project)) => own + SEPARATOR + &project,
        (own, project) => own.or(project).unwrap_or_default(),
    };
    match skills {
        None => docs,
        Some(section) if docs.is_empty() => section,
        Some(section) => format!("{docs}\n\n{section}"),
    }
}

/// The user's own file: the first that is there and not blank, trimmed.
fn own_instructions(files: &dyn Files, home: &Path) -> Option<String> {
    NAMES.iter().find_map(|name| {
        let bytes = files.read(&home.join(name), limits::SMALL_FILE_BYTES_MAX).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// The project's files, joined by blank lines, within the budget. One that cannot be read drops
/// all: half of what a project says may mean the opposite.
fn project_instructions(
    files: &dyn Files,
    cwd: &Path,
    config: &Config,
) -> Result<Option<String>, (PathBuf, FileError)> {
    let mut budget = config.instructions.project_doc_max_bytes;
    let mut texts: Vec<String> = Vec::new();
    for folder in folders(files, cwd) {
        if budget == 0 {
            break;
        }
        let Some(path) = first_file(files, &folder, config) else {
            continue;
        };
        let bytes = files.read_at(&path, 0, budget).map_err(|error| (path, error))?;
        let text = String::from_utf8_lossy(&bytes);
        if !text.trim().is_empty() {
            texts.push(text.into_owned());
            budget = budget.saturating_sub(bytes.len());
        }
    }
    Ok((!texts.is_empty()).then(|| texts.join("\n\n")))
}

/// The folders from the root of the repository down to `cwd`; only `cwd` outside of one.
fn folders(files: &dyn Files, cwd: &Path) -> Vec<PathBuf> {
    let cwd = files.real_path(cwd).unwrap_or_else(|_| cwd.to_owned());
    let is_root = |dir: &Path| files.stat(&dir.join(".git")).is_ok();
    let depth = cwd.ancestors().position(is_root).unwrap_or(0);
    let mut dirs: Vec<PathBuf> = cwd.ancestors().take(depth + 1).map(Path::to_owned).collect();
    dirs.reverse();
    dirs
}

fn first_file(files: &dyn Files, folder: &Path, config: &Config) -> Option<PathBuf> {
    let fallbacks = config.instructions.project_doc_fallback_filenames.iter().map(String::as_str);
    let mut paths = NAMES.into_iter().chain(fallbacks).map(|name| folder.join(name));
    paths.find(|path| files.stat(path).is_ok_and(|stat| !stat.is_dir))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::user_instructions;
    use crate::config::{ConfigAsk, load};
    use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};

    /// What the model is told in `/r/a/b` with settings in the user's file; none if it is nothing.
    fn told(files: &MemoryFiles, settings: &str) -> Option<String> {
        files.put("/h/config.toml", settings);
        let loaded = load(files, &ConfigAsk::new("/h", "/r/a/b")).expect("a configuration");
        let (home, cwd) = (Path::new("/h"), Path::new("/r/a/b"));
        let docs = user_instructions(files, home, cwd, &loaded.config, None);
        let section = Some("## Skills".to_owned());
        let with_skills = user_instructions(files, home, cwd, &loaded.config, section);
        let parts: Vec<&str> = [docs.as_str(), "## Skills"].into();
        let expected = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        assert_eq!(with_skills, expected.join("\n\n"));
        (!docs.is_empty()).then_some(docs)
    }

    fn repository() -> MemoryFiles {
        let files = MemoryFiles::new();
        files.folder("/r/.git");
        files.folder("/r/a/b");
        files
    }

    #[test]
    fn the_user_speaks_first_then_the_project_from_its_root() {
        let files = repository()
            .with("/AGENTS.md", "outside")
            .with("/h/AGENTS.md", "\n mine \n")
            .with("/r/AGENTS.md", "root\n")
            .with("/r/a/AGENTS.md", "a")
            .with("/r/a/AGENTS.override.md", "instead of a")
            .with("/r/a/b/GUIDE.md", "b");
        let text = told(&files, "project_doc_fallback_filenames = [' GUIDE.md ', ' ']");
        let expected = "mine\n\n--- project-doc ---\n\nroot\n\n\ninstead of a\n\nb";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn blank_files_say_nothing() {
        let files = repository().with("/h/AGENTS.override.md", " \n").with("/r/AGENTS.md", "\n");
        assert_eq!(told(&files, ""), None);
        files.put("/h/AGENTS.md", "mine");
        assert_eq!(told(&files, "").as_deref(), Some("mine"));
    }

    #[test]
    fn the_budget_is_shared_and_cuts() {
        let files = repository().with("/r/AGENTS.md", "12345").with("/r/a/b/AGENTS.md", "6789");
        assert_eq!(told(&files, "project_doc_max_bytes = 7").as_deref(), Some("12345\n\n67"));
        assert_eq!(told(&files, "project_doc_max_bytes = 5").as_deref(), Some("12345"));
        assert_eq!(told(&files, "project_doc_max_bytes = 0"), None);
    }

    #[test]
    fn without_a_repository_only_the_folder_itself_counts() {
        let files = MemoryFiles::new().with("/r/AGENTS.md", "r").with("/r/a/b/AGENTS.md", "b");
        assert_eq!(told(&files, "").as_deref(), Some("b"));
    }

    #[test]
    fn a_file_that_cannot_be_read_drops_the_project_but_not_the_user() {
        let files = repository()
            .with("/h/AGENTS.md", "mine")
            .with("/r/AGENTS.md", "r")
            .with("/r/a/b/AGENTS.md", "b");
        files.inject(|op, path| {
            let hit = op == FileOp::ReadAt && path.starts_with("/r/a/b");
            hit.then(|| FileError { kind: FileErrorKind::Denied, text: "denied".to_owned() })
        });
        assert_eq!(told(&files, "").as_deref(), Some("mine"));
    }
}
