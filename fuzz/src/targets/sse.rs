//! A model's stream: wherever its bytes are cut the events are the same, they are those that the
//! format's own description gives, and what is no JSON is no event.

use serde_json::Value;
use understudy_core::{events_of, is_event};

use super::{headed, pieces};

/// The first byte is the longest event, 0 for no limit; the second says how the rest is cut.
pub fn sse(data: &[u8]) {
    let (limit, data) = headed(data);
    let (by, stream) = headed(data);
    let limit = if limit == 0 { usize::MAX >> 1 } else { usize::from(limit) };
    let whole = events_of(limit, &[stream]);
    assert_eq!(whole, plain_events(stream, limit), "whole");
    assert_eq!(whole, events_of(limit, &pieces(stream, by)), "in pieces");
    assert_eq!(whole, events_of(limit, &pieces(stream, 0)), "byte by byte");
    for data in whole.0 {
        if is_event(&data) {
            let named = serde_json::from_str::<Value>(&data);
            let named = named.map(|event| event.get("type").is_some_and(Value::is_string));
            // A tree cannot be made of a number beyond a float, though it is JSON.
            assert!(named.unwrap_or(true), "{data}");
        }
    }
}

/// The events, line by line as the format is described (engine.md §2.2).
fn plain_events(stream: &[u8], limit: usize) -> (Vec<String>, bool) {
    let mut events = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    let lines = plain_lines(stream);
    let last = lines.len() - 1;
    for (at, line) in lines.into_iter().enumerate() {
        if line.len() > limit {
            return (events, true);
        }
        if at == last {
            break;
        }
        let line = if at == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if line.is_empty() {
            events.extend(data.take().map(|data| String::from_utf8_lossy(&data).into_owned()));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        if field != b"data" {
            continue;
        }
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let joined = match data.take() {
            Some(before) => [&before, &b"\n"[..], value].concat(),
            None => value.to_vec(),
        };
        if joined.len() > limit {
            return (events, true);
        }
        data = Some(joined);
    }
    (events, false)
}

/// The lines, and last what has no end yet. A line ends with a line feed, a carriage return, or
/// both in this order.
fn plain_lines(stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let (line, after) = rest.split_at(end);
        lines.push(line);
        rest = after.strip_prefix(b"\r\n").unwrap_or(&after[1..]);
    }
    lines.push(rest);
    lines
}
