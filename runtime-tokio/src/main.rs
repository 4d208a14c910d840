//! The server as a process: JSON-RPC on standard input and output, for one host.

mod cli;
mod doctor;
mod generate;
mod replay;

use std::process::ExitCode;

use cli::Request;
use understudy_core::ExitStatus;
use understudy_std::program::Programs;
use understudy_std::{Start, exit_code, fail, sandbox, start_log};
use understudy_tokio::host::{HostInput, HostOutput, Watchdog, signals};
use understudy_tokio::{RecentLogs, Services, Streams, demo, serve_with};

fn main() -> ExitCode {
    sandbox::run_if_asked();
    let request = cli::request();
    let logs = start_log(request.log_format());
    match request {
        Request::Serve(start) => exit_code(serve(&start, logs)),
        Request::Demo { json } => demo::run(json),
        Request::Doctor { flags, json } => {
            let report = flags.setup().and_then(|setup| doctor::run(&setup, json));
            report.unwrap_or_else(|text| fail(&text))
        }
        Request::Generate(wanted) => match generate::run(&wanted) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => fail(&text),
        },
        Request::Replay(wanted) => replay::run(&wanted),
        Request::Done(code) => code,
    }
}

fn serve(start: &Start, logs: RecentLogs) -> Result<ExitStatus, String> {
    let setup = start.flags.setup()?;
    let recording = start.recording()?;
    let said = |error: std::io::Error| error.to_string();
    // One thread does everything but file jobs, name lookups and terminals: small and quick.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(said)?;
    let served = runtime.block_on(async {
        let programs = Programs::with_helper(sandbox::this_program());
        let watchdog = Watchdog::new(programs.clone());
        let signals = Some(signals(&watchdog)?);
        let services = Services { signals, programs, logs, recording, ..Services::default() };
        let reader = HostInput::new(watchdog.clone())?;
        let writer = HostOutput::new(watchdog)?;
        serve_with(setup, Streams { reader, writer }, services).await
    });
    // A thread that still blocks on a file must not hold up the end.
    runtime.shutdown_background();
    served.map_err(said)
}
