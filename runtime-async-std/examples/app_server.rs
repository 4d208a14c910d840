//! A complete app server on async-std: JSON-RPC on standard input and output, for one host. Its
//! command line is that of `understudy app-server`.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use async_global_executor::GlobalExecutorConfig;
use async_std::task;
use clap::{Parser, Subcommand};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use understudy_async_std::host::{HostInput, HostOutput, Watchdog, signals};
use understudy_async_std::{RecentLogs, Services, Streams, serve_with};
use understudy_core::ExitStatus;
use understudy_std::program::Programs;
use understudy_std::{Flags, exit_code, sandbox};

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
    AppServer {
        #[command(flatten)]
        flags: Flags,
        /// Accepted for compatibility; nothing is collected.
        #[arg(long, hide = true)]
        analytics_default_enabled: bool,
    },
}

fn main() -> ExitCode {
    sandbox::run_if_asked();
    let Cli { flags, command } = Cli::parse();
    let flags = match command {
        Some(Command::AppServer { flags: behind, .. }) => flags.and(behind),
        None => flags,
    };
    exit_code(serve(&flags, log()))
}

fn serve(flags: &Flags, logs: RecentLogs) -> Result<ExitStatus, String> {
    let setup = flags.setup()?;
    // For the connections of the HTTP client; otherwise there is one for each processor.
    let one_thread = GlobalExecutorConfig::default().with_min_threads(1).with_max_threads(1);
    async_global_executor::init_with_config(one_thread);
    let served = task::block_on(async {
        let programs = Programs::with_helper(sandbox::this_program());
        let watchdog = Watchdog::new(programs.clone());
        let services =
            Services { signals: Some(signals(&watchdog)?), programs, logs, ..Services::default() };
        let reader = HostInput::new(watchdog.clone())?;
        let writer = HostOutput::new(watchdog)?;
        serve_with(setup, Streams { reader, writer }, services).await
    });
    served.map_err(|error| error.to_string())
}

/// Logs to standard error by `RUST_LOG`, errors only without it, and keeps the last lines for users
/// who send feedback.
fn log() -> RecentLogs {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse().ok());
    let errors = || Targets::new().with_default(LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(stderr().is_terminal())
        .with_filter(wanted.unwrap_or_else(errors));
    let recent = RecentLogs::new();
    let kept = recent.clone();
    let kept = tracing_subscriber::fmt::layer()
        .with_writer(move || kept.clone())
        .with_ansi(false)
        // Other crates may say more than their users know.
        .with_filter(Targets::new().with_target("understudy", LevelFilter::INFO));
    tracing_subscriber::registry().with(lines).with(kept).init();
    recent
}
