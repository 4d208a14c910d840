//! Why a request is refused, and how that reads on the wire.

use serde::Serialize;

/// The request itself, its arguments, or the state it met are wrong (protocol.md §1.1).
pub(crate) const INVALID_REQUEST: i64 = -32600;
/// The line is no JSON.
pub(crate) const PARSE_ERROR: i64 = -32700;
/// Something outside failed.
pub(crate) const INTERNAL_ERROR: i64 = -32603;

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<RefusalData>,
}

/// What an error reply says to programs (config.md §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RefusalData {
    config_write_error_code: &'static str,
}

impl Refusal {
    /// The caller's fault.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: INVALID_REQUEST, message: message.into(), data: None }
    }

    /// Not the caller's fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: INTERNAL_ERROR, message: message.into(), data: None }
    }

    /// The configuration cannot be written as the caller wants it.
    pub(crate) fn unwritable(code: &'static str, message: impl Into<String>) -> Self {
        let data = Some(RefusalData { config_write_error_code: code });
        Self { data, ..Self::invalid(message) }
    }

    /// The request could not be decoded; clients match on the prefix (protocol.md §1.3).
    pub(crate) fn undecodable(detail: &str) -> Self {
        Self::invalid(format!("Invalid request: {detail}"))
    }
}
