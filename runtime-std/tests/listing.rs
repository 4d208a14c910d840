//! Lists of stored threads while other programs work on the same files.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use understudy_core::files::Files;
use understudy_core::thread::list::{KnownOrders, ThreadListJob};
use understudy_core::wire::v2::thread::ThreadSortKey;
use understudy_std::OsFiles;

/// A state folder with threads, and what a session knows of it.
struct World {
    home: tempfile::TempDir,
    orders: KnownOrders,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir_in(place()).expect("a folder");
        Self { home, orders: KnownOrders::default() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn job(&self, archived: bool, orders: KnownOrders) -> ThreadListJob {
        ThreadListJob {
            home: self.home.path().to_owned(),
            archived,
            sort_key: ThreadSortKey::UpdatedAt,
            limit: 100,
            cursor: None,
            model_providers: Some(Vec::new()),
            sources: Vec::new(),
            default_provider: "p".to_owned(),
            orders,
        }
    }

    /// Lists as the session does, and checks that against a list that knows nothing.
    #[track_caller]
    fn list(&self, archived: bool) -> Vec<String> {
        let known = self.job(archived, self.orders.clone()).run(&OsFiles).expect("a page");
        let plain = self.job(archived, KnownOrders::default()).run(&OsFiles).expect("a page");
        assert_eq!(known, plain);
        known.threads.into_iter().map(|thread| thread.preview).collect()
    }
}

/// A folder that can be watched, if there is one: a build may lie on layers of a container.
fn place() -> &'static Path {
    let places = [env!("CARGO_TARGET_TMPDIR"), "/dev/shm", "/tmp"].map(Path::new);
    let is_watched =
        |place: &&Path| OsFiles.watch().is_some_and(|mut watch| watch.add(place, 0).is_ok());
    places.into_iter().find(is_watched).unwrap_or(places[0])
}

/// The path of a thread within the state folder.
fn path(day: u32, n: u32) -> String {
    format!("sessions/2026/01/{day:02}/{}", name(day, n))
}

fn name(day: u32, n: u32) -> String {
    format!("rollout-2026-01-{day:02}T10-00-00-019c0a11-0000-7000-8000-{n:012}.jsonl")
}

fn text(n: u32) -> String {
    let id = format!("019c0a11-0000-7000-8000-{n:012}");
    format!(
        concat!(
            r#"{{"timestamp":"","type":"session_meta","payload":{{"id":"{id}","#,
            r#""timestamp":"2026-01-29T10:00:00.099Z","cwd":"/w","originator":"o","#,
            r#""cli_version":"0.0.0","source":"cli"}}}}"#,
            "\n",
            r#"{{"timestamp":"","type":"event_msg","payload":"#,
            r#"{{"type":"user_message","message":"{n}"}}}}"#,
            "\n",
        ),
        id = id,
        n = n
    )
}

/// Writes a thread that last changed so many seconds after a fixed time.
fn put(path: &Path, n: u32, seconds: u64) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text(n)).expect("written");
    date(path, seconds);
}

fn date(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    // Not open for writing, and both times, so that the kernel calls it neither writing nor closing.
    let file = File::open(path).expect("opened");
    file.set_times(FileTimes::new().set_accessed(time).set_modified(time)).expect("dated");
}

fn append(path: &Path) {
    let mut file = OpenOptions::new().append(true).open(path).expect("opened");
    file.write_all(b"{}\n").expect("written");
}

#[test]
fn what_others_do_shows_in_the_next_list() {
    let world = World::new();
    for n in 0..20 {
        put(&world.at(&path(n / 5 + 1, n)), n, n.into());
    }
    assert_eq!(world.list(false)[..3], ["19", "18", "17"]);
    // Another program, which is over before the next list.
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        let status = shell.args(["-ec", script]).current_dir(world.home.path()).status();
        assert!(status.expect("runs").success(), "{script}");
    };
    shell(&format!("echo {{}} >> {}", path(1, 0)));
    assert_eq!(world.list(false)[..3], ["0", "19", "18"]);
    shell(&format!("rm {}", path(1, 0)));
    shell(&format!("touch -d 2001-01-01 {}", path(4, 19)));
    let list = world.list(false);
    assert_eq!((&list[0], &list[18], list.len()), (&"18".to_owned(), &"19".to_owned(), 19));
    shell("mkdir -p sessions/2027/12/31 && cp sessions/2026/01/01/*01.jsonl sessions/2027/12/31/");
    assert_eq!(world.list(false)[..2], ["1", "18"]);
    assert_eq!(world.list(true), Vec::<String>::new());
    shell(&format!("mkdir archived_sessions && mv {} archived_sessions", path(2, 6)));
    assert_eq!(world.list(true), ["6"]);
    assert!(!world.list(false).contains(&"6".to_owned()));
    shell(&format!("mv archived_sessions/{} sessions/2026/01/02", name(2, 6)));
    assert!(world.list(false).contains(&"6".to_owned()));
    assert_eq!(world.list(true), Vec::<String>::new());
}

#[test]
fn whole_folders_come_and_go() {
    let world = World::new();
    for n in 0..12 {
        put(&world.at(&path(n / 3 + 1, n)), n, n.into());
    }
    let day = |day: u32| world.at(&format!("sessions/2026/01/{day:02}"));
    assert_eq!(world.list(false).len(), 12);
    fs::remove_dir_all(day(1)).expect("removed");
    assert_eq!(world.list(false).len(), 9);
    put(&world.at(&path(1, 0)), 0, 50);
    assert_eq!(world.list(false)[0], "0");
    fs::rename(day(2), day(9)).expect("moved");
    append(&day(9).join(name(2, 3)));
    assert_eq!(world.list(false)[0], "3");
    fs::rename(world.at("sessions/2026"), world.at("elsewhere")).expect("moved");
    assert_eq!(world.list(false).len(), 0);
    fs::rename(world.at("elsewhere"), world.at("sessions/2026")).expect("moved");
    assert_eq!(world.list(false).len(), 10);
    fs::rename(world.at("sessions"), world.at("old")).expect("moved");
    put(&world.at(&path(1, 30)), 30, 99);
    assert_eq!(world.list(false), ["30"]);
    append(&world.at("old/2026/01/03").join(name(3, 7)));
    assert_eq!(world.list(false), ["30"]);
}

/// What is done to a file under another name, the kernel tells nobody who watches this one.
#[test]
fn files_that_are_elsewhere_too_are_not_forgotten() {
    let world = World::new();
    for n in 0..6 {
        put(&world.at(&path(1, n)), n, n.into());
    }
    put(&world.at("far/hard"), 10, 10);
    put(&world.at("far/soft"), 11, 11);
    fs::hard_link(world.at("far/hard"), world.at(&path(1, 10))).expect("linked");
    symlink(world.at("far/soft"), world.at(&path(1, 11))).expect("linked");
    symlink(world.at("far/later"), world.at(&path(1, 12))).expect("linked");
    assert_eq!(world.list(false)[..2], ["11", "10"]);
    append(&world.at("far/hard"));
    assert_eq!(world.list(false)[..2], ["10", "11"]);
    date(&world.at("far/soft"), 0);
    put(&world.at("far/later"), 12, 1 << 30);
    assert_eq!(world.list(false)[..3], ["12", "10", "5"]);
    // A day behind a link is not watched, so nothing is.
    put(&world.at(&format!("far/day/{}", name(2, 20))), 20, 1 << 29);
    symlink(world.at("far/day"), world.at("sessions/2026/01/02")).expect("linked");
    assert_eq!(world.list(false)[..2], ["12", "20"]);
    append(&world.at("far/day").join(name(2, 20)));
    date(&world.at("far/later"), 1);
    assert!(world.list(false)[..2].contains(&"20".to_owned()));
    // Nor is one behind two of them, of which one leads elsewhere now.
    put(&world.at(&format!("far/other/{}", name(3, 21))), 21, 1 << 28);
    let (link, day) = (world.at("far/link"), world.at("sessions/2026/01/03"));
    symlink(world.at("far/none"), &link).expect("linked");
    symlink(&link, day).expect("linked");
    world.list(false);
    symlink(world.at("far/other"), world.at("far/new")).expect("linked");
    fs::rename(world.at("far/new"), link).expect("moved");
    assert!(world.list(false).contains(&"21".to_owned()));
}

/// A program need not close the file that it writes to.
#[test]
fn a_file_that_stays_open_is_followed() {
    let world = World::new();
    (0..3).for_each(|n| put(&world.at(&path(1, n)), n, n.into()));
    let mut file = OpenOptions::new().append(true).open(world.at(&path(1, 0))).expect("opened");
    assert_eq!(world.list(false), ["2", "1", "0"]);
    file.write_all(b"{}\n").expect("written");
    assert_eq!(world.list(false), ["0", "2", "1"]);
    date(&world.at(&path(1, 1)), 1 << 30);
    assert_eq!(world.list(false), ["1", "0", "2"]);
}

/// More happens between two lists than the kernel's queue holds.
#[test]
fn an_overflow_is_no_loss() {
    let world = World::new();
    for n in 0..50 {
        put(&world.at(&path(1, n)), n, n.into());
    }
    assert_eq!(world.list(false)[0], "49");
    (0..10_000).for_each(|_| append(&world.at(&path(1, 7))));
    date(&world.at(&path(1, 3)), 1 << 30);
    assert_eq!(world.list(false)[..2], ["3", "7"]);
}

/// That it is the watch which answered here, and not the way without one.
#[test]
#[cfg(target_os = "linux")]
fn local_folders_are_watched_and_others_are_not() {
    let world = World::new();
    put(&world.at(&path(1, 1)), 1, 1);
    let mut watch = OsFiles.watch().expect("a watch");
    watch.add(&world.at("sessions/2026/01/01"), 3).expect("watched");
    assert_eq!(watch.changes(), Some(Vec::new()));
    append(&world.at(&path(1, 1)));
    let changes = watch.changes().expect("told");
    assert_eq!((changes.len(), changes[0].folder, &changes[0].name), (1, 3, &name(1, 1)));
    assert_eq!(watch.changes(), Some(Vec::new()));
    // One folder under two names, of which one may not be told.
    fs::rename(world.at("sessions/2026/01/01"), world.at("sessions/2026/01/02")).expect("moved");
    assert!(watch.add(&world.at("sessions/2026/01/02"), 4).is_err());
    // Not of this machine's disks: nobody tells what changes there.
    let refused = OsFiles.watch().expect("a watch").add(Path::new("/proc/self"), 0);
    assert!(refused.is_err());
    let refused = OsFiles.watch().expect("a watch").add(&world.at("none"), 0);
    assert!(refused.expect_err("none").is_not_found());
}
