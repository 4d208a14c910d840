//! Ids of requests: an integer or a string, echoed as they came (protocol.md §1.2).

use std::fmt;

use serde::{Serialize, Serializer};

/// The id of a request. `0` and `"0"` are different ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestId {
    /// An integer of 64 bits.
    Number(i64),
    /// Any text, also the empty one.
    Text(Box<str>),
}

impl RequestId {
    /// Reads an id from its JSON; `None` for floats, null, booleans, containers and large integers.
    pub(crate) fn decode(json: &str) -> Option<Self> {
        if json.starts_with('"') {
            return serde_json::from_str::<String>(json).ok().map(|s| Self::Text(s.into()));
        }
        // The integer 0 has no sign: echoed as `0` it would be another id.
        json.parse().ok().filter(|_| json != "-0").map(Self::Number)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RequestId::Number(n) => serializer.serialize_i64(*n),
            RequestId::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestId::Number(n) => write!(f, "{n}"),
            RequestId::Text(text) => write!(f, "{text:?}"),
        }
    }
}
