//! The host behind the standard streams of a process: its bytes, its signals, its death.
//!
//! For the binary; a program that embeds the server has a host of its own.

mod signals;
mod stdio;
mod watchdog;
mod worker;

pub use signals::signals;
pub use stdio::{HostInput, HostOutput};
pub use watchdog::Watchdog;
