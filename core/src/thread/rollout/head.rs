//! The beginning of a rollout: all that a list of threads shows (engine.md §8.5).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line::{Record, StoredLine, kind_of};
use super::meta::SessionMeta;
use super::read::{HEAD, Line, LineReader};
use super::said::{ItemPeek, preview};
use crate::files::{FileError, Files};

/// Records among which the meta line has to be, and usually the first message of the user.
const RECORDS: usize = 10;

/// Records after those that are searched for the first message of the user.
const MORE_RECORDS: usize = 200;

/// What the beginning of a rollout tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What the thread is, without its instructions.
    pub meta: SessionMeta,
    /// What the user said first; empty if that cannot be told.
    pub preview: String,
    /// Whether the user has said something, without which no list shows the thread.
    pub has_user_message: bool,
}

impl Head {
    /// Reads the beginning of a file; none if it is not that of a rollout.
    pub fn read(files: &dyn Files, path: &Path) -> Result<Option<Self>, FileError> {
        let mut lines = LineReader::new(files, path, HEAD);
        let mut found = Search::default();
        while !found.is_over() {
            match lines.next_line()? {
                Some(Line::Whole(line) | Line::Rest(line)) => found.see(line),
                Some(Line::TooLong) => found.records += 1,
                None => break,
            }
        }
        let Search { meta, preview, has_user_message, .. } = found;
        Ok(meta.map(|meta| Self { meta, preview: preview.unwrap_or_default(), has_user_message }))
    }
}

#[derive(Default)]
struct Search {
    records: usize,
    meta: Option<SessionMeta>,
    preview: Option<String>,
    has_user_message: bool,
}

impl Search {
    fn is_over(&self) -> bool {
        let is_whole = self.meta.is_some() && self.has_user_message;
        match self.records {
            ..RECORDS => is_whole && self.preview.is_some(),
            RECORDS.. => is_whole || self.meta.is_none() || self.records >= RECORDS + MORE_RECORDS,
        }
    }

    fn see(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        self.records += 1;
        match StoredLine::read(line).map(|line| line.record) {
            Some(Record::SessionMeta(payload)) if self.meta.is_none() => {
                self.meta = serde_json::from_str(payload)
                    .ok()
                    .map(|meta| SessionMeta { base_instructions: None, ..meta });
            }
            Some(Record::ResponseItem(item)) if self.preview.is_none() => {
                let said = ItemPeek::new(item).and_then(|item| item.user_text());
                self.preview = said.map(|said| preview(&said));
            }
            Some(Record::Event(event)) => {
                self.has_user_message |= kind_of(event).as_deref() == Some("user_message");
            }
            _ => {}
        }
    }
}
