//! `understudy doctor`: what core found, whether the provider answers, and what this machine can do,
//! for a person or as JSON.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use serde::Serialize;
use understudy_core::doctor::{Examination, LayerFacts, TelemetryFacts, examine};
use understudy_core::files::Disk;
use understudy_core::wire::v2::common::SandboxPolicy;
use understudy_core::{ChildEnv, Confinement, ProcessRequest, Setup, Stdio, limits};
use understudy_std::program::Programs;
use understudy_std::{OsFiles, OsKeyring, sandbox};
use understudy_tokio::Http;

/// Everything that is said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    version: &'static str,
    os: String,
    #[serde(flatten)]
    found: Examination,
    reachability: Reachability,
    sandbox: Sandbox,
}

/// Whether the provider answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reachability {
    /// The status of the answer; any says that somebody is there.
    status: Option<u16>,
    took_ms: u128,
    problem: Option<String>,
}

/// Whether commands can be held back here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sandbox {
    works: bool,
    /// Without, nothing can be made directly in a folder that may be written.
    own_mounts: bool,
    problem: Option<String>,
}

/// Looks at everything and says it. Fails if something keeps a server from working.
pub(crate) fn run(setup: &Setup, as_json: bool) -> Result<ExitCode, String> {
    let keyring = OsKeyring::default();
    let found = examine(setup, Disk { files: &OsFiles, keyring: &keyring });
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        os: format!("{} {}; {}", setup.host.os, setup.host.os_version, setup.host.arch),
        reachability: reach(&found)?,
        found,
        sandbox: sandbox(setup),
    };
    let text = if as_json {
        serde_json::to_string_pretty(&report).map_err(|error| error.to_string())? + "\n"
    } else {
        text(&report)
    };
    crate::cli::say(&text);
    let fine = report.problems() == 0;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reach(found: &Examination) -> Result<Reachability, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let started = Instant::now();
    let answer = runtime.block_on(Http::new().status(found.probe()));
    let took_ms = started.elapsed().as_millis();
    // A name that is still looked up must not hold up the report.
    runtime.shutdown_background();
    Ok(match answer {
        Ok(status) => Reachability { status: Some(status), took_ms, problem: None },
        Err(failure) => Reachability { status: None, took_ms, problem: Some(failure.text) },
    })
}

/// Starts this program under the confinement that commands have when they may write.
fn sandbox(setup: &Setup) -> Sandbox {
    let program = sandbox::this_program();
    let own_mounts = sandbox::has_own_mounts(&program);
    let request = ProcessRequest {
        argv: vec![program.to_string_lossy().into_owned(), "--version".to_owned()],
        cwd: setup.cwd.clone(),
        env: ChildEnv::default(),
        stdio: Stdio::Pipes,
        confinement: Some(Confinement {
            policy: SandboxPolicy::WorkspaceWrite {
                writable_roots: Vec::new(),
                network_access: false,
                exclude_tmpdir_env_var: false,
                exclude_slash_tmp: false,
            },
            cwd: setup.cwd.clone(),
            env: Arc::clone(&setup.env),
        }),
    };
    let (sender, answer) = channel();
    Programs::with_helper(program).start(request, move |started| {
        // Dropping the program ends it.
        let _over = sender.send(started.map(drop));
    });
    let problem = match answer.recv_timeout(limits::PROBE_LIMIT) {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure.text),
        Err(_) => Some("the sandbox does not answer".to_owned()),
    };
    Sandbox { works: problem.is_none(), own_mounts, problem }
}

impl Report {
    fn problems(&self) -> usize {
        let found = &self.found;
        let signed_out = found.login.is_required && found.login.mode.is_none();
        let no_key = found.provider.key_variable.as_ref().is_some_and(|(_, is_set)| !is_set);
        found.warnings.len()
            + [
                found.login.problem.is_some(),
                found.provider.problem.is_some(),
                self.reachability.problem.is_some(),
                self.sandbox.problem.is_some(),
                signed_out,
                no_key,
            ]
            .into_iter()
            .filter(|problem| *problem)
            .count()
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let found = &report.found;
    let missing = if found.home_exists { "" } else { " (not there yet)" };
    writeln!(out, "understudy {} (serves protocol {})", report.version, found.protocol_version)?;
    writeln!(out, "system       {}", report.os)?;
    writeln!(out, "home         {}{missing}", found.home.display())?;
    writeln!(out, "folder       {}", found.cwd.display())?;
    writeln!(out, "\nconfiguration, strongest first")?;
    found.layers.iter().try_for_each(|layer| write_layer(out, layer))?;
    for warning in &found.warnings {
        writeln!(out, "  ! {}", warning.summary.trim_end())?;
        if let Some(details) = &warning.details {
            writeln!(out, "    {}", details.trim_end())?;
        }
    }
    write_login(out, report)?;
    write_provider(out, report)?;
    writeln!(out, "\nsandbox      {}", found.sandbox_mode)?;
    writeln!(out, "approvals    {}", found.approval_policy)?;
    if let Some(problem) = &report.sandbox.problem {
        writeln!(out, "  ! commands that need a sandbox do not run: {problem}")?;
    } else if !report.sandbox.own_mounts {
        writeln!(out, "  Landlock alone: commands make nothing directly in a writable folder")?;
    }
    if !found.mcp_servers.is_empty() {
        writeln!(out, "\nMCP servers")?;
    }
    for server in &found.mcp_servers {
        let state = match (&server.enabled, &server.disabled_reason) {
            (true, _) => String::new(),
            (false, None) => ", switched off".to_owned(),
            (false, Some(reason)) => format!(", switched off: {reason}"),
        };
        writeln!(out, "  {} ({}{state})", server.name, server.transport)?;
    }
    write_telemetry(out, report)?;
    match report.problems() {
        0 => writeln!(out, "\nNothing is wrong."),
        1 => writeln!(out, "\n1 problem."),
        n => writeln!(out, "\n{n} problems."),
    }
}

fn write_layer(out: &mut String, layer: &LayerFacts) -> std::fmt::Result {
    let place = layer.source.file().map_or("command line".to_owned(), |f| f.display().to_string());
    let keys = if layer.keys.is_empty() { "nothing".to_owned() } else { layer.keys.join(", ") };
    writeln!(out, "  {place}: {keys}")?;
    match &layer.disabled {
        Some(reason) => writeln!(out, "    does not count: {reason}"),
        None => Ok(()),
    }
}

fn write_telemetry(out: &mut String, report: &Report) -> std::fmt::Result {
    let Some(telemetry) = &report.found.telemetry else { return Ok(()) };
    let prompts = if telemetry.has_prompts { " (with the words of prompts)" } else { "" };
    writeln!(out, "\ntelemetry{prompts}")?;
    let TelemetryFacts { logs, traces, metrics, .. } = telemetry;
    for (name, to) in [("logs", logs), ("traces", traces), ("metrics", metrics)] {
        match to {
            Some(to) => writeln!(out, "  {name}: {} ({})", to.host, to.protocol)?,
            None => writeln!(out, "  {name}: not sent")?,
        }
    }
    Ok(())
}

fn write_login(out: &mut String, report: &Report) -> std::fmt::Result {
    let login = &report.found.login;
    let who = login.mode.as_ref().map_or("nobody".to_owned(), word);
    let plan = login.plan.as_ref().map_or(String::new(), |plan| format!(", plan {}", word(plan)));
    let required = match (login.is_required, login.mode) {
        (true, None) => " (the provider wants somebody)",
        _ => "",
    };
    writeln!(out, "\nsigned in    {who}{plan}{required}")?;
    match &login.problem {
        Some(problem) => writeln!(out, "  ! {problem}"),
        None => Ok(()),
    }
}

fn write_provider(out: &mut String, report: &Report) -> std::fmt::Result {
    let provider = &report.found.provider;
    writeln!(out, "provider     {} at {}", provider.id, provider.url)?;
    if let Some((name, is_set)) = &provider.key_variable {
        writeln!(out, "  {name} is {}", if *is_set { "set" } else { "not set" })?;
    }
    if let Some(problem) = &provider.problem {
        writeln!(out, "  ! {problem}")?;
    }
    let Reachability { status, took_ms, problem } = &report.reachability;
    match (status, problem) {
        (Some(status), _) => writeln!(out, "  answers (status {status}, {took_ms} ms)"),
        (None, problem) => {
            let problem = problem.as_deref().unwrap_or("no answer");
            writeln!(out, "  ! cannot be reached: {problem} ({took_ms} ms)")
        }
    }
}

/// A value that is a word on the wire.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
