//! Protocol types of the current generation of methods (`account/*`, `thread/*`, `turn/*`, …).
//!
//! Names of types are those of the protocol's schemas (0.94.0). In params, members that are not
//! known are ignored, and an optional member that is `null` counts as absent; results and
//! notifications write absent values as `null` unless a member says otherwise. Members that only
//! newer clients ask for (clients.md, table at the end) are always written.

pub mod account;
pub mod approval;
pub mod apps;
pub mod command;
pub mod common;
pub mod config;
pub mod delta;
pub mod feedback;
pub mod id;
pub mod initialize;
pub mod item;
pub mod mcp;
pub mod model;
pub mod notice;
pub mod prompts;
pub mod review;
pub mod skills;
pub mod thread;
pub mod turn;
pub mod turn_error;
