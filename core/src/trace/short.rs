//! Owns: the steps that are many, in short: what the host, a backend or a program said, and what
//! the host took. All others are JSON (`line`).
//!
//! What was said stands as it is, a `|` before each of its lines; one that does not end has a `\`
//! and an end that is not its own. The step's own line follows: `h` (host), `b` and a call (body),
//! `o` or `e` and a call (output, errors), `w` (took all that there was) or `w` and how many bytes;
//! then `+` and the microseconds since the step before, `~` and by how many more the calendar
//! moved, `=` and the digest, each where there is one:
//!
//! ```text
//! |data: {"type":"response.output_text.delta","delta":"word"}
//! |
//! b3+15970=5JzC
//! w
//! ```
//!
//! A step whose line is missing was not written in whole.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memchr;

use super::clock::Tick;
use super::note::{Topic, Wrote};
use crate::effect::CallId;
use crate::process::OutputStream;

/// Before a line that was said.
const WHOLE: u8 = b'|';
/// Before what was said and is no line.
const PIECE: u8 = b'\\';

/// A step in short, but for what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) topic: Topic,
    pub(super) tick: Tick,
    /// Stands for what came out; none if nothing did.
    pub(super) digest: Option<u32>,
}

impl Short {
    /// Adds its lines.
    pub(super) fn write(self, said: &[u8], out: &mut Vec<u8>) {
        write_said(said, out);
        let (mark, number) = match self.topic {
            Topic::Wrote(Wrote::All) => (b'w', None),
            Topic::Wrote(Wrote::Bytes(n)) => (b'w', Some(n as u64)),
            Topic::Bytes => (b'h', None),
            Topic::Body(call) => (b'b', Some(call.0)),
            Topic::Output(OutputStream::Stdout, call) => (b'o', Some(call.0)),
            Topic::Output(OutputStream::Stderr, call) => (b'e', Some(call.0)),
        };
        out.push(mark);
        if let Some(number) = number {
            write_number(number, out);
        }
        if self.tick.passed_us > 0 {
            out.push(b'+');
            write_number(self.tick.passed_us, out);
        }
        if self.tick.jump_us != 0 {
            out.extend_from_slice(if self.tick.jump_us < 0 { b"~-" } else { b"~" });
            write_number(self.tick.jump_us.unsigned_abs(), out);
        }
        if let Some(digest) = self.digest {
            out.push(b'=');
            write_digest(digest, out);
        }
        out.push(b'\n');
    }

    /// What the step's own line says; none if it says something else.
    pub(super) fn parsed(line: &str) -> Option<Self> {
        let (line, digest) = match line.split_once('=') {
            Some((line, digest)) => (line, Some(read_digest(digest)?)),
            None => (line, None),
        };
        let (line, jump) = line.split_once('~').unwrap_or((line, "0"));
        let (line, passed) = line.split_once('+').unwrap_or((line, "0"));
        let tick = Tick { passed_us: passed.parse().ok()?, jump_us: jump.parse().ok()? };
        let number = line.get(1..)?;
        let topic = match line.as_bytes().first()? {
            b'w' if number.is_empty() => Topic::Wrote(Wrote::All),
            b'w' => Topic::Wrote(Wrote::Bytes(number.parse().ok()?)),
            b'h' if number.is_empty() => Topic::Bytes,
            b'b' => Topic::Body(CallId(number.parse().ok()?)),
            b'o' => Topic::Output(OutputStream::Stdout, CallId(number.parse().ok()?)),
            b'e' => Topic::Output(OutputStream::Stderr, CallId(number.parse().ok()?)),
            _ => return None,
        };
        Some(Self { topic, tick, digest })
    }
}

fn write_said(mut said: &[u8], out: &mut Vec<u8>) {
    while let Some(end) = memchr(b'\n', said) {
        let (line, rest) = said.split_at(end + 1);
        out.push(WHOLE);
        out.extend_from_slice(line);
        said = rest;
    }
    if !said.is_empty() {
        out.push(PIECE);
        out.extend_from_slice(said);
        out.push(b'\n');
    }
}

/// Adds what a line of a recording says was said; false if it is another line.
pub(super) fn read_said(line: &[u8], said: &mut Vec<u8>) -> bool {
    match line {
        [WHOLE, line @ ..] => said.extend_from_slice(line),
        [PIECE, piece @ .., b'\n'] => said.extend_from_slice(piece),
        _ => return false,
    }
    true
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [0; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        first -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// Adds a digest of 24 bits, in four characters.
fn write_digest(digest: u32, out: &mut Vec<u8>) {
    let [_, bytes @ ..] = digest.to_be_bytes();
    let mut text = [0; 4];
    URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("three bytes are four characters");
    out.extend_from_slice(&text);
}

/// The same as a text.
pub(super) fn shown_digest(digest: u32) -> String {
    let [_, bytes @ ..] = digest.to_be_bytes();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads it again.
pub(super) fn read_digest(text: &str) -> Option<u32> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let [a, b, c] = bytes[..] else { return None };
    Some(u32::from_be_bytes([0, a, b, c]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_step_is_short() {
        let tick = |passed_us, jump_us| Tick { passed_us, jump_us };
        for (topic, tick, digest, said, wanted) in [
            (Topic::Wrote(Wrote::All), tick(0, 0), None, "", "w\n"),
            (Topic::Wrote(Wrote::Bytes(70)), tick(0, 0), Some(0xff_ffff), "", "w70=____\n"),
            (Topic::Bytes, tick(7, 0), Some(0), "{}\n{}\n", "|{}\n|{}\nh+7=AAAA\n"),
            (Topic::Body(CallId(30)), tick(1_000, -5), None, "\na", "|\n\\a\nb30+1000~-5\n"),
            (Topic::Output(OutputStream::Stderr, CallId(1)), tick(0, 5), None, "\n", "|\ne1~5\n"),
        ] {
            let mut out = Vec::new();
            Short { topic, tick, digest }.write(said.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), wanted);
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in ["", "h1", "b", "bx", "o-1", "w+", "h=AAA", "h=AAA!", "w1~", "x", "é", "h+1+2"]
        {
            assert_eq!(Short::parsed(line), None, "{line}");
        }
    }

    fn topics() -> impl Strategy<Value = Topic> {
        let stream = prop::sample::select(vec![OutputStream::Stdout, OutputStream::Stderr]);
        prop_oneof![
            Just(Topic::Wrote(Wrote::All)),
            any::<usize>().prop_map(|n| Topic::Wrote(Wrote::Bytes(n))),
            Just(Topic::Bytes),
            any::<u64>().prop_map(|call| Topic::Body(CallId(call))),
            (stream, any::<u64>()).prop_map(|(stream, n)| Topic::Output(stream, CallId(n))),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(
            topic in topics(),
            passed_us in any::<u64>(),
            jump_us in any::<i64>(),
            digest in prop::option::of(0_u32..1 << 24),
            said in prop::collection::vec(prop::sample::select(b"a|\\\n\xff".to_vec()), 0..12),
        ) {
            let short = Short { topic, tick: Tick { passed_us, jump_us }, digest };
            let mut out = Vec::new();
            short.write(&said, &mut out);
            let mut lines: Vec<&[u8]> = out.split_inclusive(|byte| *byte == b'\n').collect();
            let own = std::str::from_utf8(lines.pop().expect("its own line")).expect("text");
            prop_assert_eq!(Short::parsed(own.trim_end()), Some(short));
            let mut read = Vec::new();
            for line in lines {
                prop_assert!(read_said(line, &mut read));
            }
            prop_assert_eq!(read, said);
        }
    }
}
