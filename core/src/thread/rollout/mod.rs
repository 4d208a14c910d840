//! Rollouts: the files that threads are stored in (engine.md §8).
//!
//! One JSON object a line, written by this server and by the reference alike, so that each reads the
//! other's threads. What only this server knows stands in lines that the reference skips
//! ([`line::Note`]).

pub mod compacted;
pub mod head;
pub mod history;
pub mod line;
pub mod meta;
pub mod name;
pub mod read;
pub mod rebuild;
pub mod said;
pub mod turns;

#[cfg(test)]
mod tests;
