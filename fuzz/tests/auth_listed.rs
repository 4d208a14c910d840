//! Each of the invariants I1–I45 of auth.md §13.1 is held by a check of the same number, and every
//! check is looked at after every step of every session.

use std::collections::BTreeSet;

use understudy_fuzz::auth::invariants::INVARIANTS;

/// The checks that hold an invariant, by its number.
fn checks_of(number: u32) -> Vec<&'static str> {
    let prefix = format!("i{number:02}_");
    let names = INVARIANTS.iter().map(|(name, _)| *name);
    names.filter(|name| name.starts_with(&prefix)).collect()
}

#[test]
fn every_invariant_has_a_check() {
    let mut missing = Vec::new();
    for number in 1..=45 {
        let checks = checks_of(number);
        println!("I{number}: {}", checks.join(", "));
        if checks.is_empty() {
            missing.push(number);
        }
    }
    assert!(missing.is_empty(), "no check holds these: {missing:?}");
}

#[test]
fn every_check_has_a_name_of_its_own_and_a_number_that_there_is() {
    let mut names = BTreeSet::new();
    for (name, _) in INVARIANTS {
        assert!(names.insert(*name), "{name} is there twice");
        let Some(number) = name.strip_prefix('i').and_then(|rest| rest.get(..2)) else { continue };
        let number: u32 = number.parse().expect("a number of two digits");
        assert!((1..=45).contains(&number), "there is no I{number}");
    }
}
