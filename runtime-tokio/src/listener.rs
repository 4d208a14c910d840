//! Owns: the login listener: a loopback socket, the browser's connections, and the answers to them.
//!
//! A request's head is read within bounds, passed on as a visit, and answered with what core feeds
//! back; then the connection is closed. Dropping the listener closes its socket at once and breaks
//! off every connection but those that have their answer: these are still written.
//! Never: looks at what a request asks for, beyond telling whether it is HTTP.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use understudy_core::{CallId, Listen, ListenFailure, PageAnswer, Visit, VisitId};

use crate::backend::Answer;
use crate::rest::Unfinished;

/// Connections at once. A browser opens a few; at the bound the oldest one that has not said yet
/// what it wants makes room, and without such a one the new connection is dropped.
const CONNECTIONS_MAX: usize = 64;

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 64;

/// Time for a request's head. Browsers open connections ahead of need and say nothing on them.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Time for a browser to take its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Time for it to close the connection after that; what it still sends is dropped. A socket that is
/// closed with something unread would take the answer back.
const LINGER_LIMIT: Duration = Duration::from_secs(1);

/// Listens on a port of 127.0.0.1 until it is dropped.
pub(crate) struct Listener {
    call: CallId,
    socket: TcpListener,
    head_bytes_max: usize,
    answers: mpsc::Sender<(CallId, Answer)>,
    unfinished: Unfinished,
    open: Arc<Mutex<BTreeMap<VisitId, Open>>>,
    next_visit: u64,
}

/// A connection without its answer.
struct Open {
    task: AbortHandle,
    /// There once its head was read.
    answer: Option<oneshot::Sender<PageAnswer>>,
}

impl Listener {
    /// Takes the port. Must be called on a tokio runtime with IO.
    pub(crate) fn bind(
        call: CallId,
        listen: Listen,
        answers: mpsc::Sender<(CallId, Answer)>,
        unfinished: Unfinished,
    ) -> Result<Self, ListenFailure> {
        let socket = bind(listen.port).map_err(|error| ListenFailure {
            is_in_use: error.kind() == io::ErrorKind::AddrInUse,
            text: error.to_string(),
        })?;
        let head_bytes_max = listen.head_bytes_max;
        let open = Arc::default();
        Ok(Self { call, socket, head_bytes_max, answers, unfinished, open, next_visit: 0 })
    }

    /// Takes in the connections that wait.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(accepted) = self.socket.poll_accept(cx) {
            match accepted {
                Ok((stream, _)) => self.serve(stream),
                // A connection that broke off before it was taken, or no descriptors left: the
                // next one may do better, and a limit of the process is nothing to spin on.
                Err(error) => {
                    tracing::debug!("a connection was not accepted: {error}");
                    if !is_connections_own(&error) {
                        let waker = cx.waker().clone();
                        tokio::spawn(async move {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            waker.wake();
                        });
                        return;
                    }
                }
            }
        }
    }

    /// Hands a visit its answer.
    pub(crate) fn answer(&self, visit: VisitId, page: PageAnswer) {
        let open = locked(&self.open).remove(&visit);
        if let Some(answer) = open.and_then(|open| open.answer) {
            // The browser may be gone.
            let _gone = answer.send(page);
        }
    }

    fn serve(&mut self, stream: TcpStream) {
        let mut open = locked(&self.open);
        if open.len() >= CONNECTIONS_MAX {
            let silent = open.iter().find(|(_, open)| open.answer.is_none());
            let Some(silent) = silent.map(|(id, _)| *id) else { return };
            if let Some(silent) = open.remove(&silent) {
                silent.task.abort();
            }
        }
        let visit = VisitId(self.next_visit);
        self.next_visit += 1;
        let connection = Connection {
            visit,
            call: self.call,
            head_bytes_max: self.head_bytes_max,
            answers: self.answers.clone(),
            unfinished: self.unfinished.clone(),
            open: Arc::clone(&self.open),
        };
        let task = tokio::spawn(connection.serve(stream)).abort_handle();
        open.insert(visit, Open { task, answer: None });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for open in locked(&self.open).values() {
            open.task.abort();
        }
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections of an earlier login that are just closing do not hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

fn is_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The table is whole at every moment its lock is free, so a panic elsewhere has not harmed it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection of the browser.
struct Connection {
    visit: VisitId,
    call: CallId,
    head_bytes_max: usize,
    answers: mpsc::Sender<(CallId, Answer)>,
    unfinished: Unfinished,
    open: Arc<Mutex<BTreeMap<VisitId, Open>>>,
}

/// What came of reading a request's head.
#[derive(Debug, PartialEq)]
enum Head {
    /// Method and target.
    Whole(String, String),
    /// Not HTTP/1.
    Bad,
    TooLong,
}

impl Connection {
    async fn serve(self, mut stream: TcpStream) {
        let head = timeout(HEAD_LIMIT, read_head(&stream, self.head_bytes_max)).await;
        let (page, method) = match head {
            Ok(Ok(Head::Whole(method, target))) => {
                let Some(page) = self.ask(&method, target).await else { return };
                (page, method)
            }
            Ok(Ok(Head::Bad)) => (plain(400, "Bad Request"), String::new()),
            Ok(Ok(Head::TooLong)) => (plain(431, "Request Header Fields Too Large"), String::new()),
            // Nothing more comes: nobody is there to be answered.
            Ok(Err(_)) | Err(_) => {
                locked(&self.open).remove(&self.visit);
                return;
            }
        };
        locked(&self.open).remove(&self.visit);
        let bytes = answer_bytes(&page, &method);
        // A browser that does not take its answer in time goes without.
        let written = timeout(WRITE_LIMIT, write_all(&mut stream, &bytes)).await;
        drop(self.unfinished);
        if matches!(written, Ok(Ok(()))) {
            let _over = timeout(LINGER_LIMIT, read_away(&stream)).await;
        }
    }

    /// Passes a request on, and waits for the answer; none when the session is over.
    async fn ask(&self, method: &str, target: String) -> Option<PageAnswer> {
        let (answer, answered) = oneshot::channel();
        // None if it had to make room just now.
        locked(&self.open).get_mut(&self.visit)?.answer = Some(answer);
        let visit = Visit { id: self.visit, method: method.to_owned(), target };
        self.answers.send((self.call, Answer::Visit(visit))).await.ok()?;
        answered.await.ok()
    }
}

async fn read_head(stream: &TcpStream, bytes_max: usize) -> io::Result<Head> {
    let mut head = Vec::new();
    let mut chunk = [0; 2 << 10];
    loop {
        stream.readable().await?;
        let n = match stream.try_read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        // The end may lie across two chunks.
        let from = head.len().saturating_sub(3);
        head.extend(chunk.iter().take(n));
        let end = head.get(from..).and_then(head_end).map(|end| from + end);
        match end {
            Some(end) if end <= bytes_max => return Ok(parse(head.get(..end).unwrap_or_default())),
            None if head.len() <= bytes_max => {}
            _ => return Ok(Head::TooLong),
        }
    }
}

/// Where the empty line ends.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let of = |end: &[u8]| {
        bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len())
    };
    [of(b"\r\n\r\n"), of(b"\n\n")].into_iter().flatten().min()
}

/// Reads the request line; the headers are of no interest.
fn parse(head: &[u8]) -> Head {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).ok().map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut words = line.unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    match (method, target, version, words.next()) {
        (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None)
            if is_method(method) && is_target(target) =>
        {
            Head::Whole(method.to_owned(), target.to_owned())
        }
        _ => Head::Bad,
    }
}

fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_target(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn plain(status: u16, words: &str) -> PageAnswer {
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    PageAnswer { status, headers, body: words.to_owned() }
}

fn answer_bytes(page: &PageAnswer, method: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} {}\r\n", page.status, reason(page.status));
    let length = page.body.len().to_string();
    let own = [("content-length", length.as_str()), ("connection", "close")];
    let headers = page.headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in headers.chain(own) {
        // Writing to a string cannot fail.
        let _ok = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    if method != "HEAD" {
        text.push_str(&page.body);
    }
    text.into_bytes()
}

/// The words beside a status code.
fn reason(status: u16) -> &'static str {
    let status = reqwest::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// Writes everything and says that nothing follows.
async fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
}

async fn read_away(stream: &TcpStream) -> io::Result<()> {
    let mut chunk = [0; 4 << 10];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, head_end, parse};

    #[test]
    fn request_lines() {
        let whole = |method: &str, target: &str| Head::Whole(method.into(), target.into());
        for (head, want) in [
            ("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", whole("GET", "/a?b=c")),
            ("M-SEARCH / HTTP/1.0\n\n", whole("M-SEARCH", "/")),
            ("GET  / HTTP/1.1\r\n\r\n", Head::Bad),
            ("GET / HTTP/2\r\n\r\n", Head::Bad),
            ("GET / HTTP/1.1 x\r\n\r\n", Head::Bad),
            ("GET x HTTP/1.1\r\n\r\n", Head::Bad),
            ("GET /\u{7f} HTTP/1.1\r\n\r\n", Head::Bad),
            ("GET /ä HTTP/1.1\r\n\r\n", Head::Bad),
            ("\r\n\r\n", Head::Bad),
            ("", Head::Bad),
        ] {
            assert_eq!(parse(head.as_bytes()), want, "{head:?}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n"), Head::Bad);
    }

    #[test]
    fn ends_of_heads() {
        assert_eq!(head_end(b"a\r\n\r\nb"), Some(5));
        assert_eq!(head_end(b"a\n\nb\r\n\r\n"), Some(3));
        assert_eq!(head_end(b"a\r\n\r"), None);
    }
}
