//! The host behind the standard streams of a process: its bytes, its signals, its death.
//!
//! For a program that is an app server and nothing else; one that embeds it has a host of its own.

mod signals;
mod stdio;

pub use signals::signals;
pub use stdio::{HostInput, HostOutput};
pub use understudy_std::Watchdog;
