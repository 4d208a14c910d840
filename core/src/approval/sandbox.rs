//! Where a sandbox lets commands and patches write (engine.md §5.1).

use std::path::{Path, PathBuf};

use crate::config::kinds::SandboxMode;
use crate::config::{Permissions, lexical};
use crate::files::Files;
use crate::limits;
use crate::setup::Environment;
use crate::wire::v2::common::{NetworkAccess, SandboxPolicy};

/// What a runtime has to hold a command to. Reading is never restricted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPlan {
    /// What may be written.
    pub writes: Writes,
    /// Whether the network may be used.
    pub network: bool,
}

/// What may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Anything: there is no sandbox for files.
    Everything,
    /// What lies in one of these and in none of their read-only places; nothing if there are none.
    Within(Vec<WritableRoot>),
}

/// A folder that may be written, but for some places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritableRoot {
    /// The folder.
    pub path: PathBuf,
    /// Files and folders that stay as they are, those that do not exist yet included. They hold for
    /// every other root that they lie in as well.
    pub read_only: Vec<PathBuf>,
}

/// What nobody may write in a root: history and hooks, and the rules that the sandbox follows.
const PROTECTED: [&str; 2] = [".git", ".codex"];

impl SandboxPolicy {
    /// The policy that the configuration gives.
    pub(crate) fn configured(permissions: &Permissions) -> Self {
        let write = &permissions.workspace_write;
        match permissions.sandbox_mode {
            SandboxMode::ReadOnly => Self::ReadOnly,
            SandboxMode::DangerFullAccess => Self::DangerFullAccess,
            SandboxMode::WorkspaceWrite => Self::WorkspaceWrite {
                writable_roots: write
                    .writable_roots
                    .iter()
                    .filter_map(|root| root.to_string_lossy().into_owned().try_into().ok())
                    .collect(),
                network_access: write.network_access,
                exclude_tmpdir_env_var: write.exclude_tmpdir_env_var,
                exclude_slash_tmp: write.exclude_slash_tmp,
            },
        }
    }

    /// Whether commands may use the network.
    pub(crate) fn has_network(&self) -> bool {
        match self {
            Self::DangerFullAccess => true,
            Self::ReadOnly => false,
            Self::ExternalSandbox { network_access } => *network_access == NetworkAccess::Enabled,
            Self::WorkspaceWrite { network_access, .. } => *network_access,
        }
    }
}

impl SandboxPlan {
    /// No sandbox.
    pub fn free() -> Self {
        Self { writes: Writes::Everything, network: true }
    }

    /// The plan of a policy for commands of a turn in `cwd`. Looks for the places that the policy
    /// names: `/tmp`, and the repository that a `.git` file points to.
    pub fn new(policy: &SandboxPolicy, cwd: &Path, env: &Environment, files: &dyn Files) -> Self {
        match policy {
            SandboxPolicy::DangerFullAccess => Self::free(),
            SandboxPolicy::ExternalSandbox { network_access } => Self {
                writes: Writes::Everything,
                network: *network_access == NetworkAccess::Enabled,
            },
            SandboxPolicy::ReadOnly => Self { writes: Writes::Within(Vec::new()), network: false },
            SandboxPolicy::WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            } => {
                let mut paths: Vec<_> =
                    writable_roots.iter().map(|root| lexical(Path::new(root.as_str()))).collect();
                paths.push(lexical(cwd));
                let tmp = Path::new("/tmp");
                if !exclude_slash_tmp && files.stat(tmp).is_ok_and(|stat| stat.is_dir) {
                    paths.push(tmp.to_owned());
                }
                let tmpdir = env.filled("TMPDIR").map(Path::new).filter(|path| path.is_absolute());
                paths.extend(tmpdir.filter(|_| !exclude_tmpdir_env_var).map(lexical));
                Self { writes: Writes::Within(roots(paths, files)), network: *network_access }
            }
        }
    }

    /// Whether an absolute path may be written. Links are not followed: ask again for the path
    /// that they lead to.
    pub fn may_write(&self, path: &Path) -> bool {
        let Writes::Within(roots) = &self.writes else {
            return true;
        };
        let path = lexical(path);
        roots.iter().any(|root| path.starts_with(&root.path))
            && !roots.iter().any(|root| root.protects(&path))
    }
}

impl WritableRoot {
    /// Whether the path lies in a read-only place of this root.
    pub fn protects(&self, path: &Path) -> bool {
        // On some systems `.GIT` is the same folder.
        let first = path.strip_prefix(&self.path).ok().and_then(|rest| rest.components().next());
        let named = first.is_some_and(|first| {
            let name = first.as_os_str();
            PROTECTED.iter().any(|protected| name.eq_ignore_ascii_case(protected))
        });
        named || self.read_only.iter().any(|place| path.starts_with(place))
    }
}

fn roots(paths: Vec<PathBuf>, files: &dyn Files) -> Vec<WritableRoot> {
    let mut roots: Vec<WritableRoot> = Vec::new();
    for path in paths {
        if roots.iter().all(|root| root.path != path) {
            let mut read_only: Vec<_> = PROTECTED.iter().map(|name| path.join(name)).collect();
            read_only.extend(git_folder(&path, files));
            roots.push(WritableRoot { path, read_only });
        }
    }
    roots
}

/// The folder that a root's `.git` file points to, as in worktrees and submodules.
fn git_folder(root: &Path, files: &dyn Files) -> Option<PathBuf> {
    let file = root.join(".git");
    if files.stat(&file).ok()?.is_dir {
        return None;
    }
    let text = String::from_utf8(files.read(&file, limits::SMALL_FILE_BYTES_MAX).ok()?).ok()?;
    let folder = text.trim().strip_prefix("gitdir:")?.trim();
    Some(lexical(&root.join(folder)))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::{SandboxPlan, Writes};
    use crate::files::MemoryFiles;
    use crate::setup::Environment;
    use crate::wire::v2::common::{AbsolutePathBuf, NetworkAccess, SandboxPolicy};

    fn workspace(roots: &[&str], exclude: bool) -> SandboxPolicy {
        let root = |path: &&str| AbsolutePathBuf::try_from((*path).to_owned()).expect("absolute");
        SandboxPolicy::WorkspaceWrite {
            writable_roots: roots.iter().map(root).collect(),
            network_access: false,
            exclude_tmpdir_env_var: exclude,
            exclude_slash_tmp: exclude,
        }
    }

    fn plan(policy: &SandboxPolicy) -> SandboxPlan {
        let env = [("TMPDIR".to_owned(), "/var/t/".to_owned())].into_iter().collect();
        let files = MemoryFiles::new().with("/w/.git", "gitdir: ../main/.git/worktrees/w\n");
        files.folder("/tmp");
        SandboxPlan::new(policy, Path::new("/w"), &env, &files)
    }

    fn paths(plan: &SandboxPlan) -> Vec<PathBuf> {
        match &plan.writes {
            Writes::Everything => panic!("everything"),
            Writes::Within(roots) => roots.iter().map(|root| root.path.clone()).collect(),
        }
    }

    #[test]
    fn roots_are_the_named_ones_the_cwd_and_the_temporary_ones() {
        let found = paths(&plan(&workspace(&["/a/./b/..", "/w"], false)));
        assert_eq!(found, ["/a", "/w", "/tmp", "/var/t"].map(PathBuf::from));
        assert_eq!(paths(&plan(&workspace(&[], true))), [PathBuf::from("/w")]);
        assert!(paths(&plan(&SandboxPolicy::ReadOnly)).is_empty());
        let none = SandboxPlan::new(
            &workspace(&[], false),
            Path::new("/w"),
            &Environment::default(),
            &MemoryFiles::new(),
        );
        assert_eq!(paths(&none), [PathBuf::from("/w")]);
    }

    #[test]
    fn history_and_settings_are_never_writable() {
        let plan = plan(&workspace(&["/", "/main"], true));
        for path in [
            "/w/.git",
            "/w/.git/hooks/x",
            "/w/.codex/rules/a.rules",
            "/w/.GIT/x",
            "/w/a/../.git/x",
            "/main/.git/worktrees/w/HEAD",
            "/.codex/x",
        ] {
            assert!(!plan.may_write(Path::new(path)), "{path}");
        }
        for path in ["/w/a", "/w/.gitignore", "/w/a/.codexes", "/elsewhere"] {
            assert!(plan.may_write(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn each_policy_has_its_rights() {
        let read_only = plan(&SandboxPolicy::ReadOnly);
        assert!(!read_only.may_write(Path::new("/w/a")) && !read_only.network);
        let free = plan(&SandboxPolicy::DangerFullAccess);
        assert!(free.may_write(Path::new("/etc/x")) && free.network);
        for network_access in [NetworkAccess::Restricted, NetworkAccess::Enabled] {
            let external = plan(&SandboxPolicy::ExternalSandbox { network_access });
            assert_eq!(external.network, network_access == NetworkAccess::Enabled);
            assert_eq!(external.writes, Writes::Everything);
        }
    }

    proptest! {
        #[test]
        fn nothing_outside_the_roots_is_writable(path in "(/(w|a|\\.\\.|\\.git|\\.)){1,6}") {
            let plan = plan(&workspace(&[], true));
            let mut at: Vec<&str> = Vec::new();
            for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
                if part == ".." { at.pop(); } else { at.push(part); }
            }
            let inside = at.first() == Some(&"w") && at.get(1) != Some(&".git");
            prop_assert_eq!(plan.may_write(Path::new(&path)), inside, "{}", path);
        }
    }
}
