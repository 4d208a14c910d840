//! Time as an argument: core never reads a clock.

use std::time::Duration;

use jiff::Timestamp;

/// The moment at which an input is handled, read once by the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since any fixed point of the runtime's choice; never goes backwards.
    pub mono: Duration,
    /// Wall clock time, for what is written to files and shown to people; may jump.
    pub wall: Timestamp,
}

impl Now {
    /// A moment `mono` after the runtime's start, at `wall` on the calendar.
    pub fn new(mono: Duration, wall: Timestamp) -> Self {
        Self { mono, wall }
    }

    /// Milliseconds since the Unix epoch, as the wire wants them.
    pub fn unix_ms(&self) -> i64 {
        self.wall.as_millisecond()
    }
}
