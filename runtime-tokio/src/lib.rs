//! Understudy on tokio: the machine of `understudy-core` served over any byte streams.
//!
//! [`serve`] is the whole of it for a program that embeds the server; the binary `understudy` does
//! the same over its standard streams. [`Services`] says what a session shares with others (one
//! HTTP client and its connections) and what it does differently (files elsewhere, an in-process
//! answer to token refreshes). A program whose sessions run confined commands calls
//! [`understudy_std::sandbox::run_if_asked`] first thing in its `main`.

mod http;
mod port;
mod reactor;
mod serve;

pub mod demo;
pub mod host;

pub use http::{Http, HttpBody};
pub use port::TokioPort;
pub use serve::{Services, Streams, serve, serve_with};
pub use understudy_std::{RecentLogs, Refresher};

/// The page about embedding, so that its code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
