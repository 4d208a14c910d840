//! The example of embedding does what it says.

use std::process::Command;

use played::{example, holds};

#[path = "../../runtime-std/tests/played/mod.rs"]
mod played;

#[test]
fn the_example_on_async_std_holds() {
    holds(&mut Command::new(example("embed_async_std")));
}
