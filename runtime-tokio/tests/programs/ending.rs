//! How programs are ended, with all that they started.

use std::time::Instant;

use understudy_core::driver::Port;
use understudy_core::{CallId, Feed, ProcessExit};
use understudy_std::program::Programs;

use crate::stage::{
    LONG, exists, finish, is_silent, pids, port, port_with, request, runs, shell, start, until,
};

/// Three generations, none of which can be asked to end.
const STUBBORN: &str = "trap '' TERM INT HUP; echo $$; \
    sh -c 'trap \"\" TERM INT HUP; echo $$; sh -c \"trap : TERM INT HUP; echo \\$\\$; sleep 300\"; :'; :";

#[tokio::test]
async fn a_kill_ends_the_whole_group_and_its_end_is_told() {
    let mut port = port();
    start(&mut port, 1, shell(STUBBORN));
    let group = pids(&mut port, 3).await;
    assert!(group.iter().all(|pid| runs(*pid)));
    let began = Instant::now();
    port.feed(CallId(1), Feed::Kill);
    assert_eq!(finish(&mut port, 1).await.exit, Some(ProcessExit::Signal(9)));
    assert!(began.elapsed().as_millis() < 1500, "{:?}", began.elapsed());
    until("nothing is left", || !group.iter().any(|pid| runs(*pid))).await;
    until("the leader was reaped", || !exists(group[0])).await;
    // Late ones find nobody.
    port.feed(CallId(1), Feed::Kill);
    port.feed(CallId(1), Feed::Stdin(b"x".to_vec()));
    port.cancel(CallId(1));
    assert!(is_silent(&mut port).await);
}

#[tokio::test]
async fn a_cancelled_program_is_gone_and_silent() {
    let mut port = port();
    start(&mut port, 1, shell(STUBBORN));
    let group = pids(&mut port, 3).await;
    port.cancel(CallId(1));
    until("nothing is left", || !group.iter().any(|pid| runs(*pid))).await;
    until("the leader was reaped", || !exists(group[0])).await;
    assert!(is_silent(&mut port).await);
}

#[tokio::test]
async fn a_kill_reaches_what_outlived_the_program() {
    let mut port = port();
    start(&mut port, 1, shell("sleep 300 & echo $$; echo $!"));
    let group = pids(&mut port, 2).await;
    until("the leader has ended", || !runs(group[0])).await;
    assert!(runs(group[1]));
    let began = Instant::now();
    port.feed(CallId(1), Feed::Kill);
    assert_eq!(finish(&mut port, 1).await.exit, Some(ProcessExit::Code(0)));
    assert!(began.elapsed().as_millis() < 1500, "{:?}", began.elapsed());
    until("nothing is left", || !runs(group[1])).await;
}

#[tokio::test]
async fn a_kill_before_the_start_counts() {
    let mut port = port();
    start(&mut port, 1, request(&["sleep", "300"]));
    port.feed(CallId(1), Feed::Kill);
    assert_eq!(finish(&mut port, 1).await.exit, Some(ProcessExit::Signal(9)));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pid");
    start(&mut port, 2, shell(&format!("echo $$ >{}; exec sleep 300", path.display())));
    port.cancel(CallId(2));
    // Either it never came to be, or it is gone.
    start(&mut port, 3, request(&["true"]));
    finish(&mut port, 3).await;
    let pid = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    until("nothing is left", || !pid.is_some_and(runs)).await;
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_programs_and_no_others() {
    let programs = Programs::new();
    let (mut one, mut other) = (port_with(programs.clone()), port_with(programs));
    start(&mut one, 1, shell(STUBBORN));
    start(&mut one, 2, shell(STUBBORN));
    start(&mut other, 1, shell(STUBBORN));
    let mut gone = pids(&mut one, 6).await;
    let stays = pids(&mut other, 3).await;
    drop(one);
    until("nothing is left", || !gone.iter().any(|pid| runs(*pid))).await;
    until("the leaders were reaped", || !gone.iter().any(|pid| exists(*pid) && is_ours(*pid)))
        .await;
    assert!(stays.iter().all(|pid| runs(*pid)));
    gone.clear();
}

/// Whether this process is the one that has to reap it.
fn is_ours(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
    parent == Some(&std::process::id().to_string())
}

#[tokio::test]
async fn what_was_left_behind_and_ended_is_forgotten() {
    let mut port = port();
    start(&mut port, 1, shell("sleep 0.1 >/dev/null 2>&1 & echo $!"));
    let ran = finish(&mut port, 1).await;
    let background: i32 = ran.stdout().trim().parse().expect("a number");
    until("it has ended", || !runs(background)).await;
    start(&mut port, 2, request(&["true"]));
    assert_eq!(finish(&mut port, 2).await.exit, Some(ProcessExit::Code(0)));
    drop(port);
}

#[test]
fn programs_die_with_the_process_that_started_them() {
    // This test once more as a process of its own, which starts a program and is then killed.
    const MARK: &str = "UNDERSTUDY_TEST_LONELY";
    let path = std::env::var(MARK);
    if let Ok(path) = path {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut port = port();
            start(&mut port, 1, shell(&format!("echo $$ >{path}; exec sleep 300")));
            finish(&mut port, 1).await;
        });
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pid");
    let mut server = std::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "ending::programs_die_with_the_process_that_started_them"])
        .env(MARK, &path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a process");
    let began = Instant::now();
    let pid: i32 = loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.ends_with('\n') {
            break text.trim().parse().expect("a number");
        }
        assert!(began.elapsed() < LONG);
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(runs(pid));
    server.kill().expect("killed");
    server.wait().expect("reaped");
    while runs(pid) {
        assert!(began.elapsed() < LONG, "it still runs");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
