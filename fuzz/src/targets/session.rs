//! A session made of choices: what the simulator draws from a seed, a fuzzer draws from its bytes.

use crate::auth::run::{Failure, Played, Script, play_again, play_choices, play_in_bytes};
use crate::choose::Bytes;

/// Every byte or four is a choice; where they end, the session is healed and ends.
pub fn session(data: &[u8]) {
    if let Err(failure) = play(data) {
        panic!("{failure}");
    }
}

fn play(data: &[u8]) -> Result<(Script, Played), Failure> {
    let (script, played) = play_choices(0, &mut Bytes(data))?;
    play_again(&script, &played)?;
    play_in_bytes(&script, &played)?;
    Ok((script, played))
}
