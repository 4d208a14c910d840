//! The stage: one real machine, and a test that moves everything around it.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_core::files::MemoryFiles;
use understudy_core::{CallId, ExitStatus, Refresh, Setup};

use super::backend::Part;
use super::refresh::Embedding;
use super::story::{Line, Story};
use super::{Answer, Backend, RefreshAsked, Reply, Request};
use crate::world::fact::{Fact, Purpose};
use crate::world::{Cut, Fault, Firing, MemoryKeyring, World};

/// The folder with configuration and credentials, `CODEX_HOME`.
pub const HOME: &str = "/home/user/.codex";
/// The folder that the server was started in.
pub const CWD: &str = "/work";

/// How often the stage looks again before it says that something goes round in circles.
const ROUNDS_MAX: usize = 100_000;

/// A provider that asks for the user's account, at an address that is none.
const CONFIG: &str = "\
model_provider = 'scripted'
[model_providers.scripted]
name = 'Scripted'
base_url = 'https://backend.test/v1'
requires_openai_auth = true
request_max_retries = 0
stream_max_retries = 0
";

/// What stands on a stage before the machine is made.
#[derive(Debug)]
pub struct StageSetup {
    setup: Setup,
    files: MemoryFiles,
    keyring: MemoryKeyring,
    seed: u8,
    embedding: Option<Embedding>,
}

impl Default for StageSetup {
    fn default() -> Self {
        let files = MemoryFiles::new().with(format!("{HOME}/config.toml"), CONFIG);
        files.folder(CWD);
        Self {
            setup: Setup::new(HOME, CWD),
            files,
            keyring: MemoryKeyring::default(),
            seed: 0,
            embedding: None,
        }
    }
}

impl StageSetup {
    /// `config.toml`, in place of the one with a scripted provider that never retries.
    #[must_use]
    pub fn config(self, toml: &str) -> Self {
        self.file(Path::new(HOME).join("config.toml"), toml)
    }

    /// A file, with the folders above it.
    #[must_use]
    pub fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.files.put(path, content);
        self
    }

    /// The user's machine has no keyring.
    #[must_use]
    pub fn without_keyring(mut self) -> Self {
        self.keyring = MemoryKeyring::absent();
        self
    }

    /// Anything else that a machine is told when it is made.
    #[must_use]
    pub fn setup(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.setup);
        self
    }

    /// Other ids and delays. The same seed gives the same bytes.
    #[must_use]
    pub fn seed(mut self, seed: u8) -> Self {
        self.seed = seed;
        self
    }

    /// The host links the machine into itself: it is asked for tokens by this function and not on
    /// the wire ([`Refresh::Embedder`]).
    #[must_use]
    pub fn embedder(mut self, answer: impl FnMut(&RefreshAsked) -> Answer + 'static) -> Self {
        self.setup.refresh = Refresh::Embedder;
        self.embedding = Some(Embedding::new(answer));
        self
    }

    /// The machine is made and has read its files.
    #[must_use]
    pub fn raise(self) -> Stage {
        let world = World::new(self.setup, self.files, self.keyring, [self.seed; 32]);
        let mut stage = Stage {
            start: world.mono(),
            world,
            story: Story::default(),
            heard: Vec::new(),
            output: Vec::new(),
            is_read: true,
            holds_files: false,
            script: VecDeque::new(),
            requests: Vec::new(),
            on_way: VecDeque::new(),
            replies: 0,
            next_id: 1,
            asked: Vec::new(),
            embedding: self.embedding,
        };
        // The stage reads, so that it sees the bytes as they are.
        stage.world.set_reading(false);
        stage.settle();
        stage
    }
}

/// A message of the server, and whether the test has taken it.
#[derive(Debug)]
struct Heard {
    message: Value,
    is_taken: bool,
}

/// A real machine with everything around it in the hands of a test. See the
/// [module](crate::testkit).
///
/// Nothing happens by itself but this: what the server says is read at once, files are read and
/// written at once, the list of models is empty, and requests that [`Backend::script`] has a reply
/// for get it.
pub struct Stage {
    pub(super) world: World,
    start: Duration,
    story: Story,
    heard: Vec<Heard>,
    /// What the server said and the test has not taken as bytes.
    output: Vec<u8>,
    is_read: bool,
    holds_files: bool,
    pub(super) script: VecDeque<Reply>,
    /// All that were sent.
    pub(super) requests: Vec<Request>,
    /// Parts of replies that have not arrived.
    pub(super) on_way: VecDeque<(CallId, Part)>,
    /// Replies until now.
    pub(super) replies: u64,
    next_id: i64,
    pub(super) asked: Vec<RefreshAsked>,
    embedding: Option<Embedding>,
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// A machine that has just started, with nobody signed in.
    #[must_use]
    pub fn new() -> Self {
        StageSetup::default().raise()
    }

    /// The same with more around it.
    #[must_use]
    pub fn with() -> StageSetup {
        StageSetup::default()
    }

    // --- what the host says ---

    /// Bytes of the host arrive, cut anywhere.
    pub fn input(&mut self, bytes: &[u8]) {
        self.story.input(self.now(), bytes);
        self.world.write(bytes, Cut::Whole);
        self.settle();
    }

    /// The host says a message.
    pub fn say(&mut self, message: &Value) {
        self.input(format!("{message}\n").as_bytes());
    }

    /// The host asks for something; the id of the request.
    pub fn request(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({"id": id, "method": method, "params": params});
        if message["params"].is_null()
            && let Some(members) = message.as_object_mut()
        {
            members.remove("params");
        }
        self.say(&message);
        id
    }

    /// The same, with its result.
    ///
    /// # Panics
    /// If the server refuses, or has not answered.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.expect_result(id)
    }

    /// The host answers a question of the server's.
    pub fn respond(&mut self, id: i64, result: &Value) {
        self.say(&json!({"id": id, "result": result}));
    }

    /// The host refuses a question of the server's.
    pub fn refuse(&mut self, id: i64, code: i64, message: &str) {
        self.say(&json!({"id": id, "error": {"code": code, "message": message}}));
    }

    /// The host's output ends: it will say nothing more.
    pub fn hang_up(&mut self) {
        self.story.note(self.now(), Line::Host, "hangs up");
        self.world.eof();
        self.settle();
    }

    /// Lets code that turns lines into lines talk to the server until neither has more to say. What
    /// it gets are whole lines with their line feeds, what it gives back may be cut anywhere.
    ///
    /// # Panics
    /// If the two never stop.
    #[track_caller]
    pub fn talk_with(&mut self, mut host: impl FnMut(&[u8]) -> Vec<u8>) {
        for _ in 0..1000 {
            let said = self.output();
            if said.is_empty() {
                return;
            }
            let answer = host(&said);
            if !answer.is_empty() {
                self.input(&answer);
            }
        }
        self.fail("host and server do not come to an end");
    }

    // --- what the host hears ---

    /// Bytes that the server has written since this was last asked: whole lines.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Messages that the test has not taken, oldest first. Takes them.
    pub fn heard(&mut self) -> Vec<Value> {
        let fresh = self.heard.iter_mut().filter(|heard| !heard.is_taken);
        fresh
            .map(|heard| {
                heard.is_taken = true;
                heard.message.clone()
            })
            .collect()
    }

    /// The params of the first notification or question of this method that the test has not taken,
    /// wherever it stands. Takes it.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn expect(&mut self, method: &str) -> Value {
        match self.take(|message| message["method"] == method) {
            Some(mut message) => message["params"].take(),
            None => self.fail(&format!("the server has not said {method}")),
        }
    }

    /// The same for a question, with its id for the answer.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn expect_question(&mut self, method: &str) -> (i64, Value) {
        let is_it = |message: &Value| message["method"] == method && message["id"].is_i64();
        match self.take(is_it) {
            Some(mut message) => {
                (message["id"].as_i64().unwrap_or_default(), message["params"].take())
            }
            None => self.fail(&format!("the server has not asked {method}")),
        }
    }

    /// Checks that the test has taken every message of this method.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn expect_no(&mut self, method: &str) {
        if self.take(|message| message["method"] == method).is_some() {
            self.fail(&format!("the server has said {method}"));
        }
    }

    /// The result of a request of the host's.
    ///
    /// # Panics
    /// If there is none, or a refusal.
    #[track_caller]
    pub fn expect_result(&mut self, id: i64) -> Value {
        match self.take_answer(id) {
            Some(mut message) if message.get("result").is_some() => message["result"].take(),
            Some(message) => self.fail(&format!("request {id} was refused: {}", message["error"])),
            None => self.fail(&format!("request {id} has no answer")),
        }
    }

    /// The error of a request of the host's: its code and text.
    ///
    /// # Panics
    /// If there is none, or a result.
    #[track_caller]
    pub fn expect_refusal(&mut self, id: i64) -> (i64, String) {
        match self.take_answer(id) {
            Some(message) if message.get("error").is_some() => {
                let error = &message["error"];
                let text = error["message"].as_str().unwrap_or_default().to_owned();
                (error["code"].as_i64().unwrap_or_default(), text)
            }
            Some(_) => self.fail(&format!("request {id} was not refused")),
            None => self.fail(&format!("request {id} has no answer")),
        }
    }

    fn take_answer(&mut self, id: i64) -> Option<Value> {
        self.take(|message| message.get("method").is_none() && message["id"] == id)
    }

    fn take(&mut self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let heard = self.heard.iter_mut().find(|heard| !heard.is_taken && is_it(&heard.message))?;
        heard.is_taken = true;
        Some(heard.message.clone())
    }

    /// The host stops reading: what the server says waits in its buffer.
    pub fn stop_reading(&mut self) {
        self.is_read = false;
    }

    /// The host reads again.
    pub fn resume_reading(&mut self) {
        self.is_read = true;
        self.settle();
    }

    // --- time ---

    /// Time since the server's start.
    pub fn now(&self) -> Duration {
        self.world.mono() - self.start
    }

    /// Lets time pass. Every timer on the way fires when it is due; what it leads to happens before
    /// the next one.
    pub fn advance(&mut self, time: Duration) {
        let end = self.world.mono() + time;
        for _ in 0..ROUNDS_MAX {
            let embedder = self.embedding.as_ref().and_then(Embedding::next_due);
            let next = self.world.next_due().into_iter().chain(embedder).min();
            let stop = next.map_or(end, |next| next.min(end));
            self.world.wait_until(stop, Firing::OnTime);
            self.settle();
            let now = self.world.mono();
            while let Some((asked, answer)) =
                self.embedding.as_mut().and_then(|embedding| embedding.take_due(now))
            {
                self.answer_in_process(&asked, &answer);
            }
            let is_over = self.world.next_due().is_none_or(|due| due > end);
            if now == end && is_over {
                return;
            }
        }
        self.fail("timers without end");
    }

    /// How long until the next timer of the server's is due; none if it waits for nothing.
    pub fn next_timer(&self) -> Option<Duration> {
        self.world.next_due().map(|due| due.saturating_sub(self.world.mono()))
    }

    // --- the outside ---

    /// The servers that the machine sends HTTP requests to.
    pub fn backend(&mut self) -> Backend<'_> {
        Backend { stage: self }
    }

    /// The files, to be looked at, changed, and made to fail.
    pub fn files(&self) -> &MemoryFiles {
        &self.world.files
    }

    /// The content of a file as text.
    pub fn file(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = self.world.files.content(path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The keyring.
    pub fn keyring(&self) -> &MemoryKeyring {
        &self.world.keyring
    }

    /// Work on credentials, threads' settings and other small files waits from now on, as on a slow
    /// disk, until [`Stage::release_files`].
    pub fn hold_files(&mut self) {
        self.holds_files = true;
    }

    /// What waits is done, and what comes from now on is done at once.
    pub fn release_files(&mut self) {
        self.holds_files = false;
        self.settle();
    }

    /// The oldest work on files that waits is done, with this fault; false if there is none.
    pub fn finish_files(&mut self, fault: Fault) -> bool {
        let job = self.world.jobs().next();
        if let Some((call, _)) = job {
            self.world.run_job(call, fault);
            self.settle();
        }
        job.is_some()
    }

    // --- the end ---

    /// How the server has ended, if it has.
    pub fn exit(&self) -> Option<&ExitStatus> {
        self.world.exit()
    }

    /// Checks that nothing is open: no request without an answer, no question, no call, no timer.
    ///
    /// # Panics
    /// If something is.
    #[track_caller]
    pub fn expect_rest(&self) {
        let open = self.world.machine().open_work();
        if open != understudy_core::OpenWork::default() {
            self.fail(&format!("something is open: {open:?}"));
        }
    }

    /// All that was said and done, as text: who to whom, and when. Every check that fails shows it.
    pub fn story(&self) -> String {
        self.story.text()
    }

    /// Fails the test with these words and the whole story.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub fn fail(&self, why: &str) -> ! {
        panic!("{why}\n\nwhat happened:\n{}", self.story.text())
    }

    pub(super) fn note(&mut self, who: Line, text: &str) {
        self.story.note(self.now(), who, text);
    }

    pub(super) fn embedding(&mut self) -> Option<&mut Embedding> {
        self.embedding.as_mut()
    }

    // --- what happens by itself ---

    /// Until nothing more follows from what was done.
    #[track_caller]
    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.follow();
            let is_over = !self.read()
                && !self.do_files()
                && !self.deliver_part()
                && !self.reply_by_script()
                && !self.ask_embedder();
            if is_over {
                return;
            }
        }
        self.fail("one thing leads to another without end");
    }

    fn follow(&mut self) {
        for fact in self.world.take_facts() {
            match fact {
                Fact::Fired(_) => self.note(Line::Clock, "a timer fires"),
                Fact::Sent(sent) => {
                    let http = self.world.http().iter().find(|http| http.call == sent.call);
                    self.requests.extend(http.map(Request::of));
                    let bearer = sent.bearer.as_deref().map(|bearer| format!(", bearer {bearer}"));
                    self.note(Line::Asks, &format!("{}{}", sent.url, bearer.unwrap_or_default()));
                }
                Fact::AskedEmbedder(ask, previous_account, _) => {
                    self.note(Line::Embedder, "is asked for tokens");
                    let asked = RefreshAsked { id: ask.0, previous_account, at: self.now() };
                    self.asked.push(asked.clone());
                    if let Some(embedding) = &mut self.embedding {
                        embedding.ask(asked);
                    }
                }
                Fact::Filed(_, job, fault, done) if fault != Fault::None || !done => {
                    self.note(Line::Files, &format!("{job:?}: {fault:?}, done: {done}"));
                }
                Fact::Exited(status) => self.note(Line::Server, &format!("exits: {status:?}")),
                _ => {}
            }
        }
    }

    fn read(&mut self) -> bool {
        let pending = self.world.machine().pending_output();
        if !self.is_read || pending.is_empty() {
            return false;
        }
        let bytes = pending.to_vec();
        self.world.read(bytes.len());
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line).into_owned();
            let Ok(message) = serde_json::from_slice::<Value>(line) else {
                self.fail(&format!("the server said what is no JSON: {text}"));
            };
            self.note(Line::Says, &text);
            self.note_question(&message);
            self.heard.push(Heard { message, is_taken: false });
        }
        self.output.extend_from_slice(&bytes);
        true
    }

    fn note_question(&mut self, message: &Value) {
        if message["method"] != super::REFRESH {
            return;
        }
        let previous_account = message["params"]["previousAccountId"].as_str().map(str::to_owned);
        let id = message["id"].as_i64().unwrap_or_default();
        self.asked.push(RefreshAsked { id, previous_account, at: self.now() });
    }

    fn do_files(&mut self) -> bool {
        if self.holds_files {
            return false;
        }
        let job = self.world.jobs().next();
        if let Some((call, _)) = job {
            self.world.run_job(call, Fault::None);
        }
        job.is_some()
    }

    fn reply_by_script(&mut self) -> bool {
        if !self.on_way.is_empty() {
            return false;
        }
        let waiting = self.world.http().iter().filter(|http| http.answer.is_none());
        let waiting: Vec<_> = waiting.map(|http| (http.call, http.sent.purpose)).collect();
        for (call, purpose) in waiting {
            let reply = match purpose {
                Purpose::Models => Some(Reply::json(200, &json!({"models": []}))),
                Purpose::Turn => self.script.pop_front(),
                _ => None,
            };
            if let Some(reply) = reply {
                self.deliver(call, &reply);
                return true;
            }
        }
        false
    }
}
