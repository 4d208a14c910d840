//! Messages to the host, written straight into one reused buffer (protocol.md §1.1).
//!
//! Member order is the reference's: `id`, `result`; `error`, `id`; `method`, `params`; `method`,
//! `id`, `params`.

use serde::Serialize;

use super::RequestId;
use super::refusal::{Refusal, RefusalData};
use crate::limits;

/// Bytes for the host, with a count of all that was ever queued and written.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How much of `bytes` was written.
    start: usize,
    /// All bytes ever written; with what is pending it gives a message's place in the stream.
    written: u64,
}

#[derive(Serialize)]
struct Response<'a, T> {
    id: &'a RequestId,
    result: T,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: RefusalBody<'a>,
    id: Option<&'a RequestId>,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RefusalData>,
}

#[derive(Serialize)]
struct Notification<'a, T> {
    method: &'a str,
    params: T,
}

#[derive(Serialize)]
struct Request<'a, T> {
    method: &'a str,
    id: i64,
    params: T,
}

impl Output {
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The place in the stream just after everything queued so far.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.pending().len() as u64
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn is_over_high_water(&self) -> bool {
        self.pending().len() > limits::OUTPUT_HIGH_WATER
    }

    /// Takes note that `n` pending bytes were written; a runtime that claims more is in error.
    pub(crate) fn wrote(&mut self, n: usize) {
        assert!(n <= self.pending().len(), "a runtime wrote more than was pending");
        self.start += n;
        self.written += n as u64;
        if self.start < self.bytes.len() {
            return;
        }
        self.start = 0;
        self.bytes.clear();
        if self.bytes.capacity() > limits::OUTPUT_KEEP_BYTES {
            self.bytes = Vec::new();
        }
    }

    pub(crate) fn response(&mut self, id: &RequestId, result: impl Serialize) {
        self.line(&Response { id, result });
    }

    pub(crate) fn refusal(&mut self, id: Option<&RequestId>, code: i64, message: &str) {
        self.line(&Refused { error: RefusalBody { code, message, data: None }, id });
    }

    pub(crate) fn refusal_of(&mut self, id: &RequestId, refusal: &Refusal) {
        let Refusal { code, message, data } = refusal;
        let error = RefusalBody { code: *code, message, data: data.as_ref() };
        self.line(&Refused { error, id: Some(id) });
    }

    pub(crate) fn notification(&mut self, method: &str, params: impl Serialize) {
        self.line(&Notification { method, params });
    }

    pub(crate) fn request(&mut self, id: i64, method: &str, params: impl Serialize) {
        self.line(&Request { method, id, params });
    }

    /// Whole lines that were written elsewhere.
    pub(crate) fn lines(&mut self, lines: &[u8]) {
        self.make_room();
        self.bytes.extend_from_slice(lines);
    }

    fn line(&mut self, message: &impl Serialize) {
        self.make_room();
        if let Err(err) = serde_json::to_writer(&mut self.bytes, message) {
            // Only a map with keys that are no strings fails, and no message has one.
            unreachable!("a message does not serialise: {err}");
        }
        self.bytes.push(b'\n');
    }

    /// Drops what was written from the front once it is most of a large buffer.
    fn make_room(&mut self) {
        if self.start > limits::OUTPUT_KEEP_BYTES && self.start * 2 > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, RequestId};

    #[test]
    fn members_stand_in_the_reference_order() {
        let mut out = Output::default();
        out.response(&RequestId::Text("a".into()), 1);
        out.refusal(None, -32700, "no");
        out.notification("m", [0]);
        out.request(7, "q", ());
        let text = String::from_utf8_lossy(out.pending()).into_owned();
        let want = "{\"id\":\"a\",\"result\":1}\n\
                    {\"error\":{\"code\":-32700,\"message\":\"no\"},\"id\":null}\n\
                    {\"method\":\"m\",\"params\":[0]}\n\
                    {\"method\":\"q\",\"id\":7,\"params\":null}\n";
        assert_eq!(text, want);
        let all = text.len();
        assert_eq!(out.end(), all as u64);
        out.wrote(10);
        assert_eq!((out.pending().len(), out.end(), out.written()), (all - 10, all as u64, 10));
        out.wrote(all - 10);
        assert!(out.pending().is_empty());
    }
}
