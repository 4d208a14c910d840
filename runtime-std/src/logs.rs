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

use crate::{LogFormat, RecentLogs};

/// Logs by `RUST_LOG`, errors only without it, and keeps the last lines that the server itself has
/// to say to a person. Once in a process.
pub fn start_log(format: LogFormat) -> RecentLogs {
    let (filter, ignored) = wanted(&std::env::var("RUST_LOG").unwrap_or_default());
    let recent = RecentLogs::new();
    let kept = recent.clone();
    let kept = tracing_subscriber::fmt::layer()
        .with_writer(move || kept.clone())
        .with_ansi(false)
        // Other crates may say more than their users know.
        .with_filter(Targets::new().with_target("understudy", LevelFilter::INFO));
    tracing_subscriber::registry().with(lines(format).with_filter(filter)).with(kept).init();
    for directive in ignored {
        tracing::error!("RUST_LOG: ignoring `{directive}`: invalid filter directive");
    }
    recent
}

/// What the directives ask for, and those that are none; errors only where none is good.
fn wanted(text: &str) -> (Targets, Vec<String>) {
    let mut good = Vec::new();
    let mut ignored = Vec::new();
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<Targets>() {
            Ok(_) => good.push(directive),
            Err(_) => ignored.push(directive.to_owned()),
        }
    }
    let targets = match good.is_empty() {
        true => None,
        false => good.join(",").parse().ok(),
    };
    (targets.unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR)), ignored)
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

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::wanted;

    #[test]
    fn a_directive_that_is_none_costs_itself_only() {
        let (targets, ignored) = wanted("understudy_core=debug, bogus=zz,,info");
        assert_eq!(ignored, ["bogus=zz"]);
        assert!(targets.would_enable("understudy_core::turn", &Level::DEBUG));
        assert!(targets.would_enable("other", &Level::INFO));
        assert!(!targets.would_enable("other", &Level::DEBUG));
        for text in ["", " , ", "not/a=filter="] {
            let (targets, _) = wanted(text);
            assert!(targets.would_enable("x", &Level::ERROR), "{text}");
            assert!(!targets.would_enable("x", &Level::WARN), "{text}");
        }
    }
}
