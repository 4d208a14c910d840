//! Owns: a recording as a file: compressed lines, written by a thread of their own.
//!
//! A session that is recorded puts its notes down and goes on; the thread makes lines of them
//! ([`Scribe`]), a few times a second. Invariants: the session never waits. Notes that wait are
//! bounded; with more of them the recording ends, and says so in its last line. What was written
//! more than [`FLUSHED_AFTER`] ago is in the file, also when the process is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use understudy_core::trace::{self, Note, Recording, Scribe, Sink};
use understudy_core::{Now, Setup};

/// Notes that wait to be written.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// From so many on they are not left to wait for more.
const WAITING_BYTES_MANY: usize = 1 << 20;
/// How long the first note waits for others, so that few of them wake the thread.
const COLLECTED_FOR: Duration = Duration::from_millis(100);
/// What was written is handed to the file after this time at the latest.
const FLUSHED_AFTER: Duration = Duration::from_secs(1);
/// A recording that is read back. Longer ones are made on purpose, and not by a session.
const READ_BYTES_MAX: u64 = 4 << 30;
/// Beginning of a recording that somebody has unpacked.
const UNPACKED: u8 = b'{';

/// A file for the recording of one session.
#[derive(Debug)]
pub struct RecordingFile {
    file: File,
    path: PathBuf,
}

impl RecordingFile {
    /// Makes the file, or empties it. Only its owner may read it. In a folder, a new file that is
    /// named by the moment is made.
    ///
    /// # Errors
    ///
    /// It cannot be made or written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        if path.is_dir() {
            let now = Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S");
            path.push(format!("{now}-{}.trace", std::process::id()));
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to record a machine that is made with the same setup, seed and moment.
    ///
    /// # Errors
    ///
    /// The operating system gives no entropy, or no thread.
    pub fn start(
        self,
        setup: &Setup,
        seed: [u8; 32],
        now: Now,
    ) -> io::Result<(NoteQueue, RecordingEnd)> {
        let scribe = Scribe::new(setup, seed, now, crate::seed()?);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            scribe,
            // Quick: a day of work is a few megabytes either way.
            file: GzEncoder::new(self.file, Compression::fast()),
            flushed_at: Instant::now(),
            is_flushed: false,
        };
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("recording".into()).spawn(move || write(writer, &theirs))?;
        Ok((NoteQueue(Arc::clone(&shared)), RecordingEnd(shared)))
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told of notes for an idle thread, of many notes, of the end; and of the thread's own end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    notes: Vec<Note>,
    bytes: usize,
    /// The thread waits for a first note.
    is_idle: bool,
    /// No further note is taken.
    ending: Option<Ending>,
    /// The thread has written all that it could.
    is_over: bool,
    /// What kept it from writing more.
    failure: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The session is over.
    Over,
    /// More came than could be written.
    Overrun,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a session's notes.
#[derive(Debug)]
pub struct NoteQueue(Arc<Shared>);

impl Sink for NoteQueue {
    fn take(&mut self, note: Note) -> bool {
        let mut queue = self.0.lock();
        if queue.ending.is_some() {
            return false;
        }
        let bytes = queue.bytes;
        queue.bytes += note.size();
        if queue.bytes > WAITING_BYTES_MAX {
            queue.ending = Some(Ending::Overrun);
            self.0.changed.notify_all();
            return false;
        }
        queue.notes.push(note);
        let many = bytes < WAITING_BYTES_MANY && queue.bytes >= WAITING_BYTES_MANY;
        if queue.is_idle || many {
            self.0.changed.notify_all();
        }
        true
    }
}

/// The end of a recording, which is also when it is dropped.
#[derive(Debug)]
pub struct RecordingEnd(Arc<Shared>);

impl RecordingEnd {
    /// Has the rest written, and waits for that until the time is over. Blocks.
    ///
    /// # Errors
    ///
    /// Something is missing: the file could not be written, or not in time.
    pub fn finish(self, limit: Duration) -> io::Result<()> {
        let mut queue = self.0.lock();
        queue.ending.get_or_insert(Ending::Over);
        self.0.changed.notify_all();
        let end = Instant::now() + limit;
        while !queue.is_over {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let waited = self.0.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.failure.take().map_or(Ok(()), Err)
    }
}

impl Drop for RecordingEnd {
    fn drop(&mut self) {
        self.0.lock().ending.get_or_insert(Ending::Over);
        self.0.changed.notify_all();
    }
}

struct Writer {
    scribe: Scribe,
    file: GzEncoder<File>,
    flushed_at: Instant,
    is_flushed: bool,
}

/// The thread.
fn write(mut writer: Writer, shared: &Shared) {
    let mut ending = None;
    let mut written = Ok(());
    while ending.is_none() && written.is_ok() {
        let notes;
        (notes, ending) = collect(shared, writer.flush_due());
        written = writer.write(notes);
    }
    let overrun = "more happened than could be written";
    let reason = (ending == Some(Ending::Overrun)).then_some(overrun);
    let failure = written.and_then(|()| writer.end(reason)).err();
    let mut queue = shared.lock();
    queue.ending.get_or_insert(Ending::Over);
    (queue.is_over, queue.failure) = (true, failure);
    queue.notes = Vec::new();
    shared.changed.notify_all();
}

/// Waits for notes, or until it is time to flush; says whether they are the last ones.
fn collect(shared: &Shared, flush_due: Option<Duration>) -> (Vec<Note>, Option<Ending>) {
    let wait = |queue, limit| {
        let waited = shared.changed.wait_timeout(queue, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    };
    let mut queue = shared.lock();
    if queue.notes.is_empty() && queue.ending.is_none() {
        queue.is_idle = true;
        queue = match flush_due {
            Some(limit) => wait(queue, limit),
            None => shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
        };
        queue.is_idle = false;
    }
    if !queue.notes.is_empty() && queue.bytes < WAITING_BYTES_MANY && queue.ending.is_none() {
        queue = wait(queue, COLLECTED_FOR);
    }
    queue.bytes = 0;
    (std::mem::take(&mut queue.notes), queue.ending)
}

impl Writer {
    fn write(&mut self, notes: Vec<Note>) -> io::Result<()> {
        for note in notes {
            self.scribe.take(note);
        }
        let lines = self.scribe.lines();
        if !lines.is_empty() {
            self.file.write_all(&lines)?;
            self.is_flushed = false;
        }
        if !self.is_flushed && self.flushed_at.elapsed() >= FLUSHED_AFTER {
            self.file.flush()?;
            (self.is_flushed, self.flushed_at) = (true, Instant::now());
        }
        Ok(())
    }

    /// In how long what was written is to be handed to the file; none if it was.
    fn flush_due(&self) -> Option<Duration> {
        (!self.is_flushed).then(|| FLUSHED_AFTER.saturating_sub(self.flushed_at.elapsed()))
    }

    fn end(mut self, reason: Option<&str>) -> io::Result<()> {
        self.scribe.end(reason);
        self.file.write_all(&self.scribe.lines())?;
        self.file.finish()?.flush()
    }
}

/// Reads a recording, be it packed or not; of one whose end is missing, all that is there.
///
/// # Errors
///
/// What keeps it from being read, in words for a person.
pub fn read_recording(path: &Path) -> Result<Recording, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| said(&error))?;
    let lines = unpacked(file).map_err(|error| said(&error))?;
    let mut recording = trace::read(&lines).map_err(|error| said(&error))?;
    if let Some(name) = recording.zone() {
        let env = [("TZ".to_owned(), name.to_owned())].into_iter().collect();
        recording.set_zone(crate::zone(&env));
    }
    Ok(recording)
}

fn unpacked(file: File) -> io::Result<Vec<u8>> {
    let mut file = BufReader::new(file);
    let mut first = [0];
    let n = file.read(&mut first)?;
    let rest = (&first[..n]).chain(file);
    let mut lines = Vec::new();
    if first[0] == UNPACKED {
        rest.take(READ_BYTES_MAX).read_to_end(&mut lines)?;
        return Ok(lines);
    }
    match MultiGzDecoder::new(rest).take(READ_BYTES_MAX).read_to_end(&mut lines) {
        // What was unpacked before the end, or the damage, is there.
        Err(error) if lines.is_empty() => Err(error),
        Ok(_) | Err(_) => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use understudy_core::trace::{End, Recorder, Replay};
    use understudy_core::{Effect, Input};

    use super::*;

    fn now() -> Now {
        Now::new(Duration::ZERO, Timestamp::now())
    }

    /// A machine that is recorded to this file, with what it asks for first left open.
    fn recorded(path: &Path) -> (Recorder<NoteQueue>, RecordingEnd) {
        let (setup, now) = (Setup::new("/nowhere", "/"), now());
        let file = RecordingFile::create(path).expect("a file");
        let (sink, end) = file.start(&setup, [1; 32], now).expect("a thread");
        let mut machine = Recorder::new(setup, [1; 32], now, sink);
        assert!(matches!(machine.poll_effect(), Some(Effect::Start(..))));
        while machine.poll_effect().is_some() {}
        (machine, end)
    }

    fn say(machine: &mut Recorder<NoteQueue>, bytes: &[u8]) {
        machine.handle(now(), Input::Bytes(bytes));
        while machine.poll_effect().is_some() {}
    }

    fn is_same(recording: &Recording) -> bool {
        let mut replay = Replay::new(recording);
        std::iter::from_fn(|| replay.play()).all(|played| played.difference.is_none())
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = RecordingFile::create(folder.path()).expect("a file of its own name");
        assert_eq!(file.path().parent(), Some(folder.path()));
        let path = folder.path().join("a.trace");
        fs::write(&path, "something older that is longer than nothing").expect("written");
        let (mut machine, end) = recorded(&path);
        say(&mut machine, b"{\"id\":1}\n");
        drop(machine);
        end.finish(Duration::from_secs(5)).expect("written");
        let recording = read_recording(&path).expect("a recording");
        assert_eq!((recording.len(), recording.end()), (2, &End::Over));
        assert!(is_same(&recording));
    }

    #[test]
    fn what_was_written_a_second_ago_is_there_if_nobody_ends_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.trace");
        let (mut machine, end) = recorded(&path);
        say(&mut machine, b"{\"id\":1}\n");
        let begun = Instant::now();
        let read = loop {
            let read = read_recording(&path);
            if read.as_ref().is_ok_and(|recording| recording.len() == 2) {
                break read.expect("a recording");
            }
            assert!(begun.elapsed() < 5 * FLUSHED_AFTER, "{read:?}");
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(read.end(), &End::Torn);
        drop((machine, end));
    }

    #[test]
    fn a_session_that_says_too_much_is_cut_off_and_not_held_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.trace");
        let (mut machine, end) = recorded(&path);
        let line = vec![b' '; WAITING_BYTES_MAX / 3];
        for _ in 0..40 {
            say(&mut machine, &line);
        }
        end.finish(Duration::from_secs(20)).expect("written");
        let recording = read_recording(&path).expect("a recording");
        assert!(matches!(recording.end(), End::Early(_)), "{:?}", recording.end());
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.trace");
        for text in ["", "hello", "{}\n"] {
            fs::write(&path, text).expect("written");
            assert!(read_recording(&path).is_err(), "{text:?}");
        }
        assert!(RecordingFile::create(&folder.path().join("none/a.trace")).is_err());
    }
}
