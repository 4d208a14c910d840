//! The host behind the standard streams of a process: its bytes, its signals, its death.
//!
//! For the binary; a program that embeds the server has a host of its own.

mod signals;
mod stdio;

pub use signals::signals;
pub use stdio::{HostInput, HostOutput};
pub use understudy_std::Watchdog;
