//! The server as a host meets it: a process with pipes, and a backend on the network.
//!
//! Both runtimes are tested with this file, each with the program that its `tests/subject` names.
//! `UNDERSTUDY_TEST_SERVER` names another server's command line, for trying the tests on it.

mod administration;
mod browser;
mod chromium;
mod coding;
mod collector;
mod commands;
mod compacting;
mod crash;
mod ending;
mod external_tokens;
mod handshake;
mod invariants;
mod logs;
mod prompts;
mod recordings;
mod refresh;
mod rest;
mod review;
mod secrets;
mod signin;
mod signin_ends;
mod stage;
mod stored;
mod stores;
mod telemetry;
mod tools;
mod turn;
mod two_servers;

mod program {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subject/program.rs"));
}
