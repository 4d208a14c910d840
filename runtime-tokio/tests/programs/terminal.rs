//! Programs that have a terminal.

use understudy_core::driver::Port;
use understudy_core::{CallId, Feed, ProcessExit, ProcessRequest, Stdio, limits};

use crate::stage::{Said, TestPort, finish, next, port, run, runs, shell, start, until};

fn with_terminal(script: &str) -> ProcessRequest {
    ProcessRequest { stdio: Stdio::Terminal { rows: 33, columns: 121 }, ..shell(script) }
}

/// Polls until the output holds `wanted`, and gives it back.
async fn heard(port: &mut TestPort, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        match next(port).await.1 {
            Said::Output(_, bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?} after {text:?}"),
        }
    }
    text
}

#[tokio::test]
async fn all_streams_are_one_terminal_of_the_size_that_was_asked_for() {
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && tty && ps -o tty= -p $$; \
        echo errors >&2; ls -1 /proc/$$/fd; exit 5";
    let ran = run(with_terminal(script)).await;
    let lines: Vec<_> = ran.stdout().split("\r\n").collect();
    assert_eq!(lines[0], "33 121", "{lines:?}");
    let name = lines[1].strip_prefix("/dev/").expect("a terminal");
    assert_eq!(lines[2].trim(), name, "not the terminal of its session");
    assert_eq!(lines[3..], ["errors", "0", "1", "2", ""]);
    assert_eq!((ran.stderr.len(), ran.exit), (0, Some(ProcessExit::Code(5))));
}

#[tokio::test]
async fn what_is_typed_is_echoed_and_read() {
    let mut port = port();
    start(&mut port, 1, with_terminal("read line; echo \"got $line\"; read line; echo never"));
    port.feed(CallId(1), Feed::Stdin(b"some words\n".to_vec()));
    let text = heard(&mut port, "got some words\r\n").await;
    assert!(text.starts_with("some words\r\n"), "{text:?}");
    // The interrupt character reaches the program in the foreground.
    port.feed(CallId(1), Feed::Stdin(vec![3]));
    assert_eq!(finish(&mut port, 1).await.exit, Some(ProcessExit::Signal(2)));
}

#[tokio::test]
async fn more_than_the_terminal_takes_waits_within_bounds() {
    let mut port = port();
    start(
        &mut port,
        1,
        with_terminal("stty raw -echo; echo ready; sleep 0.3; head -c 300000 | wc -c"),
    );
    heard(&mut port, "ready").await;
    port.feed(CallId(1), Feed::Stdin(vec![b'x'; 300_000]));
    heard(&mut port, "300000").await;
    finish(&mut port, 1).await;
    // One that never reads.
    start(&mut port, 2, with_terminal("stty raw -echo; echo ready; sleep 300"));
    heard(&mut port, "ready").await;
    for _ in 0..5 {
        port.feed(CallId(2), Feed::Stdin(vec![b'x'; limits::PROCESS_INPUT_BYTES_MAX]));
    }
    port.feed(CallId(2), Feed::Kill);
    assert_eq!(finish(&mut port, 2).await.exit, Some(ProcessExit::Signal(9)));
}

#[tokio::test]
async fn programs_with_pipes_hear_nothing() {
    let mut port = port();
    start(&mut port, 1, shell("cat; echo end"));
    port.feed(CallId(1), Feed::Stdin(b"hello\n".to_vec()));
    assert_eq!(finish(&mut port, 1).await.stdout(), "end\n");
}

#[tokio::test]
async fn the_end_of_a_session_ends_what_has_a_terminal() {
    let mut port = port();
    start(&mut port, 1, with_terminal("trap '' HUP TERM; echo $$; sleep 300 & echo $!; wait"));
    let text = heard(&mut port, "\n").await;
    let mut lines = text;
    while lines.lines().count() < 2 || !lines.ends_with('\n') {
        lines.push_str(&heard(&mut port, "\n").await);
    }
    let group: Vec<i32> = lines.lines().map(|line| line.trim().parse().expect("a pid")).collect();
    drop(port);
    until("nothing is left", || !group.iter().any(|pid| runs(*pid))).await;
}
