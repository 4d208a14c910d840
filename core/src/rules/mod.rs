//! Rules of which commands may run: `.rules` files and what they say of a command
//! (engine.md §4.4, config.md §5).
//!
//! Owns: reading the files, the rules they amount to, and adding to them. The files are written in
//! a part of Starlark: assignments, `for`, `if`, list comprehensions and calls of `prefix_rule` with
//! texts, lists and tuples. They are read here rather than by the reference's interpreter, because
//! anybody's project may hold one: reading has bounds on depth, steps and size.
//!
//! Invariants: a file of a folder that is not trusted forbids or prompts, never allows. A file with
//! an error costs what it allows; what it forbids and could be read still holds, and while a trusted
//! file has an error no file allows anything, since the missing rule may have been stricter.

mod amend;
mod build;
mod evaluate;
mod fault;
#[cfg(any(test, feature = "sim"))]
mod fuzz;
mod load;
mod parse;
mod policy;
mod token;
mod value;

pub use amend::{AmendFailure, Amendment};
pub use fault::RulesError;
#[cfg(any(test, feature = "sim"))]
pub use fuzz::fuzz_rules;
pub use load::{LoadedRules, RulesFolder, RulesJob};
pub use policy::{Decision, Rule, RuleMatch, RuleSet};
