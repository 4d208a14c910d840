//! What a runtime does for a session: calls through the port against the real thing on loopback and
//! in real files, the login's listener and lock, the standard streams, and the end of the process.
//!
//! The same tests are those of the runtime on async-std (its `Cargo.toml` names this file); what
//! differs is in the `tests/subject` of each.

mod backend;
mod host;
mod listener;
mod network;
mod stdio;

mod subject {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subject/port.rs"));
}
mod program {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subject/program.rs"));
}
mod streams {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subject/streams.rs"));
}
