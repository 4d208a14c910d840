//! Sessions that are recorded and played again, over files in memory and a backend that the test
//! plays. What programs and real files do with it is tested with the runtime.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Difference, End, Note, Notes, Recorder, Recording, Replay, Scribe, Sink, read};
use crate::effect::{Call, CallId, Effect, TimerId};
use crate::files::{Disk, MemoryFiles, NoKeyring};
use crate::input::{HttpHead, Input, Outcome};
use crate::{Now, Setup};

const SEED: [u8; 32] = [7; 32];
const EMAIL: &str = "jo.doe@example.com";
const ACCOUNT: &str = "org-77aa";
const MORE_SECRETS: [&str; 5] =
    ["hunter2-provider", "sk-env-1234567", "org-forced9", "s3cret-db-word", "deep-header-1"];

/// Writes at once, and counts notes.
#[derive(Clone)]
struct AtOnce(Rc<RefCell<Scribe>>, Rc<Cell<usize>>);

impl Sink for AtOnce {
    fn take(&mut self, note: Note<'_>) -> bool {
        let mut notes = Notes::default();
        notes.push(note);
        self.0.borrow_mut().take(&mut notes);
        self.1.set(self.1.get() + 1);
        true
    }
}

/// A recorded machine with a host and a backend that do as the test says.
struct Stage {
    machine: Recorder<AtOnce>,
    scribe: Rc<RefCell<Scribe>>,
    notes: Rc<Cell<usize>>,
    files: MemoryFiles,
    requests: VecDeque<(CallId, String)>,
    timers: Vec<TimerId>,
    said: Vec<u8>,
    mono: Duration,
    /// The host's lines and the backend's bodies come in pieces of so many bytes.
    piece: usize,
}

fn setup() -> Setup {
    let env = [
        ("HOME", "/h"),
        ("OPENAI_API_KEY", "sk-env-1234567"),
        ("DATABASE_URL", "postgres://u:s3cret-db-word@h/d"),
        ("N", "1"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Setup { env: Arc::new(env.into_iter().collect()), ..Setup::new("/h", "/w") }
}

fn files() -> MemoryFiles {
    let config = concat!(
        "model_provider = 'mock'\nmodel = 'mock-model'\n",
        "[model_providers.mock]\nname = 'mock'\nbase_url = 'http://backend.test/v1'\n",
        "wire_api = 'responses'\nrequires_openai_auth = true\nstream_max_retries = 0\n",
        "[model_providers.mock.http_headers]\nX-Api-Key = 'deep-header-1'\nX-On = 'true'\n",
        "[model_providers.other]\nname = 'other'\nbase_url = 'http://other.test/v1'\n",
        "experimental_bearer_token = 'hunter2-provider'\n",
    );
    MemoryFiles::new().with("/h/config.toml", config).with("/w/AGENTS.md", "Be kind.\n")
}

fn token(n: u32) -> String {
    let claims = json!({"email": EMAIL, "exp": 1_900_000_000 + n, "name": "Jo Doe",
        "https://api.openai.com/auth":
            {"chatgpt_plan_type": "pro", "chatgpt_account_id": ACCOUNT}});
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims.to_string()), part("signed"))
}

fn login(n: u32) -> Value {
    json!({"type": "chatgptAuthTokens", "accessToken": format!("opaque-access-{n}"),
        "idToken": token(n)})
}

impl Stage {
    fn new(piece: usize) -> Self {
        Self::of(setup(), files(), piece)
    }

    fn of(setup: Setup, files: MemoryFiles, piece: usize) -> Self {
        let now = Now::new(Duration::from_nanos(999), Timestamp::UNIX_EPOCH);
        let scribe = Rc::new(RefCell::new(Scribe::new(&setup, SEED, now, [9; 32])));
        let notes = Rc::new(Cell::new(0));
        let sink = AtOnce(Rc::clone(&scribe), Rc::clone(&notes));
        let mut stage = Self {
            machine: Recorder::new(setup, SEED, now, sink),
            scribe,
            notes,
            files,
            requests: VecDeque::new(),
            timers: Vec::new(),
            said: Vec::new(),
            mono: Duration::from_secs(1),
            piece,
        };
        stage.drain();
        stage
    }

    fn tell(&mut self, input: Input<'_>) {
        self.mono += Duration::from_nanos(1_234_567);
        let wall = Timestamp::UNIX_EPOCH + self.mono;
        self.machine.handle(Now::new(self.mono, wall), input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut answers = VecDeque::new();
        loop {
            while let Some(effect) = self.machine.poll_effect() {
                match effect {
                    Effect::Start(id, call) => match *call {
                        Call::Files(job) => {
                            let disk = Disk { files: &self.files, keyring: &NoKeyring };
                            answers.push_back((id, Outcome::Files(Box::new(job.run(disk)))));
                        }
                        Call::Http(request) => self.requests.push_back((id, request.url)),
                        _ => answers.push_back((id, Outcome::Lost)),
                    },
                    Effect::StartTimer(timer, _) => self.timers.push(timer),
                    _ => {}
                }
            }
            let Some((id, outcome)) = answers.pop_front() else { break };
            let now = Now::new(self.mono, Timestamp::UNIX_EPOCH + self.mono);
            self.machine.handle(now, Input::Done(id, outcome));
        }
        let n = self.machine.pending_output().len();
        self.said.extend_from_slice(self.machine.pending_output());
        if n > 0 {
            self.machine.wrote(n);
            self.drain();
        }
    }

    fn say(&mut self, message: &Value) {
        let line = format!("{message}\n");
        for piece in line.as_bytes().chunks(self.piece) {
            self.tell(Input::Bytes(piece));
        }
    }

    fn request(&mut self, id: u32, method: &str, params: &Value) {
        self.say(&json!({"id": id, "method": method, "params": params}));
    }

    /// The params of the last message of this method.
    fn heard(&self, method: &str) -> Value {
        let text = String::from_utf8_lossy(&self.said);
        let mut messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = messages.rfind(|message| message["method"] == method);
        found.unwrap_or_else(|| panic!("no {method}"))
    }

    /// Signs in, and starts a turn of a new thread.
    fn begin_turn(&mut self) {
        self.request(1, "initialize", &json!({"clientInfo": {"name": "t", "version": "1"}}));
        self.say(&json!({"method": "initialized"}));
        self.request(2, "account/login/start", &login(1));
        self.request(3, "account/read", &json!({"refreshToken": false}));
        self.request(4, "thread/start", &json!({"cwd": "/w"}));
        let thread = self.heard("thread/started")["params"]["thread"]["id"].clone();
        let input = json!([{"type": "text", "text": "hi opaque-access-1"}]);
        self.request(5, "turn/start", &json!({"threadId": thread, "input": input}));
    }

    /// Begins to answer the oldest request to the model.
    fn begin_response(&mut self, status: u16, kind: &str) -> CallId {
        let at = self.requests.iter().position(|(_, url)| url.ends_with("/responses"));
        let (id, _) = at.and_then(|at| self.requests.remove(at)).expect("a request to the model");
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        self.tell(Input::Done(id, Outcome::HttpHead(HttpHead { status, headers })));
        id
    }

    /// Answers the oldest request to the model.
    fn respond(&mut self, status: u16, kind: &str, body: &str) {
        let id = self.begin_response(status, kind);
        for piece in body.as_bytes().chunks(self.piece) {
            self.tell(Input::Done(id, Outcome::HttpBytes(piece)));
        }
        self.tell(Input::Done(id, Outcome::HttpEnd));
    }

    fn end(mut self) -> (Vec<u8>, Vec<u8>) {
        self.tell(Input::Eof);
        self.scribe.borrow_mut().end(None);
        let lines = self.scribe.borrow_mut().lines();
        (lines, self.said)
    }
}

fn events(words: &str) -> String {
    let item = json!({"type": "message", "role": "assistant", "id": "m1",
        "content": [{"type": "output_text", "text": words}]});
    let events = [
        json!({"type": "response.created", "response": {"id": "r"}}),
        json!({"type": "response.output_item.added", "item": {"type": "message",
            "role": "assistant", "id": "m1", "content": []}}),
        json!({"type": "response.output_text.delta", "item_id": "m1", "delta": words}),
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"id": "r"}}),
    ];
    let lines = events.iter().map(|event| {
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    });
    lines.collect()
}

/// A user signs in with tokens that the backend does not take any more, and a turn goes on with new
/// ones. The backend repeats a token in its error.
fn session(piece: usize) -> (Vec<u8>, Vec<u8>) {
    let mut stage = Stage::new(piece);
    stage.begin_turn();
    let refused = json!({"error": {"message": "opaque-access-1 is old"}, "user_id": "user-jo1"});
    stage.respond(401, "application/json", &refused.to_string());
    let ask = stage.heard("account/chatgptAuthTokens/refresh");
    let fresh = login(2);
    stage.say(&json!({"id": ask["id"], "result": fresh}));
    stage.respond(200, "text/event-stream", &events("fine, opaque-access-2 works"));
    stage.request(6, "getAuthStatus", &json!({"includeToken": true}));
    stage.request(7, "config/read", &json!({"includeLayers": true}));
    let edit = json!({"keyPath": "forced_chatgpt_workspace_id", "value": "org-forced9",
        "mergeStrategy": "replace"});
    stage.request(8, "config/value/write", &edit);
    stage.request(9, "config/read", &json!({"includeLayers": true}));
    stage.end()
}

fn differences(recording: &Recording) -> Vec<(usize, Difference)> {
    let mut replay = Replay::new(recording);
    let mut found = Vec::new();
    while let Some(played) = replay.play() {
        found.extend(played.difference.map(|difference| (played.step, difference)));
    }
    found
}

/// What must not be seen of a session: as it is, in the parts of tokens, and in pieces of base64.
fn traces() -> Vec<String> {
    let mut traces = vec![EMAIL.to_owned(), ACCOUNT.to_owned(), "Jo Doe".to_owned()];
    traces.extend(MORE_SECRETS.map(str::to_owned));
    traces.push("user-jo1".to_owned());
    for n in [1, 2] {
        traces.push(format!("opaque-access-{n}"));
        let token = token(n);
        let parts: Vec<&str> = token.split('.').collect();
        traces.push(token.clone());
        traces.push(parts[1].to_owned());
        // A third of the payload is enough to read the address from.
        let third = parts[1].len() / 3;
        traces.push(parts[1][..third].to_owned());
    }
    traces
}

fn assert_clean(lines: &[u8]) {
    let text = String::from_utf8_lossy(lines);
    for trace in traces() {
        if let Some(line) = text.lines().find(|line| line.contains(&trace)) {
            panic!("{trace} in {line}");
        }
    }
    // Whatever reads as base64 holds nothing either.
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')) {
        let decoded = URL_SAFE_NO_PAD.decode(word).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded);
        for trace in [EMAIL, ACCOUNT, "Jo Doe"] {
            assert!(!decoded.contains(trace), "{trace} in {decoded}");
        }
    }
}

#[test]
fn a_session_plays_again_without_its_secrets() {
    let (lines, said) = session(usize::MAX);
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("opaque-access-2 works"), "the turn went on: {said}");
    assert!(said.contains(EMAIL) && said.contains(r#""authToken":"opaque-access-2""#), "{said}");
    let recording = read(&lines).expect("a recording");
    assert_eq!(recording.end(), &End::Over);
    assert!(recording.len() > 20, "{} steps", recording.len());
    assert_eq!(differences(&recording), []);
    assert_clean(&lines);
}

#[test]
fn what_comes_out_again_has_the_stand_ins() {
    let (lines, said) = session(usize::MAX);
    let recording = read(&lines).expect("a recording");
    let mut replay = Replay::new(&recording);
    let mut again = Vec::new();
    let mut bearers = Vec::new();
    while let Some(played) = replay.play() {
        again.extend(played.output);
        let fields = played.deeds.into_iter().flat_map(|deed| deed.fields);
        bearers.extend(fields.filter(|f| f.name == "authorization").map(|f| f.value));
    }
    assert_eq!(again.len(), said.len());
    let again = String::from_utf8_lossy(&again);
    assert!(again.contains("account/chatgptAuthTokens/refresh"));
    let (first, second) = (bearers.first().expect("one"), bearers.last().expect("another"));
    assert!(first != second && first.starts_with("Bearer ") && first.len() == 22, "{bearers:?}");
    let token = second.strip_prefix("Bearer ").expect("a bearer");
    assert!(again.contains(&format!("{token} works")), "{token} in {again}");
    // The list of models was asked for, and the test does not answer.
    assert!(replay.open().iter().any(|open| open.contains("/v1/models")), "{:?}", replay.open());
}

#[test]
fn a_streamed_piece_is_one_note_and_little_more_than_itself() {
    const PIECES: usize = 500;
    // The mark before each line, then the call, the time, the digest and that the host took it.
    const MORE_BYTES: usize = 3 + "b3+123456=AAAA\nw\n".len();
    let mut stage = Stage::new(usize::MAX);
    stage.begin_turn();
    let id = stage.begin_response(200, "text/event-stream");
    let events = events("word ");
    let opening = events.split_inclusive("\n\n").take(2).collect::<String>();
    stage.tell(Input::Done(id, Outcome::HttpBytes(opening.as_bytes())));
    let delta = events.split_inclusive("\n\n").nth(2).expect("a delta");
    let notes = stage.notes.get();
    stage.scribe.borrow_mut().lines();
    for _ in 0..PIECES {
        stage.tell(Input::Done(id, Outcome::HttpBytes(delta.as_bytes())));
    }
    let heard = String::from_utf8_lossy(&stage.said).matches("item/agentMessage/delta").count();
    assert_eq!(heard, PIECES);
    assert_eq!(stage.notes.get() - notes, PIECES);
    let bytes = stage.scribe.borrow_mut().lines().len();
    assert!(bytes <= PIECES * (delta.len() + MORE_BYTES), "{} bytes a piece", bytes / PIECES);
}

#[test]
fn a_changed_input_is_named() {
    let (lines, _) = session(usize::MAX);
    let text = String::from_utf8(lines).expect("text");
    let other = text.replacen("fine, ", "Fine, ", 1);
    assert_ne!(text, other);
    let (before, _) = text.split_once("fine, ").expect("words of the model");
    // Each step has a line of its own behind what was said.
    let own = |line: &&str| !line.starts_with(['|', '\\']);
    let step = before.lines().filter(own).count() - 1;
    let recording = read(other.as_bytes()).expect("a recording");
    let found = differences(&recording);
    let Some((first, Difference::Output { .. })) = found.first() else { panic!("{found:?}") };
    assert_eq!(*first, step);
    // A file that is read in another way is found too.
    let other = text.replacen("read /h/config.toml", "read /h/config.tom", 1);
    let found = differences(&read(other.as_bytes()).expect("a recording"));
    let Some((_, Difference::Files(strayed))) = found.first() else { panic!("{found:?}") };
    assert_eq!(strayed.asked.as_deref(), Some("read /h/config.toml"));
}

#[test]
fn a_key_in_the_environment_and_stored_tokens_stay_out() {
    let record = json!({"OPENAI_API_KEY": null, "last_refresh": "1970-01-01T00:00:00Z", "tokens":
        {"id_token": token(1), "access_token": token(2), "refresh_token": "rt.one.two-3",
         "account_id": ACCOUNT}});
    let files = files().with("/h/auth.json", record.to_string());
    let mut stage = Stage::of(setup(), files, 7);
    stage.request(1, "initialize", &json!({"clientInfo": {"name": "t", "version": "1"}}));
    stage.request(2, "account/read", &json!({"refreshToken": true}));
    let at = stage.requests.iter().position(|(_, url)| url.contains("oauth"));
    let (id, _) = at.and_then(|at| stage.requests.remove(at)).expect("a refresh");
    let body = json!({"access_token": token(1), "refresh_token": "rt.four.five-6"}).to_string();
    let head = HttpHead { status: 200, headers: Vec::new() };
    stage.tell(Input::Done(id, Outcome::HttpHead(head)));
    for piece in body.as_bytes().chunks(9) {
        stage.tell(Input::Done(id, Outcome::HttpBytes(piece)));
    }
    stage.tell(Input::Done(id, Outcome::HttpEnd));
    assert!(
        stage
            .files
            .content("/h/auth.json")
            .is_some_and(|text| { String::from_utf8_lossy(&text).contains("rt.four.five-6") })
    );
    let (lines, said) = stage.end();
    assert!(String::from_utf8_lossy(&said).contains(EMAIL));
    let text = String::from_utf8_lossy(&lines);
    assert!(!text.contains("rt.one") && !text.contains("rt.four"), "{text}");
    assert_clean(&lines);
    assert_eq!(differences(&read(&lines).expect("a recording")), []);
}

#[test]
fn a_torn_recording_is_read_as_far_as_it_goes() {
    let (lines, _) = session(64);
    let whole = read(&lines).expect("a recording").len();
    for cut in [1, 30, lines.len() / 2] {
        let recording = read(&lines[..lines.len() - cut]).expect("a recording");
        assert_eq!(recording.end(), &End::Torn);
        assert!(recording.len() < whole || cut == 1, "{cut} bytes less");
        assert!(!recording.is_empty());
        assert_eq!(differences(&recording), []);
    }
    for bytes in [&b""[..], b"{}", b"\n", &lines[..40]] {
        assert_eq!(read(bytes).expect_err("no head").line, 1);
    }
    let lines = String::from_utf8_lossy(&lines).into_owned();
    for (version, age) in [(1, "an older"), (3, "a newer")] {
        let other = lines.replacen(r#""trace":2"#, &format!(r#""trace":{version}"#), 1);
        let text = read(other.as_bytes()).expect_err("another version").text;
        assert!(text.starts_with(&format!("{age} program")), "{text}");
    }
}

#[test]
fn a_line_that_does_not_end_ends_the_recording_and_not_the_session() {
    let mut stage = Stage::new(usize::MAX);
    let chunk = vec![b'x'; 8 << 20];
    for _ in 0..20 {
        stage.tell(Input::Bytes(&chunk));
    }
    let (lines, _) = stage.end();
    let recording = read(&lines).expect("a recording");
    assert!(matches!(recording.end(), End::Early(_)), "{:?}", recording.end());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn chunks_may_end_anywhere(piece in 3_usize..200) {
        let (lines, said) = session(piece);
        prop_assert!(String::from_utf8_lossy(&said).contains("opaque-access-2 works"));
        let recording = read(&lines).expect("a recording");
        prop_assert_eq!(differences(&recording), []);
        assert_clean(&lines);
    }

    #[test]
    fn damaged_recordings_are_refused_or_played(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut lines, _) = session(usize::MAX);
        for (at, byte) in damage {
            let at = at.index(lines.len());
            lines[at] = byte;
        }
        lines.truncate(cut.index(lines.len() * 2).min(lines.len()));
        if let Ok(recording) = read(&lines) {
            let played = differences(&recording);
            prop_assert!(played.iter().all(|(step, _)| *step < recording.len()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }
}
