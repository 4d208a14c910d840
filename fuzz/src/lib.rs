//! A simulated world around the machine, and the properties that must hold in it.
//!
//! * [`choose`]: where choices come from: a seed, a fuzzer's bytes, or every combination.
//! * [`world`]: one machine, with clock, files, timers, calls and a host that are all scripted.
//! * [`sessions`]: one or two machines with threads, tools, programs, approvals and crashes.
//! * [`sim`]: sessions by seed, of any kind of world: played, repeated, made small, counted.
//! * [`auth`]: what is known of credentials: a reference model, steps, and named invariants.

pub mod auth;
pub mod choose;
pub mod sessions;
pub mod sim;
pub mod world;
