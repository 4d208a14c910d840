//! What repository a folder is in: read from the repository's own files, without running anything
//! (engine.md §8.3).

use std::path::{Path, PathBuf};

use super::rollout::meta::GitFacts;
use crate::files::Files;
use crate::limits;

/// Commit, branch and origin of the repository that `cwd` is in; none outside of one.
pub(super) fn facts(files: &dyn Files, cwd: &Path) -> Option<GitFacts> {
    let cwd = files.real_path(cwd).ok()?;
    let dot_git =
        cwd.ancestors().map(|dir| dir.join(".git")).find(|path| files.stat(path).is_ok())?;
    let dir = git_dir(files, &dot_git)?;
    let common = match text(files, &dir.join("commondir")) {
        Some(relative) => dir.join(relative.trim()),
        None => dir.clone(),
    };
    let head = text(files, &dir.join("HEAD"))?;
    let head = head.trim();
    let (branch, commit_hash) = match head.strip_prefix("ref: ") {
        Some(name) => (name.strip_prefix("refs/heads/"), resolve(files, &dir, &common, name)),
        None => (None, Some(head.to_owned())),
    };
    Some(GitFacts {
        commit_hash: commit_hash.filter(|hash| is_hash(hash)),
        branch: branch.map(str::to_owned),
        repository_url: text(files, &common.join("config")).and_then(|config| origin(&config)),
    })
}

/// The repository's folder: `.git` itself, or where it points to in a worktree or submodule.
fn git_dir(files: &dyn Files, dot_git: &Path) -> Option<PathBuf> {
    if files.stat(dot_git).ok()?.is_dir {
        return Some(dot_git.to_owned());
    }
    let text = text(files, dot_git)?;
    let target = text.strip_prefix("gitdir:")?.trim();
    Some(dot_git.parent()?.join(target))
}

fn resolve(files: &dyn Files, dir: &Path, common: &Path, name: &str) -> Option<String> {
    // A name out of a file must not lead out of the repository.
    if Path::new(name).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        return None;
    }
    let loose = text(files, &dir.join(name)).or_else(|| text(files, &common.join(name)));
    if let Some(loose) = loose {
        return Some(loose.trim().to_owned());
    }
    let packed = text(files, &common.join("packed-refs"))?;
    let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, n)| n == name))?;
    line.split_once(' ').map(|(hash, _)| hash.to_owned())
}

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The address of the remote `origin`, without a password that may stand in it.
fn origin(config: &str) -> Option<String> {
    let mut in_origin = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            in_origin = line.replace(' ', "").eq_ignore_ascii_case("[remote\"origin\"]");
        } else if in_origin
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("url")
        {
            return Some(without_password(value.trim()));
        }
    }
    None
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://{host}/{path}"),
        _ => url.to_owned(),
    }
}

fn text(files: &dyn Files, path: &Path) -> Option<String> {
    let bytes = files.read(path, limits::SMALL_FILE_BYTES_MAX).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::facts;
    use crate::files::MemoryFiles;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    /// `commit branch origin`, `-` for what is missing.
    fn shown(files: &MemoryFiles, cwd: &str) -> String {
        let Some(git) = facts(files, Path::new(cwd)) else { return "none".to_owned() };
        let dash = || "-".to_owned();
        let hash = git.commit_hash.unwrap_or_else(dash);
        let url = git.repository_url.unwrap_or_else(dash);
        format!("{hash} {} {url}", git.branch.unwrap_or_else(dash))
    }

    #[test]
    fn loose_packed_detached_and_none() {
        let files = MemoryFiles::new()
            .with("/r/.git/HEAD", "ref: refs/heads/main\n")
            .with("/r/.git/refs/heads/main", format!("{HASH}\n"))
            .with("/r/.git/config", "[core]\n[remote \"origin\"]\n\turl = https://u:p@h/r.git\n");
        files.folder("/r/sub");
        assert_eq!(shown(&files, "/r/sub"), format!("{HASH} main https://h/r.git"));
        let packed = MemoryFiles::new()
            .with("/r/.git/HEAD", "ref: refs/heads/main\n")
            .with("/r/.git/packed-refs", format!("# pack\n{HASH} refs/heads/main\n"));
        assert_eq!(shown(&packed, "/r"), format!("{HASH} main -"));
        let detached = MemoryFiles::new().with("/r/.git/HEAD", format!("{HASH}\n"));
        assert_eq!(shown(&detached, "/r"), format!("{HASH} - -"));
        let outward = MemoryFiles::new().with("/r/.git/HEAD", "ref: ../../etc/passwd\n");
        assert_eq!(shown(&outward, "/r"), "- - -");
        let nothing = MemoryFiles::new();
        nothing.folder("/r");
        assert_eq!(shown(&nothing, "/r"), "none");
    }

    #[test]
    fn a_worktree_points_to_its_repository() {
        let files = MemoryFiles::new()
            .with("/w/.git", "gitdir: /r/.git/worktrees/w\n")
            .with("/r/.git/worktrees/w/HEAD", "ref: refs/heads/topic\n")
            .with("/r/.git/worktrees/w/commondir", "../..\n")
            .with("/r/.git/refs/heads/topic", HASH);
        assert_eq!(shown(&files, "/w"), format!("{HASH} topic -"));
    }
}
