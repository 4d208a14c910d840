//! Owns: what all kinds of measurements say in the same way: times, names, attributes, the source.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use understudy_core::Now;
use understudy_core::telemetry::{Measurement, Sinks, TurnPlace};

/// The version of this server.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where measurements come from; goes with every request.
#[derive(Debug)]
pub(super) struct Source {
    resource: Resource,
}

impl Source {
    pub(super) fn of(sinks: &Sinks) -> Self {
        let mut attributes: Vec<KeyValue> =
            sinks.attributes.iter().map(|(key, value)| text(key, value.as_str())).collect();
        // What is said here outranks what the environment adds.
        for own in [
            text("service.name", sinks.service.as_str()),
            text("service.version", VERSION),
            text("service.instance.id", format!("{:032x}", sinks.instance)),
            text("env", sinks.environment.as_str()),
            text("terminal.type", sinks.terminal.as_str()),
        ] {
            attributes.retain(|other| other.key != own.key);
            attributes.push(own);
        }
        Self { resource: Resource { attributes, ..Resource::default() } }
    }

    pub(super) fn resource(&self) -> Option<Resource> {
        Some(self.resource.clone())
    }
}

/// Who measures.
pub(super) fn scope() -> Option<InstrumentationScope> {
    let (name, version) = ("understudy".to_owned(), VERSION.to_owned());
    Some(InstrumentationScope { name, version, ..InstrumentationScope::default() })
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

pub(super) fn number(key: &str, value: impl Into<i64>) -> KeyValue {
    attribute(key, Value::IntValue(value.into()))
}

pub(super) fn truth(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

pub(super) fn any_text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) })
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The turn that something belongs to.
pub(super) fn place(place: &TurnPlace) -> [KeyValue; 2] {
    [text("conversation.id", &*place.thread), text("turn.id", &*place.turn)]
}

/// How long it took.
pub(super) fn took(measurement: &Measurement) -> Duration {
    measurement.end.mono.saturating_sub(measurement.begin.mono)
}

/// Nanoseconds since the epoch; none before it.
pub(super) fn unix_nanos(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

/// When it began and ended. The wall clock may have been set meanwhile, so the end is counted.
pub(super) fn times(measurement: &Measurement) -> (u64, u64) {
    let Now { wall, .. } = measurement.begin;
    let begin = unix_nanos(wall);
    let nanos = u64::try_from(took(measurement).as_nanos()).unwrap_or(u64::MAX);
    (begin, begin.saturating_add(nanos))
}
