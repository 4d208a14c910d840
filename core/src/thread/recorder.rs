//! The file of a thread that is open: lines wait here until they are appended.
//!
//! Invariants: one append at a time, so that lines keep their order; lines of an append that failed
//! are kept and written with the next; what must not be announced before it is stored waits for
//! `Recorder::is_clean`; no append makes a file but that of a thread's first line, so there is none
//! that does not say which thread it is.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::ThreadId;
use super::rollout::line::{NewLine, Note};
use super::rollout::read;
use crate::effect::{Call, CallId};
use crate::files::{FileError, FileJob, Files, IfMissing};
use crate::limits;
use crate::outside::Outside;
use crate::owner::CallOwner;

/// Appends lines to a thread's file.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct AppendJob {
    path: PathBuf,
    lines: Arc<[u8]>,
    /// An append of these lines has failed, after some of its bytes were written.
    is_again: bool,
    /// Without a file: if the thread's first line is one of them it is made. Else another program
    /// has put the thread away.
    missing: IfMissing,
}

impl AppendJob {
    pub(crate) fn run(self, files: &dyn Files) -> Result<(), FileError> {
        match self.is_again {
            false => read::append(files, &self.path, &self.lines, self.missing),
            true => read::append_again(files, &self.path, &self.lines, self.missing),
        }
    }
}

/// Writes a thread's file.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Recorder {
    path: PathBuf,
    /// Lines that no append has taken yet.
    waiting: Vec<u8>,
    /// Whether the last of them carries notes already.
    last_has_notes: bool,
    /// An append that failed has taken the last of them, so it may stand in the file as it is.
    last_was_taken: bool,
    /// Notes for the line that comes next.
    before_next: Vec<String>,
    /// The append that runs, and its lines.
    writing: Option<(CallId, Arc<[u8]>)>,
    /// The thread's first line was never stored.
    is_new: bool,
    /// The last append has failed, after some of its bytes were written.
    has_failed: bool,
    /// Why the last append failed, until one succeeds.
    trouble: Option<FileError>,
    /// Lines were dropped because too many waited.
    is_lossy: bool,
}

impl Recorder {
    /// How far it is, without what is written.
    #[cfg(feature = "sim")]
    pub(crate) fn state(&self) -> impl std::fmt::Debug + '_ {
        let waits = !self.waiting.is_empty();
        let flags = [self.writing.is_some(), self.is_new, self.has_failed, self.is_lossy];
        (waits, flags, &self.trouble)
    }

    /// For a file that is there.
    pub(crate) fn found(path: PathBuf) -> Self {
        Self { is_new: false, ..Self::new(path) }
    }

    /// For a file that is to be made, with the thread's first line.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            is_new: true,
            waiting: Vec::new(),
            last_has_notes: false,
            last_was_taken: false,
            before_next: Vec::new(),
            writing: None,
            has_failed: false,
            trouble: None,
            is_lossy: false,
        }
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Takes a line. While the file cannot be written lines are kept up to a bound.
    pub(crate) fn line(&mut self, at: Timestamp, line: &NewLine<'_>) {
        if self.trouble.is_some() && self.waiting.len() > limits::UNSAVED_BYTES_MAX {
            self.is_lossy = true;
            return;
        }
        line.write(at, &mut self.waiting);
        (self.last_has_notes, self.last_was_taken) = (false, false);
        let before = std::mem::take(&mut self.before_next);
        if !before.is_empty() {
            let notes = before.join(",");
            self.extend_last(&format!(",\"understudy\":{{\"before\":[{notes}],\"after\":[]}}"));
            self.last_has_notes = true;
        }
    }

    /// Notes something before the next line.
    pub(crate) fn note_before(&mut self, note: &Note<'_>) {
        self.before_next.extend(serde_json::to_string(note));
    }

    /// Notes something after the last line. Once that one is written, it takes a line of its own.
    pub(crate) fn note(&mut self, at: Timestamp, note: &Note<'_>) {
        let Ok(json) = serde_json::to_string(note) else { return };
        if self.waiting.is_empty() || self.last_was_taken {
            return self.line(at, &NewLine::Note(note));
        }
        if self.last_has_notes {
            // The line ends with `]}}` and the line end: the list of notes after it is still open.
            let comma = if self.waiting.ends_with(b"[]}}\n") { "" } else { "," };
            self.waiting.truncate(self.waiting.len() - "]}}\n".len());
            self.waiting.extend_from_slice(format!("{comma}{json}]}}}}\n").as_bytes());
        } else {
            self.extend_last(&format!(",\"understudy\":{{\"before\":[],\"after\":[{json}]}}"));
            self.last_has_notes = true;
        }
    }

    /// Adds members to the last line.
    fn extend_last(&mut self, members: &str) {
        self.waiting.truncate(self.waiting.len() - "}\n".len());
        self.waiting.extend_from_slice(members.as_bytes());
        self.waiting.extend_from_slice(b"}\n");
    }

    /// Begins an append, if there is anything to write and none runs.
    pub(crate) fn flush(&mut self, out: &mut Outside, thread: ThreadId) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        let lines: Arc<[u8]> = std::mem::take(&mut self.waiting).into();
        (self.last_has_notes, self.last_was_taken) = (false, false);
        let (path, is_again) = (self.path.clone(), self.has_failed);
        let missing = if self.is_new { IfMissing::Make } else { IfMissing::Fail };
        let job = AppendJob { path, lines: lines.clone(), is_again, missing };
        let call = out.start(Call::Files(FileJob::Append(job)), CallOwner::Rollout(thread));
        self.writing = Some((call, lines));
    }

    /// Begins the last append: nobody will be here when the one that runs has ended. Jobs run in
    /// order, so this one finds what that one has written and writes the rest.
    pub(crate) fn flush_all(&mut self, out: &mut Outside, thread: ThreadId) {
        let Some((_, lines)) = self.writing.take() else { return self.flush(out, thread) };
        self.waiting.splice(0..0, lines.iter().copied());
        self.has_failed = true;
        self.flush(out, thread);
    }

    /// An append has ended. It may be one of a time when the thread was open before.
    pub(crate) fn appended(&mut self, call: CallId, done: Result<(), FileError>) {
        let Some((_, lines)) = self.writing.take_if(|(running, _)| *running == call) else {
            return;
        };
        match done {
            Ok(()) => {
                self.trouble = None;
                self.has_failed = false;
                self.is_new = false;
            }
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "a thread cannot be stored");
                // They go before whatever came meanwhile. Some of them may stand in the file
                // already, in part: the next append goes on from there.
                self.last_was_taken |= self.waiting.is_empty();
                self.waiting.splice(0..0, lines.iter().copied());
                self.has_failed = true;
                self.trouble = Some(error);
            }
        }
    }

    /// Whether everything is stored, or cannot be.
    pub(crate) fn is_clean(&self) -> bool {
        self.writing.is_none() && (self.waiting.is_empty() || self.trouble.is_some())
    }

    /// Whether all that was ever recorded stands in the file.
    pub(crate) fn holds_all(&self) -> bool {
        let is_written = self.writing.is_none() && self.waiting.is_empty();
        is_written && self.before_next.is_empty() && self.trouble.is_none() && !self.is_lossy
    }

    /// Why the file cannot be written, if it cannot.
    pub(crate) fn trouble(&self) -> Option<String> {
        let error = self.trouble.as_ref()?;
        let lost = if self.is_lossy { " Older lines are lost." } else { "" };
        Some(format!("failed to write {}: {error}.{lost}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{AppendJob, CallId, FileError, Recorder};
    use crate::files::{IfMissing, MemoryFiles};
    use crate::thread::rollout::line::{NewLine, Note, StoredLine};

    fn note(num_turns: u32) -> Note<'static> {
        Note::TurnsRolledBack { num_turns }
    }

    /// How many notes each line that waits has before and after it.
    fn counts(recorder: &Recorder) -> Vec<(usize, usize)> {
        let lines = recorder.waiting.split_inclusive(|byte| *byte == b'\n');
        let lines = lines.filter_map(StoredLine::read);
        lines.map(|line| (line.notes.before.len(), line.notes.after.len())).collect()
    }

    #[test]
    fn notes_ride_on_lines() {
        let at = Timestamp::UNIX_EPOCH;
        let mut recorder = Recorder::new("/f".into());
        recorder.note_before(&note(1));
        recorder.line(at, &NewLine::RawItem("{}"));
        recorder.note(at, &note(2));
        recorder.note(at, &note(3));
        recorder.line(at, &NewLine::RawItem("{}"));
        recorder.note(at, &note(4));
        assert_eq!(counts(&recorder), [(1, 2), (0, 1)], "{recorder:?}");
    }

    /// A line that an append has taken stands in the file already, or in part: what is noted after the
    /// append has failed has a line of its own, and takes nothing of the older notes.
    #[test]
    fn notes_do_not_ride_on_lines_that_may_be_written() {
        let at = Timestamp::UNIX_EPOCH;
        let mut recorder = Recorder::new("/f".into());
        let take = |recorder: &mut Recorder| {
            recorder.writing = Some((CallId(0), std::mem::take(&mut recorder.waiting).into()));
        };
        recorder.line(at, &NewLine::RawItem("{}"));
        recorder.note(at, &note(1));
        take(&mut recorder);
        recorder.appended(CallId(0), Err(FileError::lost()));
        recorder.note(at, &note(2));
        recorder.note(at, &note(3));
        assert_eq!(counts(&recorder), [(0, 1), (0, 1)], "{recorder:?}");
        take(&mut recorder);
        recorder.line(at, &NewLine::RawItem("{}"));
        recorder.appended(CallId(0), Err(FileError::lost()));
        recorder.note(at, &note(4));
        assert_eq!(counts(&recorder).last(), Some(&(0, 1)), "{recorder:?}");
    }

    /// An answer from before the thread was put away and opened again says nothing of what is being
    /// written now.
    #[test]
    fn only_the_append_that_runs_has_ended() {
        let mut recorder = Recorder::found("/f".into());
        recorder.line(Timestamp::UNIX_EPOCH, &NewLine::RawItem("{}"));
        recorder.writing = Some((CallId(2), std::mem::take(&mut recorder.waiting).into()));
        recorder.appended(CallId(1), Ok(()));
        assert!(!recorder.is_clean());
        recorder.appended(CallId(2), Ok(()));
        assert!(recorder.is_clean());
    }

    /// Lines behind the first one go to a file that has it, or nowhere.
    #[test]
    fn no_file_is_made_without_its_first_line() {
        let append = |files: &MemoryFiles, missing, is_again| {
            let lines = b"{}\n".as_slice().into();
            AppendJob { path: "/f".into(), lines, is_again, missing }.run(files)
        };
        for is_again in [false, true] {
            let files = MemoryFiles::new();
            let error = append(&files, IfMissing::Fail, is_again).expect_err("no file");
            assert!(error.is_not_found() && files.paths().is_empty());
            append(&files, IfMissing::Make, is_again).expect("the first line");
            append(&files, IfMissing::Fail, false).expect("another line");
            assert_eq!(files.content("/f").as_deref(), Some(b"{}\n{}\n".as_slice()));
        }
    }

    /// A file is new until its first line is stored; one that was found never is.
    #[test]
    fn a_file_is_new_until_its_first_line_is_stored() {
        let mut recorder = Recorder::new("/f".into());
        recorder.line(Timestamp::UNIX_EPOCH, &NewLine::RawItem("{}"));
        let take = |recorder: &mut Recorder| {
            recorder.writing = Some((CallId(0), std::mem::take(&mut recorder.waiting).into()));
        };
        take(&mut recorder);
        recorder.appended(CallId(0), Err(FileError::lost()));
        assert!(recorder.is_new);
        take(&mut recorder);
        recorder.appended(CallId(0), Ok(()));
        assert!(!recorder.is_new && !Recorder::found("/f".into()).is_new);
    }
}
