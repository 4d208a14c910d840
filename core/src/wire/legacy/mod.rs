//! Protocol types of the older generation of methods, and the `codex/event/*` notifications.
//!
//! Names of types are those of the protocol's schemas (0.94.0). Results and notifications write
//! absent values as `null` unless a member says otherwise.

pub mod approval;
pub mod auth;
pub mod collab_event;
pub mod config;
pub mod conversation;
pub mod event;
pub mod event_part;
pub mod id;
pub mod policy;
pub mod rate_limit;
pub mod skills;
pub mod turn_item;
