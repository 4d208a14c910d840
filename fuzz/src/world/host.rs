//! The host of a world: what it says, in which pieces, and when it reads.

use understudy_core::{AskId, FreshTokens, Input, RefreshDenied, Signal};

use super::fact::Fact;
use super::{Cut, World};

impl World {
    /// The host says a line. With `hold` it stays in the host's buffer until more is said.
    pub fn say(&mut self, number: usize, line: &str, hold: bool, cut: Cut) {
        if self.at_eof || self.exit.is_some() {
            return;
        }
        self.outbox.extend_from_slice(line.as_bytes());
        self.outbox.push(b'\n');
        self.lines.push_back((number, line.len() + 1));
        if !hold {
            self.flush(cut);
        }
    }

    /// The host sends bytes that need not be lines. What they say is told as no [`Fact`].
    pub fn put(&mut self, bytes: &[u8], cut: Cut) {
        if self.at_eof || self.exit.is_some() {
            return;
        }
        self.outbox.extend_from_slice(bytes);
        self.flush(cut);
    }

    /// Lets the host's buffer go. Answers that come at once come behind it: whether one arrives
    /// between two lines or after them is not for the cut to say.
    pub fn flush(&mut self, cut: Cut) {
        let len = self.outbox.len();
        self.is_flushing = true;
        match cut {
            Cut::Whole => self.deliver(len),
            Cut::At(at) => {
                self.deliver(at.min(len));
                self.deliver(self.outbox.len());
            }
            Cut::Bytes => (0..len).for_each(|_| self.deliver(1)),
            Cut::Tail(behind) => self.deliver(len.saturating_sub(behind)),
        }
        self.is_flushing = false;
        if !self.instant.0.is_empty() {
            self.drain();
            self.settled();
        }
    }

    /// Whether bytes of the host wait for something more to be said.
    pub fn has_held_bytes(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The host's input ends, after what it has said.
    pub fn eof(&mut self) {
        if self.at_eof || self.exit.is_some() {
            return;
        }
        self.at_eof = true;
        self.flush(Cut::Whole);
        self.end_if_said();
    }

    pub(super) fn end_if_said(&mut self) {
        if self.at_eof && !self.eof_told && self.outbox.is_empty() && self.accepts() {
            self.eof_told = true;
            self.facts.push(Fact::Eof);
            self.input(Input::Eof);
        }
    }

    /// A signal arrives.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit.is_none() {
            self.facts.push(Fact::Eof);
            self.input(Input::Signal(signal));
        }
    }

    pub(super) fn accepts(&self) -> bool {
        self.exit.is_none() && (self.is_pushy || self.machine.wants_input())
    }

    /// Lets `len` more bytes of the host's buffer go. They arrive as soon as they are wanted.
    fn deliver(&mut self, len: usize) {
        self.released = (self.released + len).min(self.outbox.len());
        if self.released == 0 || !self.accepts() {
            return;
        }
        let chunk: Vec<u8> = self.outbox.drain(..std::mem::take(&mut self.released)).collect();
        let mut left = chunk.len();
        while let Some((number, length)) = self.lines.front_mut() {
            if *length > left {
                *length -= left;
                break;
            }
            left -= *length;
            self.facts.push(Fact::Said(*number));
            self.lines.pop_front();
        }
        if self.is_backed_up() {
            self.unwanted += chunk.iter().filter(|byte| **byte == b'\n').count();
        }
        self.input(Input::Bytes(&chunk));
    }

    /// The host reads from now on, or stops reading.
    pub fn set_reading(&mut self, reads: bool) {
        self.is_reading = reads;
        if reads {
            self.read(usize::MAX);
        }
    }

    /// The host reads at most so many bytes.
    pub fn read(&mut self, most: usize) {
        let n = self.machine.pending_output().len().min(most);
        if n == 0 {
            return;
        }
        self.machine.wrote(n);
        self.written += n as u64;
        if !self.is_backed_up() {
            self.unwanted = 0;
        }
        self.facts.push(Fact::Read(self.written));
        self.drain();
        self.facts.push(Fact::Settled);
        self.resume();
    }

    /// The embedding program answers the question; the number is the one it was made with.
    pub fn embedder(
        &mut self,
        ask: AskId,
        number: usize,
        answer: Result<FreshTokens, RefreshDenied>,
    ) {
        self.facts.push(Fact::Embedder(ask, number));
        self.input(Input::AuthRefreshed(ask, answer));
    }

    /// What waited for the machine to want input goes in.
    pub(super) fn resume(&mut self) {
        if self.released > 0 && self.accepts() {
            self.deliver(0);
        }
        self.end_if_said();
    }
}
