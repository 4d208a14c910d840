//! A simulated world around the machine, and the properties that must hold in it.
//!
//! * [`choose`]: where choices come from: a seed, a fuzzer's bytes, or every combination.
//! * [`world`]: one machine, with clock, files, timers, calls and a host that are all scripted.
//! * [`auth`]: what is known of credentials: a reference model, steps, and named invariants.
//! * [`targets`]: what fuzzers run.

pub mod auth;
pub mod choose;
pub mod targets;
pub mod world;
