//! Real programs, run through the port.
//!
//! Goal: what a program says and how it ends arrive whole and in bounds, and nothing of it is left
//! when it was killed, cancelled or its session is over. Method: small shell scripts that print the
//! numbers of their processes, which are then looked up.
//!
//! Both runtimes are tested with this file; what differs is in the `tests/subject` of each.

#![cfg(target_os = "linux")]

mod ending;
mod landlock_alone;
mod output;
mod sandbox;
mod stage;
mod starting;
mod terminal;

mod subject {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subject/port.rs"));
}
mod program {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subject/program.rs"));
}
