//! The whole of an app server for coding agents as one pure, synchronous state machine.
//!
//! Nothing here does IO, reads a clock, spawns a thread or draws randomness of its own. A program
//! around it tells a [`Machine`] what happened and does what it asks for.
//!
//! # The contract
//!
//! * [`Machine::handle`] takes one [`Input`] and the moment it happened. It is total: there is no
//!   error to look at, and nothing that a peer sends makes it panic.
//! * After each input, and once after [`Machine::new`], take every [`Effect`] from
//!   [`Machine::poll_effect`], in order, until there is none.
//! * [`Effect::Send`] says that bytes for the host lie in [`Machine::pending_output`]. Write as many
//!   as the host takes and say so with [`Machine::wrote`], which may queue effects too. The bytes
//!   stay in place until then, and `Send` is not repeated for those that are added to them.
//! * [`Effect::Start`] begins a [`Call`]; its answers come back as [`Input::Done`] under the same
//!   id, in order. A call that was cancelled or forgotten may answer all the same: that does nothing.
//! * While [`Machine::wants_input`] is false, hold back the host's bytes and the partial answers to
//!   calls; deliver everything else. This is the whole of back-pressure.
//! * The same setup, seed, moments and inputs give the same bytes, always.
//!
//! # The loop
//!
//! One host that says hello and goes, served on files in memory:
//!
//! ```
//! use std::{collections::VecDeque, io::Write, time::Duration};
//! use understudy_core::files::{Disk, MemoryFiles, NoKeyring};
//! use understudy_core::{Call, Effect, Input, Machine, Now, Outcome, Setup};
//!
//! let files = MemoryFiles::new(); // A program has `understudy_std::OsFiles`.
//! let disk = Disk { files: &files, keyring: &NoKeyring };
//! let now = || Now::new(Duration::ZERO, jiff::Timestamp::UNIX_EPOCH); // Your clock.
//! let hello = br#"{"id":1,"method":"initialize","params":{"clientInfo":{"name":"me","version":"1"}}}"#;
//! let mut inputs = VecDeque::from([Input::Bytes(hello), Input::Bytes(b"\n"), Input::Eof]);
//! let mut host = Vec::new(); // What the host reads.
//!
//! let mut machine = Machine::new(Setup::new("/home/me/.codex", "/work"), [7; 32], now());
//! let status = loop {
//!     match machine.poll_effect() {
//!         Some(Effect::Send) => {
//!             let written = host.write(machine.pending_output())?;
//!             machine.wrote(written);
//!         }
//!         Some(Effect::Start(id, call)) => match *call {
//!             Call::Files(job) => {
//!                 let answer = Box::new(job.run(disk));
//!                 inputs.push_front(Input::Done(id, Outcome::Files(answer)));
//!             }
//!             _ => inputs.push_back(Input::Done(id, Outcome::Lost)), // No network here.
//!         },
//!         Some(Effect::Exit(status)) => break status,
//!         Some(_) => {} // Timers, and calls that are not wanted any more.
//!         None => machine.handle(now(), inputs.pop_front().expect("it ends after `Eof`")),
//!     }
//! };
//! assert_eq!(status, understudy_core::ExitStatus::Clean);
//! assert!(host.starts_with(br#"{"id":1,"result":{"userAgent":"me/"#));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`Driver`] is this loop as a future over a [`Port`], with everything that the short one leaves
//! out; the runtime crates use it.

pub mod approval;
mod auth;
mod clock;
mod command;
pub mod config;
pub mod doctor;
pub mod driver;
mod effect;
mod exchange;
pub mod files;
mod input;
pub mod limits;
mod machine;
mod model;
mod outside;
mod owner;
mod pending;
mod process;
pub mod prompts;
pub mod reached;
mod rng;
pub mod rules;
#[cfg(feature = "schema")]
pub mod schema;
mod search;
mod secret;
mod session;
mod setup;
pub mod skills;
pub mod telemetry;
pub mod thread;
pub mod tools;
pub mod trace;
mod turn;
pub mod wire;

/// Beside the sources, because it reads and writes a file.
#[cfg(test)]
#[path = "../tests/inside/rules_file.rs"]
mod rules_file;

#[cfg(feature = "sim")]
pub use auth::{ClaimsOf, claims_of};
pub use clock::Now;
pub use config::Overrides;
pub use driver::{Driver, Port};
pub use effect::{
    AskId, Call, CallId, Effect, ExitStatus, Feed, HeaderText, HttpRequest, Listen, Method,
    PageAnswer, RefreshAuth, TimerId, VisitId,
};
pub use input::{
    FreshTokens, HttpFailure, HttpFailureKind, HttpHead, Input, ListenFailure, Outcome,
    RefreshDenied, Signal, Visit,
};
pub use machine::Machine;
#[cfg(feature = "sim")]
pub use machine::{OpenWork, State};
#[cfg(feature = "sim")]
pub use model::{events_of, is_event};
pub use process::{
    ChildEnv, Confinement, OutputStream, ProcessExit, ProcessFailure, ProcessFailureKind,
    ProcessRequest, Stdio,
};
pub use search::SearchRequest;
pub use secret::Secret;
pub use setup::{Environment, HostFacts, Refresh, Setup};
