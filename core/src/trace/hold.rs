//! Owns: streams that come in chunks, cut anywhere: what of them may be looked through for secrets.
//!
//! A secret may be cut in two. So chunks wait until a line, or the whole of a body, is there; it is
//! looked through as one, and cut again where it was cut. Invariant: nothing is given out that may
//! be the beginning of a secret, but for what a program says: it may stop anywhere for long, and
//! the two halves of what it writes at once are not a second apart.

use std::borrow::Cow;
use std::time::Duration;

use memchr::memrchr;

use super::finder;
use super::secrets::Secrets;

/// What a stream carries, which says where it may be cut and what is secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Messages of the host, one a line.
    Messages,
    /// Events of a model, one a line.
    Events,
    /// One document.
    Body,
    /// What a program says; it may wait for an answer within a line.
    Output,
}

/// A stream whose end has not come.
#[derive(Debug)]
pub(super) struct Stream {
    kind: Kind,
    /// What waits, in raw.
    bytes: Vec<u8>,
    /// The steps that it came with, and how much of it.
    parts: Vec<(u64, usize)>,
    /// When the newest of it came.
    came: Duration,
}

/// What a program has said waits no longer for more.
const OUTPUT_HELD_MAX: Duration = Duration::from_secs(1);

/// A piece of a chunk that was looked through.
pub(super) struct Piece {
    /// The step that it belongs to.
    pub(super) step: u64,
    pub(super) bytes: Vec<u8>,
    /// Whether this is the end of the step's chunk.
    pub(super) is_last: bool,
}

impl Stream {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, bytes: Vec::new(), parts: Vec::new(), came: Duration::ZERO }
    }

    /// Whether a chunk that is clean ([`Secrets::clean_len`]) may be given out at once as it is:
    /// nothing waits before it, nothing in it is secret by its name, and nothing behind it can make
    /// it so. Most are like that, and cost little.
    pub(super) fn lets_pass(&self, chunk: &[u8]) -> bool {
        let is_whole = self.kind != Kind::Body && chunk.ends_with(b"\n");
        is_whole && self.parts.is_empty() && !self.may_name_secrets(chunk)
    }

    /// Takes a step's chunk, and gives out what can be.
    pub(super) fn take(
        &mut self,
        step: u64,
        now: Duration,
        chunk: &[u8],
        secrets: &mut Secrets,
    ) -> Vec<Piece> {
        self.came = now;
        self.bytes.extend_from_slice(chunk);
        self.parts.push((step, chunk.len()));
        let line_end = memrchr(b'\n', &self.bytes).map_or(0, |at| at + 1);
        let end = match self.kind {
            Kind::Messages | Kind::Events => line_end,
            Kind::Body => 0,
            Kind::Output => {
                let rest = self.bytes.get(line_end..).unwrap_or_default();
                if secrets.ends_within(rest) { line_end } else { self.bytes.len() }
            }
        };
        self.give_out(end, secrets)
    }

    /// Gives out what has waited for long enough.
    pub(super) fn wait_until(&mut self, now: Duration, secrets: &mut Secrets) -> Vec<Piece> {
        let is_over = now.saturating_sub(self.came) > OUTPUT_HELD_MAX;
        let waits = self.kind == Kind::Output && !self.parts.is_empty();
        if waits && is_over { self.give_out(self.bytes.len(), secrets) } else { Vec::new() }
    }

    /// Nothing more comes.
    pub(super) fn finish(mut self, secrets: &mut Secrets) -> Vec<Piece> {
        self.give_out(self.bytes.len(), secrets)
    }

    /// Looks through the first `end` bytes and cuts them as they came. Stand-ins are as long as
    /// their secrets, but for rare spellings of these; then a cut is where it can be.
    fn give_out(&mut self, end: usize, secrets: &mut Secrets) -> Vec<Piece> {
        if end == 0 && !self.bytes.is_empty() {
            return Vec::new();
        }
        let rest = self.bytes.split_off(end);
        let raw = std::mem::replace(&mut self.bytes, rest);
        let said = self.replaced(&raw, secrets);
        let mut pieces = Vec::new();
        let (mut from, mut came) = (0, 0);
        let mut parts = std::mem::take(&mut self.parts).into_iter();
        for (step, len) in parts.by_ref() {
            let is_last = came + len <= end;
            came = end.min(came + len);
            let to = if came == end { said.len() } else { came.min(said.len()) };
            let bytes = said.get(from..to).unwrap_or_default().to_vec();
            pieces.push(Piece { step, bytes, is_last });
            from = to;
            if !is_last {
                // The rest of it waits.
                let behind: usize = parts.as_slice().iter().map(|(_, len)| len).sum();
                self.parts.push((step, self.bytes.len().saturating_sub(behind)));
                break;
            }
        }
        self.parts.extend(parts);
        pieces
    }

    /// Whether what is in it may be secret by its name.
    fn may_name_secrets(&self, raw: &[u8]) -> bool {
        matches!(self.kind, Kind::Messages | Kind::Body) && finder::may_name_secrets(raw)
    }

    fn replaced<'a>(&self, raw: &'a [u8], secrets: &mut Secrets) -> Cow<'a, [u8]> {
        if secrets.is_clean(raw) && !self.may_name_secrets(raw) {
            return Cow::Borrowed(raw);
        }
        finder::learn_shapes(raw, secrets);
        let text = std::str::from_utf8(raw).ok();
        match (self.kind, text) {
            (Kind::Messages | Kind::Body, Some(text)) => {
                let said = finder::json_replaced(text, secrets);
                Cow::Owned(secrets.replaced(said.as_bytes()).into_owned())
            }
            _ => secrets.replaced(raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Kind, Secrets, Stream};

    /// What each step of a stream cut at these places is in the end.
    fn played(kind: Kind, text: &[u8], cuts: &[usize], secrets: &mut Secrets) -> Vec<Vec<u8>> {
        let mut stream = Stream::new(kind);
        let mut steps: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut pieces = Vec::new();
        let mut from = 0;
        for (step, to) in cuts.iter().copied().chain([text.len()]).enumerate() {
            let to = to.clamp(from, text.len());
            pieces.extend(stream.take(step as u64, Duration::ZERO, &text[from..to], secrets));
            from = to;
        }
        pieces.extend(stream.finish(secrets));
        for piece in pieces {
            steps.entry(piece.step).or_default().extend(piece.bytes);
        }
        steps.into_values().collect()
    }

    const LINES: &str =
        "{\"accessToken\":\"opaque-token-1234\"}\n\nand more of it: opaque-token-1234";

    #[test]
    fn a_program_that_waits_is_heard_at_once() {
        let mut secrets = Secrets::new([5; 32]);
        let stand_in = secrets.stand_in("opaque-token-1234");
        let mut stream = Stream::new(Kind::Output);
        let at = Duration::from_secs;
        let now = |pieces: Vec<super::Piece>| pieces.into_iter().flat_map(|p| p.bytes).collect();
        let said: Vec<u8> = now(stream.take(0, at(0), b"name? ", &mut secrets));
        assert_eq!(said, b"name? ");
        assert!(stream.take(1, at(1), b"it is opaque-to", &mut secrets).is_empty());
        let said: Vec<u8> = now(stream.take(2, at(2), b"ken-1234!", &mut secrets));
        assert_eq!(String::from_utf8_lossy(&said), format!("it is {stand_in}!"));
        assert!(stream.take(3, at(3), b"more? o", &mut secrets).is_empty());
        assert!(stream.wait_until(at(4), &mut secrets).is_empty());
        let said: Vec<u8> = now(stream.wait_until(at(5), &mut secrets));
        assert_eq!(said, b"more? o");
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_nothing_of_a_secret_is_left(
            kind in prop::sample::select(vec![Kind::Messages, Kind::Body]),
            mut cuts in prop::collection::vec(0..LINES.len(), 0..6),
        ) {
            cuts.sort_unstable();
            let whole = played(kind, LINES.as_bytes(), &[], &mut Secrets::new([5; 32])).concat();
            let steps = played(kind, LINES.as_bytes(), &cuts, &mut Secrets::new([5; 32]));
            prop_assert_eq!(&steps.concat(), &whole);
            prop_assert!(!String::from_utf8_lossy(&whole).contains("opaque-token"));
            prop_assert_eq!(steps.len(), cuts.len() + 1);
            let mut from = 0;
            for (step, to) in steps.iter().zip(cuts.iter().chain([&LINES.len()])) {
                prop_assert_eq!(step.len(), to - from);
                from = *to;
            }
        }

        #[test]
        fn known_secrets_are_gone_from_every_stream(
            mut cuts in prop::collection::vec(0..LINES.len(), 0..6),
        ) {
            cuts.sort_unstable();
            for kind in [Kind::Events, Kind::Output] {
                let mut secrets = Secrets::new([5; 32]);
                secrets.stand_in("opaque-token-1234");
                let said = played(kind, LINES.as_bytes(), &cuts, &mut secrets).concat();
                prop_assert_eq!(said.len(), LINES.len());
                prop_assert!(!String::from_utf8_lossy(&said).contains("opaque-token"));
            }
        }
    }
}
