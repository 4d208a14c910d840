//! What the paths in a patch mean.

use std::path::{Path, PathBuf};

use crate::config::lexical;
use crate::files::{FileError, Files};

/// The absolute path that `path` means in the folder `cwd`, without `.` and `..`. That is what
/// rules look at, so it is also what is written to: `..` behind a link leads back to where the
/// link is.
pub(super) fn absolute(cwd: &Path, path: &str) -> PathBuf {
    lexical(&cwd.join(path))
}

/// Where the entry of this name is: links in its folders are followed, the last name is not.
/// Folders that are not there yet stand for themselves.
pub(super) fn location(files: &dyn Files, path: &Path) -> Result<PathBuf, FileError> {
    let mut missing = Vec::new();
    let mut known = path;
    while let (Some(folder), Some(name)) = (known.parent(), known.file_name()) {
        missing.push(name);
        known = folder;
        match files.real_path(folder) {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |path, name| path.join(name))),
            Err(error) if error.is_not_found() => {}
            // A file where a folder should be. The patch may be about to remove it.
            Err(_) if is_below_file(files, folder) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path.to_owned())
}

fn is_below_file(files: &dyn Files, path: &Path) -> bool {
    let mut above = path.ancestors().skip(1);
    above.any(|folder| files.stat(folder).is_ok_and(|facts| !facts.is_dir))
}
