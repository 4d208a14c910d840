//! Owns: the machine that is recorded: it does what the machine does, and notes it.
//!
//! Invariants: the machine gets each input once and unchanged, but for its time, which is cut to
//! microseconds first. Each input is one note, with everything that it led to up to the next one.

use crate::clock::Now;
use crate::driver::Verbs;
use crate::effect::{Call, Effect};
use crate::files::FileJob;
use crate::input::Input;
use crate::machine::Machine;
use crate::setup::Setup;

use super::clock::coarse;
use super::deed::Deed;
use super::journal::Noted;
use super::note::{Given, Note};

/// Where notes go.
pub trait Sink {
    /// Takes a note, in order. False ends the recording: no further note is made.
    fn take(&mut self, note: Note) -> bool;
}

/// A [`Machine`] that is recorded. It has the same verbs, and a [`Driver`](crate::Driver) runs it
/// like one.
#[derive(Debug)]
pub struct Recorder<S> {
    machine: Machine,
    sink: Option<S>,
    /// What is being noted. It ends when all effects are taken, or with the next input.
    note: Option<Note>,
    now: Now,
    /// How much of the pending output was noted.
    noted: usize,
}

impl<S: Sink> Recorder<S> {
    /// A new machine whose notes go to `sink`. A [`Scribe`](super::Scribe) for them is made with
    /// the same setup, seed and moment.
    pub fn new(setup: Setup, seed: [u8; 32], now: Now, sink: S) -> Self {
        let now = coarse(now);
        let note = Some(Note::new(now, Given::Setup));
        Self { machine: Machine::new(setup, seed, now), sink: Some(sink), note, now, noted: 0 }
    }

    /// Like [`Machine::handle`].
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let now = coarse(now);
        self.now = now;
        self.put_down();
        let (given, input) = Given::of(input);
        self.note = self.sink.is_some().then(|| Note::new(now, given));
        self.machine.handle(now, input);
    }

    /// Like [`Machine::poll_effect`].
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let Some(effect) = self.machine.poll_effect() else {
            self.put_down();
            return None;
        };
        let Some(note) = &mut self.note else { return Some(effect) };
        note.deeds.extend(Deed::of(&effect));
        Some(noting(effect))
    }

    /// Like [`Machine::pending_output`].
    pub fn pending_output(&self) -> &[u8] {
        self.machine.pending_output()
    }

    /// Like [`Machine::wrote`].
    pub fn wrote(&mut self, n: usize) {
        self.put_down();
        self.note = self.sink.is_some().then(|| Note::new(self.now, Given::Wrote(n)));
        self.machine.wrote(n);
        self.noted = self.noted.saturating_sub(n);
    }

    /// Like [`Machine::wants_input`].
    pub fn wants_input(&self) -> bool {
        self.machine.wants_input()
    }

    /// Ends the note, if there is one.
    fn put_down(&mut self) {
        let Some(mut note) = self.note.take() else { return };
        let pending = self.machine.pending_output();
        note.output = pending.get(self.noted..).unwrap_or_default().to_vec();
        self.noted = pending.len();
        if self.sink.as_mut().is_some_and(|sink| !sink.take(note)) {
            self.sink = None;
        }
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
