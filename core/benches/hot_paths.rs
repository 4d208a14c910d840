//! The two paths that every session walks all the time: a small request with its reply, and one
//! piece of text on its way from the model to the host.
//!
//! `cargo bench -p understudy-core`; the time is that of the machine alone, without any IO.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use understudy_core::files::MemoryFiles;
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

/// A machine and what a runtime would keep for it.
struct Bench {
    machine: Machine,
    files: MemoryFiles,
    /// The last HTTP call that was started.
    stream: Option<CallId>,
    said: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let files = MemoryFiles::new().with("/home/me/.codex/config.toml", CONFIG);
        let machine = Machine::new(Setup::new("/home/me/.codex", "/work"), [7; 32], now());
        let mut bench = Self { machine, files, stream: None, said: Vec::new() };
        bench.carry_out();
        let client = r#"{"clientInfo":{"name":"bench","version":"1"}}"#;
        bench.ask("initialize", client);
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
                        let answer = Box::new(job.run(&self.files));
                        self.machine.handle(now(), Input::Done(id, Outcome::Files(answer)));
                    }
                    Call::Http(_) => self.stream = Some(id),
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
    fn streaming() -> (Self, CallId) {
        let mut bench = Self::new();
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

fn account_read(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let line = b"{\"id\":7,\"method\":\"account/read\",\"params\":{}}\n";
    bench.feed(Input::Bytes(line));
    assert!(bench.said.starts_with(br#"{"id":7,"result":"#), "the request is answered");
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    group.bench_function("account/read", |b| b.iter(|| bench.feed(Input::Bytes(black_box(line)))));
    group.finish();
}

fn streamed_delta(criterion: &mut Criterion) {
    let (mut bench, stream) = Bench::streaming();
    let event = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"word \"}\n\n";
    bench.feed(Input::Done(stream, Outcome::HttpBytes(event)));
    let said = String::from_utf8_lossy(&bench.said);
    assert!(said.contains("item/agentMessage/delta"), "the host is told: {said}");
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(1));
    group.bench_function("text delta", |b| {
        b.iter(|| bench.feed(Input::Done(stream, Outcome::HttpBytes(black_box(event)))));
    });
    group.finish();
}

criterion_group!(hot_paths, account_read, streamed_delta);
criterion_main!(hot_paths);
