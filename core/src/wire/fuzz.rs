//! What fuzz targets see of the wire: which lines bytes are cut into, and what a line is taken for.

use super::RequestId;
use super::envelope::Incoming;
use super::framing::{Framer, Line};

/// What a line of the host is taken for. Params, results and errors are JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Wants exactly one reply.
    Request {
        /// Its id.
        id: RequestId,
        /// Its method, without escapes.
        method: String,
        /// Its params, if it has any.
        params: Option<String>,
    },
    /// Wants none.
    Notification,
    /// The host answers.
    Response {
        /// Which request of ours.
        id: RequestId,
        /// With what.
        result: String,
    },
    /// The host refuses.
    Error {
        /// Which request of ours.
        id: RequestId,
        /// Why.
        error: String,
    },
    /// JSON, but no message; with its id, if it has one.
    Unusable(Option<RequestId>),
    /// No JSON.
    NotJson,
    /// White space.
    Blank,
}

/// What a line is taken for.
pub fn taken_for(line: &[u8]) -> Taken {
    match Incoming::decode(line) {
        Incoming::Request { id, method, params } => Taken::Request {
            id,
            method: method.into_owned(),
            params: params.map(|params| params.get().to_owned()),
        },
        Incoming::Notification => Taken::Notification,
        Incoming::Response { id, result } => {
            Taken::Response { id, result: result.get().to_owned() }
        }
        Incoming::Error { id, error } => Taken::Error { id, error: error.get().to_owned() },
        Incoming::Unusable { id, .. } => Taken::Unusable(id),
        Incoming::NotJson { .. } => Taken::NotJson,
        Incoming::Blank => Taken::Blank,
    }
}

/// The lines that these chunks make, up to the end of input; none for one over the limit.
pub fn lines_of(limit: usize, chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let kept = |line: &Line<'_>| match line {
        Line::Whole(bytes) => Some(bytes.to_vec()),
        Line::TooLong => None,
    };
    let mut framer = Framer::new(limit);
    let mut lines = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        while !rest.is_empty() {
            if let Some(line) = framer.next(&mut rest) {
                lines.push(kept(&line));
                framer.done();
            }
        }
    }
    lines.extend(framer.finish().as_ref().map(kept));
    lines
}
