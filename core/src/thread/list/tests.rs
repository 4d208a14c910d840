//! Lists against a plain model of them: every file read, every page cut from the whole.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::files::{
    Access, Entry, FileErrorKind, FileLock, FileOp, FolderChange, FolderWatch, IfMissing,
    MemoryFiles, Stat,
};
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

fn slow(stat: Stat) -> Stat {
    Stat { modified_ns: stat.modified_ns * 400_000_000, ..stat }
}

struct SlowWatch(Box<dyn FolderWatch>);

impl FolderWatch for SlowWatch {
    fn add(&mut self, folder: &Path, number: u32) -> Result<(), FileError> {
        self.0.add(folder, number)
    }
    fn list_files(&mut self, number: u32) -> Result<Vec<(String, Stat)>, FileError> {
        let found = self.0.list_files(number)?.into_iter();
        Ok(found.map(|(name, stat)| (name, slow(stat))).collect())
    }
    fn stat(&mut self, number: u32, name: &str) -> Result<Stat, FileError> {
        self.0.stat(number, name).map(slow)
    }
    fn changes(&mut self) -> Option<Vec<FolderChange>> {
        self.0.changes()
    }
}

impl Files for SlowFiles {
    fn stat(&self, path: &Path) -> Result<Stat, FileError> {
        let stat = self.0.stat(path)?;
        if stat.is_dir {
            return Ok(Stat { modified_ns: self.names_in(path)?, ..stat });
        }
        Ok(slow(stat))
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
    fn append(&self, path: &Path, bytes: &[u8], missing: IfMissing) -> Result<(), FileError> {
        self.0.append(path, bytes, missing)
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
    fn watch(&self) -> Option<Box<dyn FolderWatch>> {
        Some(Box::new(SlowWatch(self.0.watch()?)))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(Written),
    Grow(u16),
    Remove(u16),
    Touch(u16),
    /// Gives a file any time of change, an older one for instance.
    Date(u16),
    /// Moves a file into the archive, or out of it.
    Move(u16),
    /// A link to a file, in the place of one.
    Link(Written, u16),
    /// A day is removed with all its files.
    RemoveDay(u16),
    /// The system loses track of what changed.
    LoseWatches,
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
            orders: KnownOrders::default(),
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
        1 => any::<u16>().prop_map(Step::Date),
        1 => any::<u16>().prop_map(Step::Move),
        1 => (written(), any::<u16>()).prop_map(|(written, at)| Step::Link(written, at)),
        1 => any::<u16>().prop_map(Step::RemoveDay),
        1 => Just(Step::LoseWatches),
        1 => Just(Step::DropIndex),
        1 => any::<u16>().prop_map(Step::BreakIndex),
        4 => job().prop_map(Step::List),
        2 => job().prop_map(Step::Walk),
        2 => job().prop_map(Step::Begin),
        4 => Just(Step::GoOn),
    ]
}

/// Every file below a folder, links to files among them.
fn below(files: &SlowFiles, folder: &Path) -> Vec<PathBuf> {
    let entries = files.list(folder).unwrap_or_default().into_iter();
    let inside = entries.map(|Entry { name, is_dir, .. }| (folder.join(name), is_dir));
    inside
        .flat_map(|(path, is_dir)| if is_dir { below(files, &path) } else { vec![path] })
        .collect()
}

/// Every thread that the list shows, in order, with its place; no index, no walk.
fn plain(files: &SlowFiles, job: &ThreadListJob) -> Vec<(Cursor, StoredThread)> {
    let mut all = Vec::new();
    let root = Path::new(HOME).join(if job.archived { "archived_sessions" } else { "sessions" });
    for path in below(files, &root) {
        let name = path.file_name().and_then(|name| RolloutName::parse(name.to_str()?));
        let Some(name) = name else { continue };
        // A link to nothing is no thread.
        let Ok(stat) = files.stat(&path) else { continue };
        let head = Head::read(files, &path).expect("a file").expect("a rollout");
        let seconds = i64::try_from(stat.modified_ns.div_euclid(1_000_000_000)).expect("a time");
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
        job.cursor = page.next_cursor;
        if job.cursor.is_none() {
            return all;
        }
    }
}

fn index_files(files: &MemoryFiles) -> Vec<PathBuf> {
    files.paths().into_iter().filter(|path| path.starts_with("/h/.understudy")).collect()
}

/// The files, and what the steps so far have left.
#[derive(Default)]
struct World {
    files: SlowFiles,
    orders: KnownOrders,
    /// The list that is gone through.
    going: Option<ThreadListJob>,
    /// Times of change that files were given, all different.
    dates: i128,
}

impl World {
    fn take(&mut self, step: Step) {
        let with_orders = |job| ThreadListJob { orders: self.orders.clone(), ..job };
        match step {
            Step::List(job) => list(&self.files, &with_orders(job)),
            Step::Walk(job) => {
                let job = with_orders(job);
                let expected = plain(&self.files, &job).into_iter();
                let expected: Vec<_> = expected.map(|(_, thread)| thread).collect();
                assert_eq!(walk(&self.files, &job), expected);
            }
            Step::Begin(job) => {
                let job = with_orders(job);
                let page = job.run(&self.files).expect("a page");
                self.going = Some(ThreadListJob { cursor: page.next_cursor, ..job });
            }
            Step::GoOn => {
                let job = self.going.take().filter(|job| job.cursor.is_some());
                self.going = job.map(|job| go_on(&self.files, job));
            }
            step => self.change(step),
        }
    }

    /// What other programs do.
    fn change(&mut self, step: Step) {
        let memory = &self.files.0;
        let is_thread = |path: &PathBuf| !path.starts_with("/h/.understudy");
        let threads: Vec<_> = memory.paths().into_iter().filter(is_thread).collect();
        let pick = |at: u16| threads.get(usize::from(at) % threads.len().max(1));
        match step {
            Step::Put(written) => memory.put(written.path(), written.text()),
            Step::Grow(at) => {
                let line = concat!(
                    r#"{"timestamp":"","type":"event_msg","payload":"#,
                    r#"{"type":"user_message"}}"#,
                    "\n"
                );
                pick(at)
                    .map_or(Ok(()), |path| memory.append(path, line.as_bytes(), IfMissing::Make))
                    .expect("done");
            }
            Step::Remove(at) => pick(at).map_or(Ok(()), |path| memory.remove(path)).expect("done"),
            Step::Touch(at) => {
                let Some(path) = pick(at) else { return };
                memory.put(path, memory.content(path).expect("content"));
            }
            Step::Date(at) => {
                self.dates -= 1;
                let Some(path) = pick(at) else { return };
                memory.set_modified(path, self.dates);
            }
            Step::Move(at) => {
                let Some(path) = pick(at) else { return };
                let name = path.file_name().and_then(|name| RolloutName::parse(name.to_str()?));
                let name = name.expect("a name");
                let to = if path.starts_with("/h/sessions") {
                    name.path_in_archive(Path::new(HOME))
                } else {
                    name.path_in_sessions(Path::new(HOME))
                };
                memory.rename(path, &to).expect("moved");
            }
            Step::Link(written, at) => {
                let Some(target) = pick(at).filter(|path| **path != written.path()) else { return };
                memory.link(written.path(), target);
            }
            Step::RemoveDay(at) => {
                let Some(day) = pick(at).and_then(|path| path.parent()) else { return };
                memory.remove_folder(day);
            }
            Step::LoseWatches => memory.lose_watches(),
            Step::DropIndex => {
                index_files(memory).iter().for_each(|path| memory.remove(path).expect("removed"));
            }
            Step::BreakIndex(at) => {
                for path in index_files(memory) {
                    let mut content = memory.content(&path).expect("content");
                    content.truncate(usize::from(at) % content.len().max(1));
                    memory.put(path, content);
                }
            }
            Step::List(_) | Step::Walk(_) | Step::Begin(_) | Step::GoOn => {}
        }
    }
}

fn list(files: &SlowFiles, job: &ThreadListJob) {
    let expected = plain(files, job);
    let page = job.run(files).expect("a page");
    let shown: Vec<_> = expected.into_iter().map(|(_, thread)| thread).collect();
    assert_eq!(page.threads, shown[..shown.len().min(job.limit)]);
    assert!(page.next_cursor.is_some() || page.threads.len() == shown.len());
}

fn go_on(files: &SlowFiles, job: ThreadListJob) -> ThreadListJob {
    let cursor = job.cursor.as_deref().expect("a cursor").parse().expect("a cursor");
    let page = job.run(files).expect("a page");
    let behind = plain(files, &job).into_iter().filter(|(place, _)| *place < cursor);
    let expected: Vec<_> = behind.map(|(_, thread)| thread).take(job.limit).collect();
    assert_eq!(page.threads, expected);
    ThreadListJob { cursor: page.next_cursor, ..job }
}

proptest! {
    /// Whatever other programs do to files and index between lists, a list shows what is there:
    /// whether the system tells of changes, tells of some, or tells of none.
    #[test]
    fn lists_show_what_is_there(
        steps in proptest::collection::vec(step(), 1..60),
        is_watched in any::<bool>(),
    ) {
        let mut world = World::default();
        world.files.0.inject(move |op, _| {
            let text = "no space left on device".to_owned();
            (op == FileOp::Watch && !is_watched)
                .then_some(FileError { kind: FileErrorKind::Other, text })
        });
        for step in steps {
            world.take(step);
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
        orders: KnownOrders::default(),
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

/// Counts how often a thread's file is asked for its facts; `is_watched` as the files say.
fn counted_stats(files: &SlowFiles, is_watched: bool) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    files.0.inject(move |op, path| {
        let is_thread = path.extension().is_some_and(|extension| extension == "jsonl");
        counted.fetch_add(usize::from(op == FileOp::Stat && is_thread), Ordering::Relaxed);
        let text = "no".to_owned();
        (op == FileOp::Watch && !is_watched)
            .then_some(FileError { kind: FileErrorKind::Other, text })
    });
    asked
}

/// Sixty threads, each on a day of its own.
fn many() -> SlowFiles {
    let files = SlowFiles::default();
    for id in 0..60 {
        let written = visible(i64::from(id) * 1440, id);
        files.0.put(written.path(), written.text());
    }
    files
}

/// Pages behind the first ask for the files that they show, and for one more.
#[test]
fn a_walk_by_change_asks_for_each_file_once() {
    for (is_watched, expected) in [(false, 6), (true, 0)] {
        let files = many();
        let asked = counted_stats(&files, is_watched);
        let job = ThreadListJob { sort_key: ThreadSortKey::UpdatedAt, limit: 5, ..base_job() };
        let first = job.run(&files).expect("a page");
        assert_eq!(asked.swap(0, Ordering::Relaxed), 60);
        let job = ThreadListJob { cursor: first.next_cursor, ..job };
        let second = job.run(&files).expect("a page");
        assert_eq!((second.threads.len(), asked.load(Ordering::Relaxed)), (5, expected));
        assert_ne!(second.threads, first.threads);
    }
}

#[test]
fn a_list_by_change_asks_for_what_changed_since_the_last() {
    let files = many();
    let asked = counted_stats(&files, true);
    let job = ThreadListJob { sort_key: ThreadSortKey::UpdatedAt, limit: 5, ..base_job() };
    let archive = ThreadListJob { archived: true, ..job.clone() };
    let first = job.run(&files).expect("a page");
    assert_eq!(archive.run(&files), Ok(ThreadListPage::default()));
    let (oldest, new) = (visible(0, 0), visible(61 * 1440, 61));
    files.append(&oldest.path(), b"{}\n", IfMissing::Fail).expect("appended");
    files.0.put(new.path(), new.text());
    asked.store(0, Ordering::Relaxed);
    let second = job.run(&files).expect("a page");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(second.threads[0].path, new.path());
    assert_eq!(second.threads[1].path, oldest.path());
    assert_eq!(second.threads[2..], first.threads[..3]);
}

/// A page by time of creation looks at the newest days alone.
#[test]
fn a_first_page_costs_the_same_however_much_is_stored() {
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
