//! A stored thread, read back: what the model will see, and what clients are shown (engine.md §8.6).

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::history::HistoryBuilder;
use super::line::{Compacted, Record, StoredLine, StoredNote, kind_of};
use super::meta::SessionMeta;
use super::read::{Line, LineReader, WHOLE};
use super::turns::TurnsBuilder;
use crate::files::{FileError, Files};
use crate::thread::stored::StoredThread;
use crate::wire::legacy::event::EventMsg;
use crate::wire::legacy::rate_limit::TokenUsageInfo;
use crate::wire::response_item::ResponseItem;
use crate::wire::v2::turn::Turn;

/// Asks for a stored thread.
#[derive(Clone, Debug)]
pub struct RebuildJob {
    /// Its file.
    pub path: PathBuf,
    /// The context that a fresh history begins with, item by item as JSON: stands at the beginning
    /// of a history that the reference made short.
    pub initial_context: Vec<Arc<str>>,
    /// The provider that owns threads which name none.
    pub default_provider: String,
    /// Rebuild the model's history.
    pub wants_history: bool,
    /// Rebuild the turns.
    pub wants_turns: bool,
    /// Give the stored events, for the older methods.
    pub wants_events: bool,
}

/// A stored thread. What was not asked for is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// The thread as lists show it.
    pub stored: StoredThread,
    /// What the thread is, with its instructions.
    pub meta: SessionMeta,
    /// The model's history, item by item as JSON.
    pub history: Vec<Arc<str>>,
    /// The turns. The one that runs, if one does, stands as interrupted: whoever runs it knows
    /// better.
    pub turns: Vec<Turn>,
    /// The stored events in order.
    pub events: Vec<EventMsg<'static>>,
    /// Tokens used, as the last event told.
    pub token_info: Option<TokenUsageInfo>,
    /// The model of the last request.
    pub last_model: Option<String>,
    /// Lines and items that could not be decoded and were left out.
    pub undecodable: usize,
    /// Whether the file ends within a line, which [`append`](super::read::append) makes good.
    pub ends_torn: bool,
    /// How many bytes of the file all this stands in: there may be more by now.
    pub bytes_read: u64,
}

/// Why a stored thread could not be read. The texts follow ``failed to load rollout `<path>`: ``.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// The file could not be read.
    #[error("{0}")]
    Files(#[from] FileError),
    /// There is nothing in it.
    #[error("empty session file")]
    Empty,
    /// It does not say which thread it is.
    #[error("failed to parse thread ID from rollout file")]
    NoMeta,
}

impl RebuildJob {
    /// Reads the thread. `fit` shortens items of the history that are too long for the model.
    pub fn run(
        &self,
        files: &dyn Files,
        fit: impl FnMut(&mut ResponseItem),
    ) -> Result<Rebuilt, RebuildError> {
        let mut lines = LineReader::new(files, &self.path, WHOLE);
        let mut rebuild = Rebuild::new(self);
        let mut ends_torn = false;
        while let Some(line) = lines.next_line()? {
            match line {
                Line::Whole(line) => rebuild.line(line),
                // A line that lacks nothing but its end counts: its end is what an append adds.
                Line::Rest(line) => {
                    ends_torn = true;
                    rebuild.line(line);
                }
                Line::TooLong => rebuild.undecodable += 1,
            }
        }
        let meta = match rebuild.meta.take() {
            Some(meta) => meta,
            None if rebuild.is_blank => return Err(RebuildError::Empty),
            None => return Err(RebuildError::NoMeta),
        };
        let stored = StoredThread::load(files, &self.path, &self.default_provider)?;
        let (history, undecodable) = rebuild.history.finish(fit);
        Ok(Rebuilt {
            stored: stored.ok_or(RebuildError::NoMeta)?,
            meta,
            history,
            turns: rebuild.turns.finish(),
            events: rebuild.events,
            token_info: rebuild.token_info.and_then(|info| serde_json::from_str(&info).ok()),
            last_model: rebuild.last_model,
            undecodable: rebuild.undecodable + undecodable,
            ends_torn,
            bytes_read: lines.bytes_read(),
        })
    }
}

struct Rebuild<'j> {
    job: &'j RebuildJob,
    is_blank: bool,
    meta: Option<SessionMeta>,
    history: HistoryBuilder,
    turns: TurnsBuilder,
    events: Vec<EventMsg<'static>>,
    /// As JSON: nobody asks for any but the last.
    token_info: Option<String>,
    last_model: Option<String>,
    undecodable: usize,
}

impl<'j> Rebuild<'j> {
    fn new(job: &'j RebuildJob) -> Self {
        Self {
            job,
            is_blank: true,
            meta: None,
            history: HistoryBuilder::default(),
            turns: TurnsBuilder::default(),
            events: Vec::new(),
            token_info: None,
            last_model: None,
            undecodable: 0,
        }
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        self.is_blank = false;
        let is_decoded = StoredLine::read(line).is_some_and(|line| {
            let notes = |rebuild: &mut Self, notes: &[&RawValue]| {
                notes.iter().all(|note| rebuild.record(Record::Note(note.get())))
            };
            let before = notes(self, &line.notes.before);
            let record = self.record(line.record);
            before & record & notes(self, &line.notes.after)
        });
        self.undecodable += usize::from(!is_decoded);
    }

    /// Whether the record could be decoded.
    fn record(&mut self, record: Record<'_>) -> bool {
        match record {
            // A fork carries the meta line of its source as well, after its own.
            Record::SessionMeta(_) if self.meta.is_some() => true,
            Record::SessionMeta(meta) => {
                self.meta = serde_json::from_str(meta).ok();
                self.meta.is_some()
            }
            Record::ResponseItem(item) => !self.job.wants_history || self.history.push(item),
            Record::Event(event) => self.event(event),
            Record::TurnContext(context) => self.turn_context(context),
            Record::Compacted(compacted) => self.compacted(compacted),
            Record::Note(note) if self.job.wants_turns => {
                serde_json::from_str(note).is_ok_and(|note: StoredNote<'_>| {
                    self.turns.note(note);
                    true
                })
            }
            Record::Note(_) | Record::Unknown => true,
        }
    }

    fn event(&mut self, payload: &str) -> bool {
        let Some(kind) = kind_of(payload) else { return false };
        if kind == "token_count" {
            self.token_count(payload);
        }
        let for_turns = self.job.wants_turns && TurnsBuilder::wants(&kind);
        if !for_turns && !self.job.wants_events && kind != "thread_rolled_back" {
            return true;
        }
        let Ok(event) = serde_json::from_str::<EventMsg<'static>>(payload) else { return false };
        if let EventMsg::ThreadRolledBack { num_turns } = event {
            self.history.roll_back(num_turns);
        }
        if for_turns {
            self.turns.event(&event);
        }
        self.events.extend(self.job.wants_events.then_some(event));
        true
    }

    fn token_count(&mut self, payload: &str) {
        #[derive(Deserialize)]
        struct TokenCount<'a> {
            #[serde(default, borrow)]
            info: Option<&'a RawValue>,
        }
        let count = serde_json::from_str::<TokenCount<'_>>(payload).ok();
        if let Some(info) = count.and_then(|count| count.info) {
            self.token_info = Some(info.get().to_owned());
        }
    }

    fn turn_context(&mut self, payload: &str) -> bool {
        #[derive(Deserialize)]
        struct Context {
            model: String,
        }
        let context = serde_json::from_str::<Context>(payload).ok();
        self.last_model = context.map(|context| context.model).or(self.last_model.take());
        true
    }

    fn compacted(&mut self, payload: &str) -> bool {
        let Ok(compacted) = serde_json::from_str::<Compacted<'_>>(payload) else { return false };
        if self.job.wants_history {
            self.history.compact(&compacted, &self.job.initial_context);
        }
        true
    }
}
