//! What the user approved for the rest of the session (engine.md §4.6).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::table::{Escalation, Rights};
use crate::limits;

/// What of a command has to be the same for an approval to count again. The rights are part of it:
/// who let a command run in the sandbox did not let it run outside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandKey {
    /// Its words.
    pub argv: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Whether it has a terminal.
    pub tty: bool,
    /// What the model asked for.
    pub escalation: Escalation,
    /// The rights that the user was asked for.
    pub rights: Rights,
}

/// What the user of one thread approved for the session. Gone with the thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionApprovals {
    commands: BTreeSet<CommandKey>,
    files: BTreeSet<PathBuf>,
}

impl SessionApprovals {
    /// Remembers a command.
    pub fn approve_command(&mut self, key: CommandKey) {
        if self.commands.len() < limits::SESSION_APPROVALS_MAX {
            self.commands.insert(key);
        }
    }

    /// Whether just this command was approved.
    pub fn has_command(&self, key: &CommandKey) -> bool {
        self.commands.contains(key)
    }

    /// Remembers the absolute paths of a patch.
    pub fn approve_files(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            if self.files.len() < limits::SESSION_APPROVALS_MAX {
                self.files.insert(path);
            }
        }
    }

    /// Whether every path of a patch was approved.
    pub fn has_files<'p>(&self, paths: impl IntoIterator<Item = &'p Path>) -> bool {
        paths.into_iter().all(|path| self.files.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{CommandKey, SessionApprovals};
    use crate::approval::{Escalation, Rights};
    use crate::limits;

    fn key(program: &str) -> CommandKey {
        CommandKey {
            argv: vec![program.to_owned()],
            cwd: PathBuf::from("/w"),
            tty: false,
            escalation: Escalation::None,
            rights: Rights::Sandboxed,
        }
    }

    #[test]
    fn only_the_very_same_command_is_approved() {
        let mut session = SessionApprovals::default();
        session.approve_command(key("a"));
        assert!(session.has_command(&key("a")));
        for other in [
            key("b"),
            CommandKey { cwd: PathBuf::from("/x"), ..key("a") },
            CommandKey { tty: true, ..key("a") },
            CommandKey { escalation: Escalation::Required, ..key("a") },
            CommandKey { rights: Rights::Free, ..key("a") },
        ] {
            assert!(!session.has_command(&other), "{other:?}");
        }
    }

    #[test]
    fn a_patch_needs_all_its_files_approved() {
        let mut session = SessionApprovals::default();
        session.approve_files(["/w/a", "/w/b"].map(PathBuf::from));
        let has = |paths: &[&str]| session.has_files(paths.iter().map(|path| Path::new(*path)));
        assert!(has(&["/w/a"]) && has(&["/w/a", "/w/b"]));
        assert!(!has(&["/w/a", "/w/c"]));
    }

    #[test]
    fn beyond_the_limit_nothing_more_is_remembered() {
        let mut session = SessionApprovals::default();
        let keys = (0..=limits::SESSION_APPROVALS_MAX).map(|n| key(&n.to_string()));
        keys.for_each(|key| session.approve_command(key));
        assert!(session.has_command(&key("0")));
        assert!(!session.has_command(&key(&limits::SESSION_APPROVALS_MAX.to_string())));
    }
}
