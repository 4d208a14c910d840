//! Owns: that there is no sandbox on this system.

use std::path::Path;
use std::process::Command;

use understudy_core::approval::SandboxPlan;
use understudy_core::{ProcessFailure, ProcessFailureKind, ProcessRequest};

use crate::program::failure;

/// A confined program: there are none.
pub(crate) enum Confined {}

/// What would be kept for one.
#[derive(Debug)]
pub(crate) enum StandIn {}

impl Confined {
    pub(crate) fn new(
        _: &ProcessRequest,
        _: &SandboxPlan,
        _: Option<&Path>,
    ) -> Result<(Self, Command), ProcessFailure> {
        let text = "no sandbox: there is none for this operating system";
        Err(failure(ProcessFailureKind::NoSandbox, &text))
    }

    pub(crate) fn begin(self) -> Result<Vec<StandIn>, ProcessFailure> {
        match self {}
    }
}
