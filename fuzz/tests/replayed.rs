//! Drawn sessions are recorded, written, read back and played again: every step comes out the same.
//!
//! Method: one real machine on files in memory. What the host says, how its bytes and those of the
//! backend are cut, which answer comes next, what fails and which timer fires is drawn from a seed.
//! `UNDERSTUDY_REPLAY_SEEDS=<n>` plays more of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use understudy_core::files::{Disk, FileJob, MemoryFiles, NoKeyring};
use understudy_core::trace::{Note, Notes, Recorder, Recording, Replay, Scribe, Sink, read};
use understudy_core::{
    Call, CallId, Effect, ExitStatus, HttpFailure, HttpFailureKind, HttpHead, Input, Now, Outcome,
    OutputStream, ProcessExit, Setup, Signal, TimerId,
};

const SEEDS: u64 = 40;
const STEPS: u32 = 60;
const SECRETS: [&str; 4] =
    ["opaque-bearer-1a", "opaque-bearer-2b", "hunter2-of-config", "jo@example.org"];

struct AtOnce(Rc<RefCell<Scribe>>);

impl Sink for AtOnce {
    fn take(&mut self, note: Note<'_>) -> bool {
        let mut notes = Notes::default();
        notes.push(note);
        self.0.borrow_mut().take(&mut notes);
        true
    }
}

/// Draws from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// A recorded machine, and what it waits for.
struct Session {
    machine: Recorder<AtOnce>,
    scribe: Rc<RefCell<Scribe>>,
    chance: Chance,
    files: MemoryFiles,
    jobs: VecDeque<(CallId, FileJob)>,
    /// Exchanges, and whether their head was given.
    http: Vec<(CallId, bool)>,
    programs: Vec<CallId>,
    timers: Vec<TimerId>,
    said: Vec<u8>,
    mono: Duration,
    id: u32,
    exit: Option<ExitStatus>,
}

fn files() -> MemoryFiles {
    let config = concat!(
        "model_provider = 'm'\nmodel = 'mock-model'\nsandbox_mode = 'danger-full-access'\n",
        "approval_policy = 'untrusted'\n[model_providers.m]\nname = 'm'\nbase_url = 'http://b/v1'\n",
        "wire_api = 'responses'\nrequires_openai_auth = true\n",
        "[model_providers.o]\nname = 'o'\nexperimental_bearer_token = 'hunter2-of-config'\n",
    );
    MemoryFiles::new().with("/h/config.toml", config).with("/w/AGENTS.md", "Be kind.\n")
}

impl Session {
    fn new(seed: u64) -> Self {
        let setup = Setup::new("/h", "/w");
        let now = Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH);
        let machine_seed = [u8::try_from(seed % 251).unwrap_or(0); 32];
        let scribe = Rc::new(RefCell::new(Scribe::new(&setup, machine_seed, now, [5; 32])));
        let sink = AtOnce(Rc::clone(&scribe));
        let mut session = Self {
            machine: Recorder::new(setup, machine_seed, now, sink),
            scribe,
            chance: Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            files: files(),
            jobs: VecDeque::new(),
            http: Vec::new(),
            programs: Vec::new(),
            timers: Vec::new(),
            said: Vec::new(),
            mono: Duration::from_secs(1),
            id: 0,
            exit: None,
        };
        session.drain();
        session
    }

    fn tell(&mut self, input: Input<'_>) {
        self.mono += Duration::from_nanos(self.chance.below(3_000_000) as u64);
        // The calendar may jump.
        let jump = Duration::from_secs(u64::from(self.chance.below(20) == 0));
        let wall = Timestamp::UNIX_EPOCH + self.mono + jump;
        self.machine.handle(Now::new(self.mono, wall), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Start(id, call) => match *call {
                    Call::Files(job) => self.jobs.push_back((id, job)),
                    Call::Http(_) => self.http.push((id, false)),
                    Call::Process(_) => self.programs.push(id),
                    _ => {}
                },
                Effect::Cancel(id) => {
                    self.http.retain(|(call, _)| *call != id);
                    self.programs.retain(|call| *call != id);
                }
                Effect::StartTimer(timer, _) => self.timers.push(timer),
                Effect::CancelTimer(timer) => self.timers.retain(|other| *other != timer),
                Effect::Exit(status) => self.exit = Some(status),
                Effect::Send
                | Effect::Feed(..)
                | Effect::RefreshAuth(..)
                | Effect::Telemetry(_) => {}
            }
        }
    }

    /// The host takes some of the output.
    fn write(&mut self) {
        let pending = self.machine.pending_output();
        let n = if self.chance.below(3) == 0 { pending.len() } else { pending.len() / 2 };
        if n > 0 {
            self.said.extend_from_slice(&pending[..n]);
            self.machine.wrote(n);
            self.drain();
        }
    }

    fn say(&mut self, message: &Value) {
        let line = format!("{message}\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let most = self.chance.of(&[3, 20, 4096]);
            let (piece, behind) = rest.split_at(rest.len().min(1 + self.chance.below(most)));
            self.tell(Input::Bytes(piece));
            rest = behind;
        }
    }

    fn request(&mut self, method: &str, params: &Value) {
        self.id += 1;
        self.say(&json!({"id": self.id, "method": method, "params": params}));
    }

    /// The last thread, and its last turn, that the host was told of.
    fn known(&self) -> (Value, Value) {
        let text = String::from_utf8_lossy(&self.said);
        let messages: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let last = |method: &str, at: &str| {
            let found = messages.iter().rfind(|m| m["method"] == method);
            found.and_then(|m| m.pointer(at)).cloned().unwrap_or_else(|| json!("none"))
        };
        (last("thread/started", "/params/thread/id"), last("turn/started", "/params/turn/id"))
    }

    fn host_says(&mut self) {
        let (thread, turn) = self.known();
        let tokens = login(self.chance.below(2));
        let words = self.chance.of(&["hi", "run", "opaque-bearer-1a is mine"]);
        let input = json!([{"type": "text", "text": words}]);
        let config = json!({"keyPath": "model_providers.o.experimental_bearer_token",
            "value": "hunter2-of-config", "mergeStrategy": "replace"});
        match self.chance.below(12) {
            0 => self.request("account/login/start", &tokens),
            1 => self.request("account/read", &json!({"refreshToken": false})),
            2 => self.request("thread/start", &json!({"cwd": "/w"})),
            3..6 => self.request("turn/start", &json!({"threadId": thread, "input": input})),
            6 => self.request("turn/interrupt", &json!({"threadId": thread, "turnId": turn})),
            7 => self.request("config/value/write", &config),
            8 => self.request("config/read", &json!({"includeLayers": true})),
            9 => self.request("getAuthStatus", &json!({"includeToken": true})),
            10 => self.tell(Input::Bytes(b"no json \xff\n")),
            _ => self.answer_question(&tokens),
        }
    }

    /// Answers the newest question, or one that nobody asked.
    fn answer_question(&mut self, tokens: &Value) {
        let text = String::from_utf8_lossy(&self.said).into_owned();
        let mut asked =
            text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let question = asked.find(|m| m["method"].is_string() && m["id"].is_number());
        let id = question.map_or(json!(0), |question| question["id"].clone());
        let result = self.chance.of(&[tokens.clone(), json!({"decision": "accept"}), json!({})]);
        self.say(&json!({"id": id, "result": result}));
    }

    fn backend_says(&mut self) {
        let Some(at) = (!self.http.is_empty()).then(|| self.chance.below(self.http.len())) else {
            return;
        };
        let (call, begun) = self.http[at];
        if !begun {
            let (status, kind) = self.chance.of(&[
                (200, "text/event-stream"),
                (200, "text/event-stream"),
                (401, "application/json"),
                (500, "text/plain"),
            ]);
            self.http[at].1 = true;
            let headers = vec![("content-type".to_owned(), kind.to_owned())];
            return self.tell(Input::Done(call, Outcome::HttpHead(HttpHead { status, headers })));
        }
        match self.chance.below(6) {
            0 => {
                self.http.remove(at);
                self.tell(Input::Done(call, Outcome::HttpEnd));
            }
            1 => {
                self.http.remove(at);
                let (kind, text) = (HttpFailureKind::Body, "it broke off".to_owned());
                self.tell(Input::Done(call, Outcome::HttpFailed(HttpFailure { kind, text })));
            }
            _ => self.send_body(call),
        }
    }

    fn send_body(&mut self, call: CallId) {
        let body = self.chance.of(&[
            r#"{"error":{"message":"opaque-bearer-1a is old"},"email":"jo@example.org"}"#
                .to_owned(),
            event(&json!({"type": "response.output_text.delta", "item_id": "m", "delta": "hel"})),
            event(&json!({"type": "response.output_item.done", "item": {"type": "message",
                "role": "assistant", "id": "m",
                "content": [{"type": "output_text", "text": "opaque-bearer-2b it is"}]}})),
            event(&json!({"type": "response.output_item.done", "item": {"type": "function_call",
                "id": "f", "call_id": "c", "name": "shell_command",
                "arguments": "{\"command\":\"ls\"}"}})),
            event(&json!({"type": "response.completed", "response": {"id": "r"}})),
        ]);
        let cut = self.chance.below(body.len());
        for piece in [&body.as_bytes()[..cut], &body.as_bytes()[cut..]] {
            if self.http.iter().any(|(other, _)| *other == call) {
                self.tell(Input::Done(call, Outcome::HttpBytes(piece)));
            }
        }
    }

    fn program_says(&mut self) {
        let Some(call) = self.programs.first().copied() else { return };
        if self.chance.below(2) == 0 {
            let said = self.chance.of(&["one\n", "opaque-bea", "rer-1a", "more? "]);
            let stream = self.chance.of(&[OutputStream::Stdout, OutputStream::Stderr]);
            return self.tell(Input::Done(call, Outcome::ProcessOutput(stream, said.as_bytes())));
        }
        self.programs.remove(0);
        self.tell(Input::Done(call, Outcome::ProcessExited(ProcessExit::Code(0))));
    }

    fn run_job(&mut self) {
        let Some((call, job)) = self.jobs.pop_front() else { return };
        if self.chance.below(25) == 0 {
            return self.tell(Input::Done(call, Outcome::Lost));
        }
        let answer = job.run(Disk { files: &self.files, keyring: &NoKeyring });
        self.tell(Input::Done(call, Outcome::Files(Box::new(answer))));
    }

    fn fire(&mut self) {
        if !self.timers.is_empty() {
            let at = self.chance.below(self.timers.len());
            let timer = self.timers.remove(at);
            self.tell(Input::TimerFired(timer));
        }
    }

    fn play(mut self) -> Vec<u8> {
        self.request("initialize", &json!({"clientInfo": {"name": "t", "version": "1"}}));
        // What people and models say of a token is replaced once it is known for one.
        self.request("account/login/start", &login(1));
        self.request("account/login/start", &login(0));
        while self.exit.is_none() && self.id < STEPS {
            match self.chance.below(16) {
                0..4 => self.host_says(),
                4..7 => self.backend_says(),
                7..12 => self.run_job(),
                12 => self.program_says(),
                13 => self.fire(),
                _ => self.write(),
            }
            if self.chance.below(400) == 0 {
                self.tell(Input::Signal(Signal::Terminate));
            }
        }
        if self.exit.is_none() {
            self.tell(Input::Eof);
        }
        let mut scribe = self.scribe.borrow_mut();
        scribe.end(None);
        scribe.lines()
    }
}

fn login(n: usize) -> Value {
    json!({"type": "chatgptAuthTokens", "idToken": id_token(), "accessToken": SECRETS[n]})
}

fn event(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// `{"alg":"none"}`, the claims of jo@example.org for org-7, `sig`.
fn id_token() -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = json!({"email": "jo@example.org", "https://api.openai.com/auth":
        {"chatgpt_plan_type": "plus", "chatgpt_account_id": "org-7"}});
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), part("sig"))
}

fn first_difference(recording: &Recording) -> Option<String> {
    let mut replay = Replay::new(recording);
    std::iter::from_fn(|| replay.play()).find_map(|played| {
        let difference = played.difference?;
        let said = String::from_utf8_lossy(&played.output).into_owned();
        let deeds: Vec<String> = played.deeds.iter().map(|deed| deed.title.clone()).collect();
        Some(format!(
            "step {} ({}): {difference}\n{said}\n{deeds:?}",
            played.step, played.given.title
        ))
    })
}

#[test]
fn drawn_sessions_play_the_same() {
    let seeds = std::env::var("UNDERSTUDY_REPLAY_SEEDS").ok().and_then(|n| n.parse().ok());
    let mut steps = 0;
    for seed in 0..seeds.unwrap_or(SEEDS) {
        let lines = Session::new(seed).play();
        let recording = read(&lines).expect("a recording");
        steps += recording.len();
        if let Some(difference) = first_difference(&recording) {
            panic!("seed {seed}: {difference}");
        }
        let text = String::from_utf8_lossy(&lines);
        for secret in SECRETS {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "seed {seed}: {secret}");
        }
    }
    assert!(steps > 4_000, "only {steps} steps");
}
