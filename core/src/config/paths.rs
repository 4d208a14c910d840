//! Paths as users write them, made absolute without asking the file system (config.md §2.4).

use std::path::{Component, Path, PathBuf};

use crate::setup::Environment;

/// The absolute path that `path` means in the folder `base`: `~` is the user's home, `.` and `..`
/// go away, links stay.
pub(super) fn resolve(path: &Path, base: &Path, env: &Environment) -> PathBuf {
    let home = env.filled("HOME").map(Path::new);
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => lexical(&home.join(rest)),
        _ => lexical(&base.join(path)),
    }
}

/// The path without `.`, `..` and trailing slashes, by its text alone.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::resolve;
    use crate::setup::Environment;

    #[test]
    fn paths_become_absolute() {
        let env: Environment = [("HOME".to_owned(), "/home/u".to_owned())].into_iter().collect();
        let cases = [
            ("a/./b/../c", "/base/a/c"),
            ("/x/y/..", "/x"),
            ("../..", "/"),
            ("~", "/home/u"),
            ("~/x", "/home/u/x"),
            ("~x", "/base/~x"),
        ];
        for (path, expected) in cases {
            let found = resolve(Path::new(path), Path::new("/base"), &env);
            assert_eq!(found, Path::new(expected), "{path}");
        }
        let unset = resolve(Path::new("~/x"), Path::new("/base"), &Environment::default());
        assert_eq!(unset, Path::new("/base/~/x"));
    }
}
