//! Owns: a pretended host: the child process, its pipes, and the matching of what comes back.
//!
//! Threads read the child's output; everything else happens where the host is used. Facts are told
//! to the watcher in one order, when they are taken off the channel. Dropping a host kills its
//! child.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::backend::locked;
use super::seen::{Line, Seen, Trouble};

type Watcher = Box<dyn FnMut(&Seen) + Send>;
type Answer = Box<dyn FnMut(&Value) -> Value + Send>;

/// A server at work, and the host that talks to it.
pub struct Host {
    child: Child,
    input: Option<ChildStdin>,
    facts: Receiver<Seen>,
    watcher: Watcher,
    answers: BTreeMap<String, Answer>,
    unread: VecDeque<Value>,
    ended: bool,
    last_id: i64,
    limit: Duration,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Host {
    /// Starts the command with pipes for all three streams. Both ends of the channel are given:
    /// the backend puts its facts on the same one.
    pub fn start(
        command: &mut Command,
        (tell, facts): (Sender<Seen>, Receiver<Seen>),
        limit: Duration,
        watcher: Watcher,
    ) -> Result<Self, Trouble> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Trouble(format!("cannot start {program}: {error}")))?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            readers.push(thread::spawn(move || read_lines(output, &tell)));
        }
        if let Some(errors) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            readers.push(thread::spawn(move || keep(errors, &kept)));
        }
        Ok(Self {
            input: child.stdin.take(),
            child,
            facts,
            watcher,
            answers: BTreeMap::new(),
            unread: VecDeque::new(),
            ended: false,
            last_id: 0,
            limit,
            stderr,
            readers,
        })
    }

    /// From now on answers the server's requests of this method with what `answer` makes of one:
    /// `{"result": …}` or `{"error": …}`.
    pub fn answer(&mut self, method: &str, answer: impl FnMut(&Value) -> Value + Send + 'static) {
        self.answers.insert(method.to_owned(), Box::new(answer));
    }

    /// Writes one message.
    pub fn send(&mut self, message: &Value) -> Result<(), Trouble> {
        let mut text = message.to_string();
        self.take_ready();
        (self.watcher)(&Seen::Host(Line {
            text: text.clone(),
            json: Some(message.clone()),
        }));
        text.push('\n');
        self.write(text.as_bytes())
    }

    /// Writes bytes as they are, line end or not.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.take_ready();
        let shown = bytes.get(..200).unwrap_or(bytes);
        let text = String::from_utf8_lossy(shown).into_owned();
        (self.watcher)(&Seen::Host(Line { text, json: None }));
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| Trouble("the input is closed".into()))?;
        input
            .write_all(bytes)
            .map_err(|error| Trouble(format!("the server reads no more: {error}")))
    }

    /// Sends a request and returns its id.
    pub fn post(&mut self, method: &str, params: Value) -> Result<i64, Trouble> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({"id": id, "method": method});
        if !params.is_null() {
            message["params"] = params;
        }
        self.send(&message).map(|()| id)
    }

    /// Sends a request and returns the whole answer, `result` or `error`.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Trouble> {
        let id = self.post(method, params)?;
        self.reply_to(&id.into())
    }

    /// Sends a request and returns its result; an error is trouble.
    pub fn ask(&mut self, method: &str, params: Value) -> Result<Value, Trouble> {
        let mut reply = self.call(method, params)?;
        match reply.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(Trouble(format!("{method} was refused: {reply}"))),
        }
    }

    /// Waits for the answer to a request.
    pub fn reply_to(&mut self, id: &Value) -> Result<Value, Trouble> {
        self.wait(&format!("the answer to request {id}"), |message| {
            message.get("method").is_none() && message.get("id") == Some(id)
        })
    }

    /// Waits for a notification and returns its params.
    pub fn notice(&mut self, method: &str) -> Result<Value, Trouble> {
        let mut message = self.wait(method, |message| {
            message["method"] == method && message.get("id").is_none()
        })?;
        Ok(message["params"].take())
    }

    /// Waits for a request of the server and returns it whole.
    pub fn asked(&mut self, method: &str) -> Result<Value, Trouble> {
        self.wait(method, |message| {
            message["method"] == method && message.get("id").is_some()
        })
    }

    /// Waits for the first message, of those that nobody waited for yet, that `want` holds for.
    pub fn wait(&mut self, what: &str, want: impl Fn(&Value) -> bool) -> Result<Value, Trouble> {
        let end = Instant::now() + self.limit;
        let mut looked_at = 0;
        loop {
            while let Some(message) = self.unread.get(looked_at) {
                if want(message) {
                    return self
                        .unread
                        .remove(looked_at)
                        .ok_or_else(|| Trouble(what.into()));
                }
                looked_at += 1;
            }
            if self.ended {
                return Err(Trouble(format!("the server ended before {what} came")));
            }
            if !self.take_one(end)? {
                let seconds = self.limit.as_secs_f32();
                return Err(Trouble(format!("{what} did not come within {seconds} s")));
            }
        }
    }

    /// Takes facts off the channel for a while; returns when the server's output ended, too.
    pub fn listen(&mut self, time: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + time;
        while !self.ended && self.take_one(end)? {}
        Ok(())
    }

    /// Messages that nobody waited for so far, oldest first.
    pub fn unread(&mut self) -> impl Iterator<Item = &Value> {
        self.take_ready();
        self.unread.iter()
    }

    /// Forgets the messages that nobody waited for.
    pub fn forget(&mut self) {
        self.take_ready();
        self.unread.clear();
    }

    fn take_ready(&mut self) {
        while let Ok(fact) = self.facts.try_recv() {
            // An answer to the server that cannot be written shows in what is waited for next.
            let _ = self.take(fact);
        }
    }

    fn take_one(&mut self, end: Instant) -> Result<bool, Trouble> {
        let left = end.saturating_duration_since(Instant::now());
        match self.facts.recv_timeout(left) {
            Ok(fact) => self.take(fact).map(|()| true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                Ok(true)
            }
        }
    }

    fn take(&mut self, fact: Seen) -> Result<(), Trouble> {
        (self.watcher)(&fact);
        let message = match fact {
            Seen::Server(Line {
                json: Some(message),
                ..
            }) => message,
            Seen::Server(Line { text, .. }) => {
                return Err(Trouble(format!(
                    "the server wrote a line that is no JSON: {text}"
                )));
            }
            Seen::ServerEnded => {
                self.ended = true;
                return Ok(());
            }
            Seen::Host(_)
            | Seen::HostEnded
            | Seen::Asked(_)
            | Seen::Answered { .. }
            | Seen::Event(_) => {
                return Ok(());
            }
        };
        let answer = match (message.get("id"), message["method"].as_str()) {
            (Some(id), Some(method)) => self.answers.get_mut(method).map(|answer| {
                let mut reply = answer(&message);
                reply["id"] = id.clone();
                reply
            }),
            _ => None,
        };
        self.unread.push_back(message);
        answer.map_or(Ok(()), |reply| self.send(&reply))
    }

    /// Closes the server's input: the host goes away.
    pub fn close_input(&mut self) {
        if self.input.take().is_some() {
            self.take_ready();
            (self.watcher)(&Seen::HostEnded);
        }
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server is gone and all it said is taken in.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus, Trouble> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                // A child of the server that kept its output must not hold us up.
                self.listen(end.saturating_duration_since(Instant::now()))?;
                return Ok(status);
            }
            if Instant::now() >= end {
                let seconds = limit.as_secs_f32();
                return Err(Trouble(format!("the server still runs after {seconds} s")));
            }
            self.listen(Duration::from_millis(2))?;
            if self.ended {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// What the server logged so far; complete once it is gone.
    pub fn stderr(&mut self) -> String {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            for reader in self.readers.drain(..) {
                // A reader that panicked has nothing more to say.
                let _ = reader.join();
            }
        }
        String::from_utf8_lossy(&locked(&self.stderr)).into_owned()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may be gone already, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(output: impl Read, tell: &Sender<Seen>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if tell.send(Seen::Server(Line::from_bytes(text))).is_err() {
            return;
        }
        line.clear();
    }
    // Nobody may be listening any more.
    let _ = tell.send(Seen::ServerEnded);
}

fn keep(mut errors: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(len @ 1..) = errors.read(&mut chunk) {
        locked(kept).extend_from_slice(chunk.get(..len).unwrap_or_default());
    }
}
