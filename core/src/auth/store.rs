//! Work on the stored record: a file job, so that it runs where it may block.

use std::path::{Path, PathBuf};

use super::credential::Credential;
use super::record;
use crate::files::{Access, FileError, Files};
use crate::limits;
use crate::secret::Secret;

/// Where credentials are kept between runs (auth.md §4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// `auth.json` in the home folder.
    #[default]
    File,
    /// In memory only.
    Ephemeral,
}

/// One job on the store.
#[derive(Debug)]
pub struct StoreJob {
    pub(crate) path: PathBuf,
    pub(crate) work: StoreWork,
}

/// What to do with the record.
#[derive(Debug)]
pub(crate) enum StoreWork {
    SaveApiKey(Secret),
    Delete,
}

impl StoreJob {
    pub(crate) fn run(self, files: &dyn Files) -> Result<(), FileError> {
        let _lock = files.lock(&self.path)?;
        match self.work {
            StoreWork::SaveApiKey(key) => {
                let old = read(files, &self.path)?;
                let bytes = record::encode_api_key(&key, old.as_deref());
                files.write_atomic(&self.path, &bytes, Access::Private)
            }
            StoreWork::Delete => match files.remove(&self.path) {
                Err(err) if err.is_not_found() => Ok(()),
                done => done,
            },
        }
    }
}

fn read(files: &dyn Files, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match files.read(path, limits::SMALL_FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(err) if err.is_not_found() => Ok(None),
        Err(err) => Err(err),
    }
}

/// Reads the stored credential. A record that cannot be read is an error with a text for a person,
/// never "nobody is signed in" (auth.md §13.1 I41).
pub(crate) fn load(files: &dyn Files, path: &Path) -> Result<Credential, String> {
    match read(files, path) {
        Ok(None) => Ok(Credential::None),
        Ok(Some(bytes)) => record::decode(&bytes),
        Err(err) => Err(err.text),
    }
}
