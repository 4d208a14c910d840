//! Owns: how the times of a recording are written: in microseconds, each from the one before.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Now;

/// A moment, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Since the runtime's own beginning.
    pub(super) mono_us: u64,
    /// Since the Unix epoch.
    pub(super) wall_us: i64,
}

/// From one moment to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tick {
    /// Time that has passed.
    pub(super) passed_us: u64,
    /// By how much more the calendar moved.
    pub(super) jump_us: i64,
}

/// The moment without what is finer than a recording is. A machine that is recorded sees this one,
/// so that its replay can see the same.
pub(super) fn coarse(now: Now) -> Now {
    let moment = Moment::of(now);
    Now::new(moment.mono(), moment.wall())
}

impl Moment {
    pub(super) fn of(now: Now) -> Self {
        let mono_us = u64::try_from(now.mono.as_micros()).unwrap_or(u64::MAX);
        Self { mono_us, wall_us: now.wall.as_microsecond() }
    }

    fn mono(self) -> Duration {
        Duration::from_micros(self.mono_us)
    }

    fn wall(self) -> Timestamp {
        Timestamp::from_microsecond(self.wall_us).unwrap_or_default()
    }

    pub(super) fn now(self) -> Now {
        Now::new(self.mono(), self.wall())
    }

    /// From here to a later moment.
    pub(super) fn to(self, next: Moment) -> Tick {
        let passed_us = next.mono_us.saturating_sub(self.mono_us);
        let moved = next.wall_us.wrapping_sub(self.wall_us);
        Tick { passed_us, jump_us: moved.wrapping_sub(passed_us.cast_signed()) }
    }

    pub(super) fn after(self, tick: Tick) -> Moment {
        let moved = tick.passed_us.cast_signed().wrapping_add(tick.jump_us);
        Moment {
            mono_us: self.mono_us.saturating_add(tick.passed_us),
            wall_us: self.wall_us.wrapping_add(moved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_tick_leads_from_one_moment_to_the_other() {
        let moments = [(5, 1_000), (5, 1_000), (9, 1_005), (1_000_009, -7), (u64::MAX, i64::MAX)];
        let moments = moments.map(|(mono_us, wall_us)| Moment { mono_us, wall_us });
        for pair in moments.windows(2) {
            assert_eq!(pair[0].after(pair[0].to(pair[1])), pair[1]);
        }
    }
}
