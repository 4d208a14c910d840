//! Owns: the times of a recording: in microseconds, each from the one before.

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

/// From so much on the calendar has moved by itself. Two clocks that are read one after the other
/// are never quite as far from each other as the last time, and each step would say by how much.
const JUMP_US_MIN: u64 = 1_000;

/// Makes the times that a machine that is recorded sees, so that its replay can see the same:
/// without what is finer than a recording, and with a calendar that goes with the clock.
#[derive(Debug)]
pub(super) struct Clock {
    /// By how much the calendar is ahead of the clock.
    ahead_us: i64,
}

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self { ahead_us: Moment::of(now).ahead_us() }
    }

    pub(super) fn next(&mut self, now: Now) -> Now {
        let moment = Moment::of(now);
        let ahead_us = moment.ahead_us();
        if ahead_us.abs_diff(self.ahead_us) >= JUMP_US_MIN {
            self.ahead_us = ahead_us;
        }
        let wall_us = moment.mono_us.cast_signed().wrapping_add(self.ahead_us);
        Moment { wall_us, ..moment }.now()
    }
}

impl Moment {
    pub(super) fn of(now: Now) -> Self {
        let mono_us = u64::try_from(now.mono.as_micros()).unwrap_or(u64::MAX);
        Self { mono_us, wall_us: now.wall.as_microsecond() }
    }

    fn ahead_us(self) -> i64 {
        self.wall_us.wrapping_sub(self.mono_us.cast_signed())
    }

    pub(super) fn now(self) -> Now {
        let wall = Timestamp::from_microsecond(self.wall_us).unwrap_or_default();
        Now::new(Duration::from_micros(self.mono_us), wall)
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
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_calendar_goes_with_the_clock_until_somebody_sets_it() {
        let at = |mono_us: u64, wall_us: i64| Moment { mono_us, wall_us }.now();
        let mut clock = Clock::new(at(100, 5_000_100));
        for (mono_us, wall_us, seen_us) in [
            (100, 5_000_100, 5_000_100),
            (200, 5_000_203, 5_000_200),
            (300, 5_000_299, 5_000_300),
            (400, 9_000_400, 9_000_400),
            (500, 9_000_501, 9_000_500),
            (600, 600, 600),
        ] {
            // Nor does it see what is finer than a recording.
            let fine = Duration::from_nanos(999);
            let Now { mono, wall } = at(mono_us, wall_us);
            let wall = wall + SignedDuration::from_nanos(999);
            assert_eq!(clock.next(Now::new(mono + fine, wall)), at(mono_us, seen_us));
        }
    }

    #[test]
    fn a_tick_leads_from_one_moment_to_the_other() {
        let moments = [(5, 1_000), (5, 1_000), (9, 1_005), (1_000_009, -7), (u64::MAX, i64::MAX)];
        let moments = moments.map(|(mono_us, wall_us)| Moment { mono_us, wall_us });
        for pair in moments.windows(2) {
            assert_eq!(pair[0].after(pair[0].to(pair[1])), pair[1]);
        }
    }
}
