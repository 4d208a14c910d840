//! What a test makes up as it goes, byte by byte: lines of the host, and responses.

use understudy_core::{CallId, Input, Outcome};

use super::fact::{Fact, Part};
use super::{Cut, World};

impl World {
    /// Bytes of the host arrive, whatever is in them.
    pub fn write(&mut self, bytes: &[u8], cut: Cut) {
        if self.at_eof || self.exit.is_some() {
            return;
        }
        self.outbox.extend_from_slice(bytes);
        self.flush(cut);
    }

    /// The head of a response arrives whose body is not known yet.
    pub fn open_answer(&mut self, call: CallId, status: u16, headers: Vec<(String, String)>) {
        self.begin(call, status, headers, String::new());
    }

    /// More of that body arrives.
    pub fn push_answer(&mut self, call: CallId, bytes: &[u8]) {
        let is_open = |http: &&super::HttpCall| http.call == call && http.answer.is_some();
        if self.accepts_parts() && self.http.iter().any(|http| is_open(&http)) {
            self.facts.push(Fact::Backend(call, Part::Bytes(bytes.len())));
            self.input(Input::Done(call, Outcome::HttpBytes(bytes)));
        }
    }

    /// The body ends.
    pub fn close_answer(&mut self, call: CallId) {
        if self.close_http(call) {
            self.facts.push(Fact::Backend(call, Part::End));
            self.input(Input::Done(call, Outcome::HttpEnd));
        }
    }
}
