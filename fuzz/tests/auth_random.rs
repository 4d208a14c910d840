//! Random sessions by seed. Goal: every invariant holds after every step of every session, every
//! session comes to rest once things are healed, and every rule was tried.
//!
//! Method: each seed draws a configuration and what the session is about, then steps that the model
//! finds interesting. `UNDERSTUDY_SEEDS` says how many seeds (200), `UNDERSTUDY_SEED` plays one.

use std::collections::BTreeMap;
use std::env;
use std::sync::OnceLock;

use understudy_fuzz::auth::marks::{DIRECTED, MARKS, RARE};
use understudy_fuzz::auth::run::{self, Failure, Played};

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let text = text.trim();
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn seeds() -> std::ops::Range<u64> {
    let first = number("UNDERSTUDY_SEED").or(number("UNDERSTUDY_FIRST_SEED")).unwrap_or(0);
    let count =
        if number("UNDERSTUDY_SEED").is_some() { Some(1) } else { number("UNDERSTUDY_SEEDS") };
    first..first + count.unwrap_or(200)
}

/// Every tenth session is played again as it was, and another tenth with other cuts.
fn play(seed: u64) -> Result<Played, Failure> {
    let (script, played) = run::play_seed(seed)?;
    match seed % 10 {
        0 => run::play_again(&script, &played)?,
        5 => run::play_in_bytes(&script, &played)?,
        _ => {}
    }
    Ok(played)
}

/// All sessions, played once for all tests; or the first that fails, made small.
fn played() -> Result<&'static [Played], &'static Failure> {
    static PLAYED: OnceLock<Result<Vec<Played>, Box<Failure>>> = OnceLock::new();
    let all = PLAYED.get_or_init(|| {
        let all: Result<Vec<Played>, Failure> = seeds().map(play).collect();
        all.map_err(|failure| {
            println!("first seen: {}", failure.violation.text);
            Box::new(failure.minimised())
        })
    });
    all.as_deref().map_err(Box::as_ref)
}

#[test]
fn every_invariant_holds_in_random_sessions() {
    if let Err(failure) = played() {
        panic!("{failure}");
    }
}

/// Every row of the blocking rules, every verdict on a 401, every end of a refresh and of a login was
/// reached.
#[test]
fn coverage() {
    let Ok(all) = played() else { return };
    if all.len() < 100 {
        return;
    }
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    for mark in all.iter().flat_map(|played| &played.marks) {
        *reached.entry(mark).or_default() += 1;
    }
    for (mark, sessions) in &reached {
        println!("{sessions:6} {mark}");
    }
    let rare: &[&str] = if all.len() < 1000 { &[] } else { RARE };
    let wanted = MARKS.iter().chain(rare);
    let missing: Vec<_> = wanted.filter(|mark| !reached.contains_key(**mark)).collect();
    assert!(missing.is_empty(), "never reached: {missing:#?}");
    let is_known = |mark: &&&str| [MARKS, RARE, DIRECTED].iter().any(|marks| marks.contains(*mark));
    let unknown: Vec<_> = reached.keys().filter(|mark| !is_known(mark)).collect();
    assert!(unknown.is_empty(), "not in the list of marks: {unknown:#?}");
}
