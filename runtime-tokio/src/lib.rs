//! Understudy on tokio: the machine of `understudy-core` served over any byte streams.
//!
//! [`serve`] is the whole of it for a program that embeds the server; the binary `understudy` does
//! the same over its standard streams. [`Services`] says what a session shares with others (one
//! HTTP client and its connections) and what it does differently (files elsewhere, an in-process
//! answer to token refreshes). A program whose sessions run confined commands calls
//! [`understudy_std::sandbox::run_if_asked`] first thing in its `main`.

mod backend;
mod hold;
mod http;
mod lane;
mod listener;
mod port;
mod process;
mod reactor;
mod recent_logs;
mod rest;
mod search;
mod serve;
mod telemetry;
mod timers;

pub mod demo;
pub mod host;

pub use http::Http;
pub use port::{Refresher, TokioPort};
pub use recent_logs::RecentLogs;
pub use serve::{Services, Streams, serve, serve_with};
