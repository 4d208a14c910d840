//! The beginning of a rollout: all that a list of threads shows (engine.md §8.5).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line::{Record, StoredLine, kind_of};
use super::meta::SessionMeta;
use super::read::{HEAD, Line, LineReader};
use super::said::{ItemPeek, preview};
use crate::files::{FileError, Files};

/// Records among which the first message of the user usually is.
const RECORDS: usize = 10;

/// Records after those that are searched for the first message of the user.
const MORE_RECORDS: usize = 200;

/// What the beginning of a rollout tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What the thread is, without its instructions and tools.
    pub meta: SessionMeta,
    /// What the user said first; empty if nothing.
    pub preview: String,
    /// Whether lists show the thread: it begins with what it is, and the user has said something.
    pub is_listed: bool,
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
        Ok(found.head())
    }
}

#[derive(Default)]
struct Search {
    records: usize,
    meta: Option<SessionMeta>,
    /// Something else came before the meta line.
    is_out_of_order: bool,
    /// What the user said, as the model sees it.
    said: Option<String>,
    /// The same as an event tells it.
    told: Option<String>,
}

impl Search {
    fn is_over(&self) -> bool {
        let has_all = self.meta.is_some() && self.told.is_some();
        match self.records {
            ..RECORDS => has_all && self.said.is_some(),
            RECORDS.. => has_all || self.meta.is_none() || self.records >= RECORDS + MORE_RECORDS,
        }
    }

    fn see(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        self.records += 1;
        let record = StoredLine::read(line).map_or(Record::Unknown, |line| line.record);
        match record {
            Record::SessionMeta(payload) if self.meta.is_none() => {
                let meta = serde_json::from_str(payload).ok();
                self.meta = meta.map(|meta| SessionMeta {
                    base_instructions: None,
                    dynamic_tools: None,
                    ..meta
                });
            }
            Record::ResponseItem(item) if self.said.is_none() => {
                let text = ItemPeek::new(item).and_then(|item| item.user_text());
                // A review is told of in the user's name; what was asked for, an event tells.
                self.said = text.filter(|text| !text.starts_with("<user_action>"));
            }
            Record::Event(event) if self.told.is_none() => self.told = user_message(event),
            _ => {}
        }
        let is_known = !matches!(record, Record::Unknown | Record::Note(_));
        self.is_out_of_order |= is_known && self.meta.is_none();
    }

    fn head(self) -> Option<Head> {
        let Self { meta, is_out_of_order, said, told, .. } = self;
        let is_listed = !is_out_of_order && told.is_some();
        // The event stands in where the item lies too far behind, or was made by other means.
        let preview = said.or(told).map(|said| preview(&said)).unwrap_or_default();
        meta.map(|meta| Head { meta, preview, is_listed })
    }
}

/// The text of an event that tells of the user's input; none for other events.
fn user_message(event: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct UserMessage {
        #[serde(default)]
        message: String,
    }
    let is_input = kind_of(event).as_deref() == Some("user_message");
    is_input
        .then(|| serde_json::from_str(event).map_or(String::new(), |it: UserMessage| it.message))
}
