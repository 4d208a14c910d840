//! The whole of an app server for coding agents as one pure, synchronous state machine.
//!
//! Nothing here does IO, reads a clock, spawns a thread or draws randomness of its own.

pub mod approval;
mod auth;
mod clock;
pub mod config;
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
mod rng;
pub mod rules;
mod secret;
mod session;
mod setup;
mod thread;
pub mod tools;
mod turn;
pub mod wire;

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
pub use secret::Secret;
pub use setup::{Environment, HostFacts, Refresh, Setup};
