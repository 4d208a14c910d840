//! What both runtimes of Understudy are made of: what they need from the operating system,
//! blocking, on std (files, programs, the keyring, the search for files, the facts that a machine
//! is set up with), and the calls, timers, streams and measurements of a session, polled, over the
//! little that a [`runtime`] has of its own.
//!
//! Nothing here knows a method, a rule, or which async runtime it runs on.

pub mod backend;
mod environment;
mod files;
mod flags;
mod host;
mod keyring;
#[cfg(feature = "flags")]
mod logs;
mod parent;
pub mod program;
mod recent_logs;
mod recording;
mod refreshes;
pub mod runtime;
pub mod sandbox;
mod search;
mod session;
mod stdio;
mod telemetry;
mod timers;
mod tls;
mod watchdog;
mod zone;

pub use environment::{HomeError, codex_home, environment, seed};
pub use files::OsFiles;
pub use flags::{Flags, LogFormat, Start, exit_code, fail};
pub use host::host_facts;
pub use keyring::OsKeyring;
#[cfg(feature = "flags")]
pub use logs::start_log;
pub use parent::{PARENT_POLL, Parent};
pub use recent_logs::RecentLogs;
pub use recording::{NoteQueue, RecordingEnd, RecordingFile, read_recording, read_recording_lines};
pub use refreshes::{Refresher, Refreshes};
pub use search::search;
pub use session::{After, run_session};
pub use stdio::{HostInput, HostOutput};
pub use telemetry::{Exports, Flush};
pub use timers::Timers;
pub use tls::{Trust, tls, tls_for};
pub use watchdog::Watchdog;
pub use zone::zone;
