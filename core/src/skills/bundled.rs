//! The skills that come with the server: put below the user's folder of skills the first time that
//! skills are looked for, and again when this program has newer ones (config.md §7.1).
//!
//! Invariant: what another program put there stays. A marker says whose they are and which.

use std::path::Path;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::files::{Access, FileError, Files, IfMissing};

/// The folder within the user's folder of skills.
pub(super) const FOLDER: &str = ".system";

/// Says which skills lie in the folder.
const MARKER: &str = ".codex-system-skills.marker";
/// Begins the marker where they are ours.
const OURS: &str = "understudy ";
/// More than any marker has.
const MARKER_BYTES_MAX: u64 = 4096;

macro_rules! bundle {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("bundled/", $path)))),+]
    };
}

/// Every file by its path in the folder.
const FILES: &[(&str, &[u8])] = bundle![
    "skill-creator/SKILL.md",
    "skill-creator/agents/openai.yaml",
    "skill-creator/assets/skill-creator-small.svg",
    "skill-creator/assets/skill-creator.png",
    "skill-installer/SKILL.md",
    "skill-installer/agents/openai.yaml",
    "skill-installer/assets/skill-installer-small.svg",
    "skill-installer/assets/skill-installer.png",
];

/// Puts the skills in place if they are not. That they cannot be is no reason to fail.
pub(super) fn install(files: &dyn Files, home: &Path) {
    let folder = home.join("skills").join(FOLDER);
    let marker = folder.join(MARKER);
    if is_current(files, &marker) {
        return;
    }
    if let Err(error) = put(files, &folder, &marker) {
        tracing::warn!(folder = %folder.display(), %error, "the server's skills are not there");
    }
}

fn put(files: &dyn Files, folder: &Path, marker: &Path) -> Result<(), FileError> {
    let _held = files.lock(marker)?;
    // Somebody else may have done it meanwhile.
    if is_current(files, marker) {
        return Ok(());
    }
    for (path, bytes) in FILES {
        let path = folder.join(path);
        match files.stat(&path) {
            // Without the wait for the disk that replacing costs: the marker comes last.
            Err(error) if error.is_not_found() => files.append(&path, bytes, IfMissing::Make)?,
            _ => files.write_atomic(&path, bytes, Access::Shared)?,
        }
    }
    files.write_atomic(marker, CURRENT.as_bytes(), Access::Shared)
}

/// Whether nothing is to be done: the marker is this program's, or another's.
fn is_current(files: &dyn Files, marker: &Path) -> bool {
    match files.read(marker, MARKER_BYTES_MAX) {
        Ok(found) => !found.starts_with(OURS.as_bytes()) || found == CURRENT.as_bytes(),
        Err(error) => !error.is_not_found(),
    }
}

/// What the marker says while these are the skills that lie there.
static CURRENT: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (path, bytes) in FILES {
        hash.update(path);
        hash.update([0]);
        hash.update(bytes);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{OURS}{hex}\n")
});

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FILES, MARKER, install};
    use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};
    use crate::skills::head;

    const SYSTEM: &str = "/h/skills/.system";

    fn content(files: &MemoryFiles, path: &str) -> Vec<u8> {
        files.content(format!("{SYSTEM}/{path}")).unwrap_or_default()
    }

    #[test]
    fn they_are_put_in_place_once() {
        let files = MemoryFiles::new();
        install(&files, Path::new("/h"));
        for (path, bytes) in FILES {
            assert_eq!(content(&files, path), *bytes, "{path}");
        }
        files.put(format!("{SYSTEM}/skill-creator/SKILL.md"), "changed by the user");
        install(&files, Path::new("/h"));
        assert_eq!(content(&files, "skill-creator/SKILL.md"), b"changed by the user");
    }

    #[test]
    fn older_ones_of_ours_are_replaced_and_those_of_others_stay() {
        let old = format!("{SYSTEM}/skill-creator/SKILL.md");
        let marker = format!("{SYSTEM}/{MARKER}");
        let files = MemoryFiles::new().with(&old, "old").with(&marker, "understudy 0\n");
        install(&files, Path::new("/h"));
        assert_eq!(content(&files, "skill-creator/SKILL.md"), FILES[0].1);
        let files = MemoryFiles::new().with(&old, "theirs").with(&marker, "12345");
        install(&files, Path::new("/h"));
        assert_eq!(content(&files, "skill-creator/SKILL.md"), b"theirs");
    }

    #[test]
    fn half_of_them_is_mended_the_next_time() {
        let files = MemoryFiles::new();
        files.inject(|op, path| {
            let hit = op == FileOp::Append && path.ends_with("skill-installer/SKILL.md");
            hit.then(|| FileError { kind: FileErrorKind::Other, text: "full".to_owned() })
        });
        install(&files, Path::new("/h"));
        assert!(content(&files, "skill-installer/SKILL.md").is_empty());
        files.heal();
        install(&files, Path::new("/h"));
        for (path, bytes) in FILES {
            assert_eq!(content(&files, path), *bytes, "{path}");
        }
    }

    #[test]
    fn each_of_them_is_a_skill() {
        for (path, bytes) in FILES.iter().filter(|(path, _)| path.ends_with("SKILL.md")) {
            let head = head::read(std::str::from_utf8(bytes).expect("text")).expect("a head");
            assert!(path.starts_with(&head.name), "{path}");
        }
    }
}
