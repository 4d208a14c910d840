//! The jobs that core asks for, and what they answer.

use std::path::PathBuf;

use super::{Access, FileError, Files};
use crate::auth::StoreJob;
use crate::machine::{StartupFound, StartupJob};
use crate::thread::{ThreadSetting, ThreadSettingJob};

/// One job on files. Data: made by core, run by a backend with [`FileJob::run`].
#[derive(Debug)]
pub enum FileJob {
    /// Reads what the machine starts with.
    Startup(Box<StartupJob>),
    /// Saves or deletes stored credentials.
    Credentials(StoreJob),
    /// Reads what a thread needs to know.
    ThreadSetting(Box<ThreadSettingJob>),
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
    /// Answer to [`FileJob::Startup`].
    Startup(Box<StartupFound>),
    /// Answer to [`FileJob::ThreadSetting`].
    ThreadSetting(Box<ThreadSetting>),
    /// Answer to [`FileJob::Credentials`] and [`FileJob::Write`].
    Written(Result<(), FileError>),
}

impl FileJob {
    /// Does the work. May block; never panics on what the files hold.
    pub fn run(self, files: &dyn Files) -> FileAnswer {
        match self {
            FileJob::Startup(job) => FileAnswer::Startup(Box::new(job.run(files))),
            FileJob::Credentials(job) => FileAnswer::Written(job.run(files)),
            FileJob::ThreadSetting(job) => FileAnswer::ThreadSetting(Box::new(job.run(files))),
            FileJob::Write { path, bytes, access } => {
                FileAnswer::Written(files.write_atomic(&path, &bytes, access))
            }
        }
    }
}
