//! What may go wrong with the disk while a file job runs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use understudy_core::files::{
    Access, Disk, Entry, FileError, FileErrorKind, FileLock, Files, IfMissing, MemoryFiles,
    NoKeyring, Stat,
};
use understudy_core::{Input, Outcome};

use super::fact::Fact;
use super::{Fault, FileCall, World};

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// There is no room for anything more.
    Full,
    /// The first write stops after so many bytes, and nothing can be written after that.
    Torn(usize),
    /// The runtime loses the job before it has done anything.
    Lost,
}

/// Files with a harm.
struct Harmed<'a> {
    files: &'a MemoryFiles,
    harm: Harm,
    is_broken: AtomicBool,
}

impl Harmed<'_> {
    fn may_write(&self) -> Result<(), FileError> {
        match self.harm {
            Harm::None | Harm::Lost => Ok(()),
            Harm::Full | Harm::Torn(_) => Err(FileError {
                kind: FileErrorKind::Other,
                text: "No space left on device (os error 28)".to_owned(),
            }),
        }
    }
}

impl Files for Harmed<'_> {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        self.files.read(path, limit)
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        self.files.read_at(path, offset, len)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        self.files.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        self.files.stat(path)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
        self.may_write()?;
        self.files.write_atomic(path, bytes, access)
    }

    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError> {
        if let Harm::Torn(at) = self.harm
            && !self.is_broken.swap(true, Ordering::Relaxed)
        {
            // The last line is cut somewhere, or the whole append has gone in and nobody knows.
            let (torn, _) = bytes.split_at(at % (bytes.len() + 1));
            self.files.append(path, torn, missing)?;
        }
        self.may_write()?;
        self.files.append(path, bytes, missing)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.may_write()?;
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.files.remove(path)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        self.files.real_path(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        self.files.lock(path)
    }
}

impl World {
    /// Runs the file job that was started first, while the disk has this harm. Jobs run in order,
    /// and also when nobody waits for them any more (`lane` of the runtimes).
    pub fn run_next_job(&mut self, harm: Harm) {
        if self.exit.is_some() || self.jobs.is_empty() {
            return;
        }
        let FileCall { call, job, kind, is_dropped } = self.jobs.remove(0);
        let files = Harmed { files: &self.files, harm, is_broken: AtomicBool::new(false) };
        let outcome = match harm {
            Harm::Lost => Outcome::Lost,
            Harm::None | Harm::Full | Harm::Torn(_) => {
                let disk = Disk { files: &files, keyring: &NoKeyring };
                Outcome::Files(Box::new(job.run(disk)))
            }
        };
        let fault = if harm == Harm::None { Fault::None } else { Fault::Lost };
        self.facts.push(Fact::Filed(call, kind, fault, harm == Harm::None));
        if !is_dropped {
            self.input(Input::Done(call, outcome));
        }
    }
}

impl World {
    /// The process dies while the next job runs, or before it with no harm: whatever the job has
    /// done by then stays, and nobody is told.
    pub fn die(&mut self, harm: Harm) {
        if self.exit.is_some() || self.jobs.is_empty() || harm == Harm::None {
            return;
        }
        let FileCall { job, .. } = self.jobs.remove(0);
        let files = Harmed { files: &self.files, harm, is_broken: AtomicBool::new(false) };
        let _nobody = job.run(Disk { files: &files, keyring: &NoKeyring });
    }
}
