//! Owns: measurements as metrics: for each kind of work how often it was done and how long it took,
//! and the tokens that models cost.
//!
//! Counts are kept from the start of the session and sent as a whole, so that a request that is
//! lost loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use understudy_core::telemetry::{Measurement, ModelCall, Telemetry, Work};

use super::batch::Gather;
use super::words::{Source, scope, text, took, truth, unix_nanos};

/// Upper ends of the classes of durations, in seconds: requests take microseconds, turns minutes.
const BOUNDS: [f64; 18] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
];

/// Combinations of attributes that are told apart; whatever comes after them is counted as one.
const SERIES_MAX: usize = 1000;

/// A metric without its values.
type Name = &'static str;
/// Attributes in a fixed order.
type Labels = Vec<(&'static str, String)>;

/// Counts since the start of the session.
pub(super) struct Metrics {
    source: Arc<Source>,
    since: Timestamp,
    counts: BTreeMap<(Name, Labels), u64>,
    durations: BTreeMap<(Name, Labels), Durations>,
    has_changed: bool,
}

#[derive(Clone, Debug, Default)]
struct Durations {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// One more than [`BOUNDS`]: the last is for all that is longer.
    classes: [u64; BOUNDS.len() + 1],
}

impl Metrics {
    pub(super) fn new(source: Arc<Source>) -> Self {
        let (counts, durations) = (BTreeMap::new(), BTreeMap::new());
        Self { source, since: Timestamp::now(), counts, durations, has_changed: false }
    }

    fn done(&mut self, names: (Name, Name), labels: Labels, measurement: &Measurement) {
        let (count, duration) = names;
        self.count(count, labels.clone(), 1);
        let key = room(&self.durations, duration, labels);
        self.durations.entry(key).or_default().add(took(measurement).as_secs_f64());
    }

    fn count(&mut self, name: Name, labels: Labels, by: u64) {
        let key = room(&self.counts, name, labels);
        *self.counts.entry(key).or_default() += by;
    }

    fn tokens(&mut self, call: &ModelCall) {
        let Some(tokens) = call.tokens else { return };
        for (kind, n) in [
            ("input", tokens.input),
            ("cached", tokens.cached),
            ("output", tokens.output),
            ("reasoning", tokens.reasoning),
        ] {
            let labels = vec![
                ("gen_ai.request.model", call.place.model.clone()),
                ("gen_ai.token.type", kind.to_owned()),
            ];
            self.count("understudy.tokens", labels, u64::try_from(n).unwrap_or(0));
        }
    }
}

impl Gather for Metrics {
    type Request = ExportMetricsServiceRequest;
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn add(&mut self, told: &Telemetry) -> bool {
        if let Telemetry::Measured(measurement) = told {
            let (names, labels) = labelled(&measurement.work);
            self.done(names, labels, measurement);
            if let Work::ModelCall(call) = &measurement.work {
                self.tokens(call);
            }
            self.has_changed = true;
        }
        self.has_changed
    }

    fn is_full(&self) -> bool {
        false
    }

    fn take(&mut self) -> Option<Self::Request> {
        if !std::mem::take(&mut self.has_changed) {
            return None;
        }
        let span = (unix_nanos(self.since), unix_nanos(Timestamp::now()));
        let mut metrics = sums(&self.counts, span);
        metrics.extend(histograms(&self.durations, span));
        let scope_metrics = ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() };
        Some(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: self.source.resource(),
                scope_metrics: vec![scope_metrics],
                ..ResourceMetrics::default()
            }],
        })
    }
}

impl Durations {
    fn add(&mut self, seconds: f64) {
        self.min = if self.count == 0 { seconds } else { self.min.min(seconds) };
        self.max = self.max.max(seconds);
        self.count += 1;
        self.sum += seconds;
        let class = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(class) = self.classes.get_mut(class) {
            *class += 1;
        }
    }
}

/// The series that is counted in: its own, as long as there is room for one more.
fn room<V>(series: &BTreeMap<(Name, Labels), V>, name: Name, labels: Labels) -> (Name, Labels) {
    let key = (name, labels);
    if series.len() < SERIES_MAX || series.contains_key(&key) { key } else { (name, Vec::new()) }
}

/// The metrics of a kind of work, a counter and a histogram, and what its values are told apart by.
fn labelled(work: &Work) -> ((Name, Name), Labels) {
    match work {
        Work::Request { method, refused } => (
            ("understudy.requests", "understudy.request.duration"),
            vec![
                ("rpc.method", (*method).to_owned()),
                ("outcome", if refused.is_some() { "refused" } else { "answered" }.to_owned()),
            ],
        ),
        Work::Turn { place, end } => (
            ("understudy.turns", "understudy.turn.duration"),
            vec![
                ("gen_ai.request.model", place.model.clone()),
                ("outcome", end.as_str().to_owned()),
            ],
        ),
        Work::ModelCall(call) => (
            ("understudy.model_calls", "understudy.model_call.duration"),
            vec![
                ("gen_ai.request.model", call.place.model.clone()),
                ("gen_ai.provider.name", call.provider.clone()),
                ("gen_ai.operation.name", call.wish.as_str().to_owned()),
                (
                    "http.response.status_code",
                    call.status.map_or(String::new(), |status| status.to_string()),
                ),
                ("outcome", call.end.as_str().to_owned()),
            ],
        ),
        Work::Refresh { cause, way, end } => (
            ("understudy.refreshes", "understudy.refresh.duration"),
            vec![
                ("refresh.cause", cause.as_str().to_owned()),
                ("refresh.way", way.as_str().to_owned()),
                ("outcome", end.as_str().to_owned()),
            ],
        ),
        Work::Tool { tool, end, .. } => (
            ("understudy.tool_calls", "understudy.tool_call.duration"),
            vec![("gen_ai.tool.name", tool.clone()), ("outcome", end.as_str().to_owned())],
        ),
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    if labels.is_empty() {
        return vec![truth("otel.metric.overflow", true)];
    }
    let filled = labels.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| text(key, value.as_str())).collect()
}

fn sums(counts: &BTreeMap<(Name, Labels), u64>, (since, now): (u64, u64)) -> Vec<Metric> {
    let points = counts.iter().map(|((name, labels), count)| {
        let point = NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: since,
            time_unix_nano: now,
            value: Some(Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        };
        (*name, point)
    });
    let metric = |name: Name, data_points| Metric {
        name: name.to_owned(),
        unit: if name == "understudy.tokens" { "{token}" } else { "1" }.to_owned(),
        data: Some(Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        })),
        ..Metric::default()
    };
    by_name(points).into_iter().map(|(name, points)| metric(name, points)).collect()
}

fn histograms(
    durations: &BTreeMap<(Name, Labels), Durations>,
    (since, now): (u64, u64),
) -> Vec<Metric> {
    let points = durations.iter().map(|((name, labels), durations)| {
        let point = HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: since,
            time_unix_nano: now,
            count: durations.count,
            sum: Some(durations.sum),
            bucket_counts: durations.classes.to_vec(),
            explicit_bounds: BOUNDS.to_vec(),
            min: Some(durations.min),
            max: Some(durations.max),
            ..HistogramDataPoint::default()
        };
        (*name, point)
    });
    let metric = |name: Name, data_points| Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(Histogram {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        })),
        ..Metric::default()
    };
    by_name(points).into_iter().map(|(name, points)| metric(name, points)).collect()
}

fn by_name<P>(points: impl Iterator<Item = (Name, P)>) -> BTreeMap<Name, Vec<P>> {
    let mut sorted: BTreeMap<Name, Vec<P>> = BTreeMap::new();
    for (name, point) in points {
        sorted.entry(name).or_default().push(point);
    }
    sorted
}
