//! Random sessions by seed. Goal: every invariant holds after every step of every session, and
//! every session comes to rest once things are healed.
//!
//! Method: each seed draws a configuration and what the session is about, then steps that the model
//! finds interesting. `UNDERSTUDY_SEEDS` says how many seeds (300), `UNDERSTUDY_SEED` plays one.

use std::env;

use understudy_fuzz::auth::run::{self, Failure};

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let text = text.trim();
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Every tenth session is played twice and must give the same bytes (design.md §4.8).
fn play(seed: u64) -> Result<(), Failure> {
    let played = run::play_seed(seed)?;
    if seed.is_multiple_of(10) {
        let again = run::play_seed(seed)?;
        assert_eq!(played.digest, again.digest, "seed {seed:#x} plays differently a second time");
    }
    Ok(())
}

#[test]
fn every_invariant_holds_in_random_sessions() {
    let seeds: Box<dyn Iterator<Item = u64>> = match number("UNDERSTUDY_SEED") {
        Some(seed) => Box::new(seed..=seed),
        None => {
            let first = number("UNDERSTUDY_FIRST_SEED").unwrap_or(0);
            Box::new(first..first + number("UNDERSTUDY_SEEDS").unwrap_or(300))
        }
    };
    for seed in seeds {
        if let Err(failure) = play(seed) {
            println!("first seen with seed {seed:#x}: {}", failure.violation.text);
            panic!("{}", failure.minimised());
        }
    }
}
