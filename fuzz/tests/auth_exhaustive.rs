//! Every script of a small alphabet. Goal: no order of logins, logouts, turns, refusals, answers
//! and failures of the store, however odd, breaks an invariant or leaves something behind.
//!
//! Method: see `small_scope`. `UNDERSTUDY_DEPTH` says how many symbols a script has, instead of the
//! three or four that are quick enough for every day; three more are in the beginning with two turns.

use std::env;

use understudy_fuzz::auth::setting::{Keeping, Setting};
use understudy_fuzz::auth::small_scope::{ALPHABET, Start, explore};

fn check(setting: Setting, start: Start, depth: usize) {
    let depth = env::var("UNDERSTUDY_DEPTH").map_or(depth, |text| text.parse().expect("a depth"));
    match explore(&setting, start, depth) {
        Err(failure) => panic!("{}", failure.minimised()),
        Ok(explored) => println!(
            "{start:?}: {} symbols, depth {depth}: {} scripts, {} states, {} of them at the edge",
            ALPHABET.len(),
            explored.scripts,
            explored.states,
            explored.last
        ),
    }
}

/// No retries of its own that would only make more states.
fn plain() -> Setting {
    Setting { request_retries: 0, stream_retries: 0, ..Setting::default() }
}

#[test]
fn from_nothing_with_a_forced_workspace() {
    check(Setting { forced_workspace: true, ..plain() }, Start::SignedOut, 4);
}

#[test]
fn from_two_running_turns() {
    check(plain(), Start::TwoTurns, 3);
}

#[test]
fn from_two_running_turns_of_an_embedding_program() {
    check(Setting { embedder: true, keeping: Keeping::Memory, ..plain() }, Start::TwoTurns, 3);
}
