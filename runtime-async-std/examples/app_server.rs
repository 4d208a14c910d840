//! A complete app server on async-std: JSON-RPC on standard input and output, for one host. Its
//! command line is that of `understudy app-server`.

use std::process::ExitCode;

use async_global_executor::GlobalExecutorConfig;
use async_std::task;
use clap::{Parser, Subcommand};
use understudy_async_std::host::{HostInput, HostOutput, Watchdog, signals};
use understudy_async_std::{RecentLogs, Services, Streams, serve_with};
use understudy_core::ExitStatus;
use understudy_std::program::Programs;
use understudy_std::{Flags, Start, exit_code, sandbox, start_log};

/// An app server for coding agents: JSON-RPC, one message a line, on standard input and output.
#[derive(Debug, Parser)]
#[command(name = "understudy", version = VERSION)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (serves protocol 0.94.0)");

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one host; also without any command.
    AppServer(Start),
}

fn main() -> ExitCode {
    sandbox::run_if_asked();
    let Cli { flags, command } = Cli::parse();
    let start = match command {
        Some(Command::AppServer(start)) => start.behind(flags),
        None => Start { flags, ..Start::default() },
    };
    let logs = start_log(start.flags.log_format.unwrap_or_default());
    exit_code(serve(&start, logs))
}

fn serve(start: &Start, logs: RecentLogs) -> Result<ExitStatus, String> {
    let setup = start.flags.setup()?;
    let recording = start.recording()?;
    // For the connections of the HTTP client; otherwise there is one for each processor.
    let one_thread = GlobalExecutorConfig::default().with_min_threads(1).with_max_threads(1);
    async_global_executor::init_with_config(one_thread);
    let served = task::block_on(async {
        let programs = Programs::with_helper(sandbox::this_program());
        let watchdog = Watchdog::new(programs.clone());
        let signals = Some(signals(&watchdog)?);
        let services = Services { signals, programs, logs, recording, ..Services::default() };
        let reader = HostInput::new(watchdog.clone())?;
        let writer = HostOutput::new(watchdog)?;
        serve_with(setup, Streams { reader, writer }, services).await
    });
    served.map_err(|error| error.to_string())
}
