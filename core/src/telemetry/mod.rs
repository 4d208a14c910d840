//! Measurements of what the server does, for operators: how long it took, how it ended, what it
//! cost (config.md §6.3).
//!
//! Owns: which pieces of work are measured, their names among each other, and where measurements go
//! ([`Sinks`]). A room begins a `Measure` with its work and gives it back when the work is over;
//! what comes of that is data ([`Telemetry`]) that a runtime turns into spans, metrics and log
//! records of whatever library it has.
//!
//! Invariants: where nothing is configured there is no `Meter`, and nothing is measured,
//! allocated or told. A measure is consumed by its end, so that no work is told twice; work that the
//! end of the process cuts off is not told. Measuring draws from a generator of its own, so that
//! what the host hears is the same with it and without.
//!
//! Never in a measurement: a token, a key, an address, the text of an error, what a tool was given
//! or has said, who the user is. The words of prompts only where the user asks for them.

mod measurement;
mod sinks;
#[cfg(test)]
mod tests;

pub use measurement::{
    CallEnd, Decision, Event, Happening, Measurement, ModelCall, ModelWish, RefreshCause,
    RefreshEnd, RefreshWay, Scope, Telemetry, ThreadOpened, Tokens, ToolEnd, TurnEnd, TurnPlace,
    Work,
};
pub use sinks::{Collector, CollectorWire, Identity, Sinks};

use crate::clock::Now;
use crate::rng::Rng;

/// A piece of work that is being measured. It ends with
/// [`Outside::measured`](crate::outside::Outside::measured).
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Measure(Box<Begun>);

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Begun {
    scope: Scope,
    parent: Option<u64>,
    at: Now,
}

impl Measure {
    /// Names the work, for its parts.
    pub(crate) fn scope(&self) -> Scope {
        self.0.scope
    }

    /// The work is over.
    pub(crate) fn end(self, now: Now, work: Work) -> Measurement {
        let Begun { scope, parent, at } = *self.0;
        Measurement { scope, parent, begin: at, end: now, work }
    }
}

/// What work belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Within {
    /// Nothing else.
    Nothing,
    /// A trace of this name.
    Trace(u128),
    /// Another piece of work.
    Work(Option<Scope>),
}

/// Measures; there is one only where measurements go somewhere.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Meter {
    /// For names. Not the session's own.
    rng: Rng,
    /// The trace that the process was started in.
    parent: Option<Scope>,
    /// Whether the words of prompts are told.
    pub(crate) has_prompts: bool,
}

impl Meter {
    /// Measuring begins, and the process gets its name among others.
    pub(crate) fn new(sinks: &mut Sinks, mut rng: Rng) -> Self {
        sinks.instance = u128::from_le_bytes(rng.bytes());
        Self { rng, parent: sinks.parent, has_prompts: sinks.has_prompts }
    }

    /// A piece of work begins.
    pub(crate) fn begin(&mut self, now: Now, within: Within) -> Measure {
        let parent = match within {
            Within::Work(Some(scope)) => Some(scope),
            Within::Nothing | Within::Trace(_) | Within::Work(None) => self.parent,
        };
        let trace = match (parent, within) {
            (Some(parent), _) => parent.trace,
            (None, Within::Trace(trace)) => trace,
            (None, Within::Nothing | Within::Work(_)) => u128::from_le_bytes(self.rng.bytes()),
        };
        // Zero names nothing (W3C Trace Context).
        let span = u64::from_le_bytes(self.rng.bytes()).max(1);
        let scope = Scope { trace: trace.max(1), span };
        Measure(Box::new(Begun { scope, parent: parent.map(|parent| parent.span), at: now }))
    }
}
