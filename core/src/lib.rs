//! The whole of an app server for coding agents as one pure, synchronous state machine.
//!
//! Nothing here does IO, reads a clock, spawns a thread or draws randomness of its own.

mod auth;
mod clock;
mod config;
mod effect;
pub mod files;
mod input;
pub mod limits;
mod machine;
mod model;
mod rng;
mod secret;
mod setup;
pub mod thread;
mod turn;
pub mod wire;

pub use clock::Now;
pub use config::Overrides;
pub use effect::{
    AskId, Call, CallId, Effect, ExitStatus, HeaderText, HttpRequest, Method, RefreshAuth, TimerId,
};
pub use input::{
    FreshTokens, HttpFailure, HttpFailureKind, HttpHead, Input, Outcome, RefreshDenied, Signal,
};
pub use machine::Machine;
pub use secret::Secret;
pub use setup::{Environment, HostFacts, Refresh, Setup};
