//! Calls through the port, against real HTTP on loopback and real files.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use understudy_core::driver::Port;
use understudy_core::files::{
    Access, Entry, FileAnswer, FileError, FileJob, FileLock, Files, IfMissing, Stat,
};
use understudy_core::{
    AskId, Call, CallId, FreshTokens, HeaderText, HttpFailureKind, HttpRequest, Method, Outcome,
    RefreshAuth, Secret,
};
use understudy_std::{OsFiles, Refresher};

use crate::subject::{Services, TestPort, port_of};

fn port(files: impl Files + 'static, refresher: Option<Refresher>) -> TestPort {
    port_of(Services { files: Arc::new(files), refresher, ..Services::default() })
}

fn plain() -> TestPort {
    port(OsFiles, None)
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        url,
        headers: vec![("Authorization".into(), HeaderText::Secret(Secret::new("Bearer top")))],
        body: vec!["one,".into(), "two".into()],
        head_limit: None,
        total_limit: None,
    }
}

/// What an outcome says, without what it borrows.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Head(u16, Option<String>),
    Bytes(Vec<u8>),
    End,
    Failed(HttpFailureKind, String),
    Written(bool),
    Lost,
}

pub(crate) async fn next(port: &mut TestPort) -> (CallId, Said) {
    let said = poll_fn(|cx| {
        port.poll_outcome(cx).map(|(id, outcome)| {
            let said = match outcome {
                Outcome::HttpHead(head) => {
                    Said::Head(head.status, head.header("x-seen").map(str::to_owned))
                }
                Outcome::HttpBytes(bytes) => Said::Bytes(bytes.to_vec()),
                Outcome::HttpEnd => Said::End,
                Outcome::HttpFailed(failure) => Said::Failed(failure.kind, failure.text),
                Outcome::Files(answer) => match *answer {
                    FileAnswer::Written(written) => Said::Written(written.is_ok()),
                    other => panic!("an answer to nothing: {other:?}"),
                },
                Outcome::Lost => Said::Lost,
                other => panic!("not asked for here: {other:?}"),
            };
            (id, said)
        })
    });
    tokio::time::timeout(Duration::from_secs(5), said).await.expect("an outcome in time")
}

/// A server for one connection; its thread gives back what `serve` does.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let thread = thread::spawn(move || serve(listener.accept().expect("a connection").0));
    (format!("http://{address}/v1/responses?key=hidden"), thread)
}

/// Reads a request of which the body ends with `end`.
fn read_request(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with(end) {
        let n = stream.read(&mut buffer).expect("a request");
        assert!(n > 0, "the request broke off: {text}");
        text.push_str(std::str::from_utf8(&buffer[..n]).expect("text"));
    }
    text
}

#[tokio::test]
async fn an_exchange_goes_over_whole() {
    let (url, server) = server(|mut stream| {
        let request = read_request(&mut stream, "one,two");
        let head =
            "HTTP/1.1 307 Elsewhere\r\nLocation: /x\r\nX-Seen: yes\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(b"hello").expect("sent");
        request
    });
    let mut port = plain();
    port.start(CallId(1), Call::Http(request(url)));
    assert_eq!(next(&mut port).await, (CallId(1), Said::Head(307, Some("yes".into()))));
    assert_eq!(next(&mut port).await, (CallId(1), Said::Bytes(b"hello".into())));
    assert_eq!(next(&mut port).await, (CallId(1), Said::End));
    let request = server.join().expect("the server").to_lowercase();
    for part in ["post /v1/responses?key=hidden", "authorization: bearer top", "content-length: 7"]
    {
        assert!(request.contains(part), "{part} is not in {request}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_called_what_clients_know() {
    let (url, _server) = server(|mut stream| {
        read_request(&mut stream, "one,two");
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort";
        stream.write_all(cut).expect("sent");
    });
    let mut port = plain();
    port.start(CallId(1), Call::Http(request(url)));
    assert_eq!(next(&mut port).await.1, Said::Head(200, None));
    assert_eq!(next(&mut port).await.1, Said::Bytes(b"short".into()));
    let failed = Said::Failed(HttpFailureKind::Body, "error decoding response body".into());
    assert_eq!(next(&mut port).await.1, failed);
}

#[tokio::test]
async fn failures_have_their_kind_and_no_secrets() {
    let mut port = plain();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut bad_header = request("http://127.0.0.1:1/".into());
    bad_header.headers.push(("x".into(), HeaderText::Secret(Secret::new("hidden\n"))));
    for (id, request, wanted) in [
        (1, request(format!("http://{free}/?key=hidden")), HttpFailureKind::Connect),
        (2, request("no url, hidden".into()), HttpFailureKind::Request),
        (3, bad_header, HttpFailureKind::Request),
        (4, request("ftp://127.0.0.1/?key=hidden".into()), HttpFailureKind::Request),
    ] {
        port.start(CallId(id), Call::Http(request));
        let (answered, said) = next(&mut port).await;
        let Said::Failed(kind, text) = said else { panic!("{id}: {said:?}") };
        assert_eq!((answered, kind), (CallId(id), wanted), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }
}

#[tokio::test]
async fn limits_end_a_call() {
    let hang = |mut stream: TcpStream| {
        read_request(&mut stream, "one,two");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").expect("sent");
        thread::sleep(Duration::from_millis(400));
    };
    let silent = |_stream: TcpStream| thread::sleep(Duration::from_millis(400));
    let timeout = Said::Failed(HttpFailureKind::Timeout, "operation timed out".into());
    let limit = Some(Duration::from_millis(100));
    let mut port = plain();

    let (url, _silent) = server(silent);
    let started = Instant::now();
    port.start(CallId(1), Call::Http(HttpRequest { head_limit: limit, ..request(url) }));
    assert_eq!(next(&mut port).await.1, timeout);
    assert!(started.elapsed() < Duration::from_millis(390));

    let (url, _hang) = server(hang);
    port.start(CallId(2), Call::Http(HttpRequest { total_limit: limit, ..request(url) }));
    assert_eq!(next(&mut port).await.1, Said::Head(200, None));
    assert_eq!(next(&mut port).await.1, timeout);
}

#[tokio::test]
async fn a_limit_that_passes_while_nobody_polls_loses_no_answer() {
    let limit = Some(Duration::from_millis(200));
    let whole = |mut stream: TcpStream| {
        read_request(&mut stream, "one,two");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
    };
    let silent = |mut stream: TcpStream| {
        read_request(&mut stream, "one,two");
        thread::sleep(Duration::from_millis(2500));
    };
    let (url, _whole) = server(whole);
    let mut port = plain();
    let started = |port: &mut TestPort, id, url| {
        let limited = HttpRequest { head_limit: limit, total_limit: limit, ..request(url) };
        port.start(CallId(id), Call::Http(limited));
    };
    started(&mut port, 1, url);
    assert!(is_silent(&mut port).await);
    // The host does not read for a while.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(next(&mut port).await.1, Said::Head(200, None));
    assert_eq!(next(&mut port).await.1, Said::Bytes(b"hello".into()));
    assert_eq!(next(&mut port).await.1, Said::End);

    let (url, _silent) = server(silent);
    started(&mut port, 2, url);
    assert!(is_silent(&mut port).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let timeout = Said::Failed(HttpFailureKind::Timeout, "operation timed out".into());
    assert_eq!(next(&mut port).await.1, timeout);
}

/// Nothing is there to be polled now.
async fn is_silent(port: &mut TestPort) -> bool {
    poll_fn(|cx| Poll::Ready(port.poll_outcome(cx).is_pending())).await
}

#[test]
fn a_session_may_run_on_any_thread() {
    fn may_go_to_another_thread(_: impl Send) {}
    may_go_to_another_thread(plain());
}

#[tokio::test]
async fn a_stream_that_nobody_polls_is_not_read() {
    let (url, server) = server(|mut stream| {
        read_request(&mut stream, "one,two");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("sent");
        stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a limit");
        let chunk = vec![b'x'; 1 << 20];
        // Ends when the connection takes no more, or is gone.
        (0..256).take_while(|_| stream.write_all(&chunk).is_ok()).count()
    });
    let mut port = plain();
    port.start(CallId(1), Call::Http(request(url)));
    assert_eq!(next(&mut port).await.1, Said::Head(200, None));
    tokio::time::sleep(Duration::from_millis(800)).await;
    let megabytes = server.join().expect("the server");
    assert!(megabytes < 64, "{megabytes} MiB were taken");
}

#[tokio::test]
async fn a_cancelled_call_is_silent_and_its_connection_closed() {
    let (url, server) = server(|mut stream| {
        read_request(&mut stream, "one,two");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx").expect("sent");
        stream.read(&mut [0; 1]).expect("the end")
    });
    let mut port = plain();
    port.start(CallId(1), Call::Http(request(url)));
    assert_eq!(next(&mut port).await.1, Said::Head(200, None));
    port.cancel(CallId(1));
    port.cancel(CallId(1));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(is_silent(&mut port).await, "an answer after the cancel");
    assert_eq!(server.join().expect("the server"), 0);
}

#[tokio::test]
async fn file_jobs_run_in_the_order_they_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    let mut port = plain();
    for n in 0..50_u64 {
        let bytes = n.to_string().into_bytes();
        let job = FileJob::Write { path: path.clone(), bytes, access: Access::Shared };
        port.start(CallId(n), Call::Files(job));
    }
    for n in 0..50_u64 {
        assert_eq!(next(&mut port).await, (CallId(n), Said::Written(true)));
    }
    assert_eq!(std::fs::read(&path).expect("the file"), b"49");
}

/// One thread for the files of all sessions, and one session whose host does not read: its answers
/// are not polled for. The other session must not wait for it.
#[test]
fn a_session_that_is_not_polled_does_not_keep_the_threads_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let write = |port: &mut TestPort, n| {
            let path = folder.path().join("x");
            let job = FileJob::Write { path, bytes: Vec::new(), access: Access::Shared };
            port.start(CallId(n), Call::Files(job));
        };
        let (mut asleep, mut awake) = (plain(), plain());
        // Many more than any queue between the two holds.
        (0..200).for_each(|n| write(&mut asleep, n));
        write(&mut awake, 1);
        assert_eq!(next(&mut awake).await, (CallId(1), Said::Written(true)));
        for n in 0..200 {
            assert_eq!(next(&mut asleep).await, (CallId(n), Said::Written(true)));
        }
    });
}

struct Broken;

impl Files for Broken {
    fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, FileError> {
        panic!("broken files")
    }
    fn read_at(&self, _: &Path, _: u64, _: usize) -> Result<Vec<u8>, FileError> {
        panic!("broken files")
    }
    fn list(&self, _: &Path) -> Result<Vec<Entry>, FileError> {
        panic!("broken files")
    }
    fn stat(&self, _: &Path) -> Result<Stat, FileError> {
        panic!("broken files")
    }
    fn write_atomic(&self, path: &Path, _: &[u8], _: Access) -> Result<(), FileError> {
        assert!(path != Path::new("broken"), "broken files");
        Ok(())
    }
    fn append(&self, _: &Path, _: &[u8], _: IfMissing) -> Result<(), FileError> {
        panic!("broken files")
    }
    fn rename(&self, _: &Path, _: &Path) -> Result<(), FileError> {
        panic!("broken files")
    }
    fn remove(&self, _: &Path) -> Result<(), FileError> {
        panic!("broken files")
    }
    fn real_path(&self, _: &Path) -> Result<PathBuf, FileError> {
        panic!("broken files")
    }
    fn lock(&self, _: &Path) -> Result<Box<dyn FileLock>, FileError> {
        panic!("broken files")
    }
}

#[tokio::test]
async fn a_job_that_panics_fails_and_the_next_one_runs() {
    panic::set_hook(Box::new(|_| {}));
    let mut port = port(Broken, None);
    for (id, path) in [(1, "broken"), (2, "whole")] {
        let (path, bytes, access) = (PathBuf::from(path), Vec::new(), Access::Shared);
        port.start(CallId(id), Call::Files(FileJob::Write { path, bytes, access }));
    }
    assert_eq!(next(&mut port).await, (CallId(1), Said::Lost));
    assert_eq!(next(&mut port).await, (CallId(2), Said::Written(true)));
}

#[tokio::test]
async fn refreshes_are_answered_whatever_the_refresher_does() {
    let ask = |limit| RefreshAuth { previous_account_id: None, limit };
    let refresher: Refresher = Box::new(|ask| {
        Box::pin(async move {
            if ask.limit < Duration::from_secs(1) {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let access_token = Secret::new("fresh");
            Ok(FreshTokens { access_token, id_token: None, account_id: None, plan_type: None })
        })
    });
    let mut port = port(OsFiles, Some(refresher));
    port.refresh_auth(AskId(1), ask(Duration::from_secs(5)));
    let (id, answer) = poll_fn(|cx| port.poll_refreshed(cx)).await;
    assert_eq!(id, AskId(1));
    assert_eq!(answer.expect("tokens").access_token.expose(), "fresh");
    port.refresh_auth(AskId(2), ask(Duration::from_millis(20)));
    let (id, answer) = poll_fn(|cx| port.poll_refreshed(cx)).await;
    assert_eq!((id, answer.is_err()), (AskId(2), true));

    let mut port = plain();
    port.refresh_auth(AskId(3), ask(Duration::from_secs(5)));
    let (id, answer) = poll_fn(|cx| port.poll_refreshed(cx)).await;
    assert_eq!((id, answer.is_err()), (AskId(3), true));
}
