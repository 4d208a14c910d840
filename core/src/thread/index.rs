//! What lists of threads need to know of each file, remembered between lists.
//!
//! Only a cache: an entry counts while the file's length and time of change are those it was made
//! with, so that deleting the index, or changing files behind its back, never changes an answer.
//! One file a folder of threads, so that a page reads the part of the index that it shows. A file
//! is a list of lines that is appended to; a line that is torn or not understood is no entry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memchr::memchr_iter;

use super::rollout::head::Head;
use crate::files::{Access, FileError, Files, IfMissing, Stat};
use crate::limits::THREAD_INDEX_BYTES_MAX;

/// First line of each file. Changes whenever entries of before mean something else.
const HEADER: &str = "understudy threads 1";

/// Lines above which it is worth asking whether most of them were overtaken by later ones.
const LINES_WORTH_TIDYING: usize = 512;

/// The index while a list is made.
pub struct ThreadIndex<'f> {
    files: &'f dyn Files,
    folder: PathBuf,
    parts: BTreeMap<String, Part>,
}

impl<'f> ThreadIndex<'f> {
    /// The index of the threads below the state folder `home`.
    pub fn new(files: &'f dyn Files, home: &Path) -> Self {
        Self { files, folder: home.join(".understudy").join("threads"), parts: BTreeMap::new() }
    }

    /// The beginning of the file at `path`, whose facts are `stat`; `part` names its folder. None
    /// if the file is no rollout.
    pub fn head(&mut self, part: &str, path: &Path, stat: Stat) -> Result<Option<Head>, FileError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !self.parts.contains_key(part) {
            let loaded = Part::load(self.files, &self.file(part));
            self.parts.insert(part.to_owned(), loaded);
        }
        let known = self.parts.get(part).and_then(|part| part.find(name, stat));
        if let Some(known) = known {
            return Ok(known);
        }
        let head = Head::read(self.files, path)?;
        if let Some(part) = self.parts.get_mut(part) {
            part.learn(name, stat, head.as_ref());
        }
        Ok(head)
    }

    /// Writes down what was learnt. That this can fail changes nothing but the next list's time.
    pub fn save(&mut self) {
        for (name, part) in &mut self.parts {
            let file = self.folder.join(name);
            if let Err(error) = part.save(self.files, &file) {
                tracing::debug!(%error, "the index of threads was not written");
            }
        }
    }

    fn file(&self, part: &str) -> PathBuf {
        self.folder.join(part)
    }
}

/// One file of the index.
#[derive(Default)]
struct Part {
    /// The file as it was read; empty if it is to be begun anew.
    text: String,
    /// Its lines as ranges of `text`, sorted by file name; of two the later line is last.
    rows: Vec<(u32, u32)>,
    /// Lines to append.
    fresh: String,
    /// There is no such file.
    is_missing: bool,
}

impl Part {
    fn load(files: &dyn Files, path: &Path) -> Self {
        let bytes = match files.read(path, THREAD_INDEX_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return Self { is_missing: error.is_not_found(), ..Self::default() },
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        if text.lines().next() != Some(HEADER) {
            return Self::default();
        }
        let mut rows = Vec::new();
        let mut start = 0;
        for end in memchr_iter(b'\n', text.as_bytes()) {
            if let (Ok(from), Ok(to)) = (u32::try_from(start), u32::try_from(end)) {
                rows.push((from, to));
            }
            start = end + 1;
        }
        // Stable, so that of two entries for one file the later stays last.
        rows.sort_by(|a, b| name_of(line(&text, *a)).cmp(name_of(line(&text, *b))));
        Self { text, rows, ..Self::default() }
    }

    /// The entry for a file, if it was made from the file as it is.
    fn find(&self, name: &str, stat: Stat) -> Option<Option<Head>> {
        let after = self.rows.partition_point(|row| name_of(line(&self.text, *row)) <= name);
        let row = self.rows.get(after.checked_sub(1)?)?;
        let rest = line(&self.text, *row).strip_prefix(name)?.strip_prefix('\t')?;
        let (len, rest) = rest.split_once('\t')?;
        let (modified_ns, head) = rest.split_once('\t')?;
        if len.parse() != Ok(stat.len) || modified_ns.parse() != Ok(stat.modified_ns) {
            return None;
        }
        serde_json::from_str(head).ok()
    }

    fn learn(&mut self, name: &str, stat: Stat, head: Option<&Head>) {
        let Ok(head) = serde_json::to_string(&head) else { return };
        let Stat { len, modified_ns, .. } = stat;
        self.fresh.push_str(&format!("{name}\t{len}\t{modified_ns}\t{head}\n"));
    }

    fn save(&mut self, files: &dyn Files, path: &Path) -> Result<(), FileError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        let missing = if self.is_missing { IfMissing::Make } else { IfMissing::Fail };
        if self.is_missing {
            // Not worth the wait of an atomic write. Two processes that do this at once leave the
            // header twice, and the second one names no file.
            fresh.insert_str(0, &format!("{HEADER}\n"));
        } else if self.text.is_empty() || self.is_mostly_overtaken() {
            return files.write_atomic(path, self.tidied(&fresh).as_bytes(), Access::Shared);
        } else if !self.text.ends_with('\n') {
            fresh.insert(0, '\n');
        }
        files.append(path, fresh.as_bytes(), missing)
    }

    fn is_mostly_overtaken(&self) -> bool {
        if self.rows.len() < LINES_WORTH_TIDYING {
            return false;
        }
        self.latest().count() * 2 < self.rows.len()
    }

    /// The last line for each file.
    fn latest(&self) -> impl Iterator<Item = &str> {
        let lines = self.rows.iter().map(|row| line(&self.text, *row));
        let next = lines.clone().skip(1).map(name_of).chain([""]);
        lines.zip(next).filter(|(line, next)| name_of(line) != *next).map(|(line, _)| line)
    }

    fn tidied(&self, fresh: &str) -> String {
        let mut text = format!("{HEADER}\n");
        for line in self.latest().filter(|line| line.contains('\t')) {
            text.push_str(line);
            text.push('\n');
        }
        text + fresh
    }
}

fn line(text: &str, (from, to): (u32, u32)) -> &str {
    text.get(from as usize..to as usize).unwrap_or_default()
}

fn name_of(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}
