//! Owns: what is noted of one input, as it was, for the scribe.

use crate::clock::Now;
use crate::effect::{AskId, CallId, TimerId};
use crate::files::{FileAnswer, FileError};
use crate::input::{
    FreshTokens, HttpFailure, HttpHead, Input, ListenFailure, Outcome, RefreshDenied, Signal, Visit,
};
use crate::process::{OutputStream, ProcessExit, ProcessFailure};
use crate::wire::v2::command::FuzzyFileSearchResult;

use super::deed::Deed;
use super::journal::Op;

/// One input with what it led to. It holds secrets: only a [`Scribe`](super::Scribe) may read it.
pub struct Note<'a> {
    pub(super) fact: Fact,
    /// The input's bytes, if it is one that comes in pieces.
    pub(super) said: &'a [u8],
    /// The bytes for the host that it added.
    pub(super) output: &'a [u8],
}

impl std::fmt::Debug for Note<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Note").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// A note, but for its bytes.
pub(super) struct Fact {
    pub(super) now: Now,
    pub(super) given: Given,
    /// A step before this one: the host took these bytes.
    pub(super) wrote: Option<Wrote>,
    pub(super) deeds: Vec<Deed>,
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fact").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Notes that wait for a [`Scribe`](super::Scribe), in their order. All their bytes lie in one
/// place: a further note takes no memory of its own, and all of them are looked through at once.
#[derive(Default)]
pub struct Notes {
    pub(super) facts: Vec<(Fact, Lengths)>,
    pub(super) bytes: Vec<u8>,
    /// What facts refer to, about, in bytes.
    beside: usize,
}

/// How many bytes of those of all notes are one's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) said: usize,
    /// Behind these.
    pub(super) output: usize,
}

/// Memory that is kept for further notes is no more than this, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Notes {
    /// Adds the next one.
    pub fn push(&mut self, note: Note<'_>) {
        let Note { fact, said, output } = note;
        self.bytes.extend_from_slice(said);
        self.bytes.extend_from_slice(output);
        self.beside += fact.beside();
        self.facts.push((fact, Lengths { said: said.len(), output: output.len() }));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// About how much memory they take, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.beside + self.facts.len() * size_of::<(Fact, Lengths)>()
    }

    /// Forgets them, and keeps memory for as many as there mostly are.
    pub(super) fn clear(&mut self) {
        self.facts.clear();
        self.facts.shrink_to(KEPT_BYTES_MAX / size_of::<(Fact, Lengths)>());
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.beside = 0;
    }
}

/// What the machine was given.
pub(super) enum Given {
    /// A piece of what somebody says; most are.
    Piece(Topic),
    Whole(Box<Whole>),
}

/// What comes at once.
pub(super) enum Whole {
    /// Its setup; what came out was there from the start.
    Setup,
    Eof,
    Timer(TimerId),
    Signal(Signal),
    Refreshed(AskId, Result<FreshTokens, RefreshDenied>),
    Done(CallId, Told),
}

/// What the host, a backend or a program said, or what the host took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Wrote(Wrote),
    /// Bytes of the host.
    Bytes,
    /// Of an answer's body.
    Body(CallId),
    /// Of a program.
    Output(OutputStream, CallId),
}

/// How much of the output the host took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// All of it.
    All,
    /// So many bytes.
    Bytes(usize),
}

/// The answer to a call.
pub(super) enum Told {
    Head(HttpHead),
    End,
    Failed(HttpFailure),
    Files(Vec<Op>),
    Listening,
    ListenFailed(ListenFailure),
    Visit(Visit),
    Held(Result<(), FileError>),
    Exited(ProcessExit),
    NotStarted(ProcessFailure),
    Logs(String),
    Found(Vec<FuzzyFileSearchResult>),
    Lost,
}

impl Note<'_> {
    /// That the host took something, which led to nothing.
    pub(super) fn of_wrote(now: Now, wrote: Wrote) -> Self {
        Self { fact: Fact::of_wrote(now, wrote), said: &[], output: &[] }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Fact>() + self.fact.beside() + self.said.len() + self.output.len()
    }
}

impl Fact {
    pub(super) fn new(now: Now, given: Given) -> Self {
        Self { now, given, wrote: None, deeds: Vec::new() }
    }

    /// That the host took something.
    pub(super) fn of_wrote(now: Now, wrote: Wrote) -> Self {
        Self::new(now, Given::Piece(Topic::Wrote(wrote)))
    }

    /// What the host took, if nothing else is in it.
    pub(super) fn as_idle_write(&self) -> Option<Wrote> {
        match self.given {
            Given::Piece(Topic::Wrote(wrote)) if self.deeds.is_empty() => Some(wrote),
            _ => None,
        }
    }

    /// About how much memory it refers to, in bytes.
    fn beside(&self) -> usize {
        let given = match &self.given {
            Given::Piece(_) => 0,
            Given::Whole(whole) => size_of::<Whole>() + whole.beside(),
        };
        given + self.deeds.iter().map(Deed::size).sum::<usize>()
    }
}

impl Whole {
    pub(super) fn given(self) -> Given {
        Given::Whole(Box::new(self))
    }

    fn beside(&self) -> usize {
        match self {
            Whole::Done(_, Told::Files(ops)) => ops.iter().map(Op::size).sum(),
            Whole::Done(_, Told::Logs(text)) => text.len(),
            _ => 0,
        }
    }
}

impl Given {
    /// Notes an input, with the bytes of a piece, and gives back the input that the machine gets:
    /// without the notes of a file job, which are kept.
    pub(super) fn of(input: Input<'_>) -> (Self, &[u8], Input<'_>) {
        let given = match input {
            Input::Bytes(said) => return (Given::Piece(Topic::Bytes), said, input),
            Input::Done(call, Outcome::HttpBytes(said)) => {
                return (Given::Piece(Topic::Body(call)), said, input);
            }
            Input::Done(call, Outcome::ProcessOutput(stream, said)) => {
                return (Given::Piece(Topic::Output(stream, call)), said, input);
            }
            Input::Done(call, outcome) => {
                let (told, outcome) = Told::of(outcome);
                return (Whole::Done(call, told).given(), &[], Input::Done(call, outcome));
            }
            Input::Eof => Whole::Eof,
            Input::TimerFired(timer) => Whole::Timer(timer),
            Input::AuthRefreshed(ask, ref answer) => Whole::Refreshed(ask, answer.clone()),
            Input::Signal(signal) => Whole::Signal(signal),
        };
        (given.given(), &[], input)
    }
}

impl Told {
    /// Whether nothing follows, as [`Outcome::is_last`] has it.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Told::Head(_) | Told::Listening | Told::Visit(_) | Told::Held(_) => false,
            Told::End
            | Told::Failed(_)
            | Told::Files(_)
            | Told::ListenFailed(_)
            | Told::Exited(_)
            | Told::NotStarted(_)
            | Told::Logs(_)
            | Told::Found(_)
            | Told::Lost => true,
        }
    }

    fn of(outcome: Outcome<'_>) -> (Self, Outcome<'_>) {
        let told = match outcome {
            Outcome::Files(answer) => {
                return match *answer {
                    FileAnswer::Noted(answer, ops) => (Told::Files(ops), Outcome::Files(answer)),
                    // Begun when nothing was noted any more.
                    other => (Told::Files(Vec::new()), Outcome::Files(Box::new(other))),
                };
            }
            Outcome::HttpHead(ref head) => Told::Head(head.clone()),
            Outcome::HttpEnd => Told::End,
            Outcome::HttpFailed(ref failure) => Told::Failed(failure.clone()),
            Outcome::Listening => Told::Listening,
            Outcome::ListenFailed(ref failure) => Told::ListenFailed(failure.clone()),
            Outcome::Visit(ref visit) => Told::Visit(visit.clone()),
            Outcome::Held(ref held) => Told::Held(held.clone()),
            Outcome::ProcessExited(exit) => Told::Exited(exit),
            Outcome::ProcessFailed(ref failure) => Told::NotStarted(failure.clone()),
            Outcome::Logs(ref text) => Told::Logs(text.clone()),
            Outcome::Found(ref files) => Told::Found(files.clone()),
            // Pieces are noted as such.
            Outcome::Lost | Outcome::HttpBytes(_) | Outcome::ProcessOutput(..) => Told::Lost,
        };
        (told, outcome)
    }
}
