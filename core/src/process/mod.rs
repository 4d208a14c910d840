//! A program that is run: what the machine asks for, and what it hears of it.
//!
//! Owns: the data of [`Call::Process`](crate::Call::Process) and of its answers. When a program is
//! stopped, how long it may run and what of its output is kept is decided by who asks; a backend
//! starts it, moves bytes and ends its whole process group.

mod environment;
mod kept;
mod run;

pub(crate) use environment::child_env;
pub(crate) use kept::Kept;
pub(crate) use run::{Ended, Job, Run};

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::approval::SandboxPlan;
use crate::files::Files;
use crate::setup::Environment;
use crate::wire::v2::common::SandboxPolicy;

/// A program to run as the leader of a process group of its own.
#[derive(Clone, Debug)]
pub struct ProcessRequest {
    /// The program and its arguments; a program without a slash is looked for in the `PATH` of
    /// [`env`](Self::env). Never empty.
    pub argv: Vec<String>,
    /// The folder it starts in; absolute.
    pub cwd: PathBuf,
    /// All of its environment: nothing is inherited.
    pub env: ChildEnv,
    /// What its standard streams are.
    pub stdio: Stdio,
    /// What holds it back; none lets it do what the server itself may.
    pub confinement: Option<Confinement>,
}

/// The environment of a child. It may hold keys, so `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChildEnv(pub BTreeMap<String, String>);

impl fmt::Debug for ChildEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The standard streams of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Nothing to read, and a pipe each for output and errors.
    Pipes,
    /// One pseudo-terminal for all three; what it says comes as [`OutputStream::Stdout`].
    Terminal {
        /// Its height in lines.
        rows: u16,
        /// Its width in characters.
        columns: u16,
    },
}

/// A sandbox, as the policy that a backend makes a plan of.
///
/// Where it cannot be had the program is not started: see [`ProcessFailureKind::NoSandbox`].
#[derive(Clone, Debug)]
pub struct Confinement {
    /// The policy.
    pub policy: SandboxPolicy,
    /// The working folder of the turn, which the policy may make writable; absolute.
    pub cwd: PathBuf,
    /// Variables of the server that the policy looks at.
    pub env: Arc<Environment>,
}

impl Confinement {
    /// What the program is to be held to. Looks at the files, so it runs where that may block.
    pub fn plan(&self, files: &dyn Files) -> SandboxPlan {
        SandboxPlan::new(&self.policy, &self.cwd, &self.env, files)
    }

    /// The working folder of the turn.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }
}

/// Where output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputStream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard errors.
    Stderr,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessExit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Why a program was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessFailure {
    /// What kind of failure it was.
    pub kind: ProcessFailureKind,
    /// One line for a person, without secrets, as in `No such file or directory (os error 2)`.
    pub text: String,
}

/// The kinds of [`ProcessFailure`] that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessFailureKind {
    /// There is no such program, or it may not be run.
    Program,
    /// The folder to start in is not there.
    Folder,
    /// The kernel, or the program around this library, has no sandbox to offer.
    NoSandbox,
    /// Anything else.
    Other,
}
