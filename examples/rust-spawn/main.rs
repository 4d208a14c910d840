//! A host in Rust that starts the server as a process: hands in its user's tokens, runs two turns.
//!
//!     cargo run -p understudy-tokio --example spawn -- target/debug/understudy target/debug/examples/backend
//!
//! The standard library, and `serde_json` for the lines. [`Server`] is the part to copy. The host
//! signs its user in with tokens of its own; answers the request for new ones when the backend
//! refuses them in the middle of a turn; shows the reply as it streams; answers an approval.
//!
//! The second argument starts the pretended backend of the examples. It says what happens, and
//! fails if that is not what should.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Nothing here should take longer, even on a busy machine.
const WAIT: Duration = Duration::from_secs(20);

const OLD_TOKEN: &str = "access-1-pretended";

/// Claims of ada@example.com in account org-1, as a sign-in gives them; nobody signed these.
const ID_TOKEN: &str = concat!(
    "eyJhbGciOiJub25lIn0.",
    "eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSIsImh0dHBzOi8vYXBpLm9wZW5haS5jb20vYXV0aCI6eyJjaGF0",
    "Z3B0X3BsYW5fdHlwZSI6InBybyIsImNoYXRncHRfYWNjb3VudF9pZCI6Im9yZy0xIn19",
    ".cHJldGVuZGVk",
);

/// What went wrong, for a person.
struct Trouble(String);

impl<E: fmt::Display> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Answers one request of the server: `Err` is a message for whoever reads the turn's error.
type Answer<'a> = Box<dyn FnMut(&str, &Value) -> Result<Value, String> + 'a>;

/// An app server as a child process.
struct Server<'a> {
    child: Child,
    /// None once it was closed.
    input: Option<ChildStdin>,
    /// From a thread that always reads: a host that stops reading stops the model.
    messages: Receiver<Value>,
    answer: Answer<'a>,
    /// Notifications that came while something else was waited for.
    notices: VecDeque<Value>,
    last_id: u64,
}

impl<'a> Server<'a> {
    fn start(command: &mut Command, answer: Answer<'a>) -> Result<Self, Trouble> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let (tell, messages) = mpsc::channel();
        thread::spawn(move || -> Option<()> {
            for line in BufReader::new(output).lines() {
                tell.send(serde_json::from_str(&line.ok()?).ok()?).ok()?;
            }
            None
        });
        let input = child.stdin.take();
        Ok(Self { child, input, messages, answer, notices: VecDeque::new(), last_id: 0 })
    }

    /// Sends a request and waits for its result.
    fn request(&mut self, method: &str, params: Value) -> Result<Value, Trouble> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"id": id, "method": method, "params": params}))?;
        loop {
            let mut message = self.next(method)?;
            if message["id"] != id {
                self.notices.push_back(message);
            } else if let Some(error) = message.get("error") {
                return Err(Trouble(format!("{method}: {error}")));
            } else {
                return Ok(message["result"].take());
            }
        }
    }

    /// The next notification, whole.
    fn notice(&mut self) -> Result<Value, Trouble> {
        match self.notices.pop_front() {
            Some(notice) => Ok(notice),
            None => self.next("a notification"),
        }
    }

    /// The next message that is not a request of the server; those are answered on the way. Every
    /// one of them wants an answer, also one that the host does not know.
    fn next(&mut self, awaited: &str) -> Result<Value, Trouble> {
        loop {
            let message = self.messages.recv_timeout(WAIT).map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("{awaited} did not come"),
                RecvTimeoutError::Disconnected => format!("the server went before {awaited} came"),
            })?;
            let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) else {
                return Ok(message);
            };
            let reply = match (self.answer)(method, &message["params"]) {
                Ok(result) => json!({"id": id, "result": result}),
                Err(why) => json!({"id": id, "error": {"code": -32000, "message": why}}),
            };
            self.send(&reply)?;
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), Trouble> {
        let input = self.input.as_mut().ok_or("the input is closed")?;
        // One write a message.
        Ok(input.write_all(format!("{message}\n").as_bytes())?)
    }

    /// Ends the server by ending its input.
    fn close(mut self) -> Result<ExitStatus, Trouble> {
        self.input = None;
        // Until it has gone it may still have something to say.
        while self.messages.recv_timeout(WAIT).is_ok() {}
        Ok(self.child.wait()?)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, backend] = arguments.as_slice() else {
        eprintln!("the server and the backend, and nothing else");
        return ExitCode::FAILURE;
    };
    match play(server, backend) {
        Ok(()) => {
            println!("ok: tokens were renewed in the middle of a turn, and a command was approved");
            ExitCode::SUCCESS
        }
        Err(Trouble(why)) => {
            println!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn play(server: &str, backend: &str) -> Result<(), Trouble> {
    let mut pretended =
        Command::new(backend).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = pretended.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(output).lines();
    let mut line = || -> Result<Value, Trouble> {
        let line = lines.next().ok_or("the backend has gone")?;
        Ok(serde_json::from_str(&line?)?)
    };
    let stage = line()?;

    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("config.toml"), text(&stage["config"]))?;
    let mut asked = Vec::new();
    let answer = Box::new(|method: &str, params: &Value| match method {
        "account/chatgptAuthTokens/refresh" => {
            told("new tokens are asked for", text(&params["reason"]));
            asked.push("refresh");
            Ok(json!({"accessToken": stage["goodToken"], "idToken": ID_TOKEN}))
        }
        "item/commandExecution/requestApproval" => {
            told("may this run?", text(&params["command"]));
            asked.push("approval");
            Ok(json!({"decision": "accept"}))
        }
        _ => Err(format!("this host does not know {method}")),
    });
    let mut command = Command::new(server);
    command.arg("app-server").env("CODEX_HOME", home.path());
    let mut server = Server::start(&mut command, answer)?;
    let talked = talk(&mut server, home.path(), text(&stage["says"]));
    let status = server.close()?;
    talked?;
    check(status.success(), format!("the server ended in order: {status}"))?;
    check(asked == ["refresh", "approval"], format!("each was asked for once: {asked:?}"))?;
    check(!home.path().join("auth.json").exists(), "no token is on disk")?;

    pretended.stdin = None;
    let bearers = line()?["bearers"].take();
    let renewed = bearers[0] == OLD_TOKEN && bearers[1] == stage["goodToken"];
    check(renewed, format!("the right tokens went: {bearers}"))?;
    check(pretended.wait()?.success(), "the backend ended in order")
}

fn talk(server: &mut Server<'_>, work: &Path, says: &str) -> Result<(), Trouble> {
    let info = json!({"name": "rust-host", "title": "A host in Rust", "version": "1.0.0"});
    let hello = server.request("initialize", json!({"clientInfo": info}))?;
    told("the server is there", text(&hello["userAgent"]));

    let tokens =
        json!({"type": "chatgptAuthTokens", "accessToken": OLD_TOKEN, "idToken": ID_TOKEN});
    server.request("account/login/start", tokens)?;
    let account = server.request("account/read", json!({}))?;
    told("tokens are handed in", text(&account["account"]["email"]));
    let known = account["account"]["email"] == "ada@example.com";
    check(known, "the server knows whose tokens these are")?;

    // "untrusted": whatever does more than read is asked about.
    let settings = json!({"cwd": work, "approvalPolicy": "untrusted", "sandbox": "read-only"});
    let thread = server.request("thread/start", settings)?["thread"]["id"].take();

    let streamed = run_turn(server, &thread, "Say hello")?;
    check(streamed == says, format!("the pieces are the whole reply: {streamed}"))?;
    let streamed = run_turn(server, &thread, "run printf %s approved")?;
    check(streamed.contains("approved"), format!("the model heard the command: {streamed}"))
}

/// Runs one turn to its end and returns what was streamed.
fn run_turn(server: &mut Server<'_>, thread: &Value, input: &str) -> Result<String, Trouble> {
    let input_items = json!([{"type": "text", "text": input}]);
    let params = json!({"threadId": thread, "input": input_items});
    let turn = server.request("turn/start", params)?["turn"]["id"].take();
    told("a turn begins", input);
    let mut streamed = String::new();
    loop {
        let notice = server.notice()?;
        let params = &notice["params"];
        match text(&notice["method"]) {
            "item/agentMessage/delta" => {
                told("the model says", text(&params["delta"]).trim());
                streamed.push_str(text(&params["delta"]));
            }
            "turn/completed" if params["turn"]["id"] == turn => {
                told("the turn is over", text(&params["turn"]["status"]));
                let completed = params["turn"]["status"] == "completed";
                check(completed, format!("the turn completed: {}", params["turn"]))?;
                return Ok(streamed);
            }
            _ => {}
        }
    }
}

fn check(holds: bool, what: impl fmt::Display) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(Trouble(format!("this should hold, and does not: {what}"))) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn told(what: &str, detail: impl fmt::Display) {
    let _closed = writeln!(io::stdout(), "{what:<26} {detail}");
}
