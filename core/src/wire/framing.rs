//! Bytes to lines. Owns the unfinished line between two chunks.
//!
//! A line ends at LF; the last one may end at the end of input. A line over the limit is skipped
//! to its end and reported once. A line that lies whole within one chunk is not copied.

use memchr::memchr;

/// One line, without its LF.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Its bytes, perhaps with a CR at the end.
    Whole(&'a [u8]),
    /// It was longer than the limit and is gone.
    TooLong,
}

/// Cuts chunks into lines.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Framer {
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// The line being read is over the limit: drop its bytes.
    skipping: bool,
    limit: usize,
}

impl Framer {
    pub(crate) fn new(limit: usize) -> Self {
        Self { partial: Vec::new(), skipping: false, limit }
    }

    /// The next line made of what was kept and `chunk`, which is advanced past it. `None` when
    /// `chunk` is used up; call again with the next one.
    pub(crate) fn next<'s, 'c: 's>(&'s mut self, chunk: &mut &'c [u8]) -> Option<Line<'s>> {
        let Some(end) = memchr(b'\n', chunk) else {
            self.keep(chunk);
            *chunk = &[];
            return None;
        };
        let (head, rest) = chunk.split_at(end);
        *chunk = rest.get(1..).unwrap_or_default();
        if self.skipping {
            self.skipping = false;
            return Some(Line::TooLong);
        }
        if self.partial.len() + head.len() > self.limit {
            self.partial = Vec::new();
            return Some(Line::TooLong);
        }
        if self.partial.is_empty() {
            return Some(Line::Whole(head));
        }
        self.partial.extend_from_slice(head);
        Some(Line::Whole(&self.partial))
    }

    /// Call after a line was handled: forgets it and gives back a large buffer.
    pub(crate) fn done(&mut self) {
        self.partial.clear();
        if self.partial.capacity() > crate::limits::OUTPUT_KEEP_BYTES {
            self.partial = Vec::new();
        }
    }

    /// What stands after the last LF when the input ends.
    pub(crate) fn finish(&mut self) -> Option<Line<'_>> {
        if std::mem::take(&mut self.skipping) {
            return Some(Line::TooLong);
        }
        (!self.partial.is_empty()).then_some(Line::Whole(&self.partial))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.partial.len() + bytes.len() > self.limit {
            self.skipping = true;
            self.partial = Vec::new();
            return;
        }
        self.partial.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Framer, Line};

    /// Feeds `pieces` and returns the lines as text, `!` for one that was too long.
    fn lines(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let show = |line: &Line<'_>| match line {
            Line::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Line::TooLong => "!".to_owned(),
        };
        let mut framer = Framer::new(limit);
        let mut out = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                if let Some(line) = framer.next(&mut rest) {
                    out.push(show(&line));
                    framer.done();
                }
            }
        }
        out.extend(framer.finish().as_ref().map(show));
        out
    }

    const CASES: [(&[u8], &[&str]); 7] = [
        (b"", &[]),
        (b"a\n", &["a"]),
        (b"a\r\nb\n", &["a\r", "b"]),
        (b"\n\na", &["", "", "a"]),
        (b"a\nb", &["a", "b"]),
        (b"123456789\nx\n", &["!", "x"]),
        (b"12345678\n123456789", &["12345678", "!"]),
    ];

    #[test]
    fn whole_and_at_every_split() {
        for (input, want) in CASES {
            assert_eq!(lines(8, &[input]), want, "{input:?} whole");
            for at in 0..=input.len() {
                let (head, tail) = input.split_at(at);
                assert_eq!(lines(8, &[head, tail]), want, "{input:?} split at {at}");
            }
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(lines(8, &bytes), want, "{input:?} byte by byte");
        }
    }
}
