//! Every script of a small alphabet. Goal: no order of logins, logouts, turns, refusals, answers,
//! visits, other processes and failures of the store, however odd, breaks an invariant or leaves
//! something behind.
//!
//! Method: see `small_scope`. `UNDERSTUDY_DEPTH` says how many symbols a script has, instead of the
//! two to four that are quick enough for every day; where the alphabet is the larger one, it is one
//! less. Each beginning is as deep in a login or a renewal as its name says. The program `exhaust`
//! goes deeper from the same ones.

use std::env;

use understudy_fuzz::auth::setting::{Keeping, Setting, Stored};
use understudy_fuzz::auth::small_scope::{Start, compare, explore};

fn wanted() -> Option<usize> {
    Some(env::var("UNDERSTUDY_DEPTH").ok()?.parse().expect("a depth"))
}

fn check(setting: Setting, start: Start, depth: usize) {
    match explore(&setting, start, depth, 1, |_, _| {}) {
        Err(failure) => panic!("{}", failure.minimised()),
        Ok(explored) => println!(
            "{start:?}, depth {depth}: {} scripts, {} states, {} of them at the edge",
            explored.scripts, explored.states, explored.last
        ),
    }
}

/// No retries of its own that would only make more states.
fn plain() -> Setting {
    Setting { request_retries: 0, stream_retries: 0, numbers_only: true, ..Setting::default() }
}

fn stored() -> Setting {
    Setting { stored: Stored::Managed, ..plain() }
}

#[test]
fn from_nothing_with_a_forced_workspace() {
    let setting = Setting { forced_workspace: true, ..plain() };
    check(setting, Start::SignedOut, wanted().unwrap_or(4));
}

#[test]
fn from_two_running_turns() {
    check(plain(), Start::TwoTurns, wanted().unwrap_or(3));
}

#[test]
fn from_two_running_turns_of_an_embedding_program() {
    let setting = Setting { embedder: true, keeping: Keeping::Memory, ..plain() };
    check(setting, Start::TwoTurns, wanted().unwrap_or(3));
}

/// The larger alphabet: one symbol less.
fn check_own(setting: Setting, start: Start) {
    check(setting, start, wanted().map_or(2, |depth| depth.saturating_sub(1)));
}

#[test]
fn from_a_turn_with_a_stored_login() {
    check_own(stored(), Start::Stored);
}

#[test]
fn from_a_renewal() {
    check_own(stored(), Start::Renewing);
}

#[test]
fn from_a_renewal_that_is_saved() {
    check_own(stored(), Start::Renewed);
}

#[test]
fn from_a_renewal_that_is_saved_in_a_keyring() {
    check_own(Setting { keeping: Keeping::Keyring, ..stored() }, Start::Renewed);
}

#[test]
fn from_a_browser_that_is_out() {
    check_own(Setting { forced_workspace: true, ..plain() }, Start::Browser);
}

#[test]
fn from_a_browser_that_has_come_back() {
    check_own(plain(), Start::Exchanging);
}

#[test]
fn from_a_browser_that_has_come_back_over_a_stored_login() {
    check_own(stored(), Start::Exchanging);
}

#[test]
fn from_a_login_that_is_saved() {
    check_own(stored(), Start::Saving);
}

#[test]
fn from_a_device_code_that_is_asked_for() {
    check_own(plain(), Start::AskingCode);
}

#[test]
fn from_a_device_code_that_is_shown() {
    check_own(stored(), Start::Typing);
}

#[test]
fn from_a_device_code_that_was_typed() {
    check_own(Setting { forced_workspace: true, ..plain() }, Start::Typed);
}

/// Not one state is left out that is not like another: from states that look the same the same steps
/// are possible, and lead to states that look the same.
#[test]
fn states_that_look_the_same_are() {
    let forced = Setting { forced_workspace: true, ..plain() };
    for (setting, start, depth) in [
        (forced.clone(), Start::SignedOut, 3),
        (plain(), Start::TwoTurns, 3),
        (stored(), Start::Renewing, 2),
        (stored(), Start::Saving, 2),
        (forced, Start::Browser, 2),
        (stored(), Start::Typing, 2),
        (plain(), Start::Typed, 2),
    ] {
        match compare(&setting, start, depth) {
            Err(difference) => panic!("{start:?}: {difference}"),
            Ok((scripts, states)) => {
                assert!(scripts > 2 * states, "{start:?}: {scripts} scripts, {states} states");
            }
        }
    }
}
