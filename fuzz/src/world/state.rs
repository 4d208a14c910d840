//! What may decide how a world goes on, as text.

use std::fmt;
use std::time::Duration;

use super::World;
use super::fact::Job;

/// The state of a world beside its machine's, shown by its `Debug`; times as `show` has them.
pub struct State<'a, F> {
    world: &'a World,
    show: F,
}

impl World {
    /// What may decide how it goes on: what is asked of it, and what is stored under `home`. Times
    /// until a timer is due are shown as `show` says. Stale calls and timers are left out.
    pub fn state<F: Fn(Duration) -> String>(&self, show: F) -> State<'_, F> {
        State { world: self, show }
    }
}

impl<F: Fn(Duration) -> String> fmt::Debug for State<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.world;
        let timers = world.timers.iter();
        let timers = timers.map(|(timer, due)| (*timer, (self.show)(*due - world.mono)));
        let mut first: Vec<_> = world.timers.iter().map(|(timer, due)| (*due, *timer)).collect();
        first.sort_unstable();
        let http = world.http.iter().map(|http| {
            let sent = &http.sent;
            let told = (sent.purpose, &sent.bearer, &sent.account, &sent.thread, &sent.body);
            (http.call, told, http.answer.as_ref().map(|answer| answer.done))
        });
        // What a thread's job does is not the account's affair.
        let jobs = world.jobs.iter().map(|job| {
            let job_itself = (job.kind == Job::Credentials).then_some(&job.job);
            (job.call, job.kind, job_itself)
        });
        let line = String::from_utf8_lossy(&world.outbox);
        let host = (line, world.at_eof, world.eof_told, world.is_reading, &world.exit);
        let order: Vec<_> = first.iter().map(|(_, timer)| *timer).collect();
        f.debug_struct("World")
            .field("timers", &timers.collect::<Vec<_>>())
            .field("order", &order)
            .field("http", &http.collect::<Vec<_>>())
            .field("jobs", &jobs.collect::<Vec<_>>())
            .field("listeners", &world.listeners)
            .field("holds", &world.holds)
            .field("host", &host)
            .field("keyring", &world.keyring.secrets())
            .finish()
    }
}
