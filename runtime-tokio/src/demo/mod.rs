//! The demonstration behind `understudy demo`.

use std::process::ExitCode;

/// Runs the demonstration; with `json` its report is one JSON object.
pub fn run(json: bool) -> ExitCode {
    tracing::error!(json, "the demonstration is not part of this build");
    ExitCode::FAILURE
}
