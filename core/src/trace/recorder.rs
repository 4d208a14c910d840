//! Owns: the machine that is recorded: it does what the machine does, and notes it.
//!
//! Invariants: the machine gets each input once and unchanged, but for its time (`clock`). Each
//! input is one note, with everything that it led to up to the next one; when it is dropped, also
//! the last one, even if the machine has panicked in it. What the host took rides on the next note:
//! every other note would be one.

use crate::clock::Now;
use crate::driver::Verbs;
use crate::effect::{Call, Effect};
use crate::files::FileJob;
use crate::input::Input;
use crate::machine::Machine;
use crate::setup::Setup;

use super::clock::Clock;
use super::deed::Deed;
use super::journal::Noted;
use super::note::{Fact, Given, Note, Whole, Wrote};

/// Where notes go.
pub trait Sink {
    /// Takes a note, in order. False ends the recording: no further note is made.
    fn take(&mut self, note: Note<'_>) -> bool;
}

/// A [`Machine`] that is recorded. It has the same verbs, and a [`Driver`](crate::Driver) runs it
/// like one.
#[derive(Debug)]
pub struct Recorder<S: Sink> {
    machine: Machine,
    sink: Option<S>,
    /// What is being noted. It ends when all effects are taken, or with the next input.
    fact: Option<Fact>,
    /// What was said in it.
    said: Vec<u8>,
    /// What the host took since the last note, which led to nothing.
    wrote: Option<Wrote>,
    clock: Clock,
    now: Now,
    /// How much of the pending output was noted.
    noted: usize,
}

impl<S: Sink> Recorder<S> {
    /// A new machine whose notes go to `sink`. A [`Scribe`](super::Scribe) for them is made with
    /// the same setup, seed and moment.
    pub fn new(setup: Setup, seed: [u8; 32], now: Now, sink: S) -> Self {
        let mut clock = Clock::new(now);
        let now = clock.next(now);
        let fact = Some(Fact::new(now, Whole::Setup.given()));
        let (machine, sink) = (Machine::new(setup, seed, now), Some(sink));
        Self { machine, sink, fact, said: Vec::new(), wrote: None, clock, now, noted: 0 }
    }

    /// Like [`Machine::handle`].
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.put_down();
        let now = self.clock.next(now);
        self.now = now;
        let (given, said, input) = Given::of(input);
        if self.sink.is_some() {
            self.said.clear();
            self.said.extend_from_slice(said);
            self.fact = Some(Fact { wrote: self.wrote.take(), ..Fact::new(now, given) });
        }
        self.machine.handle(now, input);
    }

    /// Like [`Machine::poll_effect`].
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let Some(effect) = self.machine.poll_effect() else {
            self.put_down();
            return None;
        };
        let Some(fact) = &mut self.fact else { return Some(effect) };
        fact.deeds.extend(Deed::of(&effect));
        Some(noting(effect))
    }

    /// Like [`Machine::pending_output`].
    pub fn pending_output(&self) -> &[u8] {
        self.machine.pending_output()
    }

    /// Like [`Machine::wrote`].
    pub fn wrote(&mut self, n: usize) {
        self.put_down();
        let wrote = if n == self.noted { Wrote::All } else { Wrote::Bytes(n) };
        self.said.clear();
        self.fact = self.sink.is_some().then(|| Fact::of_wrote(self.now, wrote));
        self.machine.wrote(n);
        self.noted = self.noted.saturating_sub(n);
    }

    /// Like [`Machine::wants_input`].
    pub fn wants_input(&self) -> bool {
        self.machine.wants_input()
    }

    /// Ends the note, if there is one.
    fn put_down(&mut self) {
        let Some(fact) = self.fact.take() else { return };
        self.put_down_wrote();
        let pending = self.machine.pending_output();
        let output = pending.get(self.noted..).unwrap_or_default();
        self.noted = pending.len();
        match fact.as_idle_write() {
            Some(wrote) if output.is_empty() => self.wrote = Some(wrote),
            _ => hand_over(&mut self.sink, Note { fact, said: &self.said, output }),
        }
    }

    /// Makes a note of its own of what the host took.
    fn put_down_wrote(&mut self) {
        if let Some(wrote) = self.wrote.take() {
            hand_over(&mut self.sink, Note::of_wrote(self.now, wrote));
        }
    }
}

fn hand_over(sink: &mut Option<impl Sink>, note: Note<'_>) {
    if sink.as_mut().is_some_and(|sink| !sink.take(note)) {
        *sink = None;
    }
}

impl<S: Sink> Drop for Recorder<S> {
    fn drop(&mut self) {
        self.put_down();
        self.put_down_wrote();
    }
}

/// The effect, with a file job made to note what it does.
fn noting(effect: Effect) -> Effect {
    match effect {
        Effect::Start(id, call) => match *call {
            Call::Files(job) => {
                let noted = FileJob::Noted(Noted(Box::new(job)));
                Effect::Start(id, Box::new(Call::Files(noted)))
            }
            other => Effect::Start(id, Box::new(other)),
        },
        other => other,
    }
}

impl<S: Sink> Verbs for Recorder<S> {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.handle(now, input);
    }
    fn poll_effect(&mut self) -> Option<Effect> {
        self.poll_effect()
    }
    fn pending_output(&self) -> &[u8] {
        self.pending_output()
    }
    fn wrote(&mut self, n: usize) {
        self.wrote(n);
    }
    fn wants_input(&self) -> bool {
        self.wants_input()
    }
}
