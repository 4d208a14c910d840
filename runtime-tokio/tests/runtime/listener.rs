//! The calls of a login and a refresh through the port: the browser's listener, and the lock
//! between processes.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use understudy_core::driver::Port;
use understudy_core::files::{Access, FileJob};
use understudy_core::{Call, CallId, Feed, Listen, Outcome, PageAnswer, VisitId};

use crate::subject::{Services, TestPort, port_of};

const CALL: CallId = CallId(1);
const LIMIT: Duration = Duration::from_secs(5);

fn port() -> TestPort {
    port_of(Services::default())
}

/// A port that was free a moment ago.
fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// What an outcome says.
#[derive(Debug, PartialEq)]
enum Said {
    Listening,
    Failed(bool),
    Visit(VisitId, String),
    Held(bool),
    Other,
}

async fn next(port: &mut TestPort) -> (CallId, Said) {
    let said = poll_fn(|cx| {
        port.poll_outcome(cx).map(|(id, outcome)| {
            let said = match outcome {
                Outcome::Listening => Said::Listening,
                Outcome::ListenFailed(failure) => Said::Failed(failure.is_in_use),
                Outcome::Visit(visit) => {
                    Said::Visit(visit.id, format!("{} {}", visit.method, visit.target))
                }
                Outcome::Held(held) => Said::Held(held.is_ok()),
                _ => Said::Other,
            };
            (id, said)
        })
    });
    tokio::time::timeout(LIMIT, said).await.expect("an outcome in time")
}

/// Waits for a visit; what was asked stands in its text.
async fn visit(port: &mut TestPort) -> (VisitId, String) {
    match next(port).await {
        (CALL, Said::Visit(id, text)) => (id, text),
        other => panic!("no visit: {other:?}"),
    }
}

/// Takes the port while `time` goes by; nothing may come.
async fn silence(port: &mut TestPort, time: Duration) {
    let waited = tokio::time::timeout(time, next(port)).await;
    assert!(waited.is_err(), "{waited:?}");
}

async fn listening(head_bytes_max: usize) -> (TestPort, u16) {
    let (mut port, number) = (port(), free());
    port.start(CALL, Call::Listen(Listen { port: number, head_bytes_max }));
    assert_eq!(next(&mut port).await, (CALL, Said::Listening));
    (port, number)
}

fn connect(number: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", number)).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// Sends pieces and gives back everything that comes until the connection is closed.
fn browser(number: u16, pieces: &'static [&'static str]) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut stream = connect(number);
        for piece in pieces {
            stream.write_all(piece.as_bytes()).expect("sent");
            thread::sleep(Duration::from_millis(5));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    })
}

fn page(body: &str) -> PageAnswer {
    let headers = vec![("content-type", "text/plain".to_owned())];
    PageAnswer { status: 200, headers, body: body.to_owned() }
}

fn answer(port: &mut TestPort, visit: VisitId, body: &str) {
    port.feed(CALL, Feed::Answer(visit, page(body)));
}

/// Polls the port until the browser has what it wants; it may not ask for more.
async fn joined<T: Send + 'static>(port: &mut TestPort, thread: JoinHandle<T>) -> T {
    let mut join = tokio::task::spawn_blocking(move || thread.join().expect("the browser"));
    let joined = poll_fn(|cx| {
        assert!(port.poll_outcome(cx).is_pending(), "nobody asked");
        Pin::new(&mut join).poll(cx)
    });
    joined.await.expect("the browser")
}

#[tokio::test]
async fn visits_are_answered_in_any_order_and_the_connection_is_closed() {
    let (mut port, number) = listening(1 << 10).await;
    let first = browser(number, &["GET /a?x=%20 HT", "TP/1.1\r\nHost: x\r", "\n\r\n"]);
    let (one, text) = visit(&mut port).await;
    assert_eq!(text, "GET /a?x=%20");
    let second = browser(number, &["POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"]);
    let (two, text) = visit(&mut port).await;
    assert_eq!(text, "POST /b");
    let third = browser(number, &["HEAD /c HTTP/1.0\n\n"]);
    let (three, text) = visit(&mut port).await;
    assert_eq!(text, "HEAD /c");
    answer(&mut port, two, "second");
    let start = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\
                 connection: close\r\n\r\n";
    assert_eq!(joined(&mut port, second).await, format!("{start}second"));
    answer(&mut port, three, "silent");
    assert_eq!(joined(&mut port, third).await, start);
    answer(&mut port, one, "first!");
    answer(&mut port, one, "again");
    answer(&mut port, VisitId(99), "nobody");
    assert_eq!(joined(&mut port, first).await, format!("{start}first!"));
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_not_passed_on() {
    let (mut port, number) = listening(100).await;
    let long: &[&str] = &[
        "GET / HTTP/1.1\r\nX: 1234567890123456789012345678901234567890",
        "1234567890123456789012345678901234567890\r\n\r\n",
    ];
    let endless: &[&str] = &[
        "GET /1234567890123456789012345678901234567890",
        "1234567890123456789012345678901234567890123456789012345678901234567890",
    ];
    for (pieces, status) in [
        (long, "431"),
        (endless, "431"),
        (["\r\n\r\n"].as_slice(), "400"),
        (["\u{16}\u{3}\u{1}\0\0\r\n\r\n"].as_slice(), "400"),
        (["GET http://x/ HTTP/1.1\r\n\r\n"].as_slice(), "400"),
    ] {
        let browser = browser(number, pieces);
        silence(&mut port, Duration::from_millis(60)).await;
        let said = joined(&mut port, browser).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{pieces:?}: {said}");
        assert!(said.contains("connection: close\r\n"), "{said}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_so_and_a_cancelled_one_is_free_at_once() {
    let (mut port, number) = listening(1 << 10).await;
    let second = CallId(2);
    let listen = Listen { port: number, head_bytes_max: 1 << 10 };
    port.start(second, Call::Listen(listen));
    assert_eq!(next(&mut port).await, (second, Said::Failed(true)));
    for _ in 0..3 {
        let browser = browser(number, &["GET / HTTP/1.1\r\n\r\n"]);
        let (id, _) = visit(&mut port).await;
        answer(&mut port, id, "fine");
        port.cancel(CALL);
        port.start(CALL, Call::Listen(listen));
        assert_eq!(next(&mut port).await, (CALL, Said::Listening));
        assert!(joined(&mut port, browser).await.ends_with("fine"));
    }
    port.cancel(CALL);
    drop(TcpListener::bind(("127.0.0.1", number)).expect("free"));
}

#[tokio::test]
async fn a_cancel_breaks_off_those_without_an_answer() {
    let (mut port, number) = listening(1 << 10).await;
    let (mut silent, mut half) = (connect(number), connect(number));
    half.write_all(b"GET / HTTP").expect("sent");
    let mut asking = connect(number);
    asking.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let (id, _) = visit(&mut port).await;
    port.cancel(CALL);
    answer(&mut port, id, "too late");
    tokio::time::sleep(Duration::from_millis(20)).await;
    for stream in [&mut silent, &mut half, &mut asking] {
        let mut said = String::new();
        match stream.read_to_string(&mut said) {
            Ok(_) => assert_eq!(said, ""),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    assert!(TcpStream::connect(("127.0.0.1", number)).is_err());
}

#[tokio::test]
async fn connections_that_say_nothing_make_room() {
    let (mut port, number) = listening(1 << 10).await;
    // Not more at once than the system keeps for those who do not accept.
    let mut silent: Vec<TcpStream> = (0..60).map(|_| connect(number)).collect();
    silence(&mut port, Duration::from_millis(20)).await;
    silent.extend((0..60).map(|_| connect(number)));
    silence(&mut port, Duration::from_millis(20)).await;
    let browser = browser(number, &["GET / HTTP/1.1\r\n\r\n"]);
    let (id, _) = visit(&mut port).await;
    answer(&mut port, id, "fine");
    assert!(joined(&mut port, browser).await.ends_with("fine"));
    let mut first = silent.remove(0);
    assert!(!matches!(first.read(&mut [0]), Ok(1..)), "the oldest one was closed");
}

#[tokio::test]
async fn a_lock_is_held_until_it_is_cancelled_and_no_job_waits_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("auth.refresh");
    let mut port = port();
    port.start(CALL, Call::Hold(path.clone()));
    assert_eq!(next(&mut port).await, (CALL, Said::Held(true)));
    let (second, third) = (CallId(2), CallId(3));
    port.start(second, Call::Hold(path.clone()));
    port.start(third, Call::Hold(path.clone()));
    let bytes = b"x".to_vec();
    let job = FileJob::Write { path: folder.path().join("x"), bytes, access: Access::Shared };
    port.start(CallId(4), Call::Files(job));
    assert_eq!(next(&mut port).await, (CallId(4), Said::Other));
    silence(&mut port, Duration::from_millis(40)).await;
    // One that is cancelled while it waits lets go as soon as it has the lock.
    port.cancel(second);
    port.cancel(CALL);
    let started = Instant::now();
    assert_eq!(next(&mut port).await, (third, Said::Held(true)));
    assert!(started.elapsed() < Duration::from_secs(1));
    port.cancel(third);
    let nothing = poll_fn(|cx| Poll::Ready(port.poll_outcome(cx).is_pending())).await;
    assert!(nothing);
    port.start(CallId(5), Call::Hold(path));
    assert_eq!(next(&mut port).await, (CallId(5), Said::Held(true)));
}

#[tokio::test]
async fn a_lock_that_cannot_be_had_is_said_so() {
    let mut port = port();
    port.start(CALL, Call::Hold("/proc/none/x".into()));
    assert_eq!(next(&mut port).await, (CALL, Said::Held(false)));
}
