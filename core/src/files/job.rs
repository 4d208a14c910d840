//! The jobs that core asks for, and what they answer.

use std::path::PathBuf;

use super::{Access, Disk, FileError};
use crate::auth::{StoreAnswer, StoreJob};
use crate::machine::{ConfigFound, ConfigJob, StartupFound, StartupJob};
use crate::prompts::{PromptTexts, PromptsRead};
use crate::rules::{AmendFailure, Amendment};
use crate::skills::{SkillTexts, SkillsRead};
use crate::thread::open::{ForkJob, ThreadSetting, ThreadSettingJob};
use crate::thread::question::{Answer as ThreadAnswer, Question as ThreadQuestion};
use crate::thread::recorder::AppendJob;
use crate::tools::{
    CheckedPatch, CommittedPatch, ImageJob, ImagesRead, LookJob, PatchCheck, PatchCommit,
};
use crate::trace::{Noted, Op};

/// One job on files. Data: made by core, run by a backend with [`FileJob::run`].
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub enum FileJob {
    /// Reads what the machine starts with.
    Startup(Box<StartupJob>),
    /// Saves or deletes stored credentials.
    Credentials(StoreJob),
    /// Reads what a thread needs to know.
    ThreadSetting(Box<ThreadSettingJob>),
    /// Answers a question about stored threads.
    Thread(Box<ThreadQuestion>),
    /// Copies what a thread is forked from.
    Fork(ForkJob),
    /// Appends to a thread's file.
    Append(AppendJob),
    /// Works out what a patch would do.
    CheckPatch(Box<PatchCheck>),
    /// Carries a patch out.
    CommitPatch(Box<PatchCommit>),
    /// Adds to the user's rules.
    Amend(Amendment),
    /// Reads pictures for a model.
    Images(ImageJob),
    /// Looks at a file or a folder for a model.
    Look(LookJob),
    /// Replaces one file.
    Write {
        /// The file.
        path: PathBuf,
        /// Its new content.
        bytes: Vec<u8>,
        /// Who may read it.
        access: Access,
    },
    /// Reads the configuration for a client, or changes it.
    Config(Box<ConfigJob>),
    /// Reads skills that the user named.
    Skills(SkillsRead),
    /// Reads prompts that the user called.
    Prompts(PromptsRead),
    /// Another job, which notes what it does for a recording.
    Noted(Noted),
}

/// What a [`FileJob`] found.
#[derive(Debug)]
pub enum FileAnswer {
    /// Answer to [`FileJob::Startup`].
    Startup(Box<StartupFound>),
    /// Answer to [`FileJob::ThreadSetting`].
    ThreadSetting(Box<ThreadSetting>),
    /// Answer to [`FileJob::Credentials`].
    Credentials(StoreAnswer),
    /// Answer to [`FileJob::Thread`].
    Thread(Box<ThreadAnswer>),
    /// Answer to [`FileJob::CheckPatch`].
    PatchChecked(Box<CheckedPatch>),
    /// Answer to [`FileJob::CommitPatch`].
    PatchCommitted(Box<CommittedPatch>),
    /// Answer to [`FileJob::Amend`].
    Amended(Result<(), AmendFailure>),
    /// Answer to [`FileJob::Write`], [`FileJob::Append`] and [`FileJob::Fork`].
    Written(Result<(), FileError>),
    /// Answer to [`FileJob::Images`].
    Images(ImagesRead),
    /// Answer to [`FileJob::Look`]: what the model is told.
    Looked(String),
    /// Answer to [`FileJob::Config`].
    Config(Box<ConfigFound>),
    /// Answer to [`FileJob::Skills`].
    Skills(SkillTexts),
    /// Answer to [`FileJob::Prompts`].
    Prompts(PromptTexts),
    /// Answer to [`FileJob::Noted`]: the other job's, and what it did to files.
    Noted(Box<FileAnswer>, Vec<Op>),
}

impl FileJob {
    /// Does the work. May block; never panics on what the files hold.
    pub fn run(self, disk: Disk<'_>) -> FileAnswer {
        let files = disk.files;
        match self {
            FileJob::Startup(job) => FileAnswer::Startup(Box::new(job.run(disk))),
            FileJob::Credentials(job) => FileAnswer::Credentials(job.run(disk)),
            FileJob::ThreadSetting(job) => FileAnswer::ThreadSetting(Box::new(job.run(files))),
            FileJob::Thread(question) => FileAnswer::Thread(Box::new(question.run(files))),
            FileJob::Fork(job) => FileAnswer::Written(job.run(files)),
            FileJob::Append(job) => FileAnswer::Written(job.run(files)),
            FileJob::CheckPatch(job) => FileAnswer::PatchChecked(Box::new(job.run(files))),
            FileJob::CommitPatch(job) => FileAnswer::PatchCommitted(Box::new(job.run(files))),
            FileJob::Amend(amendment) => FileAnswer::Amended(amendment.run(files)),
            FileJob::Images(job) => FileAnswer::Images(job.run(files)),
            FileJob::Look(job) => FileAnswer::Looked(job.run(files)),
            FileJob::Write { path, bytes, access } => {
                FileAnswer::Written(files.write_atomic(&path, &bytes, access))
            }
            FileJob::Config(job) => FileAnswer::Config(Box::new(job.run(files))),
            FileJob::Skills(job) => FileAnswer::Skills(job.run(files)),
            FileJob::Prompts(job) => FileAnswer::Prompts(job.run(files)),
            FileJob::Noted(job) => job.run(disk),
        }
    }

    /// What it is about, in a few words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            FileJob::Startup(_) => "what the server starts with",
            FileJob::Credentials(_) => "stored credentials",
            FileJob::ThreadSetting(_) => "what a thread needs to know",
            FileJob::Thread(_) => "stored threads",
            FileJob::Fork(_) => "copy a thread",
            FileJob::Append(_) => "append to a thread",
            FileJob::CheckPatch(_) => "check a patch",
            FileJob::CommitPatch(_) => "carry out a patch",
            FileJob::Amend(_) => "add to the rules",
            FileJob::Images(_) => "pictures",
            FileJob::Look(_) => "look for a model",
            FileJob::Write { .. } => "replace a file",
            FileJob::Config(_) => "configuration",
            FileJob::Skills(_) => "skills",
            FileJob::Prompts(_) => "prompts",
            FileJob::Noted(job) => job.kind(),
        }
    }
}
