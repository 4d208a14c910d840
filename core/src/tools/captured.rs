//! What a command wrote, as far as it is kept (engine.md §3.3).
//!
//! Of each stream the beginning and the end are kept. While both together are within the bound, all
//! of it is there in the order in which it came; a model that reads only one stream cannot tell what
//! an error belongs to.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::limits::SHELL_OUTPUT_BYTES_MAX as KEPT;
use crate::process::OutputStream;

/// The output of one command.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Captured {
    stdout: Ends,
    stderr: Ends,
    /// Both in order; none once that is too much.
    both: InOrder,
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum InOrder {
    All(Vec<u8>),
    TooMuch,
}

impl Default for InOrder {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// The beginning and the end of a stream, half of the bound each.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Ends {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes between them that are gone.
    lost: u64,
}

impl Captured {
    /// Takes what came.
    pub(crate) fn push(&mut self, stream: OutputStream, bytes: &[u8]) {
        if let InOrder::All(all) = &mut self.both {
            if all.len() + bytes.len() > KEPT {
                self.both = InOrder::TooMuch;
            } else {
                all.extend_from_slice(bytes);
            }
        }
        match stream {
            OutputStream::Stdout => self.stdout.push(bytes),
            OutputStream::Stderr => self.stderr.push(bytes),
        }
    }

    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout.shown(KEPT))
    }

    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr.shown(KEPT))
    }

    /// Both streams in order. Of too much the errors get two thirds, and the output gets what they
    /// leave; then one stands behind the other.
    pub(crate) fn aggregated(&self) -> String {
        if let InOrder::All(all) = &self.both {
            return text(all);
        }
        let (out, err) = (self.stdout.len(), self.stderr.len());
        let for_out = out.min((KEPT / 3).max(KEPT.saturating_sub(err)));
        let mut all = self.stdout.shown(for_out).into_owned();
        all.extend_from_slice(&self.stderr.shown(KEPT - for_out));
        text(&all)
    }
}

impl Ends {
    const HALF: usize = KEPT / 2;

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = Self::HALF - self.head.len();
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let over = self.tail.len().saturating_sub(Self::HALF);
        self.tail.drain(..over);
        self.lost += over as u64;
    }

    /// All that is kept, as text.
    pub(crate) fn text(&self) -> String {
        text(&self.shown(KEPT))
    }

    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Up to `room` bytes of it, from both ends, with a word between them about what is missing.
    fn shown(&self, room: usize) -> Cow<'_, [u8]> {
        let over = self.len().saturating_sub(room);
        if self.lost == 0 && over == 0 && self.tail.is_empty() {
            return Cow::Borrowed(&self.head);
        }
        // Of what is kept the middle goes first.
        let half = (self.len() - over) / 2;
        let mut all: Vec<u8> = self.head.iter().chain(&self.tail).copied().collect();
        let missing = self.lost + over as u64;
        if missing > 0 {
            let head = if over == 0 { self.head.len() } else { half };
            let word = format!("\n[{missing} bytes are not kept]\n");
            all.splice(head..head + over, word.into_bytes());
        }
        Cow::Owned(all)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes text of bytes that come cut anywhere; a character is never cut in two (protocol.md §9 G18).
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Decoder {
    /// The beginning of a character.
    rest: Vec<u8>,
}

impl Decoder {
    /// The text up to the last whole character. What is no character becomes U+FFFD.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let mut out = String::new();
        let mut whole = 0;
        for chunk in self.rest.utf8_chunks() {
            let bad = chunk.invalid();
            let end = whole + chunk.valid().len() + bad.len();
            out.push_str(chunk.valid());
            let is_begun = end == self.rest.len() && is_beginning(bad);
            whole = end - if is_begun { bad.len() } else { 0 };
            if !bad.is_empty() && !is_begun {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.rest.drain(..whole);
        out
    }

    /// What is left when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        text(&std::mem::take(&mut self.rest))
    }
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Captured, Decoder};
    use crate::limits::SHELL_OUTPUT_BYTES_MAX as KEPT;
    use crate::process::OutputStream::{Stderr, Stdout};

    #[test]
    fn what_fits_is_there_in_order() {
        let mut captured = Captured::default();
        for (stream, bytes) in [(Stdout, "a\n"), (Stderr, "b\n"), (Stdout, "c\n")] {
            captured.push(stream, bytes.as_bytes());
        }
        assert_eq!(captured.aggregated(), "a\nb\nc\n");
        assert_eq!((captured.stdout(), captured.stderr()), ("a\nc\n".into(), "b\n".into()));
    }

    #[test]
    fn of_too_much_both_ends_stay_and_errors_have_room() {
        let mut captured = Captured::default();
        captured.push(Stdout, b"begin");
        for _ in 0..3 * KEPT / 4096 {
            captured.push(Stdout, &[b'o'; 4096]);
        }
        captured.push(Stdout, b"end");
        assert!(captured.stdout().starts_with("begin") && captured.stdout().ends_with("end"));
        let alone = captured.aggregated();
        assert!(alone.len() > KEPT && alone.len() < KEPT + 100 && alone.ends_with("end"));
        for _ in 0..KEPT / 4096 {
            captured.push(Stderr, &[b'e'; 4096]);
        }
        let all = captured.aggregated();
        let count = |byte| all.bytes().filter(|b| *b == byte).count();
        assert!(count(b'o').abs_diff(KEPT / 3) < 100, "{}", count(b'o'));
        assert!(count(b'e').abs_diff(KEPT - KEPT / 3) < 100);
        let lost = format!("[{} bytes are not kept]", KEPT * 3 + 8 - KEPT / 3);
        assert!(all.starts_with("begin") && all.contains(&lost), "{lost}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn text_is_the_same_however_it_is_cut(
            pieces in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![Just(0xc3), Just(0xa4), Just(0xe2), Just(0x82), Just(0xac),
                        Just(0xf0), Just(0x9f), Just(b'a'), any::<u8>()],
                    0..6,
                ),
                0..8,
            ),
        ) {
            let mut decoder = Decoder::default();
            let mut text: String = pieces.iter().map(|piece| decoder.feed(piece)).collect();
            prop_assert!(decoder.rest.len() < 4);
            text.push_str(&decoder.finish());
            let whole = pieces.concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&whole));
        }

        #[test]
        fn no_more_is_kept_than_the_bound(
            pieces in proptest::collection::vec((any::<bool>(), 0..KEPT), 0..4),
        ) {
            let mut captured = Captured::default();
            let mut total = 0;
            for (errors, len) in pieces {
                captured.push(if errors { Stderr } else { Stdout }, &vec![b'x'; len]);
                total += len;
            }
            let kept = captured.aggregated().bytes().filter(|byte| *byte == b'x').count();
            prop_assert_eq!(kept, total.min(KEPT).min(captured.stdout.len() + captured.stderr.len()));
            prop_assert!(captured.stdout.len() <= KEPT && captured.stderr.len() <= KEPT);
        }
    }
}
