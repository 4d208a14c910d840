//! What both runtimes of Understudy need from the operating system, blocking, on std: files,
//! programs, the keyring, the search for files, and the facts that a machine is set up with.
//!
//! Nothing here knows a method, a rule or an async runtime.

mod environment;
mod files;
mod host;
mod keyring;
pub mod program;
mod recording;
pub mod sandbox;
mod search;
mod zone;

pub use environment::{HomeError, codex_home, environment, seed};
pub use files::OsFiles;
pub use host::host_facts;
pub use keyring::OsKeyring;
pub use recording::{NoteQueue, RecordingEnd, RecordingFile, read_recording};
pub use search::search;
pub use zone::zone;
