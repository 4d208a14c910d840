//! Owns: the log on standard error (config.md §1.6), and its last lines for feedback. Nothing is
//! ever logged to standard output.

use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use understudy_tokio::RecentLogs;

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people; in colours on a terminal that did not refuse them.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs by `RUST_LOG`, errors only without it, and keeps the last lines that the server itself has
/// to say to a person.
pub(crate) fn init(format: LogFormat) -> RecentLogs {
    let errors = || Targets::new().with_default(LevelFilter::ERROR);
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let (filter, bad) = match wanted.as_deref().map(str::parse::<Targets>) {
        None => (errors(), None),
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (errors(), Some(error)),
    };
    let recent = RecentLogs::new();
    let kept = recent.clone();
    let kept = tracing_subscriber::fmt::layer()
        .with_writer(move || kept.clone())
        .with_ansi(false)
        // Other crates may say more than their users know.
        .with_filter(Targets::new().with_target("understudy", LevelFilter::INFO));
    tracing_subscriber::registry().with(lines(format).with_filter(filter)).with(kept).init();
    if let Some(error) = bad {
        tracing::error!("RUST_LOG is not understood: {error}");
    }
    recent
}

/// The lines on standard error, those about the life of spans included.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer =
        tracing_subscriber::fmt::layer().with_writer(stderr).with_span_events(FmtSpan::FULL);
    match format {
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            layer.with_ansi(stderr().is_terminal() && !plain).boxed()
        }
    }
}
