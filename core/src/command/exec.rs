//! Owns: one command of a client, and the reply to it (protocol.md §8).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::approval::sandbox_kind;
use crate::config::Config;
use crate::limits;
use crate::process::{Confinement, Ended, Job, ProcessExit, ProcessRequest, Stdio, child_env};
use crate::setup::Setup;
use crate::wire::legacy::conversation::ExecOneOffCommandParams;
use crate::wire::refusal::Refusal;
use crate::wire::v2::command::{CommandExecParams, CommandExecResponse};
use crate::wire::v2::common::SandboxPolicy;

/// What a client wants to be run, in whichever dialect.
#[derive(Debug)]
pub(crate) struct Exec {
    argv: Vec<String>,
    cwd: Option<String>,
    limit: Duration,
    policy: Option<SandboxPolicy>,
}

impl From<CommandExecParams> for Exec {
    fn from(params: CommandExecParams) -> Self {
        let millis = params.timeout_ms.and_then(|millis| u64::try_from(millis).ok());
        Self {
            argv: params.command,
            cwd: params.cwd,
            limit: limit(millis),
            policy: params.sandbox_policy,
        }
    }
}

impl From<ExecOneOffCommandParams> for Exec {
    fn from(params: ExecOneOffCommandParams) -> Self {
        // What the newer dialect could not say stands for a minute (protocol.md §3.3).
        let millis = params.timeout_ms.map(|millis| {
            let sayable = i64::try_from(millis).is_ok();
            if sayable { millis } else { 60_000 }
        });
        Self {
            argv: params.command,
            cwd: params.cwd,
            limit: limit(millis),
            policy: params.sandbox_policy.map(SandboxPolicy::from),
        }
    }
}

fn limit(millis: Option<u64>) -> Duration {
    let asked = millis.map_or(limits::COMMAND_LIMIT, Duration::from_millis);
    asked.min(limits::COMMAND_LIMIT_MAX)
}

impl Exec {
    /// The program to run, or why it is not run: there is none, or the administrator does not allow
    /// its sandbox. That holds as well for the sandbox of the configuration, and whatever else is
    /// wrong with the configuration (config.md §10, 1).
    pub(super) fn job(self, setup: &Setup, config: &Config) -> Result<Job, Refusal> {
        if self.argv.is_empty() {
            return Err(Refusal::invalid("command must not be empty"));
        }
        let permissions = &config.permissions;
        let policy = self.policy.unwrap_or_else(|| SandboxPolicy::configured(permissions));
        if let Err(not_allowed) = permissions.requirements.check_sandbox(sandbox_kind(&policy)) {
            return Err(Refusal::invalid(format!("invalid sandbox policy: {not_allowed}")));
        }
        let cwd = self.cwd.map_or_else(|| setup.cwd.clone(), |cwd| setup.cwd.join(cwd));
        let env = child_env(&config.shell_environment, &setup.env, policy.has_network());
        let request = ProcessRequest {
            argv: self.argv,
            env,
            stdio: Stdio::Pipes,
            confinement: confinement(policy, cwd.clone(), setup),
            cwd,
        };
        Ok(Job { request, limit: self.limit, bytes_max: limits::COMMAND_OUTPUT_BYTES_MAX })
    }
}

/// What holds a command back. Its own folder is its workspace, not the one that the server was
/// started in, which may be anything.
fn confinement(policy: SandboxPolicy, cwd: PathBuf, setup: &Setup) -> Option<Confinement> {
    match policy {
        SandboxPolicy::DangerFullAccess | SandboxPolicy::ExternalSandbox { .. } => None,
        SandboxPolicy::ReadOnly | SandboxPolicy::WorkspaceWrite { .. } => {
            Some(Confinement { policy, cwd, env: Arc::clone(&setup.env) })
        }
    }
}

/// The reply to a command that has ended.
pub(super) fn reply(ended: Ended) -> Result<CommandExecResponse, Refusal> {
    let why = match ended {
        Ended::Exited { exit: ProcessExit::Code(exit_code), stdout, stderr } => {
            let (stdout, stderr) = (stdout.text(), stderr.text());
            return Ok(CommandExecResponse { exit_code, stdout, stderr });
        }
        Ended::Exited { exit: ProcessExit::Signal(_), .. } => {
            "sandbox error: command was killed by a signal".to_owned()
        }
        Ended::TimedOut => "sandbox error: command timed out".to_owned(),
        Ended::NotStarted(failure) => failure.text,
        Ended::Lost => "the process backend failed".to_owned(),
    };
    Err(failed(&why))
}

/// Clients match on the prefix.
pub(super) fn failed(why: &str) -> Refusal {
    Refusal::internal(format!("exec failed: {why}"))
}
