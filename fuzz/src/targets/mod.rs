//! What the fuzzers run: for each target a body that takes any bytes and panics if a property does
//! not hold.
//!
//! A body whose room is closed from outside lies in that room. `fuzz/fuzz` makes a program for
//! cargo-fuzz out of each, and `fuzz/tests/corpora.rs` plays the committed inputs and changes of
//! them on any toolchain.

mod envelope;
mod id_token;
mod machine;
mod oracle;
mod rollout;
mod session;
mod sse;

pub use envelope::envelope;
pub use id_token::id_token;
pub use machine::machine;
pub use rollout::rollout;
pub use session::session;
pub use sse::sse;
pub use understudy_core::config::{fuzz_config as config, fuzz_edit as config_edit};
pub use understudy_core::rules::fuzz_rules as rules;
pub use understudy_core::skills::fuzz_skill as skill;
pub use understudy_core::tools::command::fuzz_script as command_line;
pub use understudy_core::tools::fuzz_patch as patch;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also that of its program, its corpus and its body.
    pub name: &'static str,
    /// The words that its inputs are made of, in `fuzz/dictionaries`; none where the input is
    /// choices.
    pub dictionary: Option<&'static str>,
    /// What it runs.
    pub body: fn(&[u8]),
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    target("command_line", Some("shell"), command_line),
    target("config", Some("toml"), config),
    target("config_edit", Some("toml"), config_edit),
    target("envelope", Some("json"), envelope),
    target("id_token", Some("json"), id_token),
    target("machine", Some("json"), machine),
    target("patch", Some("patch"), patch),
    target("rollout", Some("json"), rollout),
    target("rules", Some("rules"), rules),
    target("session", None, session),
    target("skill", Some("yaml"), skill),
    target("sse", Some("sse"), sse),
];

const fn target(name: &'static str, dictionary: Option<&'static str>, body: fn(&[u8])) -> Target {
    Target { name, dictionary, body }
}

/// Takes the first byte off, which says how the rest is to be taken; 0 if there is none.
fn headed(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Cuts bytes into pieces of up to 16, of two lengths in turn that `by` says.
fn pieces(mut data: &[u8], by: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut lengths = [by & 15, by >> 4].into_iter().map(|half| usize::from(half) + 1).cycle();
    while !data.is_empty() {
        let length = lengths.next().unwrap_or(1).min(data.len());
        let (piece, rest) = data.split_at(length);
        pieces.push(piece);
        data = rest;
    }
    pieces
}
