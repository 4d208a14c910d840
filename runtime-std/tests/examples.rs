//! The examples of this crate do what they say.

use std::process::Command;

use played::{example, holds};

mod played;

#[test]
fn the_example_in_plain_threads_holds() {
    holds(&mut Command::new(example("threads")));
}

/// Few, because an unoptimised build is slow; the figure is the same from a hundred on.
#[test]
fn the_example_of_idle_machines_stays_within_its_budget() {
    holds(Command::new(example("idle_machines")).arg("400"));
}
