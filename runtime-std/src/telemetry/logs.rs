//! Owns: measurements and events as log records, with the names that operators of the reference
//! know (config.md §6.3). What a tool was given and what it said is left out, and so is who the
//! user is.

use std::sync::Arc;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use understudy_core::telemetry::{
    CallEnd, Event, Happening, Measurement, ModelCall, Scope, Telemetry, ThreadOpened, ToolEnd,
    TurnPlace, Work,
};

use super::batch::{BATCH_MAX, Gather};
use super::words::{
    Source, VERSION, any_text, number, place, scope, text, took, truth, unix_nanos,
};

/// In the place of a prompt's words.
const REDACTED: &str = "[REDACTED]";

/// Log records that wait.
pub(super) struct Logs {
    source: Arc<Source>,
    records: Vec<LogRecord>,
}

impl Logs {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, records: Vec::new() }
    }
}

impl Gather for Logs {
    type Request = ExportLogsServiceRequest;
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    fn add(&mut self, told: &Telemetry) -> bool {
        match told {
            Telemetry::Measured(measurement) => self.records.extend(of_measurement(measurement)),
            Telemetry::Happened(event) => self.records.push(of_event(event)),
            Telemetry::Begin(_) => {}
        }
        !self.records.is_empty()
    }

    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_MAX
    }

    fn take(&mut self) -> Option<Self::Request> {
        let log_records = std::mem::take(&mut self.records);
        let scope_logs = ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() };
        let is_some = !scope_logs.log_records.is_empty();
        is_some.then(|| ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: self.source.resource(),
                scope_logs: vec![scope_logs],
                ..ResourceLogs::default()
            }],
        })
    }
}

/// Those kinds of work that have a record; the others are spans and metrics.
fn of_measurement(measurement: &Measurement) -> Vec<LogRecord> {
    let Measurement { scope, end, work, .. } = measurement;
    let at = end.wall;
    let duration = number("duration_ms", millis(measurement));
    match work {
        Work::ModelCall(call) => {
            let mut records = vec![api_request(call, duration.clone(), *scope, at)];
            records.extend(sse_completed(call, duration, *scope, at));
            records
        }
        Work::Tool { place, tool, call_id, end } => {
            let success = matches!(end, ToolEnd::Succeeded | ToolEnd::Answered);
            let mut attributes = in_turn(place);
            attributes.extend([
                text("tool_name", tool.as_str()),
                text("call_id", call_id.as_str()),
                duration,
                truth("success", success),
            ]);
            vec![record("codex.tool_result", Some(*scope), at, attributes)]
        }
        Work::Request { .. } | Work::Turn { .. } | Work::Refresh { .. } => Vec::new(),
    }
}

fn api_request(call: &ModelCall, duration: KeyValue, scope: Scope, at: Timestamp) -> LogRecord {
    let mut attributes = in_turn(&call.place);
    attributes.extend([duration, number("attempt", call.attempt)]);
    attributes.extend(call.auth_mode.map(|mode| text("auth_mode", mode)));
    attributes.extend(call.status.map(|status| number("http.response.status_code", status)));
    if call.end != CallEnd::Completed {
        attributes.push(text("error.message", call.end.as_str()));
    }
    record("codex.api_request", Some(scope), at, attributes)
}

fn sse_completed(
    call: &ModelCall,
    duration: KeyValue,
    scope: Scope,
    at: Timestamp,
) -> Option<LogRecord> {
    let tokens = call.tokens?;
    let mut attributes = in_turn(&call.place);
    attributes.extend([
        text("event.kind", "response.completed"),
        duration,
        number("input_token_count", tokens.input),
        number("output_token_count", tokens.output),
        number("cached_token_count", tokens.cached),
        number("reasoning_token_count", tokens.reasoning),
        number("tool_token_count", tokens.total),
    ]);
    Some(record("codex.sse_event", Some(scope), at, attributes))
}

fn of_event(event: &Event) -> LogRecord {
    let (name, attributes) = match &event.what {
        Happening::ThreadOpened(opened) => ("codex.conversation_starts", settings(opened)),
        Happening::Prompt { place, chars, text: words } => {
            let mut attributes = in_turn(place);
            let words = words.as_ref().map_or(REDACTED, |words| words.expose());
            let chars = i64::try_from(*chars).unwrap_or(i64::MAX);
            attributes.extend([number("prompt_length", chars), text("prompt", words)]);
            ("codex.user_prompt", attributes)
        }
        Happening::ToolDecision { place, tool, call_id, decision, by_user } => {
            let mut attributes = in_turn(place);
            attributes.extend([
                text("tool_name", tool.as_str()),
                text("call_id", call_id.as_str()),
                text("decision", decision.as_str()),
                text("source", if *by_user { "User" } else { "Config" }),
            ]);
            ("codex.tool_decision", attributes)
        }
    };
    record(name, event.within, event.at, attributes)
}

fn settings(opened: &ThreadOpened) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("conversation.id", &*opened.thread),
        text("model", opened.model.as_str()),
        text("slug", opened.model.as_str()),
        text("provider_name", opened.provider.as_str()),
        text("reasoning_summary", opened.summary),
        text("approval_policy", opened.approval_policy),
        text("sandbox_policy", opened.sandbox),
        text("mcp_servers", opened.mcp_servers.join(", ")),
    ];
    attributes.extend(opened.effort.map(|effort| text("reasoning_effort", effort)));
    attributes.extend(opened.window.map(|window| number("context_window", window)));
    attributes.extend(opened.compact_limit.map(|limit| number("auto_compact_token_limit", limit)));
    attributes.extend(opened.profile.as_deref().map(|profile| text("active_profile", profile)));
    attributes
}

fn in_turn(at: &TurnPlace) -> Vec<KeyValue> {
    let mut attributes = place(at).to_vec();
    attributes.extend([text("model", at.model.as_str()), text("slug", at.model.as_str())]);
    attributes
}

fn record(
    name: &str,
    within: Option<Scope>,
    at: Timestamp,
    mut attributes: Vec<KeyValue>,
) -> LogRecord {
    attributes.extend([
        text("event.name", name),
        text("event.timestamp", format!("{at:.3}")),
        text("app.version", VERSION),
    ]);
    let nanos = unix_nanos(at);
    LogRecord {
        time_unix_nano: nanos,
        observed_time_unix_nano: nanos,
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        body: any_text(name),
        attributes,
        trace_id: within.map(|scope| scope.trace.to_be_bytes().to_vec()).unwrap_or_default(),
        span_id: within.map(|scope| scope.span.to_be_bytes().to_vec()).unwrap_or_default(),
        event_name: name.to_owned(),
        ..LogRecord::default()
    }
}

fn millis(measurement: &Measurement) -> i64 {
    i64::try_from(took(measurement).as_millis()).unwrap_or(i64::MAX)
}
