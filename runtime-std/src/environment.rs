//! Owns: what a process reads once about itself: variables, state folder, entropy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use understudy_core::Environment;

/// The variables of this process. Those whose name or value is no text are left out.
pub fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The state folder by the environment (config.md §1.6): `CODEX_HOME`, which must exist and whose
/// links are resolved, else `.codex` in the user's home, which need not exist.
///
/// # Errors
///
/// `CODEX_HOME` names nothing, or something that is no folder; or neither variable is set.
pub fn codex_home() -> Result<PathBuf, HomeError> {
    let filled = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(home) = filled("CODEX_HOME") {
        return named_home(Path::new(&home));
    }
    filled("HOME").map(|home| Path::new(&home).join(".codex")).ok_or(HomeError::Unknown)
}

fn named_home(path: &Path) -> Result<PathBuf, HomeError> {
    let unusable = |reason| HomeError::Unusable { path: path.to_owned(), reason };
    let real = path.canonicalize().map_err(unusable)?;
    if real.is_dir() { Ok(real) } else { Err(unusable(io::ErrorKind::NotADirectory.into())) }
}

/// Why there is no state folder.
#[derive(Debug)]
pub enum HomeError {
    /// Neither `CODEX_HOME` nor `HOME` is set.
    Unknown,
    /// `CODEX_HOME` is no folder.
    Unusable {
        /// What the variable says.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
}

impl fmt::Display for HomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HomeError::Unknown => f.write_str("neither CODEX_HOME nor HOME is set"),
            HomeError::Unusable { path, reason } => {
                write!(f, "CODEX_HOME {} cannot be used: {reason}", path.display())
            }
        }
    }
}

impl std::error::Error for HomeError {}

/// Entropy for a machine, from the operating system.
///
/// # Errors
///
/// The operating system has none to give; no server should run without.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_home_is_resolved_and_must_be_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).expect("linked");
        let real = folder.path().canonicalize().expect("resolved");
        assert_eq!(named_home(&link).expect("usable"), real);
        let missing = named_home(&folder.path().join("none")).expect_err("missing");
        assert!(missing.to_string().ends_with("No such file or directory (os error 2)"));
        std::fs::write(folder.path().join("file"), "").expect("written");
        let file = named_home(&folder.path().join("file")).expect_err("a file");
        assert!(file.to_string().ends_with("not a directory"), "{file}");
    }

    #[test]
    fn the_environment_has_what_the_process_has() {
        let path = std::env::var("PATH").expect("a path");
        assert_eq!(environment().filled("PATH"), Some(path.as_str()));
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(seed().expect("entropy"), seed().expect("entropy"));
    }
}
