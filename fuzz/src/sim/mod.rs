//! Sessions by seed, of any kind of world: made, checked, run again, made small when they fail, and
//! counted.

pub mod coverage;
pub mod play;
pub mod tally;

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name.
    pub rule: &'static str,
    /// What was seen.
    pub text: String,
}
