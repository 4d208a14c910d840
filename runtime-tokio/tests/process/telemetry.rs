//! Telemetry as a collector gets it (config.md §6.3): what was measured, each in its place, and
//! nothing of what is nobody's business. Whatever the collector does, the server goes on.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::tokens::traces;

use crate::collector::{CERTIFICATE, CERTIFICATE_KEY, Collector, Verdict, attribute};
use crate::stage::{EXIT_LIMIT, REFRESH, Scene, Stage, give, only, tokens};

const PROMPT: &str = "what-the-user-said";
const KEY: &str = "sk-for-the-collector";

/// A turn whose first request is refused and whose second one, with new tokens, is answered.
fn turn_with_refresh(stage: &mut Stage) -> Result<String, understudy_tokio::demo::seen::Trouble> {
    stage.host.answer(REFRESH, give(&tokens(2)));
    let thread = stage.ready(&tokens(1))?;
    let turn = stage.begin(&thread, PROMPT)?;
    assert_eq!(stage.completed(&thread)?["status"], "completed");
    Ok(turn)
}

/// Plays such a turn with everything sent to a collector, and gives the turn's id.
fn collected(line: &str) -> String {
    let mut id = String::new();
    Scene::script(only(&tokens(2))).config(line).play(|stage| {
        id = turn_with_refresh(stage)?;
        Ok(())
    });
    id
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn check_spans(collector: &Collector, turn_id: &str) {
    let spans = collector.spans();
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| &*span.span_id).collect();
    assert_eq!(ids.len(), spans.len());
    for span in &spans {
        assert!((span.trace_id.len(), span.span_id.len()) == (16, 8), "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
    let turns = named(&spans, "turn");
    let [turn] = turns[..] else { panic!("{turns:?}") };
    assert_eq!(attribute(&turn.attributes, "turn.id"), turn_id);
    let hex: String = turn.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, turn_id.replace('-', ""));
    assert!(turn.parent_span_id.is_empty() && turn.status.is_none(), "{turn:?}");
    let calls = named(&spans, "model_call");
    let facts: Vec<_> = calls
        .iter()
        .map(|call| {
            let say = |key| attribute(&call.attributes, key);
            (say("attempt"), say("http.response.status_code"), say("outcome"))
        })
        .collect();
    let fact = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(facts, [fact("1", "401", "refused"), fact("2", "200", "completed")]);
    let refreshes = named(&spans, "refresh");
    assert_eq!(refreshes.len(), 1, "{spans:?}");
    assert_eq!(attribute(&refreshes[0].attributes, "outcome"), "renewed");
    for part in calls.iter().chain(&refreshes) {
        assert_eq!((&part.parent_span_id, &part.trace_id), (&turn.span_id, &turn.trace_id));
        assert!(turn.start_time_unix_nano <= part.start_time_unix_nano);
        assert!(part.end_time_unix_nano <= turn.end_time_unix_nano);
    }
    for method in ["initialize", "account/login/start", "thread/start", "turn/start"] {
        let requests = named(&spans, method);
        assert_eq!(requests.len(), 1, "{method}");
        assert!(requests[0].parent_span_id.is_empty());
    }
}

fn check_metrics(collector: &Collector) {
    let metrics = collector.metrics();
    let total = |name: &str| -> i64 {
        let found = metrics.iter().find(|metric| metric.name == name);
        let Some(Data::Sum(sum)) = found.and_then(|metric| metric.data.as_ref()) else { return 0 };
        let values = sum.data_points.iter().map(|point| match point.value {
            Some(Value::AsInt(n)) => n,
            _ => 0,
        });
        values.sum()
    };
    let counts = ["turns", "model_calls", "refreshes"].map(|n| total(&format!("understudy.{n}")));
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!(total("understudy.requests"), 4);
    for (name, count) in [("turn", 1), ("model_call", 2), ("refresh", 1), ("request", 4)] {
        let name = format!("understudy.{name}.duration");
        let found = metrics.iter().find(|metric| metric.name == name);
        let Some(Data::Histogram(histogram)) = found.and_then(|metric| metric.data.as_ref()) else {
            panic!("no {name}")
        };
        let points = histogram.data_points.iter();
        assert_eq!(points.clone().map(|point| point.count).sum::<u64>(), count, "{name}");
        let in_classes = points.flat_map(|point| &point.bucket_counts).sum::<u64>();
        assert_eq!(in_classes, count, "{name}");
    }
}

fn check_records(collector: &Collector) {
    let records = collector.records();
    let names: Vec<String> =
        records.iter().map(|record| attribute(&record.attributes, "event.name")).collect();
    let wanted = [
        "codex.conversation_starts",
        "codex.user_prompt",
        "codex.api_request",
        "codex.api_request",
        "codex.sse_event",
    ];
    assert_eq!(names, wanted);
    let prompt = &records[1];
    assert_eq!(attribute(&prompt.attributes, "prompt"), "[REDACTED]");
    let length = PROMPT.chars().count().to_string();
    assert_eq!(attribute(&prompt.attributes, "prompt_length"), length);
    assert_eq!(attribute(&records[2].attributes, "auth_mode"), "chatgpt");
    assert_eq!(attribute(&records[2].attributes, "http.response.status_code"), "401");
}

/// Everything of one session, and no part of a token, a key, an address of mail or a prompt.
fn check_all(collector: &Collector, turn_id: &str) {
    check_spans(collector, turn_id);
    check_metrics(collector);
    check_records(collector);
    let source = collector.source();
    assert_eq!(attribute(&source, "service.name"), "understudy");
    assert_eq!(attribute(&source, "env"), "test");
    assert!(!attribute(&source, "service.version").is_empty());
    for export in collector.exports() {
        assert_eq!(export.header("x-key"), KEY);
        let body = String::from_utf8_lossy(&export.body).into_owned();
        let secrets = traces().into_iter().chain([PROMPT, KEY, "@example.com"].map(str::to_owned));
        for secret in secrets {
            assert!(!body.contains(&secret), "{secret} in {body}");
        }
    }
}

#[test]
fn a_session_is_told_over_http() {
    for (protocol, kind) in [("binary", "application/x-protobuf"), ("json", "application/json")] {
        let collector = Collector::start();
        let line = format!(
            "otel = {{environment = 'test', exporter.otlp-http = {{endpoint = '{}/v1/logs', \
             protocol = '{protocol}', headers = {{x-key = '{KEY}'}}}}}}",
            collector.url()
        );
        let turn = collected(&line);
        check_all(&collector, &turn);
        let exports = collector.exports();
        let paths: BTreeSet<&str> = exports.iter().map(|export| &*export.path).collect();
        assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"].into());
        assert!(exports.iter().all(|export| export.header("content-type") == kind));
    }
}

#[test]
fn a_session_is_told_over_grpc() {
    let collector = Collector::start();
    let line = format!(
        "otel = {{environment = 'test', exporter.otlp-grpc = {{endpoint = '{}', \
         headers = {{x-key = '{KEY}'}}}}}}",
        collector.url()
    );
    let turn = collected(&line);
    check_all(&collector, &turn);
    let exports = collector.exports();
    let paths: BTreeSet<&str> = exports.iter().map(|export| &*export.path).collect();
    let service = |kind: &str, name: &str| {
        format!("/opentelemetry.proto.collector.{kind}.v1.{name}Service/Export")
    };
    let services =
        [service("logs", "Logs"), service("metrics", "Metrics"), service("trace", "Trace")];
    assert_eq!(paths, services.iter().map(String::as_str).collect());
    assert!(exports.iter().all(|export| export.header("te") == "trailers"));
}

/// Each kind goes where it is sent, and the words of prompts only where the user wants that.
#[test]
fn kinds_go_their_own_ways() {
    let (logs, metrics) = (Collector::start(), Collector::start());
    let line = format!(
        "otel = {{log_user_prompt = true, trace_exporter = 'none', \
         exporter.otlp-http = {{endpoint = '{}', protocol = 'json'}}, \
         metrics_exporter.otlp-grpc = {{endpoint = '{}'}}}}",
        logs.url(),
        metrics.url()
    );
    collected(&line);
    assert!(logs.exports().iter().all(|export| export.path == "/v1/logs"));
    let records = logs.records();
    let prompt = records.iter().map(|record| attribute(&record.attributes, "prompt"));
    assert_eq!(prompt.filter(|prompt| !prompt.is_empty()).collect::<Vec<_>>(), [PROMPT]);
    assert_eq!(metrics.exports().len(), 1);
    check_metrics(&metrics);
}

/// Nobody waits for a collector: one that is not there, one that takes and never answers.
#[test]
fn a_collector_that_is_gone_holds_nobody_up() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("an address").port();
    for (url, kind) in [
        ("http://127.0.0.1:9".to_owned(), "otlp-grpc = {endpoint"),
        (format!("http://127.0.0.1:{port}"), "otlp-http = {protocol = 'binary', endpoint"),
        (format!("http://127.0.0.1:{port}"), "otlp-grpc = {endpoint"),
    ] {
        let line = format!("otel.exporter.{kind} = '{url}'}}");
        let mut ended = Instant::now();
        Scene::replies([Reply::say(1, "a"), Reply::say(2, "b")]).config(&line).play(|stage| {
            let thread = stage.ready(&tokens(1))?;
            let begun = Instant::now();
            assert_eq!(stage.turn(&thread, PROMPT)?["status"], "completed");
            assert_eq!(stage.turn(&thread, PROMPT)?["status"], "completed");
            assert!(begun.elapsed() < Duration::from_secs(2), "{line}");
            ended = Instant::now();
            Ok(())
        });
        // The scene also checks that the server ends within its own limit.
        assert!(ended.elapsed() < Duration::from_secs(3), "{line}");
    }
}

/// In gRPC the status of the answer is always good; how it went is said behind it, or before it.
#[test]
fn what_a_collector_says_over_grpc_is_heard() {
    for (status, is_early) in [("0", false), ("0", true), ("14", false), ("16", true)] {
        let collector = Collector::start_saying(Verdict { status, is_early });
        let line = format!("otel.exporter.otlp-grpc = {{endpoint = '{}'}}", collector.url());
        let mut log = String::new();
        Scene::replies([Reply::say(1, "fine")]).config(&line).play(|stage| {
            let thread = stage.ready(&tokens(1))?;
            assert_eq!(stage.turn(&thread, PROMPT)?["status"], "completed");
            stage.host.close_input();
            stage.host.wait_exit(EXIT_LIMIT)?;
            log = stage.host.stderr();
            Ok(())
        });
        assert_eq!(collector.exports().len(), 3);
        let lost = log.lines().filter(|line| line.contains("measurements were lost"));
        let lost: Vec<&str> = lost.collect();
        assert_eq!(lost.len(), if status == "0" { 0 } else { 3 }, "{lost:?}");
        let said = format!("the collector answers with gRPC status {status}");
        assert!(lost.iter().all(|line| line.contains(&said)), "{lost:?}");
    }
}

#[test]
fn what_is_wrong_with_telemetry_is_a_warning_and_no_more() {
    let line = "otel.exporter.otlp-grpc = {endpoint = 'http://127.0.0.1:9', \
                tls.ca-certificate = '/not/there.pem'}";
    Scene::replies([Reply::say(1, "fine")]).config(line).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        assert_eq!(stage.turn(&thread, PROMPT)?["status"], "completed");
        let warnings = stage.said("configWarning");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0]["summary"], "Telemetry is not sent: logs, traces, metrics.");
        let details = warnings[0]["details"].as_str().unwrap_or_default();
        assert!(details.starts_with("failed to read /not/there.pem: "), "{details}");
        Ok(())
    });
}

/// A collector of its own authority that wants to know who its clients are.
#[test]
fn certificates_are_checked_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pem, key) = (folder.path().join("one.pem"), folder.path().join("one.key"));
    std::fs::write(&pem, CERTIFICATE).expect("written");
    std::fs::write(&key, CERTIFICATE_KEY).expect("written");
    let (pem, key) = (pem.display(), key.display());
    let authority = format!("ca-certificate = '{pem}'");
    let both = format!("{authority}, client-certificate = '{pem}', client-private-key = '{key}'");
    for kind in ["otlp-grpc = {", "otlp-http = {protocol = 'binary', "] {
        let told = |tls: &str| {
            let collector = Collector::start_tls();
            let url = collector.url();
            collected(&format!("otel.exporter.{kind}endpoint = '{url}', tls = {{{tls}}}}}"));
            collector.exports().len()
        };
        assert_eq!(told(&both), 3, "{kind}");
        assert_eq!(told(&authority), 0, "{kind} and no certificate of the client");
        let stranger = both.replace(&authority, "");
        assert_eq!(told(stranger.trim_start_matches([',', ' '])), 0, "{kind} and no authority");
    }
}
