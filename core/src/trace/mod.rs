//! Record and replay: a session as the list of everything that the machine was told.
//!
//! The machine has no other source of anything, so the same setup, seed and inputs give the same
//! session again: on another computer, without a network, files or an account. A recording is lines
//! of text (`line`, `short`): first the setup, then a step for each input with its time and a digest
//! of what it led to, then how the recording ended.
//!
//! * [`Recorder`] stands where the machine stands, notes what goes in and comes out, and hands each
//!   [`Note`] to a [`Sink`]. It copies and decides nothing, so that a session is not held up.
//! * [`Scribe`] makes lines of notes, elsewhere and later. It replaces secrets by stand-ins of the
//!   same length and shape, one for each (`secrets`, `finder`).
//! * [`read`] understands a recording and [`Replay`] plays it, and says at which step the machine
//!   does something else than was recorded.
//!
//! What file jobs read is recorded under the job, not as its answer (`journal`): a replay runs the
//! job again on what its operations answered then. So no answer needs a written form, and a fault
//! in a job is replayed too.
//!
//! Invariants: no text that is known for a secret is in a recording, in whole; what the machine
//! makes of stand-ins is what it made of the secrets, with stand-ins in it.
//! A secret is known from where it first stands as one: what somebody said of it before then, and
//! pieces that a model says one by one, stay.
//! What the machine makes up for a login (state, verifier) follows from the seed and is not replaced:
//! it is good once, and for nobody without the code, which is.
//! Never: hides what people and models said, or what is in their files: a recording holds these.

mod clock;
mod deed;
mod finder;
mod hold;
mod journal;
mod line;
mod note;
mod read;
mod recorder;
mod replay;
mod scribe;
mod secrets;
mod short;
#[cfg(test)]
mod tests;

pub use deed::{Deed, Field, Lane};
pub use note::{Note, Notes};
pub use read::{End, ReadError, Recording, read};
pub use recorder::{Recorder, Sink};
pub use replay::{Difference, Played, Replay};
pub use scribe::Scribe;

pub use journal::{Noted, Op, Strayed};
