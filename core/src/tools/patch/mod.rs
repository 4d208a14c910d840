//! The tool `apply_patch` (engine.md §6): a pure function over files.
//!
//! [`parse`] reads the text, [`plan`] works out what every file would be, [`touched`] is what the
//! decision about it needs, [`Plan::commit`] does it wholly or not at all. [`TurnDiff`] adds up
//! what the patches of a turn did.

mod blob;
mod commit;
mod diff;
mod edit;
#[cfg(any(test, feature = "sim"))]
mod fuzz;
mod in_command;
mod parse;
mod place;
mod plan;
mod report;
#[cfg(any(test, feature = "sim"))]
mod sample;
mod seek;
#[cfg(test)]
mod tests;
mod turn_diff;

pub(crate) use diff::touched;
#[cfg(any(test, feature = "sim"))]
pub use fuzz::fuzz_patch;
pub(crate) use in_command::{InCommand, in_command};
pub(crate) use parse::parse;
pub(crate) use plan::{Plan, plan};
pub(crate) use report::{BARE_PATCH, verification_failed};
pub(crate) use turn_diff::TurnDiff;
