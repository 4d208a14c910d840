//! Owns: a recording as a file: compressed lines, written by a thread of their own.
//!
//! A session that is recorded puts its notes down and goes on; the thread makes lines of them
//! ([`Scribe`]), once a second: to wake a thread costs more than what it does for a note. Invariants:
//! the session never waits, but for the rest to be written when it panics. Notes that wait are
//! bounded; with more of them the recording ends, and says so in its last line. What happened more
//! than [`COLLECTED_FOR`] ago is in the file, also when the process is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use understudy_core::trace::{self, Note, Notes, Recording, Scribe, Sink};
use understudy_core::{Now, Setup};

/// Notes that wait to be written.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// From so many on they are not left to wait for more.
const WAITING_BYTES_MANY: usize = 1 << 20;
/// How long a note waits for others. What is lost when the process is killed is no more than this.
const COLLECTED_FOR: Duration = Duration::from_secs(1);
/// How long a panic waits for the rest to be written.
const PANIC_LIMIT: Duration = Duration::from_secs(2);
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
        let writer = Writer::new(scribe, self.file);
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("recording".into()).spawn(move || write(writer, &theirs))?;
        let queue = NoteQueue { shared: Arc::clone(&shared) };
        Ok((queue, RecordingEnd(shared)))
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
    notes: Notes,
    /// The thread waits for a first note, and has to be woken.
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
    /// The session has panicked.
    Panicked,
}

impl Ending {
    /// Why it is not the end of the session, if it is not.
    fn reason(self) -> Option<&'static str> {
        match self {
            Ending::Over => None,
            Ending::Overrun => Some("more happened than could be written"),
            Ending::Panicked => Some("the server panicked"),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a session's notes.
#[derive(Debug)]
pub struct NoteQueue {
    shared: Arc<Shared>,
}

impl Sink for NoteQueue {
    fn take(&mut self, note: Note<'_>) -> bool {
        let mut queue = self.shared.lock();
        if queue.ending.is_some() {
            return false;
        }
        let size_before = queue.notes.size();
        queue.notes.push(note);
        let size = queue.notes.size();
        if size > WAITING_BYTES_MAX {
            queue.ending = Some(Ending::Overrun);
            self.shared.changed.notify_all();
            return false;
        }
        let many = size_before < WAITING_BYTES_MANY && size >= WAITING_BYTES_MANY;
        if many || std::mem::take(&mut queue.is_idle) {
            drop(queue);
            self.shared.changed.notify_all();
        }
        true
    }
}

/// The end of a recording, which is also when it is dropped. In a panic it waits for the rest to be
/// written, since the process may end at once.
#[derive(Debug)]
pub struct RecordingEnd(Arc<Shared>);

impl RecordingEnd {
    /// Has the rest written, and waits for that until the time is over. Blocks.
    ///
    /// # Errors
    ///
    /// Something is missing: the file could not be written, or not in time.
    pub fn finish(self, limit: Duration) -> io::Result<()> {
        self.end(Ending::Over, limit)
    }

    fn end(&self, ending: Ending, limit: Duration) -> io::Result<()> {
        let mut queue = self.0.lock();
        queue.ending.get_or_insert(ending);
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
        let (ending, limit) = match thread::panicking() {
            true => (Ending::Panicked, PANIC_LIMIT),
            false => (Ending::Over, Duration::ZERO),
        };
        // Whoever drops it does not ask what became of it.
        let _written = self.end(ending, limit);
    }
}

struct Writer {
    scribe: Scribe,
    /// Lines of the scribe, on their way.
    lines: Vec<u8>,
    packer: FrameEncoder<Vec<u8>>,
    file: File,
}

/// The thread.
fn write(mut writer: Writer, shared: &Shared) {
    let mut ending = None;
    let mut notes = Notes::default();
    // The head is there before anything else happens.
    let mut written = writer.write(&mut notes);
    while ending.is_none() && written.is_ok() {
        ending = collect(shared, &mut notes);
        written = writer.write(&mut notes);
    }
    let reason = ending.and_then(Ending::reason);
    let failure = written.and_then(|()| writer.end(reason)).err();
    let mut queue = shared.lock();
    queue.ending.get_or_insert(Ending::Over);
    (queue.is_over, queue.failure) = (true, failure);
    queue.notes = Notes::default();
    shared.changed.notify_all();
}

/// Waits for notes, which come in the place of earlier ones; says whether they are the last. The
/// session has to wake it only if for some time there was nothing.
fn collect(shared: &Shared, notes: &mut Notes) -> Option<Ending> {
    let end = Instant::now() + COLLECTED_FOR;
    let mut queue = shared.lock();
    while queue.ending.is_none() && queue.notes.size() < WAITING_BYTES_MANY {
        let left = end.saturating_duration_since(Instant::now());
        let is_over = left.is_zero();
        if is_over && !queue.notes.is_empty() {
            break;
        }
        queue.is_idle = is_over;
        queue = if is_over {
            shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
        } else {
            shared.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
        };
    }
    queue.is_idle = false;
    std::mem::swap(&mut queue.notes, notes);
    queue.ending
}

impl Writer {
    fn new(scribe: Scribe, file: File) -> Self {
        // A third larger than what gzip makes of it, for a quarter of the work.
        let blocks = FrameInfo::new().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB);
        let packer = FrameEncoder::with_frame_info(blocks, Vec::new());
        Self { scribe, lines: Vec::new(), packer, file }
    }

    fn write(&mut self, notes: &mut Notes) -> io::Result<()> {
        self.scribe.take(notes);
        self.scribe.lines_into(&mut self.lines);
        if self.lines.is_empty() {
            return Ok(());
        }
        self.packer.write_all(&self.lines)?;
        self.packer.flush()?;
        self.file.write_all(self.packer.get_ref())?;
        self.packer.get_mut().clear();
        Ok(())
    }

    fn end(mut self, reason: Option<&str>) -> io::Result<()> {
        self.scribe.end(reason);
        self.write(&mut Notes::default())?;
        self.file.write_all(&self.packer.finish()?)
    }
}

/// Reads a recording, be it packed or not; of one whose end is missing, all that is there.
///
/// # Errors
///
/// What keeps it from being read, in words for a person.
pub fn read_recording(path: &Path) -> Result<Recording, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let lines = read_recording_lines(path).map_err(|error| said(&error))?;
    let mut recording = trace::read(&lines).map_err(|error| said(&error))?;
    if let Some(name) = recording.zone() {
        let env = [("TZ".to_owned(), name.to_owned())].into_iter().collect();
        recording.set_zone(crate::zone(&env));
    }
    Ok(recording)
}

/// The same, but only unpacked: lines to look at or to change, which are read like the file.
///
/// # Errors
///
/// It cannot be read, or is no such file.
pub fn read_recording_lines(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut first = [0];
    let n = file.read(&mut first)?;
    let rest = (&first[..n]).chain(file);
    let mut lines = Vec::new();
    if first[0] == UNPACKED {
        rest.take(READ_BYTES_MAX).read_to_end(&mut lines)?;
        return Ok(lines);
    }
    match FrameDecoder::new(rest).take(READ_BYTES_MAX).read_to_end(&mut lines) {
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
            assert!(begun.elapsed() < 5 * COLLECTED_FOR, "{read:?}");
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(read.end(), &End::Torn);
        drop((machine, end));
    }

    #[test]
    fn a_session_that_streams_wakes_the_thread_once_a_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.trace");
        let (mut machine, end) = recorded(&path);
        let mut sizes = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < 2 * COLLECTED_FOR + COLLECTED_FOR / 2 {
            say(&mut machine, b"{\"id\":1}\n");
            sizes.push(fs::metadata(&path).expect("a file").len());
            thread::sleep(Duration::from_millis(5));
        }
        sizes.dedup();
        // Empty, the head, the first note at once, then what came within each second.
        assert!((2..=5).contains(&sizes.len()), "{sizes:?}");
        drop((machine, end));
    }

    #[test]
    fn a_session_that_panics_is_there_up_to_the_last_input() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.trace");
        let panicked = std::panic::catch_unwind(|| {
            let (mut machine, end) = recorded(&path);
            machine.handle(now(), Input::Bytes(b"{\"id\":1}\n"));
            let _dropped_behind = (machine, end);
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        let recording = read_recording(&path).expect("a recording");
        assert_eq!(recording.end(), &End::Early("the server panicked".to_owned()));
        assert_eq!(recording.len(), 2);
        assert!(is_same(&recording));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.trace");
        let (mut machine, end) = recorded(&path);
        let mut written = Vec::new();
        for n in 0..3 {
            let begun = Instant::now();
            say(&mut machine, format!("{{\"id\":{n}}}\n").as_bytes());
            while !read_recording(&path).is_ok_and(|recording| recording.len() >= n + 2) {
                assert!(begun.elapsed() < 5 * COLLECTED_FOR);
                thread::sleep(Duration::from_millis(20));
            }
            written.push(fs::read(&path).expect("written").len());
        }
        drop(machine);
        end.finish(Duration::from_secs(5)).expect("written");
        let whole = fs::read(&path).expect("written");
        let cut = folder.path().join("cut.trace");
        let mut longest = 0;
        for len in written[0]..whole.len() {
            fs::write(&cut, &whole[..len]).expect("written");
            let recording = read_recording(&cut).expect("a recording");
            assert!(is_same(&recording) && recording.len() >= longest, "{len} bytes");
            longest = recording.len();
            let said = written.iter().filter(|end| **end <= len).count();
            assert!(longest > said, "{longest} steps, and {said} lines of the host");
        }
        assert_eq!(longest, 4);
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
