//! What may decide how a machine behaves from now on, as text: for a search that wants to know
//! whether it has been here before.
//!
//! Every room says what it holds in its derived `Debug`; with the flag `+` (`{:+?}`) secrets show a
//! number that stands for them. Left out is only what never comes back to the account: the setup and
//! the configuration, which nothing changes on the way, what the model is told, and names and
//! counters of what is over. A new member has to be put into one list or the other here.

use std::fmt;

use super::Machine;

/// The state of a machine, shown by its `Debug`.
pub struct State<'a>(pub(super) &'a Machine);

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            out,
            session,
            auth,
            catalogue,
            threads,
            opening,
            asked,
            unstored,
            subscriptions,
            errands,
            commands,
            config_asked,
            feedback,
            searches,
            framer,
            stage,
            held,
            warnings,
            // The same from the beginning to the end.
            setup: _,
            config: _,
            // Only of use to the next page of a list.
            known_orders: _,
            // When histories are put away, which is no affair of the account's.
            next_rest: _,
            next_errand: _,
        } = self.0;
        f.debug_struct("Machine")
            .field("stage", stage)
            .field("session", session)
            .field("auth", auth)
            .field("out", &out.state())
            .field("is_catalogue_fresh", &catalogue.is_fresh(out.now.wall))
            .field("threads", &Values(|| threads.values().map(|thread| thread.state())))
            .field("opening", opening)
            .field("asked", asked)
            .field("unstored", unstored)
            .field("subscriptions", subscriptions)
            .field("errands", errands)
            .field("commands", commands)
            .field("config_asked", config_asked)
            .field("feedback", feedback)
            .field("searches", searches)
            .field("framer", framer)
            .field("held", held)
            .field("warnings", warnings)
            .finish()
    }
}

/// Shows what an iterator gives.
struct Values<F>(F);

impl<I: Iterator<Item: fmt::Debug>, F: Fn() -> I> fmt::Debug for Values<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((self.0)()).finish()
    }
}
