//! Protocol types of the older generation of methods, and the `codex/event/*` notifications.
//!
//! Names of types are those of the protocol's schemas (0.94.0). Results and notifications write
//! absent values as `null` unless a member says otherwise.

pub mod auth;
pub mod policy;
