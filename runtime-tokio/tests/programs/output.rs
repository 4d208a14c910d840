//! What programs say, and what becomes of it when nobody listens.

use std::time::{Duration, Instant};

use understudy_core::driver::Port;
use understudy_core::{CallId, OutputStream, ProcessExit, limits};

use crate::stage::{
    Said, exists, finish, finish_all, is_silent, next, pids, port, run, runs, shell, start, until,
};

#[tokio::test]
async fn output_and_errors_arrive_whole_in_bounded_pieces() {
    let ran = run(shell("head -c 300000 /dev/zero; head -c 100001 /dev/zero >&2; exit 3")).await;
    assert_eq!((ran.stdout.len(), ran.stderr.len()), (300_000, 100_001));
    assert_eq!(ran.largest, limits::PROCESS_CHUNK_BYTES);
    assert_eq!(ran.exit, Some(ProcessExit::Code(3)));
}

#[tokio::test]
async fn output_comes_as_it_is_said() {
    let mut port = port();
    start(&mut port, 1, shell("echo one; read line; echo never"));
    start(&mut port, 2, shell("printf first; sleep 0.2; printf second; sleep 100"));
    let mut heard = Vec::new();
    while !heard.ends_with(b"second") {
        match next(&mut port).await {
            (CallId(2), Said::Output(_, bytes)) => heard.extend(bytes),
            (CallId(1), _) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn ends_are_told_apart() {
    for (script, exit) in [
        ("true", ProcessExit::Code(0)),
        ("exit 255", ProcessExit::Code(255)),
        ("kill -TERM $$", ProcessExit::Signal(15)),
        ("kill -KILL $$", ProcessExit::Signal(9)),
    ] {
        assert_eq!(run(shell(script)).await.exit, Some(exit), "{script}");
    }
}

#[tokio::test]
async fn a_flood_that_nobody_polls_stays_in_the_pipe() {
    let mut port = port();
    let flood = "dd if=/dev/zero bs=4096 count=1000000 2>/dev/null & echo $! >&2; wait";
    start(&mut port, 1, shell(flood));
    let dd: i32 = loop {
        match next(&mut port).await.1 {
            Said::Output(OutputStream::Stderr, bytes) => {
                let text = String::from_utf8(bytes).expect("text");
                break text.trim().parse().expect("a number");
            }
            Said::Output(OutputStream::Stdout, _) => {}
            other => panic!("{other:?}"),
        }
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let written = |pid: i32| {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("counts");
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("a count");
        line.parse::<u64>().expect("a number")
    };
    let before = written(dd);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(written(dd), before, "it goes on writing");
    assert!(before < 1 << 20, "{before} bytes are on their way");
    port.cancel(CallId(1));
    until("the flood is over", || !runs(dd)).await;
    assert!(is_silent(&mut port).await);
}

#[tokio::test]
async fn a_loud_program_does_not_drown_the_others() {
    let mut port = port();
    start(&mut port, 1, shell("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"));
    start(&mut port, 2, shell("yes"));
    start(&mut port, 3, shell("echo quiet"));
    let mut heard = 0;
    let exit = loop {
        match next(&mut port).await {
            (CallId(3), Said::Exited(exit)) => break exit,
            (CallId(1 | 2), _) => heard += 1,
            (CallId(3), _) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(exit, ProcessExit::Code(0));
    assert!(heard > 0);
}

#[tokio::test]
async fn many_at_once_are_not_mixed_up() {
    let mut port = port();
    let ids: [u64; 20] = std::array::from_fn(|n| n as u64 + 1);
    for id in ids {
        start(&mut port, id, shell(&format!("yes {id} | head -c 20000; exit {id}")));
    }
    for (id, ran) in ids.into_iter().zip(finish_all(&mut port, ids).await) {
        assert_eq!(ran.exit, Some(ProcessExit::Code(id as i32)));
        assert_eq!(ran.stdout.len(), 20_000);
        assert!(ran.stdout().lines().take(1000).all(|line| line == id.to_string()));
    }
}

#[tokio::test]
async fn what_a_background_program_holds_open_is_waited_for_within_bounds() {
    let mut port = port();
    let began = Instant::now();
    start(&mut port, 1, shell("sleep 300 & echo $!; exit 7"));
    let ran = finish(&mut port, 1).await;
    assert_eq!(ran.exit, Some(ProcessExit::Code(7)));
    assert!(began.elapsed() >= limits::PROCESS_DRAIN, "{:?}", began.elapsed());
    assert!(began.elapsed() < limits::PROCESS_DRAIN * 4, "{:?}", began.elapsed());
    // It is the program's to leave something behind, and the session's to end it.
    let background: i32 = ran.stdout().trim().parse().expect("a number");
    assert!(runs(background));
    drop(port);
    until("nothing is left behind", || !runs(background)).await;
}

#[tokio::test]
async fn what_is_said_after_the_end_is_kept_until_the_time_is_over() {
    let mut port = port();
    start(
        &mut port,
        1,
        shell("(sleep 0.3; echo late) & (while :; do sleep 0.05; echo x; done) & :"),
    );
    let ran = finish(&mut port, 1).await;
    assert!(ran.stdout().contains("late\n"));
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)));
    // And one that never stops: the end is told all the same.
    start(&mut port, 2, shell("yes & exit 1"));
    assert_eq!(finish(&mut port, 2).await.exit, Some(ProcessExit::Code(1)));
}

#[tokio::test]
async fn what_waits_in_the_pipe_survives_a_pause_of_the_reader() {
    let mut port = port();
    start(&mut port, 1, shell("echo $$; sleep 0.1; head -c 60000 /dev/zero"));
    let pids = pids(&mut port, 1).await;
    until("it has ended", || !runs(pids[0])).await;
    tokio::time::sleep(limits::PROCESS_DRAIN + Duration::from_millis(200)).await;
    assert_eq!(finish(&mut port, 1).await.stdout.len(), 60_000);
    until("it was reaped", || !exists(pids[0])).await;
}
