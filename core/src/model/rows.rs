//! The rows of the tables about failed requests (engine.md §2.3, §2.4), numbered for
//! [`crate::reached`].

use super::errors::{ErrorInfo, ModelError};
use crate::reached::{Row, Table};

/// What follows a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterError {
    /// 401, and the turn fails.
    UnauthorizedFinal,
    /// 401, and the credential room is asked.
    Unauthorized,
    /// Again, without a word.
    Silent,
    /// Again, and the host is told.
    Told,
    /// It could pass, but no try is left.
    UsedUp,
    /// It will not pass.
    Fatal,
}

impl AfterError {
    /// Its row.
    pub(crate) fn row(self) -> Row {
        Row(Table::AfterError, self as usize)
    }
}

/// The row of an error.
pub(crate) fn error(error: &ModelError) -> Row {
    let place = match (&error.info, error.http_status) {
        (ErrorInfo::ContextWindowExceeded, _) => 0,
        (ErrorInfo::UsageLimitExceeded, Some(_)) => 1,
        (ErrorInfo::UsageLimitExceeded, None) => 2,
        (ErrorInfo::ModelCap { .. }, _) => 3,
        (ErrorInfo::ResponseTooManyFailedAttempts { .. }, _) => 4 + usize::from(error.retryable),
        (ErrorInfo::InternalServerError, _) => 6,
        (ErrorInfo::Unauthorized, _) => 7,
        (ErrorInfo::BadRequest, _) => 8,
        (ErrorInfo::Other | ErrorInfo::ResponseStreamDisconnected { .. }, status) => {
            let in_stream = usize::from(status.is_none()) * 3;
            let passes = match (error.retryable, error.delay) {
                (false, _) => 0,
                (true, None) => 1,
                (true, Some(_)) => 2,
            };
            9 + in_stream + passes
        }
    };
    Row(Table::ModelError, place)
}

#[cfg(feature = "sim")]
mod names {
    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(crate) fn errors() -> Vec<String> {
        owned(&[
            "context full",
            "429: the plan is used up",
            "stream: the plan is used up",
            "429: the model is at capacity",
            "429: for good",
            "429: for a while",
            "500",
            "401",
            "400: an image that cannot be read",
            "any other status: for good",
            "any other status: passing",
            "any other status: for a while",
            "stream or transport: for good",
            "stream or transport: passing",
            "stream or transport: for a while",
        ])
    }

    pub(crate) fn what_follows() -> Vec<String> {
        owned(&[
            "401: the turn fails",
            "401: the credential room is asked",
            "again, without a word",
            "again, and the host is told",
            "no try is left",
            "it will not pass",
        ])
    }
}

#[cfg(feature = "sim")]
pub(crate) use names::{errors, what_follows};
