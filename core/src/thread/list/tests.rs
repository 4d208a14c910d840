//! Lists against a plain model of them: every file read, every page cut from the whole.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::files::{Access, Entry, FileLock, MemoryFiles, Stat};
use crate::thread::rollout::name::RolloutName;

const HOME: &str = "/h";

/// A thread that another program may have written.
#[derive(Clone, Debug)]
struct Written {
    /// Minutes since a fixed time.
    begun: i64,
    id: u8,
    archived: bool,
    is_visible: bool,
    provider: Option<u8>,
    source: u8,
    preview: u16,
}

impl Written {
    /// No id stands in two names: two threads of one id at one time have the same place in a list.
    fn thread(&self) -> Uuid {
        let begun = u128::from(self.begun.unsigned_abs());
        Uuid::from_u128(begun << 16 | u128::from(self.archived) << 8 | u128::from(self.id))
    }

    fn path(&self) -> PathBuf {
        let begun = jiff::Timestamp::from_second(1_760_000_000 + self.begun * 60).expect("a time");
        let name = RolloutName::new(begun, &jiff::tz::TimeZone::UTC, self.thread());
        let home = Path::new(HOME);
        if self.archived { name.path_in_archive(home) } else { name.path_in_sessions(home) }
    }

    fn text(&self) -> String {
        let source = ["cli", "vscode", "exec", "mcp"][usize::from(self.source % 4)];
        let meta = json!({"id": self.thread(), "timestamp": "2026-01-29T10:00:00.099Z", "cwd": "/w",
            "originator": "o", "cli_version": "0.0.0", "source": source,
            "model_provider": self.provider.map(|provider| format!("p{}", provider % 3))});
        let text = format!("question {}", self.preview);
        let item = json!({"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": text}]});
        let event = json!({"type": "user_message", "message": text});
        let mut lines = vec![("session_meta", meta), ("response_item", item)];
        lines.extend(self.is_visible.then_some(("event_msg", event)));
        let line = |(kind, payload)| {
            json!({"timestamp": "2026-01-29T10:00:00.101Z", "type": kind, "payload": payload})
                .to_string()
                + "\n"
        };
        lines.into_iter().map(line).collect()
    }
}

/// Files of which several change within one second, and few within one long list. Folders change
/// when what they hold does.
#[derive(Clone, Default)]
struct SlowFiles(MemoryFiles);

impl SlowFiles {
    /// A number that changes whenever a name comes or goes in the folder.
    fn names_in(&self, folder: &Path) -> Result<i128, FileError> {
        let mut names: Vec<_> = self.0.list(folder)?.into_iter().map(|entry| entry.name).collect();
        names.sort();
        let bytes = names.iter().flat_map(|name| name.bytes().chain([0]));
        Ok(bytes.fold(7, |sum: i128, byte| {
            sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(byte.into())
        }))
    }
}

impl Files for SlowFiles {
    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        let stat = self.0.stat(path)?;
        if stat.is_dir {
            return Ok(Stat { modified_ns: self.names_in(path)?, ..stat });
        }
        Ok(Stat { modified_ns: stat.modified_ns * 400_000_000, ..stat })
    }
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        self.0.read(path, limit)
    }
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        self.0.read_at(path, offset, len)
    }
    fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        self.0.list(path)
    }
    fn write_atomic(&self, path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
        self.0.write_atomic(path, bytes, access)
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        self.0.append(path, bytes)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.0.remove(path)
    }
    fn real_path(&self, path: &Path) -> Result<PathBuf, FileError> {
        self.0.real_path(path)
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>, FileError> {
        self.0.lock(path)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(Written),
    Grow(u16),
    Remove(u16),
    Touch(u16),
    DropIndex,
    BreakIndex(u16),
    List(ThreadListJob),
    Walk(ThreadListJob),
    /// Lists a page, and after the next steps the page behind it.
    Begin(ThreadListJob),
    GoOn,
}

fn job() -> impl Strategy<Value = ThreadListJob> {
    let sort_key = prop_oneof![Just(ThreadSortKey::CreatedAt), Just(ThreadSortKey::UpdatedAt)];
    let providers = prop_oneof![
        Just(None),
        Just(Some(Vec::new())),
        Just(Some(vec!["p1".to_owned(), "p2".to_owned()])),
    ];
    let sources = prop_oneof![
        Just(Vec::new()),
        Just(vec![ThreadSourceKind::Exec, ThreadSourceKind::AppServer]),
    ];
    (any::<bool>(), sort_key, 1..6_usize, providers, sources).prop_map(
        |(archived, sort_key, limit, model_providers, sources)| ThreadListJob {
            home: HOME.into(),
            archived,
            sort_key,
            limit,
            cursor: None,
            model_providers,
            sources,
            default_provider: "p0".into(),
            order: None,
        },
    )
}

fn written() -> impl Strategy<Value = Written> {
    (0..4000_i64, 0..40_u8, any::<bool>(), any::<bool>(), any::<Option<u8>>(), 0..4_u8, 0..9_u16)
        .prop_map(|(begun, id, archived, is_visible, provider, source, preview)| Written {
            begun: begun / 7 * 7,
            id,
            archived,
            is_visible,
            provider,
            source,
            preview,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => written().prop_map(Step::Put),
        2 => any::<u16>().prop_map(Step::Grow),
        1 => any::<u16>().prop_map(Step::Remove),
        1 => any::<u16>().prop_map(Step::Touch),
        1 => Just(Step::DropIndex),
        1 => any::<u16>().prop_map(Step::BreakIndex),
        4 => job().prop_map(Step::List),
        2 => job().prop_map(Step::Walk),
        2 => job().prop_map(Step::Begin),
        4 => Just(Step::GoOn),
    ]
}

/// Every thread that the list shows, in order, with its place; no index, no walk.
fn plain(files: &SlowFiles, job: &ThreadListJob) -> Vec<(Cursor, StoredThread)> {
    let mut all = Vec::new();
    let root = Path::new(HOME).join(if job.archived { "archived_sessions" } else { "sessions" });
    for path in files.0.paths() {
        let name = path.file_name().and_then(|name| RolloutName::parse(name.to_str()?));
        let Some(name) = name.filter(|_| path.starts_with(&root)) else { continue };
        let stat = files.stat(&path).expect("a file");
        let head = Head::read(files, &path).expect("a file").expect("a rollout");
        let seconds = i64::try_from(stat.modified_ns / 1_000_000_000).expect("a time");
        let changed = jiff::Timestamp::from_second(seconds).expect("a time");
        let at = match job.sort_key {
            ThreadSortKey::CreatedAt => name.begun,
            ThreadSortKey::UpdatedAt => jiff::tz::TimeZone::UTC.to_datetime(changed),
        };
        if job.shows(&head) {
            let thread = StoredThread::new(&path, stat, head, &job.default_provider);
            all.push((Cursor { at, id: name.id }, thread));
        }
    }
    all.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    all
}

/// What the pages from `job` on show together.
fn walk(files: &SlowFiles, job: &ThreadListJob) -> Vec<StoredThread> {
    let (mut all, mut job) = (Vec::new(), job.clone());
    loop {
        let page = job.run(files).expect("a page");
        assert!(page.threads.len() <= job.limit);
        all.extend(page.threads);
        (job.cursor, job.order) = (page.next_cursor, page.order);
        if job.cursor.is_none() {
            return all;
        }
    }
}

fn index_files(files: &MemoryFiles) -> Vec<PathBuf> {
    files.paths().into_iter().filter(|path| path.starts_with("/h/.understudy")).collect()
}

fn take(step: Step, files: &SlowFiles, going: &mut Option<ThreadListJob>) {
    let sessions: Vec<_> =
        files.0.paths().into_iter().filter(|path| !path.starts_with("/h/.understudy")).collect();
    let pick = |at: u16| sessions.get(usize::from(at) % sessions.len().max(1));
    match step {
        Step::Put(written) => files.0.put(written.path(), written.text()),
        Step::Grow(at) => {
            let line = concat!(
                r#"{"timestamp":"","type":"event_msg","payload":"#,
                r#"{"type":"user_message"}}"#,
                "\n"
            );
            if let Some(path) = pick(at) {
                files.append(path, line.as_bytes()).expect("appended");
            }
        }
        Step::Remove(at) => {
            if let Some(path) = pick(at) {
                files.remove(path).expect("removed");
            }
        }
        Step::Touch(at) => {
            if let Some(path) = pick(at) {
                files.0.put(path, files.0.content(path).expect("content"));
            }
        }
        Step::DropIndex => {
            index_files(&files.0).iter().for_each(|path| files.remove(path).expect("removed"));
        }
        Step::BreakIndex(at) => {
            for path in index_files(&files.0) {
                let mut content = files.0.content(&path).expect("content");
                content.truncate(usize::from(at) % content.len().max(1));
                files.0.put(path, content);
            }
        }
        Step::List(job) => {
            let expected = plain(files, &job);
            let page = job.run(files).expect("a page");
            let shown: Vec<_> = expected.into_iter().map(|(_, thread)| thread).collect();
            assert_eq!(page.threads, shown[..shown.len().min(job.limit)]);
            assert!(page.next_cursor.is_some() || page.threads.len() == shown.len());
        }
        Step::Begin(job) => {
            let page = job.run(files).expect("a page");
            *going = Some(ThreadListJob { cursor: page.next_cursor, order: page.order, ..job });
        }
        Step::GoOn => {
            let Some(job) = going.take().filter(|job| job.cursor.is_some()) else { return };
            let cursor = job.cursor.as_deref().expect("a cursor").parse().expect("a cursor");
            let page = job.run(files).expect("a page");
            let behind = plain(files, &job).into_iter().filter(|(place, _)| *place < cursor);
            let expected: Vec<_> = behind.map(|(_, thread)| thread).take(job.limit).collect();
            assert_eq!(page.threads, expected);
            *going = Some(ThreadListJob { cursor: page.next_cursor, order: page.order, ..job });
        }
        Step::Walk(job) => {
            let expected: Vec<_> =
                plain(files, &job).into_iter().map(|(_, thread)| thread).collect();
            assert_eq!(walk(files, &job), expected);
        }
    }
}

proptest! {
    /// Whatever other programs do to files and index between lists, a list shows what is there.
    #[test]
    fn lists_show_what_is_there(steps in proptest::collection::vec(step(), 1..60)) {
        let files = SlowFiles::default();
        let mut going = None;
        for step in steps {
            take(step, &files, &mut going);
        }
    }
}

fn base_job() -> ThreadListJob {
    ThreadListJob {
        home: HOME.into(),
        archived: false,
        sort_key: ThreadSortKey::CreatedAt,
        limit: 25,
        cursor: None,
        model_providers: None,
        sources: Vec::new(),
        default_provider: "p0".into(),
        order: None,
    }
}

fn visible(begun: i64, id: u8) -> Written {
    Written {
        begun,
        id,
        archived: false,
        is_visible: true,
        provider: Some(0),
        source: 1,
        preview: 1,
    }
}

#[test]
fn nothing_stored_is_an_empty_page() {
    assert_eq!(base_job().run(&MemoryFiles::new()), Ok(ThreadListPage::default()));
}

#[test]
fn a_wrong_cursor_is_the_clients_fault() {
    for cursor in ["nonsense", "2026-01-29T10-00-00", "|", "2026-01-29T10:00:00|x"] {
        let job = ThreadListJob { cursor: Some(cursor.into()), ..base_job() };
        let error = job.run(&MemoryFiles::new()).expect_err("refused");
        assert_eq!(error.to_string(), format!("invalid cursor: {cursor}"));
    }
}

#[test]
fn a_cursor_is_the_last_of_the_page_and_the_next_page_is_strictly_older() {
    let files = MemoryFiles::new();
    for (begun, id) in [(0, 1), (0, 2), (5, 3)] {
        let written = visible(begun, id);
        files.put(written.path(), written.text());
    }
    let job = ThreadListJob { limit: 2, ..base_job() };
    let page = job.run(&files).expect("a page");
    let cursor = "2025-10-09T08-53-20|00000000-0000-0000-0000-000000000002";
    assert_eq!(page.next_cursor.as_deref(), Some(cursor));
    let job = ThreadListJob { cursor: page.next_cursor, ..job };
    let page = job.run(&files).expect("a page");
    assert_eq!(page.threads.len(), 1);
    assert_eq!(page.threads[0].id, "00000000-0000-0000-0000-000000000001");
    assert_eq!(page.next_cursor, None);
}

#[test]
fn a_page_reads_each_file_once_in_its_life() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::files::FileOp;

    let files = MemoryFiles::new();
    for id in 0..20 {
        let written = visible(i64::from(id), id);
        files.put(written.path(), written.text());
    }
    let first = base_job().run(&files).expect("a page");
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    files.inject(move |op, _| {
        counted.fetch_add(usize::from(op == FileOp::ReadAt), Ordering::Relaxed);
        None
    });
    assert_eq!(base_job().run(&files).expect("a page"), first);
    assert_eq!(reads.load(Ordering::Relaxed), 0);
}

#[test]
fn an_index_that_cannot_be_written_does_no_harm() {
    use crate::files::{FileErrorKind, FileOp};

    let files = MemoryFiles::new();
    let written = visible(0, 1);
    files.put(written.path(), written.text());
    files.inject(|op, _| {
        let is_write = matches!(op, FileOp::Append | FileOp::Write);
        is_write.then(|| FileError { kind: FileErrorKind::Denied, text: "no".into() })
    });
    assert_eq!(base_job().run(&files).expect("a page").threads.len(), 1);
    assert_eq!(index_files(&files), Vec::<PathBuf>::new());
}

/// Pages behind the first ask for the files that they show, and for one more.
#[test]
fn a_walk_by_change_asks_for_each_file_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::files::FileOp;

    let files = SlowFiles::default();
    for id in 0..60 {
        let written = visible(i64::from(id) * 100, id);
        files.0.put(written.path(), written.text());
    }
    let job = ThreadListJob { sort_key: ThreadSortKey::UpdatedAt, limit: 5, ..base_job() };
    let first = job.run(&files).expect("a page");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    files.0.inject(move |op, path| {
        let is_thread = path.extension().is_some_and(|extension| extension == "jsonl");
        counted.fetch_add(usize::from(op == FileOp::Stat && is_thread), Ordering::Relaxed);
        None
    });
    let job = ThreadListJob { cursor: first.next_cursor, order: first.order, ..job };
    let second = job.run(&files).expect("a page");
    assert_eq!((second.threads.len(), asked.load(Ordering::Relaxed)), (5, 6));
    assert_ne!(second.threads, first.threads);
}

/// A page by time of creation looks at the newest days alone.
#[test]
fn a_first_page_costs_the_same_however_much_is_stored() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let cost = |threads: u8| {
        let files = MemoryFiles::new();
        for id in 0..threads {
            // Two hours apart, so that they lie in several days of one month.
            let written = visible(i64::from(id) * 120, id);
            files.put(written.path(), written.text());
        }
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        files.inject(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            None
        });
        let page = ThreadListJob { limit: 5, ..base_job() }.run(&files).expect("a page");
        assert_eq!(page.threads.len(), 5);
        asked.load(Ordering::Relaxed)
    };
    // The newest thread of both begins its day: 0 and 240 hours after the first are 08:53.
    assert_eq!(cost(37), cost(121));
}
