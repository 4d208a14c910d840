//! What fuzz targets see of a response stream: which events bytes are cut into, and whether an event
//! says anything.

use super::events::{self, ResponseEvent};
use super::sse::SseParser;

/// The data of the events that these chunks complete, and whether the stream broke because an event
/// of it, or a line, is longer than `limit` bytes.
pub fn events_of(limit: usize, chunks: &[&[u8]]) -> (Vec<String>, bool) {
    let mut parser = SseParser::with_limit(limit);
    let mut events = Vec::new();
    let mut feed = |chunk: &&[u8]| parser.feed(chunk, |data| events.push(data.to_owned()));
    let is_broken = chunks.iter().any(|chunk| feed(chunk).is_err());
    (events, is_broken)
}

/// Whether the data of an event means anything to a turn.
pub fn is_event(data: &str) -> bool {
    !matches!(events::decode(data), ResponseEvent::Ignored)
}
