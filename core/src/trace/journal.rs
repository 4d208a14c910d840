//! Owns: a file job whose operations are noted, and one whose operations are answered from notes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::deed::digest;
use crate::files::{
    Access, Disk, Entry, FileAnswer, FileError, FileErrorKind, FileJob, FileLock, Files, IfMissing,
    Keyring, KeyringError, Stat,
};
use crate::secret::Secret;

/// A file job that notes what it does to files.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct Noted(pub(super) Box<FileJob>);

impl Noted {
    /// What the job is about.
    pub(crate) fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// Runs the job; the answer has its notes with it.
    pub(crate) fn run(self, disk: Disk<'_>) -> FileAnswer {
        let journal = Journal { disk, ops: Mutex::default() };
        let answer = self.0.run(Disk { files: &journal, keyring: &journal });
        let ops = journal.ops.into_inner().unwrap_or_else(PoisonError::into_inner);
        FileAnswer::Noted(Box::new(answer), ops)
    }
}

/// One operation of a file job, and its answer.
#[derive(Clone, PartialEq)]
pub struct Op {
    pub(super) asked: Asked,
    pub(super) answer: Answer,
}

impl Op {
    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        let asked = self.asked.path.len() + self.asked.written.as_ref().map_or(0, Vec::len);
        let answer = match &self.answer {
            Answer::Bytes(bytes) => bytes.len(),
            Answer::Entries(entries) => entries.len() * 64,
            Answer::Files(files) => files.len() * 128,
            _ => 0,
        };
        size_of::<Self>() + asked + answer
    }
}

/// It may hold secrets.
impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Op").field("verb", &self.asked.verb).finish_non_exhaustive()
    }
}

/// What a job asks of the files.
#[derive(Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    /// The file, or the place in the keyring.
    pub(super) path: String,
    /// A length, an offset, where to.
    pub(super) detail: String,
    /// What is written.
    pub(super) written: Option<Vec<u8>>,
}

impl Asked {
    /// One line, with a digest of what is written. Two that are the same say the same.
    pub(super) fn shown(&self) -> String {
        let mut line = format!("{} {}", self.verb.name(), self.path);
        if !self.detail.is_empty() {
            line.push_str(&format!(" {}", self.detail));
        }
        if let Some(written) = &self.written {
            line.push_str(&format!(" {} bytes {:08x}", written.len(), digest(written)));
        }
        line
    }
}

/// The operations of [`Files`] and [`Keyring`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Read,
    ReadAt,
    List,
    ListFiles,
    Stat,
    Write,
    Append,
    Rename,
    Remove,
    RealPath,
    Lock,
    KeyringGet,
    KeyringSet,
    KeyringDelete,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Read => "read",
            Verb::ReadAt => "read part of",
            Verb::List => "list",
            Verb::ListFiles => "list files of",
            Verb::Stat => "look at",
            Verb::Write => "write",
            Verb::Append => "append to",
            Verb::Rename => "rename",
            Verb::Remove => "remove",
            Verb::RealPath => "resolve",
            Verb::Lock => "lock",
            Verb::KeyringGet => "keyring get",
            Verb::KeyringSet => "keyring set",
            Verb::KeyringDelete => "keyring delete",
        }
    }
}

/// What the files answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    Bytes(Vec<u8>),
    Entries(Vec<Entry>),
    Files(Vec<(String, Stat)>),
    Stat(Stat),
    Path(PathBuf),
    Secret(Option<Secret>),
    Flag(bool),
    Failed(FileError),
    NoKeyring(Refused),
}

/// Why the keyring did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) text: String,
    pub(super) is_absent: bool,
}

/// Does what it is asked to and notes it.
struct Journal<'a> {
    disk: Disk<'a>,
    ops: Mutex<Vec<Op>>,
}

impl Journal<'_> {
    fn note(&self, asked: Asked, answer: Answer) {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner).push(Op { asked, answer });
    }

    fn noted<T: Clone>(
        &self,
        asked: Asked,
        done: Result<T, FileError>,
        answer: impl FnOnce(T) -> Answer,
    ) -> Result<T, FileError> {
        let noted = match &done {
            Ok(value) => answer(value.clone()),
            Err(error) => Answer::Failed(error.clone()),
        };
        self.note(asked, noted);
        done
    }

    fn kept<T: Clone>(
        &self,
        asked: Asked,
        done: Result<T, KeyringError>,
        answer: impl FnOnce(T) -> Answer,
    ) -> Result<T, KeyringError> {
        let noted = match &done {
            Ok(value) => answer(value.clone()),
            Err(error) => {
                let KeyringError { text, is_absent } = error.clone();
                Answer::NoKeyring(Refused { text, is_absent })
            }
        };
        self.note(asked, noted);
        done
    }
}

fn asked(verb: Verb, path: &Path, detail: impl Into<String>) -> Asked {
    let path = path.to_string_lossy().into_owned();
    Asked { verb, path, detail: detail.into(), written: None }
}

fn asked_keyring(verb: Verb, service: &str, account: &str) -> Asked {
    Asked { verb, path: format!("{service}/{account}"), detail: String::new(), written: None }
}

fn write_of(verb: Verb, path: &Path, bytes: &[u8], detail: &str) -> Asked {
    Asked { written: Some(bytes.to_vec()), ..asked(verb, path, detail) }
}

fn shown_missing(missing: IfMissing) -> &'static str {
    match missing {
        IfMissing::Make => "",
        IfMissing::Fail => "if it is there,",
    }
}

fn shown_access(access: Access) -> &'static str {
    match access {
        Access::Shared => "shared",
        Access::Private => "private",
    }
}

impl Files for Journal<'_> {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        let done = self.disk.files.read(path, limit);
        self.noted(asked(Verb::Read, path, ""), done, Answer::Bytes)
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let done = self.disk.files.read_at(path, offset, len);
        let detail = format!("{len} from {offset}");
        self.noted(asked(Verb::ReadAt, path, detail), done, Answer::Bytes)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        let done = self.disk.files.list(path);
        self.noted(asked(Verb::List, path, ""), done, Answer::Entries)
    }

    fn list_files(&self, path: &Path) -> Result<Vec<(String, Stat)>, FileError> {
        let done = self.disk.files.list_files(path);
        self.noted(asked(Verb::ListFiles, path, ""), done, Answer::Files)
    }

    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        let done = self.disk.files.stat(path);
        self.noted(asked(Verb::Stat, path, ""), done, Answer::Stat)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
        let done = self.disk.files.write_atomic(path, bytes, access);
        let asked = write_of(Verb::Write, path, bytes, shown_access(access));
        self.noted(asked, done, |()| Answer::Done)
    }

    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError> {
        let done = self.disk.files.append(path, bytes, missing);
        let asked = write_of(Verb::Append, path, bytes, shown_missing(missing));
        self.noted(asked, done, |()| Answer::Done)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let done = self.disk.files.rename(from, to);
        self.noted(asked(Verb::Rename, from, to.to_string_lossy()), done, |()| Answer::Done)
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        let done = self.disk.files.remove(path);
        self.noted(asked(Verb::Remove, path, ""), done, |()| Answer::Done)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        let done = self.disk.files.real_path(path);
        self.noted(asked(Verb::RealPath, path, ""), done, Answer::Path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        let done = self.disk.files.lock(path);
        let noted =
            done.as_ref().map_err(Clone::clone).map_or_else(Answer::Failed, |_| Answer::Done);
        self.note(asked(Verb::Lock, path, ""), noted);
        done
    }
}

impl Keyring for Journal<'_> {
    fn get(&self, service: &str, account: &str) -> Result<Option<Secret>, KeyringError> {
        let done = self.disk.keyring.get(service, account);
        self.kept(asked_keyring(Verb::KeyringGet, service, account), done, Answer::Secret)
    }

    fn set(&self, service: &str, account: &str, secret: &Secret) -> Result<(), KeyringError> {
        let done = self.disk.keyring.set(service, account, secret);
        let written = Some(secret.expose().as_bytes().to_vec());
        let asked = Asked { written, ..asked_keyring(Verb::KeyringSet, service, account) };
        self.kept(asked, done, |()| Answer::Done)
    }

    fn delete(&self, service: &str, account: &str) -> Result<bool, KeyringError> {
        let done = self.disk.keyring.delete(service, account);
        self.kept(asked_keyring(Verb::KeyringDelete, service, account), done, Answer::Flag)
    }
}

/// Where a job that is played again asks something else than was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strayed {
    /// The number of the operation in its job.
    pub op: usize,
    /// What was recorded there; none if the job had ended.
    pub recorded: Option<String>,
    /// What is asked now; none if the job has ended.
    pub asked: Option<String>,
}

/// Answers from notes. From the first operation that is another one, all fail.
pub(super) struct Replayed<'a> {
    ops: &'a [(String, Answer)],
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    at: usize,
    strayed: Option<Strayed>,
}

impl<'a> Replayed<'a> {
    pub(super) fn new(ops: &'a [(String, Answer)]) -> Self {
        Self { ops, place: Mutex::default() }
    }

    /// Where the job, which is done, did something else.
    pub(super) fn strayed(self) -> Option<Strayed> {
        let place = self.place.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rest = self.ops.get(place.at).map(|(recorded, _)| Strayed {
            op: place.at,
            recorded: Some(recorded.clone()),
            asked: None,
        });
        place.strayed.or(rest)
    }

    fn next(&self, asked: &Asked) -> Option<Answer> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.strayed.is_some() {
            return None;
        }
        let shown = asked.shown();
        match self.ops.get(place.at) {
            Some((recorded, answer)) if *recorded == shown => {
                place.at += 1;
                Some(answer.clone())
            }
            other => {
                let recorded = other.map(|(recorded, _)| recorded.clone());
                place.strayed = Some(Strayed { op: place.at, recorded, asked: Some(shown) });
                None
            }
        }
    }

    /// The answer, if it is one to such a question.
    fn answer<T>(
        &self,
        asked: &Asked,
        fits: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, FileError> {
        let answer = match self.next(asked) {
            Some(Answer::Failed(error)) => return Err(error),
            other => other.and_then(fits),
        };
        let text = "this is not in the recording".to_owned();
        answer.ok_or(FileError { kind: FileErrorKind::Other, text })
    }

    fn kept<T>(
        &self,
        asked: &Asked,
        fits: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, KeyringError> {
        let answer = match self.next(asked) {
            Some(Answer::NoKeyring(Refused { text, is_absent })) => {
                return Err(KeyringError { text, is_absent });
            }
            other => other.and_then(fits),
        };
        let text = "this is not in the recording".to_owned();
        answer.ok_or(KeyringError { text, is_absent: false })
    }
}

fn done(answer: Answer) -> Option<()> {
    (answer == Answer::Done).then_some(())
}

fn bytes(answer: Answer) -> Option<Vec<u8>> {
    if let Answer::Bytes(bytes) = answer { Some(bytes) } else { None }
}

/// A lock on nothing.
struct Held;
impl FileLock for Held {}

impl Files for Replayed<'_> {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, FileError> {
        self.answer(&asked(Verb::Read, path, ""), bytes)
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        self.answer(&asked(Verb::ReadAt, path, format!("{len} from {offset}")), bytes)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        self.answer(&asked(Verb::List, path, ""), |answer| {
            if let Answer::Entries(entries) = answer { Some(entries) } else { None }
        })
    }

    fn list_files(&self, path: &Path) -> Result<Vec<(String, Stat)>, FileError> {
        self.answer(&asked(Verb::ListFiles, path, ""), |answer| {
            if let Answer::Files(files) = answer { Some(files) } else { None }
        })
    }

    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        self.answer(&asked(Verb::Stat, path, ""), |answer| {
            if let Answer::Stat(stat) = answer { Some(stat) } else { None }
        })
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
        self.answer(&write_of(Verb::Write, path, bytes, shown_access(access)), done)
    }

    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError> {
        self.answer(&write_of(Verb::Append, path, bytes, shown_missing(missing)), done)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.answer(&asked(Verb::Rename, from, to.to_string_lossy()), done)
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.answer(&asked(Verb::Remove, path, ""), done)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        self.answer(&asked(Verb::RealPath, path, ""), |answer| {
            if let Answer::Path(path) = answer { Some(path) } else { None }
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        self.answer(&asked(Verb::Lock, path, ""), done)?;
        Ok(Box::new(Held))
    }
}

impl Keyring for Replayed<'_> {
    fn get(&self, service: &str, account: &str) -> Result<Option<Secret>, KeyringError> {
        self.kept(&asked_keyring(Verb::KeyringGet, service, account), |answer| {
            if let Answer::Secret(secret) = answer { Some(secret) } else { None }
        })
    }

    fn set(&self, service: &str, account: &str, secret: &Secret) -> Result<(), KeyringError> {
        let written = Some(secret.expose().as_bytes().to_vec());
        let asked = Asked { written, ..asked_keyring(Verb::KeyringSet, service, account) };
        self.kept(&asked, done)
    }

    fn delete(&self, service: &str, account: &str) -> Result<bool, KeyringError> {
        self.kept(&asked_keyring(Verb::KeyringDelete, service, account), |answer| {
            if let Answer::Flag(flag) = answer { Some(flag) } else { None }
        })
    }
}
