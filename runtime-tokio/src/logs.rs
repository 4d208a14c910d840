//! Owns: the log on standard error (config.md §1.6). Nothing is ever logged to standard output.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs by `RUST_LOG`, errors only without it; colours on a terminal that did not refuse them.
pub(crate) fn init() {
    let errors = || Targets::new().with_default(LevelFilter::ERROR);
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let (filter, bad) = match wanted.as_deref().map(str::parse::<Targets>) {
        None => (errors(), None),
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (errors(), Some(error)),
    };
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !plain);
    tracing_subscriber::registry().with(filter).with(lines).init();
    if let Some(error) = bad {
        tracing::error!("RUST_LOG is not understood: {error}");
    }
}
