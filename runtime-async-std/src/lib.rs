//! Understudy on async-std: the machine of `understudy-core` served over any byte streams of
//! futures-io.
//!
//! **async-std is discontinued upstream (RUSTSEC-2025-0052).** This crate is for hosts that are
//! built on it already; a new one takes `understudy-tokio`. It is used here and nowhere else, and
//! for its tasks alone. The crate's README shows the few lines that go over to smol.
//!
//! [`serve`] is the whole of it for a program that embeds the server; the example `app_server` does
//! the same over its standard streams. [`Services`] says what a session shares with others (one
//! HTTP client and its connections) and what it does differently (files elsewhere, an in-process
//! answer to token refreshes). A program whose sessions run confined commands calls
//! [`understudy_std::sandbox::run_if_asked`] first thing in its `main`.

mod connect;
mod http;
mod port;
mod reactor;
mod serve;

pub mod host;

pub use http::{Http, HttpBody};
pub use port::AsyncStdPort;
pub use serve::{Services, Signals, Streams, serve, serve_with};
pub use understudy_std::{RecentLogs, Refresher};
