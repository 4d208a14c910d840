//! The two paths that every session walks all the time: a small request with its reply, and one
//! piece of text on its way from the model to the host. Each also as it is recorded, down to the
//! lines of the recording.
//!
//! `cargo bench -p understudy-core`; the time is that of the machine alone, without any IO.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use understudy_core::driver::Verbs;
use understudy_core::files::{Disk, MemoryFiles, NoKeyring};
use understudy_core::trace::{Note, Notes, Recorder, Scribe, Sink};
use understudy_core::{Call, CallId, Effect, HttpHead, Input, Machine, Now, Outcome, Setup};

const CONFIG: &str = r#"
model = "gpt-5"
model_provider = "here"
[model_providers.here]
name = "here"
base_url = "http://127.0.0.1:1/v1"
"#;

fn now() -> Now {
    Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH)
}

const SEED: [u8; 32] = [7; 32];

/// Makes lines of the notes, and throws them away.
struct Lines {
    scribe: Scribe,
    notes: Notes,
    buffer: Vec<u8>,
}

impl Sink for Lines {
    fn take(&mut self, note: Note<'_>) -> bool {
        self.notes.push(note);
        self.scribe.take(&mut self.notes);
        self.scribe.lines_into(&mut self.buffer);
        true
    }
}

fn setup() -> Setup {
    Setup::new("/home/me/.codex", "/work")
}

fn plain() -> Machine {
    Machine::new(setup(), SEED, now())
}

fn recorded() -> Recorder<Lines> {
    let scribe = Scribe::new(&setup(), SEED, now(), SEED);
    Recorder::new(
        setup(),
        SEED,
        now(),
        Lines { scribe, notes: Notes::default(), buffer: Vec::new() },
    )
}

/// A machine and what a runtime would keep for it.
struct Bench<M> {
    machine: M,
    files: MemoryFiles,
    /// The last HTTP call that was started.
    stream: Option<CallId>,
    said: Vec<u8>,
}

impl<M: Verbs> Bench<M> {
    fn new(machine: M) -> Self {
        let files = MemoryFiles::new().with("/home/me/.codex/config.toml", CONFIG);
        let mut bench = Self { machine, files, stream: None, said: Vec::new() };
        bench.carry_out();
        let client = r#"{"clientInfo":{"name":"bench","version":"1"}}"#;
        bench.ask("initialize", client);
        // Secrets are looked for in all that a recorded machine says.
        let login = r#"{"type":"apiKey","apiKey":"sk-proj-abcdefghijklmnopqrst1"}"#;
        bench.ask("account/login/start", login);
        bench
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Send => {
                    self.said.clear();
                    self.said.extend_from_slice(self.machine.pending_output());
                    self.machine.wrote(self.said.len());
                }
                Effect::Start(id, call) => match *call {
                    Call::Files(job) => {
                        let disk = Disk { files: &self.files, keyring: &NoKeyring };
                        let answer = Box::new(job.run(disk));
                        self.machine.handle(now(), Input::Done(id, Outcome::Files(answer)));
                    }
                    _ => self.stream = Some(id),
                },
                _ => {}
            }
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.machine.handle(now(), input);
        self.carry_out();
    }

    /// Sends one request; gives back what was said last.
    fn ask(&mut self, method: &str, params: &str) -> String {
        let line = format!("{{\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n");
        self.feed(Input::Bytes(line.as_bytes()));
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// Starts a turn, up to where its model stream has begun an item.
    fn streaming(machine: M) -> (Self, CallId) {
        let mut bench = Self::new(machine);
        let said = bench.ask("thread/start", "{}");
        let (_, rest) = said.split_once(r#""thread":{"id":""#).expect("a thread");
        let (thread, _) = rest.split_once('"').expect("an id");
        let input = r#"[{"type":"text","text":"go"}]"#;
        bench.ask("turn/start", &format!(r#"{{"threadId":"{thread}","input":{input}}}"#));
        let stream = bench.stream.expect("the turn calls the model");
        let head = HttpHead { status: 200, headers: Vec::new() };
        bench.feed(Input::Done(stream, Outcome::HttpHead(head)));
        for event in [
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"message","role":"assistant","id":"m","content":[]}}"#,
        ] {
            let event = format!("data: {event}\n\n");
            bench.feed(Input::Done(stream, Outcome::HttpBytes(event.as_bytes())));
        }
        (bench, stream)
    }
}

fn account_read<M: Verbs>(criterion: &mut Criterion, name: &str, machine: M) {
    let mut bench = Bench::new(machine);
    let line = b"{\"id\":7,\"method\":\"account/read\",\"params\":{}}\n";
    bench.feed(Input::Bytes(line));
    assert!(bench.said.starts_with(br#"{"id":7,"result":"#), "the request is answered");
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |b| b.iter(|| bench.feed(Input::Bytes(black_box(line)))));
    group.finish();
}

fn streamed_delta<M: Verbs>(criterion: &mut Criterion, name: &str, machine: M) {
    let (mut bench, stream) = Bench::streaming(machine);
    let event = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"word \"}\n\n";
    bench.feed(Input::Done(stream, Outcome::HttpBytes(event)));
    let said = String::from_utf8_lossy(&bench.said);
    assert!(said.contains("item/agentMessage/delta"), "the host is told: {said}");
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |b| {
        b.iter(|| bench.feed(Input::Done(stream, Outcome::HttpBytes(black_box(event)))));
    });
    group.finish();
}

fn hot_paths(criterion: &mut Criterion) {
    account_read(criterion, "account/read", plain());
    account_read(criterion, "account/read, recorded", recorded());
    streamed_delta(criterion, "text delta", plain());
    streamed_delta(criterion, "text delta, recorded", recorded());
}

criterion_group!(benches, hot_paths);
criterion_main!(benches);
