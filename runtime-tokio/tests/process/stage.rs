//! Owns: what each test plays on: folders, backend, server, and the checks at the end that hold for
//! every session: it ends soon after its input, keeps the rules of `invariants`, and leaves no part
//! of a token in its log or its folder.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use understudy_tokio::demo::authority::{Authority, Issued, field};
use understudy_tokio::demo::backend::{Backend, Script};
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::scratch::{Scratch, Settings};
use understudy_tokio::demo::seen::{Request, Seen, Trouble};
use understudy_tokio::demo::tokens::{self, Tokens};

use crate::invariants;
use crate::program::program;

pub(crate) const REFRESH: &str = "account/chatgptAuthTokens/refresh";
pub(crate) const LOGIN: &str = "account/login/start";
/// Longer than any single wait should take on a busy machine.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// From the end of the input to the end of the process.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(2);

pub(crate) type Outcome = Result<(), Trouble>;

/// What a test needs before it begins.
pub(crate) struct Scene {
    settings: Settings,
    script: Script,
    authority: Authority,
    /// What lies in the credential file before the server starts.
    stored: Option<Value>,
    stores: bool,
    /// What stands behind the command line of the server.
    pub(crate) arguments: Vec<OsString>,
}

impl Scene {
    /// The backend gives these replies in turn, then refuses.
    pub(crate) fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut left = replies.into_iter().collect::<Vec<_>>().into_iter();
        Self::script(move |_| {
            left.next().unwrap_or_else(|| Reply::error(500, "no reply is left in the script"))
        })
    }

    pub(crate) fn script(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self {
            settings: Settings::default(),
            script: Box::new(script),
            authority: Authority::default(),
            stored: None,
            stores: false,
            arguments: Vec::new(),
        }
    }

    /// Signing in, refreshing and the model's backend are all this authority's, and what the user
    /// signs in with is stored in `auth.json`, which is what a store is for.
    pub(crate) fn of(authority: &Authority) -> Self {
        Self::script(authority.model()).authority(authority).stores()
    }

    /// The server's authority is this one.
    pub(crate) fn authority(mut self, authority: &Authority) -> Self {
        self.authority = authority.clone();
        self
    }

    /// The same with a user who has signed in before.
    pub(crate) fn signed_in(authority: &Authority, last_refresh: &str) -> (Self, Issued) {
        let issued = authority.issue();
        let record = issued.record("org-1", last_refresh);
        (Self::of(authority).stored(record), issued)
    }

    /// `auth.json` holds this when the server starts.
    pub(crate) fn stored(mut self, record: Value) -> Self {
        self.stored = Some(record);
        self.stores()
    }

    /// One more line of the configuration.
    pub(crate) fn config(mut self, line: &str) -> Self {
        self.settings.lines.push(line.to_owned());
        self
    }

    /// No model is asked in this scene.
    pub(crate) fn silent() -> Self {
        Self::replies([])
    }

    pub(crate) fn retries(mut self, request: u32, stream: u32) -> Self {
        self.settings.request_retries = request;
        self.settings.stream_retries = stream;
        self
    }

    pub(crate) fn refresh_limit_ms(mut self, limit: u64) -> Self {
        self.settings.refresh_limit_ms = Some(limit);
        self
    }

    /// What the user signs in with is stored in `auth.json`, which is what a store is for.
    pub(crate) fn stores(mut self) -> Self {
        self.stores = true;
        self
    }

    /// Plays the test on an initialised server, then ends the server and checks what must hold.
    pub(crate) fn play(self, test: impl FnOnce(&mut Stage) -> Outcome) {
        self.play_from_start(|stage| {
            stage.initialize()?;
            test(stage)
        });
    }

    /// The same on a server that has been told nothing yet.
    pub(crate) fn play_from_start(self, test: impl FnOnce(&mut Stage) -> Outcome) {
        let stores = self.stores;
        let outcome = Stage::new(self).and_then(|mut stage| {
            test(&mut stage)?;
            stage.end(stores)
        });
        if let Err(trouble) = outcome {
            panic!("{trouble}");
        }
    }
}

/// A server under test with everything around it.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) backend: Backend,
    pub(crate) scratch: Scratch,
    facts: Arc<Mutex<Vec<Seen>>>,
    ended_well: bool,
}

/// The command line of the server under test.
pub(crate) fn server() -> Vec<String> {
    match std::env::var("UNDERSTUDY_TEST_SERVER") {
        Ok(command) => command.split_whitespace().map(str::to_owned).collect(),
        Err(_) => vec![program().to_owned(), "app-server".to_owned()],
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    fn new(scene: Scene) -> Result<Self, Trouble> {
        let scratch = Scratch::new()?;
        let (tell, facts) = mpsc::channel();
        let backend = Backend::start(tell.clone(), scene.script)?;
        scene.authority.serve_on(&backend);
        scratch.configure(&backend.url(), &scene.settings)?;
        if let Some(record) = &scene.stored {
            fs::write(scratch.auth_json(), record.to_string())?;
        }
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeper = Arc::clone(&kept);
        let watcher = Box::new(move |fact: &Seen| locked(&keeper).push(fact.clone()));
        let mut command = command(&scratch, &backend);
        command.args(&scene.arguments);
        let host = Host::start(&mut command, (tell, facts), WAIT_LIMIT, watcher)?;
        Ok(Self { host, backend, scratch, facts: kept, ended_well: false })
    }

    /// Another server on the same home, initialised.
    pub(crate) fn second_server(&self) -> Result<Host, Trouble> {
        self.server_with(&[])
    }

    /// The same, with something behind its command line.
    pub(crate) fn server_with(&self, arguments: &[OsString]) -> Result<Host, Trouble> {
        let mut command = command(&self.scratch, &self.backend);
        command.args(arguments);
        started(command)
    }

    pub(crate) fn initialize(&mut self) -> Outcome {
        initialize(&mut self.host)
    }

    /// The record in the credential file.
    pub(crate) fn record(&self) -> Result<Value, Trouble> {
        let text = fs::read_to_string(self.scratch.auth_json())?;
        serde_json::from_str(&text).map_err(|error| Trouble(format!("auth.json: {error}")))
    }

    /// Puts this into the credential file, as another process does.
    pub(crate) fn write_record(&self, record: &Value) -> Outcome {
        Ok(fs::write(self.scratch.auth_json(), record.to_string())?)
    }

    /// Logs in with the host's tokens and takes in what is announced.
    pub(crate) fn sign_in(&mut self, tokens: &Tokens) -> Outcome {
        self.host.ask(LOGIN, tokens.login())?;
        self.host.notice("account/login/completed")?;
        self.host.notice("account/updated")?;
        Ok(())
    }

    /// Opens a thread and returns its id.
    pub(crate) fn thread(&mut self) -> Result<String, Trouble> {
        let work = self.scratch.work().to_string_lossy().into_owned();
        let result = self.host.ask("thread/start", json!({"cwd": work}))?;
        text(&result, "/thread/id")
    }

    /// Signs in and opens a thread.
    pub(crate) fn ready(&mut self, tokens: &Tokens) -> Result<String, Trouble> {
        self.sign_in(tokens)?;
        self.thread()
    }

    /// Starts a turn, or adds to the running one, and returns the turn's id.
    pub(crate) fn begin(&mut self, thread: &str, words: &str) -> Result<String, Trouble> {
        let input = json!([{"type": "text", "text": words}]);
        let result = self.host.ask("turn/start", json!({"threadId": thread, "input": input}))?;
        text(&result, "/turn/id")
    }

    /// Waits for the end of a turn of this thread, and returns the turn.
    pub(crate) fn completed(&mut self, thread: &str) -> Result<Value, Trouble> {
        let mut message = self.host.wait("turn/completed", |message| {
            message["method"] == "turn/completed" && message["params"]["threadId"] == thread
        })?;
        Ok(message["params"]["turn"].take())
    }

    /// Runs a turn to its end.
    pub(crate) fn turn(&mut self, thread: &str, words: &str) -> Result<Value, Trouble> {
        self.begin(thread, words)?;
        self.completed(thread)
    }

    /// Interrupts and returns how the turn ended; the answer must be `{}`.
    pub(crate) fn interrupt(&mut self, thread: &str, turn: &str) -> Outcome {
        let params = json!({"threadId": thread, "turnId": turn});
        assert_eq!(self.host.ask("turn/interrupt", params)?, json!({}));
        Ok(())
    }

    /// The account that `account/read` tells of; null for nobody.
    pub(crate) fn account(&mut self) -> Result<Value, Trouble> {
        let mut result = self.host.ask("account/read", json!({"refreshToken": false}))?;
        Ok(result["account"].take())
    }

    /// Params of every message of this method that the server wrote so far.
    pub(crate) fn said(&mut self, method: &str) -> Vec<Value> {
        self.host.unread().for_each(drop);
        let facts = locked(&self.facts);
        let lines = facts.iter().filter_map(|fact| match fact {
            Seen::Server(line) => line.json.as_ref(),
            _ => None,
        });
        lines.filter(|m| m["method"] == method).map(|m| m["params"].clone()).collect()
    }

    /// The bearers of the requests for the model, in order.
    pub(crate) fn bearers(&self) -> Vec<String> {
        self.backend.model_requests().iter().map(|r| r.bearer().to_owned()).collect()
    }

    fn end(&mut self, stores: bool) -> Outcome {
        self.host.close_input();
        let status = self.host.wait_exit(EXIT_LIMIT)?;
        assert!(status.success(), "the server ended with {status}");
        self.check_left_behind(stores)?;
        invariants::check(&locked(&self.facts))?;
        self.ended_well = true;
        Ok(())
    }

    /// No part of a token is in the log or in a file; called at the end of each test.
    fn check_left_behind(&mut self, stores: bool) -> Outcome {
        let log = self.host.stderr();
        let made_up = self.secrets_of_logins();
        let traces: Vec<String> = tokens::traces().iter().chain(&made_up).cloned().collect();
        if let Some(line) = log.lines().find(|line| traces.iter().any(|t| line.contains(t))) {
            return Err(Trouble(format!("the log holds a token: {line}")));
        }
        let mut leaks = self.scratch.leaks(&made_up)?;
        leaks.retain(|path| !(stores && path == Path::new("auth.json")));
        if leaks.is_empty() {
            return Ok(());
        }
        Err(Trouble(format!("these files hold a token: {leaks:?}")))
    }

    /// What the server made up for its logins: states, and verifiers as far as they were shown.
    fn secrets_of_logins(&self) -> Vec<String> {
        let urls = locked(&self.facts).iter().filter_map(login_url).collect::<Vec<_>>();
        let states = urls.iter().filter_map(|url| field(url.split_once('?')?.1, "state"));
        let requests = self.backend.requests();
        let verifiers = requests.iter().filter_map(|r| field(&r.text, "code_verifier"));
        states.chain(verifiers).filter(|text| !text.is_empty()).collect()
    }
}

/// The address that the server sent the user to, if this is where it did.
fn login_url(fact: &Seen) -> Option<String> {
    let Seen::Server(line) = fact else { return None };
    line.json.as_ref()?.pointer("/result/authUrl")?.as_str().map(str::to_owned)
}

/// The server's command line for these folders, with everything that it might ask on this backend.
fn command(scratch: &Scratch, backend: &Backend) -> Command {
    let mut command = scratch.command(&server());
    command.env("RUST_LOG", "trace");
    command.env("CODEX_APP_SERVER_LOGIN_ISSUER", backend.url());
    // The reference knows the authority by these (auth.md §4.8), this server by its issuer too.
    command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", format!("{}/oauth/token", backend.url()));
    command.env("CODEX_REVOKE_TOKEN_URL_OVERRIDE", format!("{}/oauth/revoke", backend.url()));
    command
}

fn started(mut command: Command) -> Result<Host, Trouble> {
    let mut host = Host::start(&mut command, mpsc::channel(), WAIT_LIMIT, Box::new(|_| {}))?;
    initialize(&mut host)?;
    Ok(host)
}

fn initialize(host: &mut Host) -> Outcome {
    let info = json!({"name": "process-test", "version": "1.0.0"});
    host.ask("initialize", json!({"clientInfo": info}))?;
    host.send(&json!({"method": "initialized"}))
}

impl Drop for Stage {
    /// After a failure: what was said on both sides, and the end of the log.
    fn drop(&mut self) {
        if self.ended_well {
            return;
        }
        for fact in locked(&self.facts).iter().filter_map(Seen::to_json) {
            eprintln!("{}", fact.chars().take(500).collect::<String>());
        }
        let log = self.host.stderr();
        let skipped = log.lines().count().saturating_sub(30);
        for line in log.lines().skip(skipped) {
            eprintln!("log: {}", line.chars().take(300).collect::<String>());
        }
    }
}

/// Waits until something holds that nobody tells of.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) -> Outcome {
    let end = Instant::now() + WAIT_LIMIT;
    while !holds() {
        if Instant::now() > end {
            return Err(Trouble(format!("in vain: {what}")));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The text at this place; trouble if there is none.
pub(crate) fn text(value: &Value, pointer: &str) -> Result<String, Trouble> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Trouble(format!("no {pointer} in {value}")))
}

/// The user's words that a request for the model ends with.
pub(crate) fn last_words(request: &Request) -> String {
    let input = request.body.as_ref().and_then(|body| body["input"].as_array());
    let said = input.into_iter().flatten().filter(|item| item["role"] == "user");
    let last = said.filter_map(|item| item["content"][0]["text"].as_str()).next_back();
    last.unwrap_or_default().to_owned()
}

/// Tokens of the user that most tests are about.
pub(crate) fn tokens(n: u32) -> Tokens {
    Tokens::fake(n, &format!("user-{n}@example.com"), "org-1")
}

/// Answers a refresh request with these tokens.
pub(crate) fn give(tokens: &Tokens) -> impl FnMut(&Value) -> Value + Send + use<> {
    let result = tokens.refreshed();
    move |_| json!({"result": result})
}

/// The backend's words when it refuses a token.
pub(crate) fn expired() -> Reply {
    Reply::error(401, "token expired")
}

/// A backend that takes only these tokens.
pub(crate) fn only(tokens: &Tokens) -> impl FnMut(&Request) -> Reply + Send + use<> {
    let accepted = tokens.access.clone();
    let mut said = 0;
    move |request| {
        if request.bearer() != accepted {
            return expired();
        }
        said += 1;
        Reply::say(said, "fine")
    }
}
