//! One user's session: the server's side of it, and the host that talks to it and counts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex,
    split,
};
use tokio::sync::Barrier;
use tokio::time::timeout;
use understudy_core::{ExitStatus, FreshTokens, Refresh, Secret, Setup};
use understudy_std::program::Programs;
use understudy_tokio::{Http, Refresher, Services, Streams, serve_with};

use crate::backend::{TOGETHER, new_token, pieces};

/// Turns in which the backend speaks on only when all users listen, and turns as fast as they go.
pub(crate) const KINDS: [&str; 2] = [TOGETHER, "apart"];

/// What either side may have said before the other has read it. Small, because every session has
/// it twice; a full one is back-pressure, not a failure.
const STREAM_BYTES: usize = 8 << 10;

/// The next message should be there by then, also when a thousand others are served first.
const WAIT: Duration = Duration::from_secs(60);

/// One user.
pub(crate) struct Session {
    n: usize,
    home: PathBuf,
    http: Http,
    programs: Programs,
}

/// How it went.
pub(crate) struct Served {
    pub(crate) n: usize,
    /// How long each turn took, by kind.
    pub(crate) turns: [Vec<Duration>; 2],
    pub(crate) refreshes: usize,
}

impl Session {
    pub(crate) fn new(n: usize, home: PathBuf, http: Http, programs: Programs) -> Self {
        Self { n, home, http, programs }
    }

    /// Serves the user from first to last. A session that fails still comes to every gate: the
    /// others wait there.
    pub(crate) async fn serve(self, turns: usize, gate: Arc<Barrier>) -> io::Result<Served> {
        let Self { n, home, http, programs } = self;
        let refreshes = Arc::new(AtomicUsize::new(0));
        let refresher = Some(refresher(n, Arc::clone(&refreshes)));
        let services = Services { http, programs, refresher, ..Services::default() };
        let setup = Setup { refresh: Refresh::Embedder, ..Setup::new(&home, &home) };
        let (ours, servers) = duplex(STREAM_BYTES);
        let (reader, writer) = split(servers);
        let session = tokio::spawn(serve_with(setup, Streams { reader, writer }, services));

        let mut host = Host::new(n, ours);
        let mut outcome = host.open().await;
        gate.wait().await;
        let mut took = [Vec::new(), Vec::new()];
        for (kind, took) in KINDS.iter().zip(&mut took) {
            gate.wait().await;
            for turn in 0..turns {
                if outcome.is_ok() {
                    outcome = host.turn(&format!("turn {turn} {kind}")).await.map(|time| {
                        took.push(time);
                    });
                }
            }
            gate.wait().await;
        }
        gate.wait().await;
        drop(host);
        let status = session.await.map_err(io::Error::other)??;
        outcome.map_err(|error| io::Error::other(format!("session {n}: {error}")))?;
        if status != ExitStatus::Clean {
            return Err(io::Error::other(format!("session {n} ended {status:?}")));
        }
        Ok(Served { n, turns: took, refreshes: refreshes.load(Ordering::Relaxed) })
    }
}

/// Gets new tokens. It could be asked by two sessions of one user at once.
fn refresher(n: usize, count: Arc<AtomicUsize>) -> Refresher {
    Box::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let tokens = FreshTokens {
            access_token: Secret::new(new_token(n)),
            id_token: Some(Secret::new(id_token(n))),
            account_id: None,
            plan_type: None,
        };
        Box::pin(async { Ok(tokens) })
    })
}

struct Host {
    n: usize,
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
    line: Vec<u8>,
    last_id: u64,
    thread: Value,
}

impl Host {
    fn new(n: usize, stream: DuplexStream) -> Self {
        let (reader, writer) = split(stream);
        let reader = BufReader::with_capacity(STREAM_BYTES, reader);
        Self { n, reader, writer, line: Vec::new(), last_id: 0, thread: Value::Null }
    }

    async fn open(&mut self) -> io::Result<()> {
        let info = json!({"name": "service", "title": "A service", "version": "1.0.0"});
        // The older notifications say the same again, and nobody here listens to them.
        let capabilities = json!({"optOutNotificationMethods": ["codex/event/*"]});
        let hello = json!({"clientInfo": info, "capabilities": capabilities});
        self.request("initialize", hello).await?;
        let tokens = json!({
            "type": "chatgptAuthTokens",
            "accessToken": format!("old-{}", self.n), "idToken": id_token(self.n),
        });
        self.request("account/login/start", tokens).await?;
        self.thread = self.request("thread/start", json!({})).await?["thread"]["id"].take();
        Ok(())
    }

    /// Runs one turn, and looks at every message of it.
    async fn turn(&mut self, text: &str) -> io::Result<Duration> {
        let began = Instant::now();
        let input = json!([{"type": "text", "text": text}]);
        let params = json!({"threadId": self.thread, "input": input});
        let turn = self.request("turn/start", params).await?["turn"]["id"].take();
        let mut streamed = String::new();
        loop {
            let message = self.next().await?;
            let params = &message["params"];
            let belongs = |id: &Value| params["threadId"] == self.thread && *id == turn;
            match message["method"].as_str().unwrap_or_default() {
                "item/agentMessage/delta" if belongs(&params["turnId"]) => {
                    streamed.push_str(params["delta"].as_str().unwrap_or_default());
                }
                "turn/completed" if belongs(&params["turn"]["id"]) => {
                    if params["turn"]["status"] != "completed" {
                        return Err(unexpected(&message));
                    }
                    break;
                }
                // Of another turn: doubled, late, or somebody else's.
                "item/agentMessage/delta" | "turn/completed" | "error" => {
                    return Err(unexpected(&message));
                }
                _ => {}
            }
        }
        let took = began.elapsed();
        if streamed != pieces(&new_token(self.n), text).concat() {
            return Err(io::Error::other(format!("{text}: something else was said: {streamed}")));
        }
        Ok(took)
    }

    async fn request(&mut self, method: &str, params: Value) -> io::Result<Value> {
        self.last_id += 1;
        let mut line = json!({"id": self.last_id, "method": method, "params": params}).to_string();
        line.push('\n');
        self.writer.write_all(line.as_bytes()).await?;
        loop {
            let mut message = self.next().await?;
            if message["id"] == self.last_id {
                return match message.get_mut("result") {
                    Some(result) => Ok(result.take()),
                    None => Err(unexpected(&message)),
                };
            }
        }
    }

    async fn next(&mut self) -> io::Result<Value> {
        self.line.clear();
        let read = timeout(WAIT, self.reader.read_until(b'\n', &mut self.line)).await;
        if read.map_err(|_| io::Error::other("nothing more is said"))?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&self.line)?)
    }
}

fn unexpected(message: &Value) -> io::Error {
    io::Error::other(format!("unexpected: {message}"))
}

/// Claims as a sign-in gives them; nobody signed these.
fn id_token(n: usize) -> String {
    let claims = json!({
        "email": format!("user-{n}@example.com"),
        "https://api.openai.com/auth": {
            "chatgpt_plan_type": "pro", "chatgpt_account_id": format!("org-{n}"),
        },
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), part("pretended"))
}
