//! A session made of choices: what the simulator draws from a seed, a fuzzer draws from its bytes.

use crate::auth::run::{INPUT_REPLAY_LINE, play_input};

/// Every byte or four is a choice; where they end, the session is healed and ends.
pub fn session(data: &[u8]) {
    if let Err(failure) = play_input(data) {
        panic!("{}", failure.told(INPUT_REPLAY_LINE));
    }
}
