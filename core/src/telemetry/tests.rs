//! What is measured of whole sessions: each piece of work once, in its place, and nothing secret.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    CallEnd, Decision, Event, Happening, Measurement, ModelWish, RefreshCause, RefreshEnd,
    RefreshWay, Scope, Telemetry, Tokens, ToolEnd, TurnEnd, Work,
};
use crate::auth::unsigned_jwt;
use crate::effect::{Call, CallId, Effect, TimerId};
use crate::files::{Disk, MemoryFiles, NoKeyring};
use crate::input::{HttpFailure, HttpFailureKind, HttpHead, Input, Outcome};
use crate::setup::Setup;
use crate::{Machine, Now};

const OTEL: &str = "otel.exporter.otlp-grpc = {endpoint = 'http://c:4317', headers = {k = 'sk-0'}}";
const PROMPT: &str = "a word that is nobody's business";

/// A host with tokens of its own, and everything around its machine.
struct Bench {
    machine: Machine,
    files: MemoryFiles,
    /// Exchanges that run.
    http: Vec<CallId>,
    timers: Vec<(TimerId, Duration)>,
    said: Vec<u8>,
    told: Vec<Telemetry>,
    mono: Duration,
    next_id: u64,
}

impl Bench {
    fn new(more: &str) -> Self {
        let config = format!(
            "{more}\nmodel_provider = 'mock'\nmodel = 'mock-model'\napproval_policy = 'untrusted'\n\
             [model_providers.mock]\nname = 'mock'\nbase_url = 'http://mock/v1'\n\
             wire_api = 'responses'\nrequires_openai_auth = true\nrequest_max_retries = 1\n\
             stream_max_retries = 1\n"
        );
        let files = MemoryFiles::new().with("/h/config.toml", config);
        files.folder("/w");
        let machine = Machine::new(Setup::new("/h", "/w"), [7; 32], Now::new(Duration::ZERO, T0));
        let (http, timers, said, told) = Default::default();
        let (mono, next_id) = (Duration::ZERO, 0);
        let mut bench = Self { machine, files, http, timers, said, told, mono, next_id };
        bench.settle();
        bench.ask("initialize", json!({"clientInfo": {"name": "t", "version": "1"}}));
        bench
    }

    /// The same, signed in, with a turn that has asked the model.
    fn in_turn(more: &str) -> Self {
        let mut bench = Self::new(more);
        let tokens = json!({"type": "chatgptAuthTokens", "idToken": jwt(), "accessToken": jwt()});
        bench.ask("account/login/start", tokens);
        bench.ask("thread/start", json!({"cwd": "/w"}));
        bench.start_turn();
        bench
    }

    fn start_turn(&mut self) {
        let thread = self.lines("thread/started")[0]["params"]["thread"]["id"].clone();
        let input = json!([{"type": "text", "text": PROMPT}]);
        self.ask("turn/start", json!({"threadId": thread, "input": input}));
    }

    fn ask(&mut self, method: &str, params: Value) {
        self.next_id += 1;
        self.line(&json!({"id": self.next_id, "method": method, "params": params}));
    }

    fn answer(&mut self, method: &str, result: Value) {
        let id = self.lines(method).last().expect("a question")["id"].clone();
        self.line(&json!({"id": id, "result": result}));
    }

    fn line(&mut self, line: &Value) {
        self.input(Input::Bytes(format!("{line}\n").as_bytes()));
    }

    /// Each input comes a tenth of a second after the one before.
    fn input(&mut self, input: Input<'_>) {
        self.mono += Duration::from_millis(100);
        self.machine.handle(Now::new(self.mono, T0), input);
        self.settle();
    }

    fn respond(&mut self, status: u16, body: &str) {
        let call = self.http.pop().expect("an exchange");
        self.input(Input::Done(call, Outcome::HttpHead(HttpHead { status, headers: Vec::new() })));
        self.input(Input::Done(call, Outcome::HttpBytes(body.as_bytes())));
        self.input(Input::Done(call, Outcome::HttpEnd));
    }

    fn fire(&mut self, after: Duration) {
        let place = self.timers.iter().position(|(_, at)| *at == after).expect("a timer");
        let (timer, _) = self.timers.remove(place);
        self.input(Input::TimerFired(timer));
    }

    fn lines(&self, method: &str) -> Vec<Value> {
        let lines = self.said.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice::<Value>(line).expect("JSON"));
        lines.filter(|line| line["method"] == method).collect()
    }

    fn settle(&mut self) {
        let mut done = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Start(id, call) => match *call {
                    Call::Files(job) => {
                        let disk = Disk { files: &self.files, keyring: &NoKeyring };
                        done.push((id, job.run(disk)));
                    }
                    Call::Http(_) => self.http.push(id),
                    other => panic!("{other:?}"),
                },
                Effect::Cancel(id) => self.http.retain(|call| *call != id),
                Effect::StartTimer(id, after) => self.timers.push((id, after)),
                Effect::CancelTimer(id) => self.timers.retain(|(timer, _)| *timer != id),
                Effect::Send => {
                    let bytes = self.machine.pending_output().to_vec();
                    self.machine.wrote(bytes.len());
                    self.said.extend(bytes);
                }
                Effect::Telemetry(told) => self.told.push(*told),
                Effect::RefreshAuth(..) | Effect::Feed(..) | Effect::Exit(_) => {}
            }
        }
        for (id, answer) in done {
            self.machine
                .handle(Now::new(self.mono, T0), Input::Done(id, Outcome::Files(Box::new(answer))));
            self.settle();
        }
    }

    fn measured(&self) -> Vec<&Measurement> {
        let measured = self.told.iter().filter_map(|told| match told {
            Telemetry::Measured(measurement) => Some(measurement),
            Telemetry::Begin(_) | Telemetry::Happened(_) => None,
        });
        measured.collect()
    }

    /// All that is no request, in short.
    fn work(&self) -> Vec<String> {
        self.measured().into_iter().filter_map(short).collect()
    }

    fn happened(&self) -> Vec<&Event> {
        let happened = self.told.iter().filter_map(|told| match told {
            Telemetry::Happened(event) => Some(event),
            Telemetry::Begin(_) | Telemetry::Measured(_) => None,
        });
        happened.collect()
    }
}

const T0: Timestamp = Timestamp::UNIX_EPOCH;

fn jwt() -> String {
    unsigned_jwt(
        r#"{"email":"me@example.com","https://api.openai.com/auth":{"chatgpt_account_id":"org-1"}}"#,
    )
}

fn short(measurement: &Measurement) -> Option<String> {
    Some(match &measurement.work {
        Work::Request { .. } => return None,
        Work::Turn { end, .. } => format!("turn {}", end.as_str()),
        Work::ModelCall(call) => {
            let status = call.status.map_or("-".to_owned(), |status| status.to_string());
            format!("call {} {status} {}", call.attempt, call.end.as_str())
        }
        Work::Refresh { cause, way, end } => {
            format!("refresh {} {} {}", cause.as_str(), way.as_str(), end.as_str())
        }
        Work::Tool { tool, end, .. } => format!("tool {tool} {}", end.as_str()),
    })
}

fn completed() -> String {
    let usage = json!({
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 15,
    });
    events(&[json!({"type": "response.completed", "response": {"id": "r", "usage": usage}})])
}

fn events(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn call(name: &str, arguments: &Value) -> Value {
    let arguments = arguments.to_string();
    json!({"type": "response.output_item.done", "item": {
        "type": "function_call", "call_id": "c1", "name": name, "arguments": arguments,
    }})
}

#[test]
fn nothing_is_measured_where_nothing_is_configured_and_the_host_hears_the_same() {
    let sessions = ["", OTEL].map(|more| {
        let mut bench = Bench::in_turn(more);
        bench.respond(401, "no");
        bench.answer(
            "account/chatgptAuthTokens/refresh",
            json!({"idToken": jwt(), "accessToken": jwt()}),
        );
        bench.respond(200, &completed());
        bench.input(Input::Eof);
        bench
    });
    let [off, on] = sessions;
    assert!(off.told.is_empty() && !on.told.is_empty());
    assert_eq!(String::from_utf8(off.said), String::from_utf8(on.said));
}

#[test]
fn a_turn_with_a_refresh_is_told_piece_by_piece() {
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(401, "no");
    bench.answer(
        "account/chatgptAuthTokens/refresh",
        json!({"idToken": jwt(), "accessToken": jwt()}),
    );
    bench.respond(200, &completed());
    assert_eq!(
        bench.work(),
        [
            "call 1 401 refused",
            "refresh turn host renewed",
            "call 2 200 completed",
            "turn completed"
        ]
    );
    let measured = bench.measured();
    let find = |wanted: &str| {
        let found = measured.iter().find(|m| short(m).as_deref() == Some(wanted));
        *found.expect("a measurement")
    };
    let turn = find("turn completed");
    for part in ["call 1 401 refused", "refresh turn host renewed", "call 2 200 completed"] {
        let part = find(part);
        assert_eq!((part.parent, part.scope.trace), (Some(turn.scope.span), turn.scope.trace));
        assert!(part.begin.mono >= turn.begin.mono && part.end.mono <= turn.end.mono);
    }
    // Three inputs, a tenth of a second each.
    let first = find("call 1 401 refused");
    assert_eq!(first.end.mono - first.begin.mono, Duration::from_millis(300));
    let Work::Turn { place, .. } = &turn.work else { panic!("{turn:?}") };
    let id = uuid::Uuid::parse_str(&place.turn).expect("an id").as_u128();
    assert_eq!((turn.scope.trace, turn.parent), (id, None));
    assert_eq!(place.model, "mock-model");
    let Work::ModelCall(call) = &find("call 2 200 completed").work else { panic!("no call") };
    let tokens = Tokens { input: 10, cached: 4, output: 5, reasoning: 2, total: 15 };
    assert_eq!(call.tokens, Some(tokens));
    assert_eq!((&*call.provider, call.auth_mode), ("mock", Some("chatgpt")));
    assert_eq!(call.wish, ModelWish::Sample);
    let spans: std::collections::BTreeSet<u64> = measured.iter().map(|m| m.scope.span).collect();
    assert_eq!(spans.len(), measured.len());
}

#[test]
fn every_request_is_told_with_its_method_and_how_it_was_answered() {
    let mut bench = Bench::new(OTEL);
    bench.ask("account/read", json!({}));
    bench.ask("turn/start", json!({"threadId": "no", "input": []}));
    bench.ask("a secret/method", json!({}));
    bench.line(&json!({"method": "initialized"}));
    let requests: Vec<_> = bench
        .measured()
        .into_iter()
        .filter_map(|measurement| match measurement.work {
            Work::Request { method, refused } => Some((method, refused, measurement.parent)),
            _ => None,
        })
        .collect();
    assert_eq!(
        requests,
        [
            ("initialize", None, None),
            ("account/read", None, None),
            ("turn/start", Some(-32600), None),
            ("unknown", Some(-32600), None),
        ]
    );
}

#[test]
fn what_is_interrupted_is_told_once() {
    let mut bench = Bench::in_turn(OTEL);
    let thread = bench.lines("thread/started")[0]["params"]["thread"]["id"].clone();
    let call = *bench.http.last().expect("an exchange");
    let head = HttpHead { status: 200, headers: Vec::new() };
    bench.input(Input::Done(call, Outcome::HttpHead(head)));
    bench.ask("turn/interrupt", json!({"threadId": thread, "turnId": ""}));
    assert_eq!(bench.work(), ["call 1 200 interrupted", "turn interrupted"]);
    bench.input(Input::Done(call, Outcome::HttpEnd));
    bench.input(Input::Eof);
    assert_eq!(bench.work().len(), 2);
}

#[test]
fn a_refresh_ends_once_however_it_ends() {
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(401, "no");
    bench.fire(crate::limits::REFRESH_LIMIT);
    assert_eq!(bench.work(), ["call 1 401 refused", "refresh turn host timed_out", "turn failed"]);
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(401, "no");
    bench.ask("account/logout", Value::Null);
    assert_eq!(bench.work()[1..], ["refresh turn host abandoned", "turn failed"]);
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(401, "no");
    bench.answer("account/chatgptAuthTokens/refresh", json!({"accessToken": "no jwt"}));
    assert_eq!(bench.work()[1..], ["refresh turn host failed", "turn failed"]);
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(401, "no");
    bench.input(Input::Eof);
    assert_eq!(bench.work()[1], "refresh turn host abandoned");
    assert_eq!(bench.work().len(), 3);
}

#[test]
fn a_refresh_without_a_turn_stands_alone() {
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(200, &completed());
    bench.ask("account/rateLimits/read", Value::Null);
    bench.respond(401, "no");
    bench.input(Input::Eof);
    let measured = bench.measured();
    let refresh = measured.iter().find(|m| matches!(m.work, Work::Refresh { .. }));
    let refresh = refresh.expect("a refresh");
    let (cause, way) = (RefreshCause::Errand, RefreshWay::Host);
    assert_eq!(refresh.work, Work::Refresh { cause, way, end: RefreshEnd::Abandoned });
    assert_eq!(refresh.parent, None);
}

#[test]
fn exchanges_that_fail_are_told_and_so_is_each_try() {
    let mut bench = Bench::in_turn(OTEL);
    let lost = || {
        let text = "Connection refused".to_owned();
        Outcome::HttpFailed(HttpFailure { kind: HttpFailureKind::Connect, text })
    };
    let call = bench.http.pop().expect("an exchange");
    bench.input(Input::Done(call, lost()));
    let (timer, _) = bench.timers.pop().expect("a wait");
    bench.input(Input::TimerFired(timer));
    bench.respond(200, "");
    let (timer, _) = bench.timers.pop().expect("a wait");
    bench.input(Input::TimerFired(timer));
    let failed = json!({"type": "response.failed", "response": {"error": {"code": "x"}}});
    bench.respond(200, &events(&[failed]));
    assert_eq!(
        bench.work(),
        ["call 1 - disconnected", "call 2 200 disconnected", "call 3 200 refused", "turn failed"]
    );
}

#[test]
fn a_silent_backend_is_told() {
    let mut bench = Bench::in_turn(&format!("{OTEL}\n"));
    bench.mono += Duration::from_secs(300);
    bench.fire(Duration::from_secs(300));
    assert_eq!(bench.work(), ["call 1 - timed_out"]);
}

#[test]
fn tools_are_told_with_what_was_decided() {
    let mut bench = Bench::in_turn(OTEL);
    let plan = call("update_plan", &json!({"plan": []}));
    bench.respond(200, &(events(&[plan]) + &completed()));
    let command = call("shell", &json!({"command": ["rm", "secret-file"]}));
    bench.respond(200, &(events(&[command]) + &completed()));
    bench.answer("item/commandExecution/requestApproval", json!({"decision": "decline"}));
    let asked = call("nothing-of-ours", &json!({}));
    bench.respond(200, &(events(&[asked]) + &completed()));
    bench.respond(200, &completed());
    let tools: Vec<String> =
        bench.work().into_iter().filter(|work| work.starts_with("tool")).collect();
    assert_eq!(
        tools,
        ["tool update_plan answered", "tool shell failed", "tool unsupported answered"]
    );
    let decisions: Vec<_> = bench
        .happened()
        .into_iter()
        .filter_map(|event| match &event.what {
            Happening::ToolDecision { tool, decision, by_user, call_id, .. } => {
                Some((&**tool, &**call_id, *decision, *by_user))
            }
            _ => None,
        })
        .collect();
    assert_eq!(decisions, [("shell", "c1", Decision::Denied, true)]);
    // Each try of a new request counts from one.
    assert!(
        bench
            .work()
            .iter()
            .filter(|work| work.starts_with("call"))
            .all(|w| w == "call 1 200 completed")
    );
    let failed = ToolEnd::Failed.as_str();
    assert_eq!(bench.work().iter().filter(|work| work.ends_with(failed)).count(), 1);
}

#[test]
fn a_call_that_the_end_of_the_turn_cuts_off_is_told_as_such() {
    let mut bench = Bench::in_turn(OTEL);
    let command = call("shell", &json!({"command": ["rm", "x"]}));
    bench.respond(200, &(events(&[command]) + &completed()));
    bench.input(Input::Eof);
    assert_eq!(bench.work(), ["call 1 200 completed", "tool shell stopped", "turn interrupted"]);
}

/// Whatever happens in a session: no token, no key, no word of the user or of a tool.
#[test]
fn nothing_secret_is_measured() {
    let mut bench = Bench::in_turn(OTEL);
    bench.respond(401, &format!("bad token {}", jwt()));
    bench.answer(
        "account/chatgptAuthTokens/refresh",
        json!({"idToken": jwt(), "accessToken": jwt()}),
    );
    let command = call("shell", &json!({"command": ["rm", "secret-file"]}));
    bench.respond(200, &(events(&[command]) + &completed()));
    bench.input(Input::Eof);
    let told = format!("{:?}", bench.told);
    for secret in [&*jwt(), "sk-0", "me@example.com", "org-1", PROMPT, "secret-file"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    let chars = bench.happened().into_iter().find_map(|event| match &event.what {
        Happening::Prompt { chars, text, .. } => Some((*chars, text.clone())),
        _ => None,
    });
    assert_eq!(chars, Some((PROMPT.chars().count(), None)));
    let mut wanted = Bench::in_turn(&format!("{OTEL}\notel.log_user_prompt = true"));
    wanted.input(Input::Eof);
    let text = wanted.happened().into_iter().find_map(|event| match &event.what {
        Happening::Prompt { text, .. } => text.clone(),
        _ => None,
    });
    assert_eq!(text.as_ref().map(|text| text.expose()), Some(PROMPT));
    assert!(!format!("{:?}", wanted.told).contains(PROMPT));
}

#[test]
fn a_thread_is_told_with_its_settings() {
    let mut bench = Bench::in_turn(&format!("{OTEL}\nmcp_servers.docs = {{command = 'x'}}"));
    bench.input(Input::Eof);
    let opened = bench.happened().into_iter().find_map(|event| match &event.what {
        Happening::ThreadOpened(opened) => Some(opened),
        _ => None,
    });
    let opened = opened.expect("a thread");
    assert_eq!((&*opened.model, &*opened.provider), ("mock-model", "mock"));
    assert_eq!((opened.approval_policy, opened.sandbox), ("untrusted", "read-only"));
    assert_eq!(opened.mcp_servers, ["docs"]);
    assert_eq!(bench.work().last().map(String::as_str), Some("turn interrupted"));
    assert_eq!(TurnEnd::Interrupted.as_str(), "interrupted");
    assert_eq!(CallEnd::Interrupted.as_str(), "interrupted");
}

/// The trace of whoever started the process is gone on with.
#[test]
fn all_work_belongs_to_the_trace_that_the_process_was_started_in() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let env = [("TRACEPARENT".to_owned(), format!("00-{trace}-00000000000000ff-01"))];
    let files = MemoryFiles::new().with("/h/config.toml", OTEL);
    let setup =
        Setup { env: std::sync::Arc::new(env.into_iter().collect()), ..Setup::new("/h", "/w") };
    let mut bench = Bench::new(OTEL);
    bench.machine = Machine::new(setup, [7; 32], Now::new(Duration::ZERO, T0));
    bench.files = files;
    bench.told.clear();
    bench.settle();
    bench.ask("initialize", json!({"clientInfo": {"name": "t", "version": "1"}}));
    let measured = bench.measured();
    let [request] = &measured[..] else { panic!("{measured:?}") };
    let trace = u128::from_str_radix(trace, 16).expect("a number");
    let Scope { trace: own, span } = request.scope;
    assert_eq!((own, request.parent), (trace, Some(0xff)));
    assert_ne!(span, 0xff);
}
