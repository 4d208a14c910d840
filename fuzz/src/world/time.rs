//! Time in a world: it passes when it is told to.

use std::time::Duration;

use understudy_core::{Input, TimerId};

use super::fact::Fact;
use super::{Firing, World};

impl World {
    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.timers.values().min().copied()
    }

    /// Timers that are set.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// How long until each timer fires, sorted.
    pub fn waits(&self) -> Vec<Duration> {
        let mut waits: Vec<_> = self.timers.values().map(|due| *due - self.mono).collect();
        waits.sort();
        waits
    }

    /// Lets time pass until `end`.
    pub fn wait_until(&mut self, end: Duration, firing: Firing) {
        let end = end.max(self.mono);
        if firing == Firing::Late {
            self.set_clock(end);
        }
        while let Some((timer, due)) = self.first_due(end, firing) {
            self.set_clock(self.mono.max(due));
            self.timers.remove(&timer);
            self.facts.push(Fact::Fired(timer));
            self.input(Input::TimerFired(timer));
        }
        self.set_clock(end);
    }

    pub(super) fn set_clock(&mut self, mono: Duration) {
        if mono != self.mono {
            self.mono = mono;
            self.facts.push(Fact::At(mono));
        }
    }

    fn first_due(&self, end: Duration, firing: Firing) -> Option<(TimerId, Duration)> {
        let (timer, due) = self.timers.iter().min_by_key(|(id, due)| (**due, **id))?;
        let fires = *due < end || (*due == end && firing != Firing::NotYet);
        (fires && self.exit.is_none()).then_some((*timer, *due))
    }

    /// Fires a timer that was cancelled, as a runtime may.
    pub fn fire_stale(&mut self, nth: usize) {
        let count = self.stale_timers.len();
        if let Some(timer) = (count > 0).then(|| self.stale_timers[nth % count]) {
            self.input(Input::TimerFired(timer));
        }
    }
}
