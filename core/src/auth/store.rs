//! The places where credentials are kept between runs, and the work on them: file jobs, so that
//! they run where they may block (auth.md §4.4–4.7).
//!
//! Invariants: a record is never written into one of another account or mode; removing removes from
//! every place, and what could not be removed is reported.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::credential::{Credential, Managed};
use super::record::{self, NewRecord};
use crate::files::{Access, Disk, FileLock, Files, KeyringError};
use crate::limits;
use crate::secret::Secret;

/// Where credentials are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// `auth.json` in the home folder.
    #[default]
    File,
    /// The operating system's keyring.
    Keyring,
    /// The keyring if it works, else the file.
    Auto,
    /// In memory only.
    Ephemeral,
}

/// The name under which all of them stand in a keyring.
const SERVICE: &str = "Codex Auth";

/// One job on the store.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct StoreJob {
    pub(super) place: Place,
    pub(super) work: StoreWork,
}

/// A store and where it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) kind: StoreKind,
    /// `auth.json`.
    pub(crate) path: PathBuf,
}

/// What to do with the record.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum StoreWork {
    Save(Box<NewRecord>),
    /// Puts refreshed tokens into the record they belong to, and only there (auth.md §12 G6, G7).
    SaveRefreshed {
        origin: Box<Managed>,
        fresh: Box<Managed>,
    },
    Load,
    Delete,
}

/// What came of a [`StoreJob`].
#[derive(Debug)]
pub struct StoreAnswer(pub(super) StoreDone);

#[cfg(feature = "sim")]
impl StoreAnswer {
    /// Whether the store did it, for simulators that follow what a machine may believe.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            StoreDone::Saved(done) | StoreDone::Deleted(done) => done.is_ok(),
            StoreDone::Refreshed(done) => done.is_ok(),
            StoreDone::Loaded(found) => found.is_ok(),
        }
    }
}

/// What came of a [`StoreWork`]. Errors are texts for a person, without secrets.
#[derive(Debug)]
pub(super) enum StoreDone {
    Saved(Result<(), String>),
    Refreshed(Result<(), SaveError>),
    Loaded(Result<Credential, String>),
    /// What could not be removed, if anything.
    Deleted(Result<(), String>),
}

/// Why refreshed tokens were not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SaveError {
    /// The record is another account's by now, or gone.
    NotTheirs,
    /// The store failed.
    Store(String),
}

impl StoreJob {
    pub(crate) fn run(self, disk: Disk<'_>) -> StoreAnswer {
        let place = &self.place;
        StoreAnswer(match self.work {
            StoreWork::Save(record) => StoreDone::Saved(place.save(disk, &record)),
            StoreWork::SaveRefreshed { origin, fresh } => {
                StoreDone::Refreshed(place.save_refreshed(disk, &origin, *fresh))
            }
            StoreWork::Load => StoreDone::Loaded(place.load(disk)),
            StoreWork::Delete => StoreDone::Deleted(place.delete(disk)),
        })
    }
}

impl Place {
    /// Reads the stored credential. A record that cannot be read is an error with a text for a
    /// person, never "nobody is signed in" (auth.md §13.1 I41).
    pub(crate) fn load(&self, disk: Disk<'_>) -> Result<Credential, String> {
        let found = self.read(disk)?;
        found.map_or(Ok(Credential::None), |bytes| record::decode(bytes.expose().as_bytes()))
    }

    /// The record's text, wherever it is.
    fn read(&self, disk: Disk<'_>) -> Result<Option<Secret>, String> {
        match self.kind {
            StoreKind::Ephemeral => Ok(None),
            StoreKind::File => self.read_file(disk.files),
            StoreKind::Keyring => self.read_keyring(disk),
            StoreKind::Auto => self.read_either(disk),
        }
    }

    fn read_either(&self, disk: Disk<'_>) -> Result<Option<Secret>, String> {
        let error = match disk.keyring.get(SERVICE, &self.account(disk.files)) {
            Ok(Some(text)) => return Ok(Some(text)),
            Ok(None) => return self.read_file(disk.files),
            Err(error) => error,
        };
        tracing::warn!(%error, "the keyring cannot be read; the file is used");
        match self.read_file(disk.files)? {
            // The record may be in the keyring all the same (auth.md §13.1 I41).
            None if !error.is_absent => Err(unread(&error)),
            found => Ok(found),
        }
    }

    fn read_file(&self, files: &dyn Files) -> Result<Option<Secret>, String> {
        match files.read(&self.path, limits::SMALL_FILE_BYTES_MAX) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(Secret::new(text))),
                Err(_) => Err("it is not valid UTF-8".to_owned()),
            },
            Err(err) if err.is_not_found() => Ok(None),
            Err(err) => Err(err.text),
        }
    }

    fn read_keyring(&self, disk: Disk<'_>) -> Result<Option<Secret>, String> {
        disk.keyring.get(SERVICE, &self.account(disk.files)).map_err(|err| unread(&err))
    }

    /// Held around whatever changes the record, wherever it is kept: what was looked at before a
    /// write must still be so when it is written (auth.md §13.1 I7).
    fn lock(&self, files: &dyn Files) -> Result<Box<dyn FileLock>, String> {
        files.lock(&self.path).map_err(|err| err.text)
    }

    fn save(&self, disk: Disk<'_>, record: &NewRecord) -> Result<(), String> {
        if self.kind == StoreKind::Ephemeral {
            return Ok(());
        }
        let _lock = self.lock(disk.files)?;
        self.write(disk, record)
    }

    /// Writes under the lock that the caller holds.
    fn write(&self, disk: Disk<'_>, record: &NewRecord) -> Result<(), String> {
        match self.kind {
            StoreKind::Ephemeral => Ok(()),
            StoreKind::File => self.save_file(disk.files, record),
            StoreKind::Keyring => {
                self.save_keyring(disk, record)?;
                self.forget_file(disk.files)
            }
            StoreKind::Auto => match self.save_keyring(disk, record) {
                Ok(()) => self.forget_file(disk.files),
                Err(error) => {
                    tracing::warn!(%error, "the keyring cannot be written; the file is used");
                    self.save_file(disk.files, record)
                }
            },
        }
    }

    fn save_file(&self, files: &dyn Files, record: &NewRecord) -> Result<(), String> {
        let old = self.read_file(files).ok().flatten();
        let bytes = record.encode(old.as_ref().map(|text| text.expose().as_bytes()));
        files.write_atomic(&self.path, &bytes, Access::Private).map_err(|err| err.text)
    }

    fn save_keyring(&self, disk: Disk<'_>, record: &NewRecord) -> Result<(), String> {
        let old = self.read_keyring(disk).ok().flatten();
        let bytes = record.encode(old.as_ref().map(|text| text.expose().as_bytes()));
        let text = compact(&bytes);
        disk.keyring
            .set(SERVICE, &self.account(disk.files), &text)
            .map_err(|err| format!("failed to write OAuth tokens to keyring: {err}"))
    }

    /// A file left beside the keyring would come back to life when the store is changed.
    fn forget_file(&self, files: &dyn Files) -> Result<(), String> {
        match files.remove(&self.path) {
            Err(err) if !err.is_not_found() => {
                tracing::warn!(error = %err, "the credential file beside the keyring stays");
                Ok(())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn save_refreshed(
        &self,
        disk: Disk<'_>,
        origin: &Managed,
        fresh: Managed,
    ) -> Result<(), SaveError> {
        if self.kind == StoreKind::Ephemeral {
            return Ok(());
        }
        let _lock = self.lock(disk.files).map_err(SaveError::Store)?;
        let found = self.read(disk).map_err(SaveError::Store)?;
        let text = found.ok_or(SaveError::NotTheirs)?;
        let stored = record::decode(text.expose().as_bytes()).map_err(SaveError::Store)?;
        match stored {
            Credential::Managed(stored) if stored.account_id == origin.account_id => {}
            _ => return Err(SaveError::NotTheirs),
        }
        let key = record::stored_key(text.expose().as_bytes());
        self.write(disk, &NewRecord::Managed(fresh, key)).map_err(SaveError::Store)
    }

    /// Removes credentials from every place they may be (auth.md §12 G14). A keyring is asked only
    /// where it is the configured store: elsewhere it would make a person unlock it for nothing.
    fn delete(&self, disk: Disk<'_>) -> Result<(), String> {
        // Without the lock a refresh might put the record back; it must go all the same.
        let lock = self.lock(disk.files);
        if let Err(error) = &lock {
            tracing::warn!(%error, "removing credentials without their lock");
        }
        let mut left = Vec::new();
        match disk.files.remove(&self.path) {
            Err(err) if !err.is_not_found() => left.push(err.text),
            Ok(()) | Err(_) => {}
        }
        let in_keyring = matches!(self.kind, StoreKind::Keyring | StoreKind::Auto);
        if in_keyring && let Err(err) = disk.keyring.delete(SERVICE, &self.account(disk.files)) {
            // With `auto`, a machine without a keyring never had anything in it.
            if self.kind == StoreKind::Keyring || !err.is_absent {
                left.push(format!("failed to delete auth from keyring: {err}"));
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
    }

    /// The name of the entry (auth.md §4.5).
    fn account(&self, files: &dyn Files) -> String {
        let home = self.path.parent().unwrap_or(Path::new(""));
        let home = files.real_path(home).unwrap_or_else(|_| home.to_owned());
        let digest = Sha256::digest(home.to_string_lossy().as_bytes());
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("cli|{hex}")
    }
}

fn unread(error: &KeyringError) -> String {
    format!("failed to load CLI auth from keyring: {error}")
}

/// The record on one line, as it stands in a keyring.
fn compact(bytes: &[u8]) -> Secret {
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) => Secret::new(value.to_string()),
        Err(_) => Secret::new(String::from_utf8_lossy(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard};

    use super::{Place, SERVICE, StoreKind};
    use crate::auth::credential::{Credential, Managed};
    use crate::auth::id_token::{Claims, unsigned_jwt};
    use crate::auth::record::{self, NewRecord};
    use crate::files::{Disk, FileOp, Files, Keyring, KeyringError, MemoryFiles, NoKeyring};
    use crate::secret::Secret;

    const PATH: &str = "/h/auth.json";

    fn place(kind: StoreKind) -> Place {
        Place { kind, path: PATH.into() }
    }

    fn login(refresh: &str) -> Managed {
        let id_token = unsigned_jwt("{}");
        Managed {
            claims: Claims::parse(&id_token).expect("claims"),
            id_token: Secret::new(id_token),
            access: Secret::new("a"),
            refresh: Secret::new(refresh),
            account_id: Some("org-1".to_owned()),
            last_refresh: None,
            outdated: None,
        }
    }

    fn stored() -> String {
        String::from_utf8(NewRecord::Managed(login("old"), None).encode(None)).expect("text")
    }

    /// A keyring that counts how often somebody else could have written between two of its calls.
    struct Watched<'a> {
        files: &'a MemoryFiles,
        kept: Mutex<Option<Secret>>,
        gaps: AtomicUsize,
    }

    impl Watched<'_> {
        fn kept(&self) -> MutexGuard<'_, Option<Secret>> {
            if self.files.lock(Path::new(PATH)).is_ok() {
                self.gaps.fetch_add(1, Ordering::Relaxed);
            }
            self.kept.lock().expect("no test panics in it")
        }
    }

    impl Keyring for Watched<'_> {
        fn get(&self, _: &str, _: &str) -> Result<Option<Secret>, KeyringError> {
            Ok(self.kept().clone())
        }

        fn set(&self, _: &str, _: &str, secret: &Secret) -> Result<(), KeyringError> {
            *self.kept() = Some(secret.clone());
            Ok(())
        }

        fn delete(&self, _: &str, _: &str) -> Result<bool, KeyringError> {
            Ok(self.kept().take().is_some())
        }
    }

    fn refresh_token(text: &[u8]) -> String {
        match record::decode(text) {
            Ok(Credential::Managed(found)) => found.refresh.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Nobody comes between the look at a record and the write over it (auth.md §13.1 I7).
    #[test]
    fn a_keyring_is_read_and_written_under_one_lock() {
        for kind in [StoreKind::Keyring, StoreKind::Auto] {
            let files = MemoryFiles::new();
            let kept = Mutex::new(Some(Secret::new(stored())));
            let keyring = Watched { files: &files, kept, gaps: AtomicUsize::new(0) };
            let disk = Disk { files: &files, keyring: &keyring };
            assert_eq!(place(kind).save_refreshed(disk, &login("old"), login("new")), Ok(()));
            assert_eq!(place(kind).delete(disk), Ok(()));
            assert_eq!(place(kind).save(disk, &NewRecord::ApiKey(Secret::new("k"))), Ok(()));
            assert_eq!(keyring.gaps.load(Ordering::Relaxed), 0, "{kind:?}");
            let key = keyring.get(SERVICE, "").expect("reads").expect("is kept");
            assert!(key.expose().contains("apikey"), "{kind:?}");
            assert_eq!(keyring.gaps.load(Ordering::Relaxed), 1, "the lock is free again");
        }
    }

    /// The same for a file: one lock, taken before anything is read.
    #[test]
    fn a_file_is_read_and_written_under_one_lock() {
        let files = MemoryFiles::new().with(PATH, stored());
        let ops = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ops);
        files.inject(move |op, _| {
            seen.lock().expect("no test panics in it").push(op);
            None
        });
        let disk = Disk { files: &files, keyring: &NoKeyring };
        let place = place(StoreKind::File);
        assert_eq!(place.save_refreshed(disk, &login("old"), login("new")), Ok(()));
        let want = [FileOp::Lock, FileOp::Read, FileOp::Read, FileOp::Write];
        assert_eq!(*ops.lock().expect("no test panics in it"), want);
        assert_eq!(refresh_token(&files.content(PATH).expect("is there")), "new");
    }
}
