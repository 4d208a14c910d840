//! Owns: cutting a byte stream into server-sent events (engine.md §2.2). States: the unfinished
//! line, the data of the unfinished event.
//! Invariant: how the stream is cut into chunks changes nothing; an event whose single data line
//! lies in one chunk is handed out without a copy.
//! Never: reads the `event`, `id` or `retry` fields (the data names its own type), or the JSON.

use std::borrow::Cow;
use std::str;

use crate::limits;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event, or one line of it, is longer than [`limits::SSE_EVENT_BYTES_MAX`]. The stream is
/// of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub(crate) struct EventTooLong {
    limit: usize,
}

/// Cuts a stream into events; lives as long as the response.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct SseParser {
    /// The beginning of a line whose end is not here yet.
    line: Vec<u8>,
    /// Data lines of the unfinished event that could not stay in their chunk.
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    skip_line_feed: bool,
    /// No line has ended yet, so that a byte order mark may stand first.
    first_line: bool,
    limit: usize,
}

impl Default for SseParser {
    fn default() -> Self {
        Self::with_limit(limits::SSE_EVENT_BYTES_MAX)
    }
}

impl SseParser {
    pub(super) fn with_limit(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            skip_line_feed: false,
            first_line: true,
            limit,
        }
    }

    /// Takes the next bytes and hands out the data of every event that they complete. Bytes that
    /// are no UTF-8 are replaced.
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        mut on_event: impl FnMut(&str),
    ) -> Result<(), EventTooLong> {
        let mut rest = chunk;
        // The data of the unfinished event as long as it is one line of this chunk.
        let mut held: Option<&[u8]> = None;
        if self.skip_line_feed && !rest.is_empty() {
            self.skip_line_feed = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, after) = rest.split_at(end);
            rest = self.past_line_end(after);
            if self.line.is_empty() {
                held = self.on_line(line, held, &mut on_event)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.spill(held.take())?;
                let data = self.on_line(&whole, None, &mut on_event)?;
                self.spill(data)?;
                whole.clear();
                self.line = whole;
            }
        }
        self.spill(held)?;
        self.line.extend_from_slice(rest);
        self.check(self.line.len())
    }

    /// Skips the line end that `after` begins with.
    fn past_line_end<'a>(&mut self, after: &'a [u8]) -> &'a [u8] {
        match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.skip_line_feed = true;
                &[]
            }
            [_, rest @ ..] => rest,
            [] => after,
        }
    }

    /// Takes one whole line; gives back data that may stay where it is for now.
    fn on_line<'a>(
        &mut self,
        line: &'a [u8],
        held: Option<&'a [u8]>,
        on_event: &mut impl FnMut(&str),
    ) -> Result<Option<&'a [u8]>, EventTooLong> {
        self.check(line.len())?;
        let mut line = line;
        if self.first_line {
            self.first_line = false;
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(held, on_event);
            return Ok(None);
        }
        let Some(value) = data_of(line) else {
            return Ok(held);
        };
        if held.is_none() && !self.has_data {
            return Ok(Some(value));
        }
        self.spill(held)?;
        self.spill(Some(value))?;
        Ok(None)
    }

    fn dispatch(&mut self, held: Option<&[u8]>, on_event: &mut impl FnMut(&str)) {
        if let Some(data) = held {
            on_event(&text_of(data));
        } else if self.has_data {
            on_event(&text_of(&self.data));
            self.data.clear();
            self.has_data = false;
        }
    }

    /// Copies a data line that cannot stay in its chunk.
    fn spill(&mut self, data: Option<&[u8]>) -> Result<(), EventTooLong> {
        let Some(data) = data else { return Ok(()) };
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(data);
        self.check(self.data.len())
    }

    fn check(&self, len: usize) -> Result<(), EventTooLong> {
        if len > self.limit { Err(EventTooLong { limit: self.limit }) } else { Ok(()) }
    }
}

/// The value of a `data` field; none for comments and other fields.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

fn text_of(data: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(data) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(String::from_utf8_lossy(data).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The events of a stream that comes in these chunks, and whether it was refused.
    fn run(limit: usize, chunks: &[&[u8]]) -> (Vec<String>, bool) {
        let mut parser = SseParser::with_limit(limit);
        let mut events = Vec::new();
        for chunk in chunks {
            if parser.feed(chunk, |data| events.push(data.to_owned())).is_err() {
                return (events, true);
            }
        }
        (events, false)
    }

    /// Checks a stream fed whole, byte by byte, and cut in two at every place.
    #[track_caller]
    fn check(stream: &[u8], expect: &[&str]) {
        let whole = run(1 << 20, &[stream]);
        assert_eq!(whole.0, expect, "whole");
        assert!(!whole.1);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(run(1 << 20, &bytes), whole, "byte by byte");
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(run(1 << 20, &[a, b]), whole, "cut at {at}");
        }
    }

    #[test]
    fn events_whatever_the_cut() {
        check(b"", &[]);
        check(b"data: a\n\n", &["a"]);
        check(b"data: a\n\ndata: b\n\n", &["a", "b"]);
        check(b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
        check(b"data: a\r\rdata: b\r\r", &["a", "b"]);
        check(b"event: x\ndata: a\nid: 7\n\n", &["a"]);
        check(b"data: a\nevent: x\ndata: b\n\n", &["a\nb"]);
        check(b"data: a\n\n\n\ndata: b\n\n", &["a", "b"]);
        check(b": comment\n\n:\n\ndata: a\n: in between\ndata:\n\n", &["a\n"]);
        check(b"data\n\n", &[""]);
        check(b"data:a\n\ndata:  b\n\n", &["a", " b"]);
        check(b"database: x\n\ndat: y\n\n", &[]);
        check(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", &["a"]);
        check(b"\xef\xbb\xbf\ndata: a\n\n", &["a"]);
        check(b"data: a\n\ndata: unfinished\n", &["a"]);
        check("data: ä€😀\n\n".as_bytes(), &["ä€😀"]);
        check(b"data: \xff\n\n", &["\u{fffd}"]);
    }

    #[test]
    fn a_long_event_breaks_the_stream() {
        assert_eq!(run(10, &[b"data: abcd\n\n"]), (vec!["abcd".to_owned()], false));
        assert_eq!(run(10, &[b"data: abcde\n\n"]), (Vec::new(), true));
        assert_eq!(run(10, &[b"data: ab", b"cde"]), (Vec::new(), true));
        let many: &[&[u8]] = &[b"data: abcd\n", b"data: abcd\n", b"data: abcd\n"];
        assert_eq!(run(10, many), (Vec::new(), true));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "data: a", "data", "data:", ":", "x", "\n", "\r", "\r\n", "\n\n", "é", "\u{feff}",
                ]),
                0..24,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream: Vec<u8> = parts.concat().into_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            prop_assert_eq!(run(1 << 20, &chunks), run(1 << 20, &[&stream]));
        }
    }
}
