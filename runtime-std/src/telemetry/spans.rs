//! Owns: measurements as spans.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use understudy_core::telemetry::{
    CallEnd, Measurement, ModelCall, RefreshEnd, Telemetry, ToolEnd, TurnEnd, Work,
};

use super::batch::{BATCH_MAX, Gather};
use super::words::{Source, number, place, scope, text, times};

/// Sampled, and it is known whether the parent is of this process (OTLP's `SpanFlags`).
const FLAGS: u32 = 0x101;

/// Spans that wait.
pub(super) struct Spans {
    source: Arc<Source>,
    spans: Vec<Span>,
}

impl Spans {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, spans: Vec::new() }
    }
}

impl Gather for Spans {
    type Request = ExportTraceServiceRequest;
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn add(&mut self, told: &Telemetry) -> bool {
        if let Telemetry::Measured(measurement) = told {
            self.spans.push(span(measurement));
        }
        !self.spans.is_empty()
    }

    fn is_full(&self) -> bool {
        self.spans.len() >= BATCH_MAX
    }

    fn take(&mut self) -> Option<Self::Request> {
        let spans = std::mem::take(&mut self.spans);
        let scope_spans = ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() };
        let is_some = !scope_spans.spans.is_empty();
        is_some.then(|| ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: self.source.resource(),
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            }],
        })
    }
}

fn span(measurement: &Measurement) -> Span {
    let (start_time_unix_nano, end_time_unix_nano) = times(measurement);
    let Shown { name, kind, attributes, fault } = shown(&measurement.work);
    let status =
        fault.map(|fault| Status { message: fault.to_owned(), code: StatusCode::Error.into() });
    Span {
        trace_id: measurement.scope.trace.to_be_bytes().to_vec(),
        span_id: measurement.scope.span.to_be_bytes().to_vec(),
        parent_span_id: measurement
            .parent
            .map(|parent| parent.to_be_bytes().to_vec())
            .unwrap_or_default(),
        flags: FLAGS,
        name,
        kind: kind.into(),
        start_time_unix_nano,
        end_time_unix_nano,
        attributes,
        status,
        ..Span::default()
    }
}

/// What a span says of its work.
struct Shown {
    name: String,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    /// How it failed, if it did.
    fault: Option<&'static str>,
}

fn shown(work: &Work) -> Shown {
    match work {
        Work::Request { method, refused } => {
            let mut attributes = vec![text("rpc.system", "jsonrpc"), text("rpc.method", *method)];
            attributes.extend(refused.map(|code| number("rpc.jsonrpc.error_code", code)));
            let fault = refused.map(|_| "refused");
            Shown { name: (*method).to_owned(), kind: SpanKind::Server, attributes, fault }
        }
        Work::Turn { place: at, end } => {
            let mut attributes = place(at).to_vec();
            attributes.push(text("gen_ai.request.model", at.model.as_str()));
            attributes.push(text("outcome", end.as_str()));
            let fault = (*end == TurnEnd::Failed).then(|| end.as_str());
            Shown { name: "turn".to_owned(), kind: SpanKind::Internal, attributes, fault }
        }
        Work::ModelCall(call) => model_call(call),
        Work::Refresh { cause, way, end } => {
            let attributes = vec![
                text("refresh.cause", cause.as_str()),
                text("refresh.way", way.as_str()),
                text("outcome", end.as_str()),
            ];
            let fault = match end {
                RefreshEnd::Renewed | RefreshEnd::Adopted | RefreshEnd::Abandoned => None,
                RefreshEnd::Refused | RefreshEnd::Failed | RefreshEnd::TimedOut => {
                    Some(end.as_str())
                }
            };
            Shown { name: "refresh".to_owned(), kind: SpanKind::Client, attributes, fault }
        }
        Work::Tool { place: at, tool, call_id, end } => {
            let mut attributes = place(at).to_vec();
            attributes.push(text("gen_ai.tool.name", tool.as_str()));
            attributes.push(text("gen_ai.tool.call.id", call_id.as_str()));
            attributes.push(text("outcome", end.as_str()));
            let fault = (*end == ToolEnd::Failed).then(|| end.as_str());
            Shown { name: "tool".to_owned(), kind: SpanKind::Internal, attributes, fault }
        }
    }
}

fn model_call(call: &ModelCall) -> Shown {
    let mut attributes = place(&call.place).to_vec();
    attributes.extend([
        text("gen_ai.request.model", call.place.model.as_str()),
        text("gen_ai.provider.name", call.provider.as_str()),
        text("gen_ai.operation.name", call.wish.as_str()),
        number("attempt", call.attempt),
        text("outcome", call.end.as_str()),
    ]);
    attributes.extend(call.auth_mode.map(|mode| text("auth_mode", mode)));
    attributes.extend(call.status.map(|status| number("http.response.status_code", status)));
    if let Some(tokens) = call.tokens {
        attributes.extend([
            number("gen_ai.usage.input_tokens", tokens.input),
            number("gen_ai.usage.cached_tokens", tokens.cached),
            number("gen_ai.usage.output_tokens", tokens.output),
            number("gen_ai.usage.reasoning_tokens", tokens.reasoning),
        ]);
    }
    let fault = match call.end {
        CallEnd::Completed | CallEnd::Interrupted => None,
        CallEnd::Refused | CallEnd::Disconnected | CallEnd::TimedOut => Some(call.end.as_str()),
    };
    Shown { name: "model_call".to_owned(), kind: SpanKind::Client, attributes, fault }
}
