//! Owns: a pretended model backend on loopback HTTP, with its script and what it was asked.
//!
//! One thread accepts, one thread serves each connection (HTTP/1.1, kept alive). Requests have a
//! content length; answers are JSON with one, or server-sent events in chunks. Good enough to
//! stand in for a model, on purpose no general HTTP server.
//!
//! Invariant: every request is recorded before its answer is chosen.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::reply::{Body, Ending, Reply, Step};
use super::seen::{Request, Seen, Trouble};

/// Bodies above this are refused: a request of the demo has a few kilobytes.
const BODY_BYTES_MAX: usize = 64 << 20;
const HEAD_LINES_MAX: usize = 200;

/// Answers requests for the model, in the order in which they came.
pub type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// Answers requests of one path.
pub type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

/// A backend that listens until it is dropped.
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    routes: Mutex<Vec<(String, Handler)>>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    seen: Sender<Seen>,
    closing: AtomicBool,
}

/// A lock that is held for a few instructions only; a panic elsewhere does not make it unusable.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend {
    /// Listens on a free port; `script` answers requests for the model.
    pub fn start(seen: Sender<Seen>, script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            routes: Mutex::default(),
            requests: Mutex::default(),
            arrived: Condvar::new(),
            seen,
            closing: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.closing.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&served);
                thread::spawn(move || shared.serve(stream));
            }
        });
        let backend = Self { address, shared };
        backend.route("/models", Reply::json(200, no_models()));
        Ok(backend)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests whose path ends so, instead of 404.
    pub fn route(&self, path_end: &str, reply: Reply) {
        self.handle(path_end, Box::new(move |_| reply.clone()));
    }

    /// The same with an answer that is chosen when the request is there.
    pub fn handle(&self, path_end: &str, handler: Handler) {
        locked(&self.shared.routes).insert(0, (path_end.to_owned(), handler));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }

    /// The requests for the model so far.
    pub fn model_requests(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::asks_model).collect()
    }

    /// Waits until `count` requests came that `want` holds for.
    pub fn wait_for(
        &self,
        count: usize,
        limit: Duration,
        want: impl Fn(&Request) -> bool,
    ) -> Result<(), Trouble> {
        let end = Instant::now() + limit;
        let mut requests = locked(&self.shared.requests);
        loop {
            let got = requests.iter().filter(|request| want(request)).count();
            if got >= count {
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble(format!("the backend got {got} requests of {count}")));
            }
            requests = self
                .shared
                .arrived
                .wait_timeout(requests, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; when that fails, nobody listens any more.
        drop(TcpStream::connect(self.address));
    }
}

fn no_models() -> Value {
    serde_json::json!({"models": []})
}

/// May the connection be used for another request?
#[derive(PartialEq)]
enum Next {
    Keep,
    Close,
}

impl Shared {
    /// Serves one connection to its end. An error means that the peer went away: nothing to tell.
    fn serve(&self, stream: TcpStream) {
        let Ok(read_half) = stream.try_clone() else {
            return;
        };
        // Head and body are written apart; without this the second waits 40 ms for the first.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let mut reader = BufReader::new(read_half);
        let mut writer = stream;
        while let Ok(Some(request)) = read_request(&mut reader) {
            match self.answer(&request, &mut reader, &mut writer) {
                Ok(Next::Keep) => {}
                Ok(Next::Close) | Err(_) => break,
            }
        }
        // The other end may be gone already.
        let _ = writer.shutdown(std::net::Shutdown::Both);
    }

    fn answer(
        &self,
        request: &Request,
        reader: &mut impl Read,
        writer: &mut TcpStream,
    ) -> io::Result<Next> {
        locked(&self.requests).push(request.clone());
        self.tell(Seen::Asked(request.clone()));
        self.arrived.notify_all();
        let reply = self.choose(request);
        if let Some(gate) = &reply.gate {
            gate.wait();
        }
        match reply.body {
            Body::Json(body) => {
                self.tell(Seen::Answered { status: reply.status, body: Some(body.clone()) });
                let body = body.to_string();
                let kind = ("content-type", "application/json");
                let length = ("content-length", &*body.len().to_string());
                write_head(writer, reply.status, &[kind, length], &reply.headers)?;
                writer.write_all(body.as_bytes())?;
                Ok(Next::Keep)
            }
            Body::Events(steps, ending) => {
                self.tell(Seen::Answered { status: reply.status, body: None });
                let kind = ("content-type", "text/event-stream");
                let chunked = ("transfer-encoding", "chunked");
                write_head(writer, reply.status, &[kind, chunked], &reply.headers)?;
                self.stream(steps, writer)?;
                match ending {
                    Ending::Whole => writer.write_all(b"0\r\n\r\n").map(|()| Next::Keep),
                    Ending::Cut => Ok(Next::Close),
                    // Silent until the peer closes.
                    Ending::Open => reader.read(&mut [0]).map(|_| Next::Close),
                }
            }
        }
    }

    fn choose(&self, request: &Request) -> Reply {
        if request.asks_model() {
            return (locked(&self.script))(request);
        }
        let path = request.bare_path();
        let mut routes = locked(&self.routes);
        let route = routes.iter_mut().find(|(end, _)| path.ends_with(end.as_str()));
        route.map_or_else(|| Reply::error(404, "no such page"), |(_, handler)| handler(request))
    }

    fn stream(&self, steps: Vec<Step>, writer: &mut TcpStream) -> io::Result<()> {
        for step in steps {
            match step {
                Step::Pause(time) => thread::sleep(time),
                Step::Gate(gate) => gate.wait(),
                Step::Event(event) => {
                    let kind = event["type"].as_str().unwrap_or_default();
                    let data = format!("event: {kind}\ndata: {event}\n\n");
                    let chunk = format!("{:x}\r\n{data}\r\n", data.len());
                    self.tell(Seen::Event(event));
                    writer.write_all(chunk.as_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn tell(&self, fact: Seen) {
        // Nobody may be looking any more.
        let _ = self.seen.send(fact);
    }
}

fn write_head(
    writer: &mut TcpStream,
    status: u16,
    first: &[(&str, &str)],
    rest: &[(String, String)],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let rest = rest.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    for (name, value) in first.iter().copied().chain(rest) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    writer.write_all(head.as_bytes())
}

/// The words beside a status code.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// The next request of a connection; none at its end.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(bad("no request line"));
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || headers.len() > HEAD_LINES_MAX {
            return Err(bad("head without an end"));
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    if length > BODY_BYTES_MAX {
        return Err(bad("body too long"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = serde_json::from_slice(&body).ok();
    Ok(Some(Request { method, path, headers, body, text, at: Instant::now() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Option<Request>> {
        read_request(&mut text.as_bytes())
    }

    #[test]
    fn a_request_is_read_with_its_body() -> io::Result<()> {
        let request = read(
            "POST /v1/responses?a=b HTTP/1.1\r\nAuthorization: Bearer x\r\nContent-Length: 7\r\n\r\n{\"a\":1}GET",
        )?;
        let request = request.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert!(request.asks_model());
        assert_eq!(request.bearer(), "x");
        assert_eq!(request.body, Some(serde_json::json!({"a": 1})));
        Ok(())
    }

    #[test]
    fn half_a_request_is_an_error_and_none_is_the_end() -> io::Result<()> {
        assert!(read("")?.is_none());
        assert!(read("GET / HTTP/1.1\r\nhost: x\r\n").is_err());
        assert!(read("GET / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab").is_err());
        assert!(read("\r\n\r\n").is_err());
        Ok(())
    }

    /// Sends requests over one connection and returns everything that comes back.
    fn exchange(backend: &Backend, requests: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(backend.address)?;
        stream.write_all(requests.as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn one_connection_serves_replies_in_order() -> io::Result<()> {
        let mut replies = vec![Reply::say(1, "hello"), Reply::error(401, "expired")];
        let script = move |_: &Request| replies.pop().unwrap_or_else(|| Reply::error(500, ""));
        let (tell, facts) = std::sync::mpsc::channel();
        let backend = Backend::start(tell, Box::new(script))?;
        let ask = "POST /v1/responses HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        let list = "GET /v1/models?v=1 HTTP/1.1\r\n\r\n";
        let answer = exchange(&backend, &format!("{ask}{list}{ask}"))?;
        let words = answer.split("HTTP/1.1 ").skip(1);
        let statuses: Vec<_> = words.filter_map(|rest| rest.get(..3)).collect();
        assert_eq!(statuses, ["401", "200", "200"]);
        assert!(answer.contains("event: response.completed\n"), "{answer}");
        assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
        assert_eq!((backend.requests().len(), backend.model_requests().len()), (3, 2));
        assert!(matches!(facts.try_recv(), Ok(Seen::Asked(_))));
        assert!(matches!(facts.try_recv(), Ok(Seen::Answered { status: 401, .. })));
        Ok(())
    }

    #[test]
    fn a_cut_stream_has_no_end() -> io::Result<()> {
        let (tell, _facts) = std::sync::mpsc::channel();
        let script = |_: &Request| super::super::reply::Speech::new(1).delta("par").cut();
        let backend = Backend::start(tell, Box::new(script))?;
        let answer = exchange(&backend, "POST /responses HTTP/1.1\r\n\r\n")?;
        assert!(answer.contains(r#""delta":"par""#), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        Ok(())
    }
}
