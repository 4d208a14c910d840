//! The whole of an app server for coding agents as one pure, synchronous state machine.
//!
//! Nothing here does IO, reads a clock, spawns a thread or draws randomness of its own.

mod auth;
mod clock;
pub mod config;
pub mod driver;
mod effect;
pub mod files;
mod input;
pub mod limits;
mod machine;
mod model;
mod outside;
mod owner;
mod pending;
mod rng;
mod secret;
mod session;
mod setup;
mod thread;
mod tools;
mod turn;
pub mod wire;

pub use clock::Now;
pub use config::Overrides;
pub use driver::{Driver, Port};
pub use effect::{
    AskId, Call, CallId, Effect, ExitStatus, HeaderText, HttpRequest, Method, RefreshAuth, TimerId,
};
pub use input::{
    FreshTokens, HttpFailure, HttpFailureKind, HttpHead, Input, Outcome, RefreshDenied, Signal,
};
pub use machine::Machine;
#[cfg(feature = "sim")]
pub use machine::OpenWork;
pub use secret::Secret;
pub use setup::{Environment, HostFacts, Refresh, Setup};
