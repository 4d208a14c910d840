//! The jobs that core asks for, and what they answer.

use std::path::PathBuf;

use super::{Access, FileError, Files};

/// One job on files. Data: made by core, run by a backend with [`FileJob::run`].
#[derive(Debug)]
pub enum FileJob {
    /// Reads one file whole.
    Read {
        /// The file.
        path: PathBuf,
        /// Size above which it is refused.
        limit: u64,
    },
    /// Replaces one file.
    Write {
        /// The file.
        path: PathBuf,
        /// Its new content.
        bytes: Vec<u8>,
        /// Who may read it.
        access: Access,
    },
}

/// What a [`FileJob`] found.
#[derive(Debug)]
pub enum FileAnswer {
    /// Answer to [`FileJob::Read`].
    Read(Result<Vec<u8>, FileError>),
    /// Answer to [`FileJob::Write`].
    Written(Result<(), FileError>),
}

impl FileJob {
    /// Does the work. May block; never panics on what the files hold.
    pub fn run(self, files: &dyn Files) -> FileAnswer {
        match self {
            FileJob::Read { path, limit } => FileAnswer::Read(files.read(&path, limit)),
            FileJob::Write { path, bytes, access } => {
                FileAnswer::Written(files.write_atomic(&path, &bytes, access))
            }
        }
    }
}
